"""One IMAP session without I/O: octets in, events out; which command is legal in which
state its own table says (`legal_in`).

Whoever drives it takes one event at a time, and the next only when the command before is answered: a state that LOGIN
changes decides about the command behind it. `connection.Connection` drives it over a service; in tests
`loopback.LoopbackServer` does so without a reactor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lemonade_imap.config import ServerConfig
from lemonade_imap.grammar import append
from lemonade_imap.grammar import commands as c
from lemonade_imap.grammar.parser import CommandError, parse_command
from lemonade_imap.grammar.session import sasl_message
from lemonade_imap.policy import TicketUse
from lemonade_imap.sasl.offer import why_not
from lemonade_imap.sasl.scram import Proved, ServerFirst
from lemonade_imap.state import LOGGED_IN, State
from lemonade_imap.view import View
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.framing import (
    Announced,
    ContinuationWanted,
    FramingEvent,
    LineFramer,
    LineReceived,
    LineTooLong,
    LiteralChunk,
    LiteralPlan,
    LiteralRefused,
    LiteralStarted,
    LogicalLine,
    Role,
    TooLongToPass,
)
from lemonade_wire.imap.lexer import Lexer

LONGEST_TAG = 256
"""Octets of a tag that is given back in front of a refused line: no more is said than needed."""


@dataclass(frozen=True)
class CommandReceived:
    """A command came that is legal here: it is to be carried out. `line` is what came, for the trace."""

    tag: str
    command: c.Command
    line: LogicalLine | None = field(repr=False)


@dataclass(frozen=True)
class Answered:
    """The session answers by itself: `text` is to be sent. `line` is what came, None where it is secret or no line."""

    text: bytes
    line: LogicalLine | None = field(default=None, repr=False)


@dataclass(frozen=True)
class MessageComing:
    """The octets of a message are announced: `command` is APPEND as far as it is here, they are its last part.

    They follow, unless `refuse_literal` is called before the next event.
    """

    tag: str
    command: c.Append


@dataclass(frozen=True)
class MessageOctets:
    """Some octets of the message that is coming."""

    data: bytes = field(repr=False)


SessionEvent = CommandReceived | Answered | MessageComing | MessageOctets


class ImapSession:
    """State and framing of one connection.

    `enabled`: the extensions that the client enabled, in capitals (RFC 5161). `tickets`: what it did with tickets.
    `unsolicited`: lines that wait to be said. `wake`: called when there is news for a session that idles.
    """

    def __init__(self, config: ServerConfig, peer: str = "", *, private: bool = False) -> None:
        self._config = config
        self.peer = peer
        self.private = private
        self.failed_logins = 0
        self.scram: ServerFirst | Proved | None = None
        self.tls_awaited = False
        self.state = State.NOT_AUTHENTICATED
        self.user: str | None = None
        self.view: View | None = None
        self.tickets = TicketUse()
        self.enabled: set[str] = set()
        self.unsolicited: list[bytes] = []
        self.wake: Callable[[], None] = lambda: None
        self._framer = LineFramer(Role.SERVER, self._plan, config.max_line, config.max_passed)
        self._sasl: tuple[str, c.Authenticate] | None = None
        self._idle_tag: str | None = None

    def receive_data(self, octets: bytes) -> None:
        """Take octets from the client."""
        self._framer.receive_data(octets)

    @property
    def buffered(self) -> int:
        """Octets that wait behind the command that is being carried out."""
        return self._framer.buffered

    @property
    def idling(self) -> bool:
        """Whether the client waits for news: IDLE is begun, and DONE not yet here (RFC 2177)."""
        return self._idle_tag is not None

    def next_event(self) -> SessionEvent | None:
        """Return what is to be done next, or None until more octets are here; never raises."""
        while self.state is not State.LOGOUT and not self.tls_awaited:
            event = self._framer.next_event()
            if event is None:
                return None
            answer = self._take(event)
            if answer is not None:
                return answer
        return None

    def await_sasl(self, tag: str, command: c.Authenticate) -> None:
        """A challenge was sent: the next line is the client's answer to it."""
        self._sasl = (tag, command)

    def start_tls(self) -> None:
        """STARTTLS is granted: what comes from now on is of TLS, and nothing is read until it is there."""
        self.tls_awaited = True

    def tls_begun(self) -> int:
        """The transport encrypts from here; returns how many octets behind STARTTLS are forgotten."""
        self.tls_awaited = False
        self.private = True
        return len(self._framer.take_rest())

    def refuse_literal(self) -> None:
        """The message that is coming is not wanted: its command is over, and octets that still come are passed over."""
        self._framer.refuse_literal()

    def log_in(self, user: str | None) -> None:
        """The session is authenticated now, as a user, or with None as nobody in particular."""
        self.user = user
        self.state = State.ANONYMOUS if user is None else State.AUTHENTICATED

    def select(self, view: View | None) -> None:
        """A mailbox is selected, or with None no more."""
        self.view = view
        self.state = State.AUTHENTICATED if view is None else State.SELECTED

    def log_out(self) -> None:
        """Nothing is read any more."""
        self.state = State.LOGOUT

    def _plan(self, announced: Announced) -> LiteralPlan:
        if self._sasl is not None or self.idling:
            return LiteralPlan.REFUSE
        if self.state in LOGGED_IN and append.coming(announced) is not None:
            return LiteralPlan.STREAM if announced.size <= self._config.max_message else LiteralPlan.REFUSE
        kept = sum(0 if isinstance(part, bytes) else len(part.data) for part in announced.before)
        return LiteralPlan.KEEP if kept + announced.size <= self._config.max_literal else LiteralPlan.REFUSE

    def _take(self, event: FramingEvent) -> SessionEvent | None:
        match event:
            case LineReceived(line):
                if self._idle_tag is not None:
                    return self._end_idle(line, self._idle_tag)
                return self._sasl_line(line, *self._sasl) if self._sasl else self._command(line)
            case LiteralStarted(announced):
                coming = append.coming(announced)
                return None if coming is None else MessageComing(*coming)
            case LiteralChunk(data):
                return MessageOctets(data)
            case ContinuationWanted():
                return Answered(b"+ go on")
            case LiteralRefused(announced):
                return self._refused(announced)
            case TooLongToPass():
                # RFC 7888, 4: reading on to the end of what is not wanted would be the other choice
                self.log_out()
                return Answered(b"* BYE [LIMIT] the octets of a refused literal are too many to be passed over")
            case LineTooLong(start):
                if self._idle_tag is not None:
                    return self._end_idle(LogicalLine.of(start), self._idle_tag)
                tag = self._end_sasl() or _tag_of(LogicalLine.of(start)) or b"*"
                if len(tag) > LONGEST_TAG:
                    tag = b"*"
                return Answered(b"%s BAD a line has at most %d octets" % (tag, self._config.max_line))
            case _:
                return None

    def _refused(self, announced: Announced) -> SessionEvent:
        before = LogicalLine(announced.before)
        if self._idle_tag is not None:
            return self._end_idle(before, self._idle_tag)
        tag = self._end_sasl() or _tag_of(before)
        if tag is None:
            return Answered(b"* BAD a literal of this size is not taken here")
        return Answered(b"%s %s" % (tag, self._too_big(announced)))

    def _command(self, line: LogicalLine) -> SessionEvent:
        try:
            tagged = parse_command(line)
        except CommandError as problem:
            return _answer(f"{problem.tag or '*'} BAD {problem}", line)
        tag, command = tagged.tag, tagged.command
        if self.state not in command.legal_in:
            return _answer(f"{tag} BAD {command.name} is not possible {self.state.value}", line)
        if isinstance(command, c.Authenticate):
            refusal = why_not(command.mechanism, self._config, private=self.private)
            if refusal is not None:
                return _answer(f"{tag} NO {refusal}", line)
            self.scram = None
            if command.message is None:
                self._sasl = (tag, command)
                return Answered(b"+ ", line)
        if isinstance(command, c.Idle):
            self._idle_tag = tag
        return CommandReceived(tag, command, line)

    def _too_big(self, announced: Announced) -> bytes:
        """Return the result of a command whose literal is refused, and why."""
        word, largest = _word(announced), self._config.annotations.max_value
        result = b"BAD"
        if word == b"SETMETADATA" and announced.size > largest:
            result = b"NO [METADATA MAXSIZE %d]" % largest  # RFC 5464, 4.3
        elif word == b"APPEND":
            wrong = append.why_bad(announced)
            if wrong is not None:
                return b"BAD %s" % wrong.encode("ascii", "replace")
            result = b"NO [TOOBIG]"
        return b"%s a literal of this size is not taken here" % result

    def _end_idle(self, line: LogicalLine, tag: str) -> SessionEvent:
        """Take what came instead of a command: DONE ends IDLE, and so does anything else, badly (RFC 2177, 3)."""
        self._idle_tag = None
        if line.text.upper() != b"DONE":
            return _answer(f"{tag} BAD IDLE is ended by DONE", line)
        return CommandReceived(tag, c.IdleDone(), line)

    def _sasl_line(self, line: LogicalLine, tag: str, command: c.Authenticate) -> SessionEvent:
        self._sasl = None
        if line.text == b"*":
            self.scram = None
            return _answer(f"{tag} BAD authentication cancelled")
        try:
            message = sasl_message(line.text)
        except ImapParseError as problem:
            self.scram = None
            return _answer(f"{tag} BAD {problem}")
        return CommandReceived(tag, c.Authenticate(command.mechanism, message), None)

    def _end_sasl(self) -> bytes | None:
        """End an exchange whose line cannot be read; returns its command's tag."""
        ended, self._sasl, self.scram = self._sasl, None, None
        return ended[0].encode("ascii") if ended else None


def _answer(text: str, line: LogicalLine | None = None) -> Answered:
    return Answered(text.encode("ascii", "replace"), line)


def _word(announced: Announced) -> bytes:
    """Return the command that a literal belongs to, in capitals."""
    first = announced.before[0] if announced.before else b""
    words = first.split(None, 2) if isinstance(first, bytes) else []
    return words[1].upper() if len(words) > 1 else b""


def _tag_of(line: LogicalLine) -> bytes | None:
    try:
        return Lexer(line).tag().encode("ascii")
    except ImapParseError:
        return None
