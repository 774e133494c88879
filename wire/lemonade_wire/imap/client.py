"""An IMAP client without I/O: it turns commands into octets to send, and received octets into events."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from lemonade_wire.imap.command import ImapCommand, sasl_line
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.framing import (
    MAX_KEPT,
    MAX_LINE,
    Announced,
    FramerRole,
    FramingEvent,
    ImapLiteral,
    LineFramer,
    LineReceived,
    LineTooLong,
    LiteralPlan,
    LogicalLine,
    TooLongToPass,
    keep_up_to,
)
from lemonade_wire.imap.response import (
    CapabilityResponse,
    Continuation,
    Response,
    StatusResponse,
    capability_names,
    parse_response,
)
from lemonade_wire.imap.tracing import ImapTracer, command_form, response_form
from lemonade_wire.redaction import STARS
from lemonade_wire.sasl import SaslError

MAX_FETCH_LINE = 1024 * 1024
"""Octets of text in a FETCH response where long ones are taken: the BODYSTRUCTURE of a message is one line."""
MAX_SKIPPED = 16 * 1024 * 1024
LINES_PER_COMMAND = 8
"""The responses to one command may have as much text, besides their literals, as so many of the longest lines."""


@dataclass(frozen=True)
class GreetingReceived:
    """The server's greeting arrived: OK, PREAUTH, or BYE if it refuses the connection (RFC 3501 section 7.1)."""

    status: StatusResponse


@dataclass(frozen=True)
class UntaggedReceived:
    """An untagged response arrived; it is also in `untagged` of the next CommandDone."""

    response: Response


