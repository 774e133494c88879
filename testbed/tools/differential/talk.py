"""A blocking IMAP client that sends the lines of a script, valid or not, and returns the server's responses."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Self

from lemonade_wire.imap.framing import FramerRole, LineFramer, LineReceived, LogicalLine

PATIENCE = 20.0
"""Seconds without a line from the server after which an answer is no longer awaited."""
WAIT = 5.0
"""Seconds that an untagged response may take that no command asked for."""
LARGEST_LINE = 1_000_000
"""Octets of the longest line that is read."""


class Talk:
    """One connection, as a context manager; it sends one command at a time.

    `closed` is True if the server has closed the connection. `silent` is True if an answer did not come in time; the
    connection is then of no further use.
    """

    def __init__(self, address: tuple[str, int], patience: float = PATIENCE) -> None:
        """Connect; raises OSError."""
        self._patience = patience
        self._socket = socket.create_connection(address, patience)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._framer = LineFramer(FramerRole.CLIENT, max_line=LARGEST_LINE)
        self._tags = 0
        self._pending: str | None = None
        self._waited_for: list[LogicalLine] = []
        self.closed = False
        self.silent = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def greeting(self) -> list[LogicalLine]:
        """Return the server's first line, or an empty list if none comes."""
        line = self._line()
        return [] if line is None else [line]

    def command(self, line: LogicalLine) -> tuple[str, list[LogicalLine]]:
        """Send a command with its literals; returns its tag, and the lines up to its tagged response.

        If the server sends a continuation request for which there is nothing more to send, the lines end with that; the
        next `raw` goes on with the command.
        """
        self._tags += 1
        tag = f"t{self._tags}"
        first, *segments = LogicalLine((tag.encode() + b" ", *line.parts)).segments()
        self._pending = tag
        self._send(first)
        return tag, self._lines(tag, segments)

    def raw(self, line: LogicalLine) -> tuple[str, list[LogicalLine]]:
        """Send a line without a tag; returns the tag of the command that it belongs to, and the server's lines.

        The line continues the command that waits for it. If none does, a NOOP is sent behind it, and the lines up to
        the NOOP's tagged response are returned, without that response if it is OK.
        """
        if self._pending is not None:
            self._send(line.octets())
            return self._pending, self._lines(self._pending, [])
        self._send(line.octets())
        tag, lines = self.command(LogicalLine.of(b"NOOP"))
        return tag, [one for one in lines if not one.text.upper().startswith(f"{tag} OK".encode().upper())]

    def wait(self, word: bytes) -> bool:
        """Wait for a line with this word until the server is silent for WAIT seconds; tells whether the line came.

        All lines that came meanwhile are returned with the next answer.
        """
        self._socket.settimeout(WAIT)
        while (line := self._line()) is not None:
            self._waited_for.append(line)
            if word in line.text:
                break
        self._socket.settimeout(self._patience)
        self.silent = False
        return line is not None

    def _lines(self, tag: str, segments: list[bytes]) -> list[LogicalLine]:
        lines, self._waited_for = self._waited_for, []
        while (line := self._line()) is not None:
            if line.text.startswith(b"+"):
                if not segments:
                    return [*lines, line]
                self._send(segments.pop(0))
                continue
            lines.append(line)
            if line.text.startswith(tag.encode() + b" "):
                break
        self._pending = None
        return lines

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError:
            self.closed = True

    def _line(self) -> LogicalLine | None:
        """Return the next line, or None if the connection is closed or no line came in time."""
        while not (self.closed or self.silent):
            event = self._framer.next_event()
            if isinstance(event, LineReceived):
                return event.line
            if event is None:
                try:
                    data = self._socket.recv(65536)
                except TimeoutError:
                    self.silent = True
                except OSError:
                    self.closed = True
                else:
                    self.closed = not data
                    self._framer.receive_data(data)
        return None
