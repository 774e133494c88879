"""Splits received octets into logical lines: commands or responses with their literals (RFC 3501 4.3, 3516, 7888).

Client and server use the same framer. `receive_data` stores octets and `next_event` returns one event at a time, so
that a server can leave pipelined commands in the buffer until the command before them is done. The module is long
because the values and events of the framer stand beside it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

MAX_LINE = 65536
MAX_KEPT = 64 * 1024 * 1024
MAX_START = 1024
MAX_LITERALS = 1024
"""The largest number of literals in one command or response; each of them costs time in proportion to their number."""

# RFC 3501 section 9, RFC 7888 ("+") and RFC 4466 (literal8). The announcement ends a line; the octets follow it.
#   literal   =  "{" number ["+"] "}" CRLF *CHAR8
#   literal8  =  "~{" number ["+"] "}" CRLF *OCTET
# After `{n}` a client waits for the continuation `+` of the server (synchronising literal), after `{n+}` it does not.
_MARK = re.compile(rb"(~?)\{([0-9]{1,20})(\+?)\}\Z")
# A FETCH response may be longer than others, where the user of the framer allows it.
_FETCH = re.compile(rb"\* [0-9]{1,10} FETCH ", re.IGNORECASE)
# A status response and a continuation end in free text (resp-text in RFC 3501 section 9), which may end like an
# announcement and has no literal.
_FREE_TEXT = re.compile(rb"\+|[^ ]+ (?:OK|NO|BAD|BYE|PREAUTH)(?: |\Z)", re.IGNORECASE)


class FramerRole(Enum):
    """The side that uses the framer."""

    CLIENT = "client"
    SERVER = "server"


class LiteralPlan(Enum):
    """How the framer handles an announced literal."""

    KEEP = "keep"  # its octets are put into the line
    STREAM = "stream"  # its octets are reported in chunks; the line has only its size
    REFUSE = "refuse"  # server: the command ends here; client: the octets are skipped, and the line has only the size


@dataclass(frozen=True)
class ImapLiteral:
    """A literal: its octets `data` (empty unless `kept`), its `size` in octets, and the form of its announcement."""

    data: bytes
    size: int
    binary: bool = False
    synchronising: bool = True
    kept: bool = True

    @classmethod
    def of(cls, data: bytes, *, binary: bool = False, synchronising: bool = True) -> ImapLiteral:
        """Make a literal with the octets `data`."""
        return cls(data, len(data), binary, synchronising)

    @property
    def mark(self) -> bytes:
        """The announcement: `{n}`, `{n+}`, `~{n}` or `~{n+}`."""
        return b"%s{%d%s}" % (b"~" if self.binary else b"", self.size, b"" if self.synchronising else b"+")


Part = bytes | ImapLiteral


@dataclass(frozen=True)
class LogicalLine:
    """A complete command or response: texts (without CRLF and announcements) and literals, in order."""

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, *parts: Part) -> LogicalLine:
        """Make a line from its parts."""
        return cls(parts)

    @property
    def text(self) -> bytes:
        """The line with only the announcement in the place of each literal."""
        return b"".join(part.mark if isinstance(part, ImapLiteral) else part for part in self.parts)

    @property
    def literals(self) -> tuple[ImapLiteral, ...]:
        """The literals, in order."""
        return tuple(part for part in self.parts if isinstance(part, ImapLiteral))

    def octets(self) -> bytes:
        """Return the octets of the line as sent, with the CRLFs."""
        return b"".join(self.segments())

    def segments(self) -> list[bytes]:
        """Return the octets, split after the announcement of each synchronising literal.

        A client waits for the server's `+` before it sends the next segment.
        """
        segments = [b""]
        for part in self.parts:
            if not isinstance(part, ImapLiteral):
                segments[-1] += part
                continue
            segments[-1] += part.mark + b"\r\n"
            if part.synchronising:
                segments.append(part.data)
            else:
                segments[-1] += part.data
        segments[-1] += b"\r\n"
        return segments


@dataclass(frozen=True)
class Announced:
    """The announcement of a literal: its size and form, and the parts of the line before it.

    `kept`: octets of the literals before it that are in the line.
    """

    before: tuple[Part, ...]
    size: int
    binary: bool
    synchronising: bool
    kept: int = 0


@dataclass(frozen=True)
class LineReceived:
    """A logical line is complete."""

    line: LogicalLine


@dataclass(frozen=True)
class ContinuationWanted:
    """The client waits for `+` before it sends the literal (server only)."""

    announced: Announced


@dataclass(frozen=True)
class LiteralStarted:
    """A literal with the plan STREAM begins; this event comes before its ContinuationWanted."""

    announced: Announced


@dataclass(frozen=True)
class LiteralChunk:
    """Some octets of a literal with the plan STREAM."""

    data: bytes


@dataclass(frozen=True)
class LiteralEnded:
    """A literal with the plan STREAM is complete; the rest of its line follows."""


@dataclass(frozen=True)
class LiteralRefused:
    """A literal was refused (server only). The framer reports nothing more of its command."""

    announced: Announced


@dataclass(frozen=True)
class TooLongToPass:
    """More octets of refused literals follow than `max_passed` allows to skip, or more literals than MAX_LITERALS.

    The user of the framer may close the connection, or go on reading until they are skipped.
    """

    announced: Announced


@dataclass(frozen=True)
class LineTooLong:
    """A line has more text than `max_line`, or too many literals; the rest is skipped. `start` has its beginning."""

    start: bytes


FramingEvent = (
    LineReceived
    | ContinuationWanted
    | LiteralStarted
    | LiteralChunk
    | LiteralEnded
    | LiteralRefused
    | TooLongToPass
    | LineTooLong
)
Policy = Callable[[Announced], LiteralPlan]


def keep_up_to(octets: int) -> Policy:
    """Return a policy that keeps a literal if the literals of its line together have at most `octets` octets."""

    def plan(announced: Announced) -> LiteralPlan:
        return LiteralPlan.KEEP if announced.kept + announced.size <= octets else LiteralPlan.REFUSE

    return plan


class LineFramer:
    """Splits received octets into logical lines; it calls `policy` once for each literal.

    `max_line` limits the text of one logical line, in octets; a server may raise it when a client has logged in.
    `max_fetch` limits that of a FETCH response (None: as others). `max_passed` limits the octets of refused literals of
    one command or response that are sent all the same and skipped (None: no limit). No input makes the framer raise.
    """

    def __init__(
        self,
        role: FramerRole,
        policy: Policy | None = None,
        max_line: int = MAX_LINE,
        max_passed: int | None = None,
        *,
        max_fetch: int | None = None,
    ) -> None:
        self._role = role
        self._policy = policy or keep_up_to(MAX_KEPT)
        self.max_line = max_line
        self._max_fetch = max_fetch
        self._max_passed = max_passed
        self._passed = 0
        self._buffer = bytearray()
        self._scanned = 0  # octets of the buffer that are known to have no line end
        self._parts: list[Part] = []
        self._text_size = 0
        self._kept = 0
        self._literals = 0
        self._announced: Announced | None = None
        self._plan = LiteralPlan.KEEP
        self._left = 0
        self._chunks: list[bytes] = []
        self._skipping = False  # up to the next line end
        self._dropping = False  # the rest of the command is skipped, with its literals
        self._events: deque[FramingEvent] = deque()

    def receive_data(self, data: bytes) -> None:
        """Store octets from the peer."""
        self._buffer += data

    def next_event(self) -> FramingEvent | None:
        """Return the next event; None if more octets are needed for one."""
        while not self._events and self._step():
            pass
        return self._events.popleft() if self._events else None

    def refuse_literal(self) -> None:
        """Refuse the literal whose LiteralStarted was the last event (server only).

        Nothing more of its command is reported, and no ContinuationWanted. Raises ValueError after any other event.
        """
        announced = self._announced
        if announced is None or self._plan is not LiteralPlan.STREAM or self._left != announced.size:
            raise ValueError("only a streamed literal that has just begun can be refused")
        self._events.clear()
        if announced.synchronising:
            self._announced = None
            self._reset()
            return
        self._plan = LiteralPlan.REFUSE
        self._pass_over(announced)

    def _pass_over(self, announced: Announced) -> None:
        """Skip the octets of a literal, and on a server the rest of its command."""
        self._dropping = self._dropping or self._role is FramerRole.SERVER
        self._passed += announced.size
        if self._max_passed is not None and self._passed > self._max_passed:
            self._events.append(TooLongToPass(announced))

    @property
    def buffered(self) -> int:
        """Number of octets received and not yet processed; a server limits it by pausing the transport."""
        return len(self._buffer)

    def take_rest(self) -> bytes:
        """Remove and return the octets that are not processed yet; before STARTTLS there must be none."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._scanned = 0
        return rest

    def _step(self) -> bool:
        """Process one line or one piece of a literal; returns False if more octets are needed."""
        if self._announced is not None:
            return self._read_literal(self._announced)
        end = self._buffer.find(b"\n", self._scanned)
        if end < 0:
            self._scanned = len(self._buffer)
            pending = self._scanned - self._buffer.endswith(b"\r")
            if self._skipping or self._too_long(self._text_size + pending, self._buffer):
                self._overflow()
            return False
        text = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        self._scanned = 0
        if self._skipping:
            self._skipping = False
            self._reset()
        elif self._too_long(self._text_size + len(text), text):
            self._report_overflow(text)
            self._reset()
        else:
            self._take_text(text)
        return True

    def _too_long(self, size: int, text: bytes | bytearray) -> bool:
        """Whether a line of `size` octets of text is too long; `text` is its beginning, unless it has literals."""
        if size <= self.max_line or self._max_fetch is None:
            return size > self.max_line
        first = self._parts[0] if self._parts else bytes(text[:32])
        fetch = isinstance(first, bytes) and _FETCH.match(first)
        return size > (self._max_fetch if fetch else self.max_line)

    def _overflow(self) -> None:
        if not self._skipping:
            self._report_overflow(bytes(self._buffer[:MAX_START]))
            self._skipping = True
        self._buffer.clear()
        self._scanned = 0

    def _report_overflow(self, text: bytes) -> None:
        first = self._parts[0] if self._parts else text
        if not self._dropping:
            self._events.append(
                LineTooLong(first[: min(MAX_START, self.max_line)] if isinstance(first, bytes) else b"")
            )

    def _take_text(self, text: bytes) -> None:
        if self._role is FramerRole.CLIENT and self._parts and text and text[:1] not in b") ":
            # After an empty literal Dovecot omits the `)`, and sometimes the line end: the text is the next response.
            self._finish_line(b"")
        if self._role is FramerRole.CLIENT and not self._parts and _FREE_TEXT.match(text):
            self._finish_line(text)
            return
        mark = _MARK.search(text)
        if mark is None:
            self._finish_line(text)
            return
        self._text_size += len(text)
        if self._role is FramerRole.CLIENT and len(self._parts) >= 2 * MAX_LITERALS:
            self._report_overflow(text)
            self._parts = []
            self._dropping = True
        if not self._dropping:
            self._parts.append(text[: mark.start()])
        synchronising = self._role is FramerRole.SERVER and not mark[3]
        announced = Announced(tuple(self._parts), int(mark[2]), bool(mark[1]), synchronising, self._kept)
        self._begin_literal(announced)

    def _finish_line(self, text: bytes) -> None:
        if not self._dropping:
            self._events.append(LineReceived(LogicalLine((*self._parts, text))))
        self._reset()

    def _reset(self) -> None:
        self._parts = []
        self._text_size = 0
        self._kept = 0
        self._literals = 0
        self._passed = 0
        self._dropping = False

    def _begin_literal(self, announced: Announced) -> None:
        self._literals += 1
        too_many = self._role is FramerRole.SERVER and self._literals > MAX_LITERALS
        self._plan = LiteralPlan.REFUSE if self._dropping or too_many else self._policy(announced)
        if self._plan is LiteralPlan.REFUSE and self._role is FramerRole.SERVER:
            if not self._dropping:
                self._events.append(LiteralRefused(announced))
            if too_many:
                self._events.append(TooLongToPass(announced))
            if announced.synchronising:
                self._reset()  # without `+` the client does not send the literal: the next octets are a new command
                return
        if self._plan is LiteralPlan.REFUSE:
            self._pass_over(announced)
        if self._plan is LiteralPlan.STREAM:
            self._events.append(LiteralStarted(announced))
        if announced.synchronising:
            self._events.append(ContinuationWanted(announced))
        self._announced = announced
        self._left = announced.size

    def _read_literal(self, announced: Announced) -> bool:
        if self._left and not self._buffer:
            return False
        data = bytes(self._buffer[: self._left])
        del self._buffer[: self._left]
        self._left -= len(data)
        if data and self._plan is LiteralPlan.STREAM:
            self._events.append(LiteralChunk(data))
        elif self._plan is LiteralPlan.KEEP:
            self._chunks.append(data)
        if self._left == 0:
            self._end_literal(announced)
        return True

    def _end_literal(self, announced: Announced) -> None:
        kept = self._plan is LiteralPlan.KEEP
        synchronising = announced.synchronising or self._role is FramerRole.CLIENT
        data = b"".join(self._chunks)
        self._chunks = []
        self._kept += len(data)
        if not self._dropping:
            self._parts.append(ImapLiteral(data, announced.size, announced.binary, synchronising, kept))
        if self._plan is LiteralPlan.STREAM:
            self._events.append(LiteralEnded())
        self._announced = None
