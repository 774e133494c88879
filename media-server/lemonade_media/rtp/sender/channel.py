"""The media server's end of the channel to its RTP sender: a Unix socket whose messages can carry file descriptors.

It has the methods of Twisted's IReadWriteDescriptor: the reactor calls it when the socket can be read or written.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from lemonade_media.rtp.sender.protocol import (
    MAX_MESSAGE,
    ContentFinished,
    ContentSought,
    ContentStarted,
    ContentStopped,
    Event,
    ReportSent,
    decode,
)

_BATCH = 64


class Channel:
    """Sends encoded commands in order, gives the sender's events to `on_event`, and calls `on_lost` once at its end."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,  # noqa: ANN401  Twisted's interfaces are no types
        sock: socket.socket,
        on_event: Callable[[Event | ReportSent], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._socket = sock
        self._on_event = on_event
        self._on_lost = on_lost
        self._waiting: deque[tuple[bytes, tuple[int, ...]]] = deque()
        sock.setblocking(False)
        reactor.addReader(self)

    def send(self, octets: bytes, descriptors: tuple[int, ...] = ()) -> None:
        """Send a message, or keep it until the socket has room; descriptors are duplicated while they wait."""
        if self._waiting or not self._try(octets, descriptors):
            self._waiting.append((octets, tuple(map(os.dup, descriptors))))
            self._reactor.addWriter(self)

    def close(self) -> None:
        """Close this end of the channel, which makes the sender process end; `on_lost` is not called."""
        if self._socket.fileno() < 0:
            return
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)
        self._socket.close()
        while self._waiting:
            for descriptor in self._waiting.popleft()[1]:
                os.close(descriptor)

    def fileno(self) -> int:
        """Return the file descriptor for the reactor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:  # noqa: N802  Twisted's name
        """Return the name for errors of this class in the reactor's log."""
        return "rtp-sender"

    def connectionLost(self, reason: object) -> None:  # noqa: N802  Twisted's name
        """Do nothing when the reactor stops; `close` closes the channel."""

    def doRead(self) -> None:  # noqa: N802  Twisted's name
        """Read events until none is left, at most `_BATCH` of them."""
        for _ in range(_BATCH):
            if self._socket.fileno() < 0:
                return  # a callback closed this
            try:
                octets = self._socket.recv(MAX_MESSAGE)
            except BlockingIOError:
                return
            except OSError:
                octets = b""
            if not octets:
                self.close()
                self._on_lost()
                return
            with self.log.failuresHandled("an event of the RTP sender was not handled"):
                event = decode(octets)
                if isinstance(event, ContentStarted | ContentSought | ContentFinished | ContentStopped | ReportSent):
                    self._on_event(event)

    def doWrite(self) -> None:  # noqa: N802  Twisted's name
        """Send the messages that wait, until the socket has no more room."""
        while self._waiting:
            octets, descriptors = self._waiting[0]
            if not self._try(octets, descriptors):
                return
            self._waiting.popleft()
            for descriptor in descriptors:
                os.close(descriptor)
        self._reactor.removeWriter(self)

    def _try(self, octets: bytes, descriptors: tuple[int, ...]) -> bool:
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionError):  # `doRead` finds the end of the channel
                socket.send_fds(self._socket, [octets], descriptors)
        except BlockingIOError:
            return False
        return True
