"""An IMAP client as an engine: octets in, events out; commands in, octets out. It opens no socket and sees no clock."""

from __future__ import annotations

import base64
from collections import deque
from dataclasses import dataclass, field

from lemonade_wire.imap.command import Command, sasl_line
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.framing import (
    MAX_KEPT,
    FramingEvent,
    LineFramer,
    LineReceived,
    LineTooLong,
    Literal,
    LogicalLine,
    Role,
    TooLongToPass,
    keep_up_to,
)
from lemonade_wire.imap.response import Capability, Continuation, Response, Status, capability_names, parse_response
from lemonade_wire.imap.tracing import STARS, ImapTracer, trace_form
from lemonade_wire.sasl.exchange import SaslError

MAX_RESPONSE_LINE = 16 * 1024 * 1024  # a SEARCH of a large mailbox is one line


@dataclass(frozen=True)
class GreetingReceived:
    """The server greeted: OK, PREAUTH, or BYE where it will not serve."""

    status: Status


@dataclass(frozen=True)
class UntaggedReceived:
    """An untagged response came; it also stands in the CommandDone of the command that was running."""

    response: Response


@dataclass(frozen=True)
class CommandDone:
    """A command's tagged answer came; `untagged` are the responses since the answer before it."""

    tag: str
    command: Command
    status: Status
    untagged: tuple[Response, ...] = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the answer is OK."""
        return self.status.result == "OK"


@dataclass(frozen=True)
class ConnectionBye:
    """The server said BYE: it closes the connection. `expected` after LOGOUT."""

    status: Status
    expected: bool


@dataclass(frozen=True)
class ResponseUnreadable:
    """The server broke the grammar; what is read after it may be wrong, so the connection is best closed."""

    why: str


@dataclass(frozen=True)
class ExchangeCancelled:
    """This client ended an AUTHENTICATE that the server went on with wrongly; its answer is still to come."""

    why: str


@dataclass(frozen=True)
class LiteralTooLong:
    """A literal of `size` octets is announced, more than this client passes over: closing is left."""

    size: int


@dataclass(frozen=True)
class LiteralSkipped:
    """A literal of `size` octets passed the cap and was not kept."""

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
    """A sent or waiting command."""

    tag: str
    command: Command
    segments: deque[bytes]  # what is left to send: the first now, each other one upon `+`
    line: LogicalLine
    exclusive: bool  # nothing else may be sent until it is answered
    started: bool = False


class ImapClient:
    """The engine. `send` queues a command and returns its tag; `data_to_send` gives the octets for the wire.

    `capabilities` is what the server said last, None where it is not known: a login makes it unknown unless its
    answer holds the list, since servers show more afterwards (RFC 3501 6.2.2), and so does STARTTLS, whatever its
    answer holds. While `tls_awaited` nothing is sent or read until `tls_begun` says that TLS is there: from the OK to
    STARTTLS, or from the beginning. `preauthenticated`: the server greeted with PREAUTH. Literals above `max_literal`
    octets are skipped; what comes for one command, and what is skipped of one response, may have twice that in all.
    `tracer` is called for every complete command and response, without secrets.
    """

    def __init__(
        self,
        *,
        tag_prefix: str = "a",
        max_literal: int = MAX_KEPT,
        tracer: ImapTracer | None = None,
        tls_awaited: bool = False,
    ) -> None:
        self.capabilities: frozenset[str] | None = None
        self.greeted = False
        self.preauthenticated = False
        self.tls_awaited = tls_awaited
        self.encrypted = False
        self.closing = False
        self._tag_prefix = tag_prefix
        self._tags = 0
        self._tracer = tracer
        self._running: deque[_Running] = deque()
        self._untagged: list[Response] = []
        self._most = 2 * max_literal + MAX_RESPONSE_LINE
        self._framer = LineFramer(Role.CLIENT, keep_up_to(max_literal), MAX_RESPONSE_LINE, self._most)
        self._taken = 0  # octets of what came since the last tagged answer
        self._outgoing = bytearray()

    def send(self, command: Command) -> str:
        """Queue a command; returns its tag. It goes out when no command before it awaits a continuation."""
        self._tags += 1
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
        """Take the octets that are ready to go."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    @property
    def pending(self) -> tuple[str, ...]:
        """Tags of the commands without an answer."""
        return tuple(running.tag for running in self._running)

    def has(self, capability: str) -> bool:
        """Whether a capability is known to be there."""
        return self.capabilities is not None and capability.upper() in self.capabilities

    def tls_begun(self) -> None:
        """Go on under TLS: capabilities are not known any more, and commands that waited may be sent."""
        self.tls_awaited = False
        self.encrypted = True
        self.capabilities = None
        self._start_commands()

    def receive_data(self, data: bytes) -> list[ClientEvent]:
        """Take octets from the server; returns what they meant."""
        if self.tls_awaited:
            return [ResponseUnreadable(_INJECTED)]
        self._framer.receive_data(data)
        events: list[ClientEvent] = []
        while (event := self._framer.next_event()) is not None:
            events += self._framed(event)
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
        self._taken += sum(len(part.data) if isinstance(part, Literal) else len(part) for part in line.parts)
        if self._taken > self._most:
            return [ResponseUnreadable("more came for one command than this client takes")]
        try:
            response = parse_response(line)
        except ImapParseError as problem:
            return [ResponseUnreadable(str(problem))]
        match response:
            case Continuation(text):
                return self._continue(text)
            case Status(tag=None):
                return self._untagged_status(response)
            case Status():
                return self._tagged_status(response)
            case Capability(names):
                self.capabilities = names
        self._untagged.append(response)
        return [UntaggedReceived(response)]

    def _untagged_status(self, status: Status) -> list[ClientEvent]:
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

    def _tagged_status(self, status: Status) -> list[ClientEvent]:
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
            # RFC 3501 6.2.1: what was said in the clear may be anybody's, so that nothing of it is kept.
            self.tls_awaited = True
            if self._framer.take_rest():
                return [ResponseUnreadable(_INJECTED)]
        else:
            self._learn(status)
        untagged, self._untagged, self._taken = tuple(self._untagged), [], 0
        self._start_commands()
        return [CommandDone(running.tag, command, status, untagged)]

    def _learn(self, status: Status) -> None:
        if status.code_name == "CAPABILITY":
            self.capabilities = capability_names(status.code_arguments)

    def _start_commands(self) -> None:
        """Send what may be sent: commands in their order, none behind one that still has to go on."""
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
            return []  # nobody asked for it: RFC 3501 gives `+` no other meaning
        events: list[ClientEvent] = []
        if waiting.segments:
            self._outgoing += waiting.segments.popleft()
        elif waiting.command.name == "AUTHENTICATE":
            try:
                self._outgoing += _answer(waiting.command, text) + b"\r\n"
            except SaslError as problem:
                self._outgoing += b"*\r\n"  # RFC 3501 6.2.2
                events.append(ExchangeCancelled(str(problem)))
        self._start_commands()
        return events

    def _trace(self, way: str, line: LogicalLine) -> None:
        if self._tracer is None:
            return
        text, literals = trace_form(line)
        if way == "received" and text.startswith("+") and self._in_authentication():
            text = f"+ {STARS}" if text.strip("+ ") else text
        self._tracer(way, text, literals)

    def _in_authentication(self) -> bool:
        return any(one.started and one.command.name == "AUTHENTICATE" for one in self._running)


def _tagged(tag: str, line: LogicalLine) -> LogicalLine:
    first, *rest = line.parts
    assert not isinstance(first, Literal), "a command begins with its name"  # noqa: S101  Command's builders see to it
    return LogicalLine((tag.encode("ascii") + b" " + first, *rest))


def _answer(command: Command, text: str) -> bytes:
    """Answer a challenge of AUTHENTICATE; raises SaslError."""
    if command.sasl is None:
        raise SaslError("there is nothing more to say")
    try:
        challenge = base64.b64decode(text, validate=True)
    except ValueError:
        raise SaslError("base64 is expected") from None
    return sasl_line(command.sasl.answer(challenge))
