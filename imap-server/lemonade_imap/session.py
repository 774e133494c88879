"""One IMAP session without I/O: it takes octets and returns events, such as a complete command.

Each command class of `grammar` names the states in which the command is legal (`legal_in`); the session refuses the
others. The caller takes one event at a time, and the next event only after the command before it was answered: LOGIN
changes the state, and the new state decides whether the command behind it is legal. `connection.ServerConnection`
connects a session to the service; `testing.LoopbackServer` does so without a reactor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lemonade_imap.config import ServerConfig
from lemonade_imap.grammar import append
from lemonade_imap.grammar import commands as c
from lemonade_imap.grammar.base import LOGGED_IN, SessionState, why_not_possible
from lemonade_imap.grammar.parser import CommandError, parse_command
from lemonade_imap.grammar.session import sasl_message
from lemonade_imap.policy import TicketUse
from lemonade_imap.sasl import Proved, ServerFirst, why_not
from lemonade_imap.selected_mailbox import SelectedMailbox
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.framing import (
    Announced,
    ContinuationWanted,
    FramerRole,
    FramingEvent,
    LineFramer,
    LineReceived,
    LineTooLong,
    LiteralChunk,
    LiteralPlan,
    LiteralRefused,
    LiteralStarted,
    LogicalLine,
    TooLongToPass,
)
from lemonade_wire.imap.lexer import Lexer

_EARLY_LITERALS = 100
"""Literals of one command before login: ID has at most 60 strings (RFC 2971, 3.3)."""
LONGEST_TAG = 256
"""Octets that a tag may have to be repeated in the answer to a refused line; for a longer one the tag is `*`."""


@dataclass(frozen=True)
class CommandReceived:
    """A complete command that is legal in the present state and must be carried out.

    `line`: the received line for the trace, or None if it holds a secret.
    """

    tag: str
    command: c.ParsedCommand
    line: LogicalLine | None = field(repr=False)


@dataclass(frozen=True)
class Answered:
    """The session itself has the answer: send the line `text`.

    `line`: the received line for the trace, or None if it holds a secret or no complete line was received.
    """

    text: bytes
    line: LogicalLine | None = field(default=None, repr=False)


@dataclass(frozen=True)
class MessageComing:
    """A client announced the literal of a message; `command` is the APPEND with what was received before the literal.

    MessageOctets events follow, unless `refuse_literal` is called before the next event is taken.
    """

    tag: str
    command: c.Append


@dataclass(frozen=True)
class MessageOctets:
    """A piece of the message literal that MessageComing announced."""

    data: bytes = field(repr=False)


SessionEvent = CommandReceived | Answered | MessageComing | MessageOctets


class ImapSession:
    """State and framing of one connection.

    `private`: the connection is encrypted. `view`: the selected mailbox, or None. `enabled`: the extensions that the
    client enabled, in capitals (RFC 5161). `tickets`: counts of the session's use of tickets. `unsolicited`: untagged
    lines that wait to be sent. `wake`: called when there are updates for a session in IDLE.
    """

    def __init__(self, config: ServerConfig, peer: str = "", *, private: bool = False) -> None:
        self._config = config
        self.peer = peer
        self.private = private
        self.failed_logins = 0
        self.scram: ServerFirst | Proved | None = None
        self.tls_awaited = False
        self.state = SessionState.NOT_AUTHENTICATED
        self.user: str | None = None
        self.view: SelectedMailbox | None = None
        self.tickets = TicketUse()
        self.enabled: set[str] = set()
        self.unsolicited: list[bytes] = []
        self.wake: Callable[[], None] = lambda: None
        early = config.connections.early
        self._max_literal = min(config.max_literal, early)
        self._framer = LineFramer(FramerRole.SERVER, self._plan, min(config.max_line, early), config.max_passed)
        self._reader = append.AppendReader()
        self._coming: tuple[str, c.Append] | None = None
        self._sasl: tuple[str, c.Authenticate] | None = None
        self._idle_tag: str | None = None

    def receive_data(self, octets: bytes) -> None:
        """Take octets that the client sent; `next_event` returns what they complete."""
        self._framer.receive_data(octets)

    @property
    def buffered(self) -> int:
        """Number of received octets that no event has returned yet."""
        return self._framer.buffered

    @property
    def idling(self) -> bool:
        """Whether the client is in IDLE: it sent IDLE and has not yet sent DONE (RFC 2177)."""
        return self._idle_tag is not None

    def next_event(self) -> SessionEvent | None:
        """Return the next event, or None if more octets are needed; never raises.

        Returns None too after LOGOUT, and between STARTTLS and the beginning of TLS.
        """
        while self.state is not SessionState.LOGOUT and not self.tls_awaited:
            event = self._framer.next_event()
            if event is None:
                return None
            answer = self._take(event)
            if answer is not None:
                return answer
        return None

    def await_sasl(self, tag: str, command: c.Authenticate) -> None:
        """Read the next line as the client's response to a SASL challenge (RFC 3501, 6.2.2), not as a command."""
        self._sasl = (tag, command)

    def start_tls(self) -> None:
        """Return no more events until `tls_begun`: STARTTLS was accepted, and the next octets belong to TLS."""
        self.tls_awaited = True

    def tls_begun(self) -> int:
        """Continue on the encrypted transport; returns the number of discarded octets that came behind STARTTLS."""
        self.tls_awaited = False
        self.private = True
        return len(self._framer.take_rest())

    def refuse_literal(self) -> None:
        """Refuse the announced message literal: end its command, and skip those of its octets that the client sends."""
        self._framer.refuse_literal()

    def log_in(self, user: str | None) -> None:
        """Change to the authenticated state as `user`, or to the anonymous state if `user` is None.

        From now on lines and literals may be as long as the settings allow.
        """
        self.user = user
        self._framer.max_line = self._config.max_line
        self._max_literal = self._config.max_literal
        self.state = SessionState.ANONYMOUS if user is None else SessionState.AUTHENTICATED

    def select(self, view: SelectedMailbox | None) -> None:
        """Change to the selected state with this mailbox, or back to the authenticated state if it is None."""
        self.view = view
        self.state = SessionState.AUTHENTICATED if view is None else SessionState.SELECTED

    def log_out(self) -> None:
        """Change to the logout state, in which `next_event` returns no more events."""
        self.state = SessionState.LOGOUT

    def _plan(self, announced: Announced) -> LiteralPlan:
        if self._sasl is not None or self.idling:
            return LiteralPlan.REFUSE
        if self.state in LOGGED_IN:
            if len(announced.before) == 1:
                self._reader = append.AppendReader()
            self._coming = self._reader.coming(announced)
            if self._coming is not None:
                return LiteralPlan.STREAM if announced.size <= self._config.max_message else LiteralPlan.REFUSE
        elif len(announced.before) > 2 * _EARLY_LITERALS:
            return LiteralPlan.REFUSE
        return LiteralPlan.KEEP if announced.kept + announced.size <= self._max_literal else LiteralPlan.REFUSE

    def _take(self, event: FramingEvent) -> SessionEvent | None:
        match event:
            case LineReceived(line):
                if self._idle_tag is not None:
                    return self._end_idle(line, self._idle_tag)
                return self._sasl_line(line, *self._sasl) if self._sasl else self._command(line)
            case LiteralStarted():
                return None if self._coming is None else MessageComing(*self._coming)
            case LiteralChunk(data):
                return MessageOctets(data)
            case ContinuationWanted():
                return Answered(b"+ go on")
            case LiteralRefused(announced):
                return self._refused(announced)
            case TooLongToPass():
                # RFC 7888, 4 gives two choices for a refused non-synchronising literal: close the connection, or read
                # the literal to its end. The server reads on up to `max_passed` octets.
                self.log_out()
                return Answered(b"* BYE [LIMIT] a refused literal is too large to be skipped")
            case LineTooLong(start):
                if self._idle_tag is not None:
                    return self._end_idle(LogicalLine.of(start), self._idle_tag)
                tag = self._end_sasl() or _tag_of(LogicalLine.of(start)) or b"*"
                if len(tag) > LONGEST_TAG:
                    tag = b"*"
                return Answered(b"%s BAD a line has at most %d octets" % (tag, self._framer.max_line))
            case _:
                return None

    def _refused(self, announced: Announced) -> SessionEvent:
        before = LogicalLine(announced.before)
        if self._idle_tag is not None:
            return self._end_idle(before, self._idle_tag)
        tag = self._end_sasl() or _tag_of(before)
        if tag is None:
            return Answered(b"* BAD a literal of this size is not accepted here")
        return Answered(b"%s %s" % (tag, self._too_big(announced)))

    def _command(self, line: LogicalLine) -> SessionEvent:
        try:
            tagged = parse_command(line)
        except CommandError as problem:
            return _answer(f"{problem.tag or '*'} BAD {problem}", line)
        tag, command = tagged.tag, tagged.command
        if self.state not in command.legal_in:
            return _answer(f"{tag} BAD {why_not_possible(tagged.name, command.legal_in, self.state)}", line)
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
        """Return the result and the text that answer a command whose literal is too long."""
        word, largest = _word(announced), self._config.annotations.max_value
        result = b"BAD"
        if word == b"SETMETADATA" and announced.size > largest:
            result = b"NO [METADATA MAXSIZE %d]" % largest  # RFC 5464, 4.3
        elif word == b"APPEND":
            wrong = append.why_bad(announced)
            if wrong is not None:
                return b"BAD %s" % wrong.encode("ascii", "replace")
            result = b"NO [TOOBIG]"
        return b"%s a literal of this size is not accepted here" % result

    def _end_idle(self, line: LogicalLine, tag: str) -> SessionEvent:
        """Read a line that came during IDLE: DONE ends IDLE; any other line ends it too, with BAD (RFC 2177, 3)."""
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
        """End a SASL exchange whose line cannot be read; returns the tag of its AUTHENTICATE, or None without one."""
        ended, self._sasl, self.scram = self._sasl, None, None
        return ended[0].encode("ascii") if ended else None


def _answer(text: str, line: LogicalLine | None = None) -> Answered:
    return Answered(text.encode("ascii", "replace"), line)


def _word(announced: Announced) -> bytes:
    """Return the name of the command that the literal belongs to, in capitals; empty if there is none."""
    first = announced.before[0] if announced.before else b""
    words = first.split(None, 2) if isinstance(first, bytes) else []
    return words[1].upper() if len(words) > 1 else b""


def _tag_of(line: LogicalLine) -> bytes | None:
    try:
        return Lexer(line).tag().encode("ascii")
    except ImapParseError:
        return None