@dataclass(frozen=True)
class CommandDone:
    """The tagged response to a command arrived; `untagged` has the responses since the tagged response before it."""

    tag: str
    command: ImapCommand
    status: StatusResponse
    untagged: tuple[Response, ...] = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the tagged response is OK."""
        return self.status.result == "OK"


@dataclass(frozen=True)
class ConnectionBye:
    """The server sent BYE and closes the connection; `expected` if LOGOUT was sent."""

    status: StatusResponse
    expected: bool


@dataclass(frozen=True)
class ResponseUnreadable:
    """The server violated the protocol. Later responses may be misread, so that the connection should be closed."""

    why: str


@dataclass(frozen=True)
class ExchangeCancelled:
    """This client cancelled AUTHENTICATE after an invalid challenge; the tagged response is still to come."""

    why: str


@dataclass(frozen=True)
class LiteralTooLong:
    """The server announced a literal of `size` octets that is too long even to skip; the connection must be closed."""

    size: int


@dataclass(frozen=True)
class LiteralSkipped:
    """A literal of `size` octets was longer than `max_literal` and was skipped."""

    size: int


ClientEvent = (
    GreetingReceived
    | UntaggedReceived
    | CommandDone
    | ConnectionBye
    | ResponseUnreadable
    | ExchangeCancelled
    | LiteralTooLong
    | LiteralSkipped
)
_INJECTED = "octets came in the clear where TLS was to begin"
_EXCLUSIVE = {"AUTHENTICATE", "LOGIN", "LOGOUT", "STARTTLS"}


@dataclass
class _Running:
    """A command that waits to be sent, or is sent and not answered."""

    tag: str
    command: ImapCommand
    segments: deque[bytes]  # the octets left to send: the first at once, each other one after a `+`
    line: LogicalLine
    exclusive: bool  # no other command may be sent until this one is answered
    started: bool = False


class ImapClient:
    """The state of one IMAP connection. `send` queues a command and returns its tag; `data_to_send` returns octets.

    `capabilities` has the server's last list in capitals; None if it is not known. A login makes it unknown unless its
    response has the list, because a server may offer more afterwards (RFC 3501 section 6.2.2); STARTTLS always does.
    While `tls_awaited` is true (from the OK to STARTTLS, or from the beginning) nothing is sent or read until
    `tls_begun` is called. `preauthenticated` is true if the greeting was PREAUTH. `reuses_tags` is a
    fault: all commands have one tag.

    A literal above `max_literal` octets is skipped. The responses to one command, and the skipped literals of one
    response, may have twice `max_literal` plus 16 MiB in all; more is an error. So is a line of more than 64 KiB of
    text, 1 MiB for a FETCH response with `long_fetch`, more than eight such lines of text for one command, and more
    than `max_untagged` untagged responses to it, if that is set. After an error no more is read. `reserve` may be set:
    it is called with the octets of each announced literal, which is skipped unless it returns True. `tracer` is called
    for each complete command and response, without secrets.
    """

    def __init__(
        self,
        *,
        tag_prefix: str = "a",
        max_literal: int = MAX_KEPT,
        tracer: ImapTracer | None = None,
        tls_awaited: bool = False,
        long_fetch: bool = False,
        max_untagged: int | None = None,
    ) -> None:
        self.capabilities: frozenset[str] | None = None
        self.greeted = False
        self.preauthenticated = False
        self.tls_awaited = tls_awaited
        self.encrypted = False
        self.closing = False
        self.reuses_tags = False
        self._tag_prefix = tag_prefix
        self._tags = 0
        self._tracer = tracer
        self._running: deque[_Running] = deque()
        self._untagged: list[Response] = []
        self.reserve: Callable[[int], bool] | None = None
        self._keep = keep_up_to(max_literal)
        self._most = 2 * max_literal + MAX_SKIPPED
        self._max_untagged = max_untagged
        self._most_text = LINES_PER_COMMAND * (MAX_FETCH_LINE if long_fetch else MAX_LINE)
        max_fetch = MAX_FETCH_LINE if long_fetch else None
        self._framer = LineFramer(FramerRole.CLIENT, self._plan, max_passed=self._most, max_fetch=max_fetch)
        self._taken = 0  # octets received since the last tagged response
        self._text_taken = 0  # those of them that were no literals
        self._outgoing = bytearray()

    def _plan(self, announced: Announced) -> LiteralPlan:
        plan = self._keep(announced)
        if plan is LiteralPlan.KEEP and self.reserve is not None and not self.reserve(announced.size):
            return LiteralPlan.REFUSE
        return plan

    def send(self, command: ImapCommand) -> str:
        """Queue a command; returns its tag. It is sent as soon as no command before it waits for a continuation."""
        self._tags = 1 if self.reuses_tags else self._tags + 1
        tag = f"{self._tag_prefix}{self._tags}"
        line = _tagged(tag, command.line)
        exclusive = command.name in _EXCLUSIVE
        segments = deque(line.segments())
        if command.sasl is not None:
            message = command.sasl.initial
            if self.capabilities is not None and "SASL-IR" in self.capabilities:
                line = _tagged(tag, LogicalLine.of(*command.line.parts, b" " + sasl_line(message, initial=True)))
                segments = deque(line.segments())
            else:
                segments.append(sasl_line(message) + b"\r\n")
        self._running.append(_Running(tag, command, segments, line, exclusive))
        self._start_commands()
        return tag

    def data_to_send(self) -> bytes:
        """Remove and return the octets that are ready to be sent."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    @property
    def pending(self) -> tuple[str, ...]:
        """Tags of the commands that are not answered yet."""
        return tuple(running.tag for running in self._running)

    def has(self, capability: str) -> bool:
        """Return whether the server is known to have a capability; the name is compared without case."""
        return self.capabilities is not None and capability.upper() in self.capabilities

    def tls_begun(self) -> None:
        """Continue after the TLS handshake: the capabilities are unknown, and the commands that waited are sent."""
        self.tls_awaited = False
        self.encrypted = True
        self.capabilities = None
        self._start_commands()

    def receive_data(self, data: bytes) -> list[ClientEvent]:
        """Process octets from the server; returns the events in order."""
        if self.tls_awaited:
            return [ResponseUnreadable(_INJECTED)]
        self._framer.receive_data(data)
        events: list[ClientEvent] = []
        while (event := self._framer.next_event()) is not None:
            events += self._framed(event)
            if events and isinstance(events[-1], ResponseUnreadable):
                break  # the connection cannot go on, and what follows costs time
        return events

    def _framed(self, event: FramingEvent) -> list[ClientEvent]:
        match event:
            case LineReceived(line):
                skipped: list[ClientEvent] = [LiteralSkipped(lit.size) for lit in line.literals if not lit.kept]
                return skipped + self._line(line)
            case TooLongToPass(announced):
                return [LiteralTooLong(announced.size)]
            case LineTooLong():
                return [ResponseUnreadable("a response line is longer than this client takes")]
            case _:
                return []

    def _line(self, line: LogicalLine) -> list[ClientEvent]:
        self._trace("received", line)
        octets = sum(len(part) for part in line.parts if isinstance(part, bytes))
        self._text_taken += octets
        self._taken += octets + sum(len(literal.data) for literal in line.literals)
        too_many = self._max_untagged is not None and len(self._untagged) > self._max_untagged
        if too_many or self._taken > self._most or self._text_taken > self._most_text:
            return [ResponseUnreadable("more came for one command than this client takes")]
        try:
            response = parse_response(line)
        except ImapParseError as problem:
            return [ResponseUnreadable(str(problem))]
        match response:
            case Continuation(text):
                return self._continue(text)
            case StatusResponse(tag=None):
                return self._untagged_status(response)
            case StatusResponse():
                return self._tagged_status(response)
            case CapabilityResponse(names):
                self.capabilities = names
        self._untagged.append(response)
        return [UntaggedReceived(response)]

    def _untagged_status(self, status: StatusResponse) -> list[ClientEvent]:
        self._learn(status)
        if not self.greeted:
            self.greeted = True
            self.closing = status.result == "BYE"
            self.preauthenticated = status.result == "PREAUTH"
            return [GreetingReceived(status)]
        if status.result == "BYE":
            self.closing = True
            expected = any(running.command.name == "LOGOUT" for running in self._running)
            self._untagged.append(status)
            return [ConnectionBye(status, expected)]
        self._untagged.append(status)
        return [UntaggedReceived(status)]

    def _tagged_status(self, status: StatusResponse) -> list[ClientEvent]:
        running = next((one for one in self._running if one.tag == status.tag), None)
        if running is None or not running.started:
            return [ResponseUnreadable("an answer came whose tag was not sent")]
        command = running.command
        if status.result == "OK" and command.sasl is not None and not command.sasl.complete:
            return [ResponseUnreadable("the server says OK before it has proved that it knows the password")]
        self._running.remove(running)
        if command.name in {"LOGIN", "AUTHENTICATE"} and status.result == "OK":
            self.capabilities = None
        if command.name == "STARTTLS" and status.result == "OK":
            # RFC 3501 section 6.2.1: what arrived before TLS may come from an attacker, so that nothing of it is kept.
            self.tls_awaited = True
            if self._framer.take_rest():
                return [ResponseUnreadable(_INJECTED)]
        else:
            self._learn(status)
        untagged, self._untagged, self._taken = tuple(self._untagged), [], 0
        self._text_taken = 0
        self._start_commands()
        return [CommandDone(running.tag, command, status, untagged)]

    def _learn(self, status: StatusResponse) -> None:
        if status.code_name == "CAPABILITY":
            self.capabilities = capability_names(status.code_arguments)

    def _start_commands(self) -> None:
        """Send the queued commands in order, up to one that waits for a continuation or must run alone."""
        if self.tls_awaited:
            return
        for running in self._running:
            if not running.started:
                running.started = True
                self._trace("sent", running.line)
                self._outgoing += running.segments.popleft()
            if running.segments or running.exclusive:
                return

    def _continue(self, text: str) -> list[ClientEvent]:
        waiting = next((one for one in self._running if one.started and (one.segments or one.exclusive)), None)
        if waiting is None:
            return []  # no command waits for it, and RFC 3501 section 7.5 defines no other meaning of `+`
        events: list[ClientEvent] = []
        if waiting.segments:
            self._outgoing += waiting.segments.popleft()
        elif waiting.command.name == "AUTHENTICATE":
            try:
                self._outgoing += _answer(waiting.command, text) + b"\r\n"
            except SaslError as problem:
                self._outgoing += b"*\r\n"  # RFC 3501 section 6.2.2: a line with `*` cancels AUTHENTICATE
                events.append(ExchangeCancelled(str(problem)))
        self._start_commands()
        return events

    def _trace(self, way: str, line: LogicalLine) -> None:
        if self._tracer is None:
            return
        text, literals = command_form(line) if way == "sent" else response_form(line)
        if way == "received" and text.startswith("+") and self._in_authentication():
            text = f"+ {STARS}" if text.strip("+ ") else text
        self._tracer(way, text, literals)

    def _in_authentication(self) -> bool:
        return any(one.started and one.command.name == "AUTHENTICATE" for one in self._running)


def _tagged(tag: str, line: LogicalLine) -> LogicalLine:
    first, *rest = line.parts
    assert not isinstance(first, ImapLiteral), "a command begins with its name"  # noqa: S101  Command's builders see to it
    return LogicalLine((tag.encode("ascii") + b" " + first, *rest))


def _answer(command: ImapCommand, text: str) -> bytes:
    """Return the line that answers a challenge of AUTHENTICATE, without CRLF; raises SaslError."""
    if command.sasl is None:
        raise SaslError("there is nothing more to say")
    try:
        challenge = base64.b64decode(text, validate=True)
    except ValueError:
        raise SaslError("base64 is expected") from None
    return sasl_line(command.sasl.answer(challenge))
