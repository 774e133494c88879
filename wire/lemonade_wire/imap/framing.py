"""Octets to logical lines: a command or response with the literals that stand in it (RFC 3501 4.3, 3516, 7888).

Both ends use one framer. It is pulled: `receive_data` stores, `next_event` says what is there, so that a server may
leave pipelined commands where they are until the command before them is done.
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

_MARK = re.compile(rb"(~?)\{([0-9]{1,20})(\+?)\}\Z")
# A status line and a continuation end in free text: what looks like a literal there is none (RFC 3501 9, resp-text).
_FREE_TEXT = re.compile(rb"\+|[^ ]+ (?:OK|NO|BAD|BYE|PREAUTH)(?: |\Z)", re.IGNORECASE)


class Role(Enum):
    """Which end this framer reads for."""

    CLIENT = "client"
    SERVER = "server"


class LiteralPlan(Enum):
    """What becomes of an announced literal."""

    KEEP = "keep"  # its octets are put into the line
    STREAM = "stream"  # its octets are handed out in pieces, the line holds the size alone
    REFUSE = "refuse"  # server: the command ends here; client: the octets are skipped, the line holds the size alone


@dataclass(frozen=True)
class Literal:
    """A literal: `data` (empty where not `kept`), `size` in octets, the kind of its announcement."""

    data: bytes
    size: int
    binary: bool = False
    synchronising: bool = True
    kept: bool = True

    @classmethod
    def of(cls, data: bytes, *, binary: bool = False, synchronising: bool = True) -> Literal:
        """Make the literal that carries `data`."""
        return cls(data, len(data), binary, synchronising)

    @property
    def mark(self) -> bytes:
        """The announcement: `{n}`, `{n+}`, `~{n}` or `~{n+}`."""
        return b"%s{%d%s}" % (b"~" if self.binary else b"", self.size, b"" if self.synchronising else b"+")


Part = bytes | Literal


@dataclass(frozen=True)
class LogicalLine:
    """A whole command or response: texts (without CRLF and marks) and literals in their order."""

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, *parts: Part) -> LogicalLine:
        """Make a line of its parts."""
        return cls(parts)

    @property
    def text(self) -> bytes:
        """The line with each literal as its mark alone."""
        return b"".join(part.mark if isinstance(part, Literal) else part for part in self.parts)

    @property
    def literals(self) -> tuple[Literal, ...]:
        """The literals in their order."""
        return tuple(part for part in self.parts if isinstance(part, Literal))

    def octets(self) -> bytes:
        """The line as it goes over the wire, with its CRLFs."""
        return b"".join(self.segments())

    def segments(self) -> list[bytes]:
        """The octets cut after every synchronising literal's mark: a client awaits `+` between two of them."""
        segments = [b""]
        for part in self.parts:
            if not isinstance(part, Literal):
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
    """A literal that is about to come: what stands before it in its line, and its announcement."""

    before: tuple[Part, ...]
    size: int
    binary: bool
    synchronising: bool


@dataclass(frozen=True)
class LineReceived:
    """A logical line is complete."""

    line: LogicalLine


@dataclass(frozen=True)
class ContinuationWanted:
    """The peer awaits `+` before it sends the literal (server only)."""

    announced: Announced


@dataclass(frozen=True)
class LiteralStarted:
    """A literal planned as STREAM begins (stands before its ContinuationWanted)."""

    announced: Announced


@dataclass(frozen=True)
class LiteralChunk:
    """Some octets of a literal planned as STREAM."""

    data: bytes


@dataclass(frozen=True)
class LiteralEnded:
    """A literal planned as STREAM is complete; its line goes on."""


@dataclass(frozen=True)
class LiteralRefused:
    """This literal was refused: its command is over (server only), nothing more of it is reported."""

    announced: Announced


@dataclass(frozen=True)
class TooLongToPass:
    """More octets of refused literals follow than may be passed over: closing is left, or patience."""

    announced: Announced


@dataclass(frozen=True)
class LineTooLong:
    """A line's text passed the limit; the rest up to CRLF is skipped. `start` holds its beginning."""

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
    """Return the policy that keeps literals while all of one line together stay within `octets`."""

    def plan(announced: Announced) -> LiteralPlan:
        kept = sum(len(part.data) for part in announced.before if isinstance(part, Literal))
        return LiteralPlan.KEEP if kept + announced.size <= octets else LiteralPlan.REFUSE

    return plan


class LineFramer:
    """Cuts received octets into logical lines; `policy` is asked once for every literal.

    `max_line` bounds the text of one logical line, in octets; `max_passed` the octets of refused literals of one
    command or response that come all the same (None: no bound). Never raises, whatever comes.
    """

    def __init__(
        self, role: Role, policy: Policy | None = None, max_line: int = MAX_LINE, max_passed: int | None = None
    ) -> None:
        self._role = role
        self._policy = policy or keep_up_to(MAX_KEPT)
        self._max_line = max_line
        self._max_passed = max_passed
        self._passed = 0
        self._buffer = bytearray()
        self._scanned = 0  # octets of the buffer known to hold no line end
        self._parts: list[Part] = []
        self._text_size = 0
        self._announced: Announced | None = None
        self._plan = LiteralPlan.KEEP
        self._left = 0
        self._chunks: list[bytes] = []
        self._skipping = False  # up to the next line end
        self._dropping = False  # the whole rest of the command, literals included
        self._events: deque[FramingEvent] = deque()

    def receive_data(self, data: bytes) -> None:
        """Store octets from the peer."""
        self._buffer += data

    def next_event(self) -> FramingEvent | None:
        """Return what came next, or None until more octets are here."""
        while not self._events and self._step():
            pass
        return self._events.popleft() if self._events else None

    def refuse_literal(self) -> None:
        """Refuse the STREAM literal whose LiteralStarted was the last event, as the policy might have done (server).

        Nothing more of its command is reported, and no continuation is asked for.
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
        """Drop a literal's octets, and for a server the rest of its command."""
        self._dropping = self._role is Role.SERVER
        self._passed += announced.size
        if self._max_passed is not None and self._passed > self._max_passed:
            self._events.append(TooLongToPass(announced))

    @property
    def buffered(self) -> int:
        """Octets received and not yet looked at: what a server bounds by pausing the transport."""
        return len(self._buffer)

    def take_rest(self) -> bytes:
        """Give away the octets that were not looked at (STARTTLS must find none)."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._scanned = 0
        return rest

    def _step(self) -> bool:
        """Make some progress; false when more octets are needed."""
        if self._announced is not None:
            return self._read_literal(self._announced)
        end = self._buffer.find(b"\n", self._scanned)
        if end < 0:
            self._scanned = len(self._buffer)
            pending = self._scanned - self._buffer.endswith(b"\r")
            if self._text_size + pending > self._max_line or self._skipping:
                self._overflow()
            return False
        text = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        self._scanned = 0
        if self._skipping:
            self._skipping = False
            self._reset()
        elif self._text_size + len(text) > self._max_line:
            self._report_overflow(text)
            self._reset()
        else:
            self._take_text(text)
        return True

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
                LineTooLong(first[: min(MAX_START, self._max_line)] if isinstance(first, bytes) else b"")
            )

    def _take_text(self, text: bytes) -> None:
        if self._role is Role.CLIENT and self._parts and text and text[:1] not in b") ":
            # Dovecot leaves the `)` out after an empty literal, and sometimes the line end: this is the next response.
            self._finish_line(b"")
        if self._role is Role.CLIENT and not self._parts and _FREE_TEXT.match(text):
            self._finish_line(text)
            return
        mark = _MARK.search(text)
        if mark is None:
            self._finish_line(text)
            return
        self._text_size += len(text)
        self._parts.append(text[: mark.start()])
        synchronising = self._role is Role.SERVER and not mark[3]
        announced = Announced(tuple(self._parts), int(mark[2]), bool(mark[1]), synchronising)
        self._begin_literal(announced)

    def _finish_line(self, text: bytes) -> None:
        if not self._dropping:
            self._events.append(LineReceived(LogicalLine((*self._parts, text))))
        self._reset()

    def _reset(self) -> None:
        self._parts = []
        self._text_size = 0
        self._passed = 0
        self._dropping = False

    def _begin_literal(self, announced: Announced) -> None:
        self._plan = LiteralPlan.REFUSE if self._dropping else self._policy(announced)
        if self._plan is LiteralPlan.REFUSE and self._role is Role.SERVER:
            if not self._dropping:
                self._events.append(LiteralRefused(announced))
            if announced.synchronising:
                self._reset()  # without `+` the client sends no literal: its next octets are the next command
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
        synchronising = announced.synchronising or self._role is Role.CLIENT
        data = b"".join(self._chunks)
        self._chunks = []
        self._parts.append(Literal(data, announced.size, announced.binary, synchronising, kept))
        if self._plan is LiteralPlan.STREAM:
            self._events.append(LiteralEnded())
        self._announced = None
