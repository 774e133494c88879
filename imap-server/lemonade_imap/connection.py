"""One client's connection: passes octets to the session, its commands to the service, and replies to a writer.

Twisted (`protocol`) and the tests in memory (`testing`) both use it; they differ in the `Writer` and in the runner
of the store's work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lemonade_imap.grammar.base import SessionState
from lemonade_imap.reply import Body, Reply, ReplyBatch
from lemonade_imap.serving.append import Incoming
from lemonade_imap.serving.service import ImapService
from lemonade_imap.serving.turns import COMMAND, REPLY
from lemonade_imap.session import Answered, ImapSession, MessageComing, MessageOctets
from lemonade_wire.address import Address
from lemonade_wire.imap.framing import ImapLiteral, LogicalLine
from lemonade_wire.imap.tracing import LiteralTally, command_form, literal_form, response_form
from lemonade_wire.trace import Json, Trace

_PART = 2
"""Work of a part of an APPEND, each time that a literal brings all of them (`lemonade_wire.turns`)."""
_EASIER = 8
"""How many octets of a reply, or of a message, take as long as one octet of a command."""
_TOGETHER = 2000
"""Lines of a batch that one call of `Writer.write` sends."""


class Writer(Protocol):
    """Sends a connection's octets to its client."""

    async def write(self, octets: bytes) -> None:
        """Send octets and wait until more may be sent; raises ConnectionError if the connection is closed."""
        ...


class BodyBroken(Exception):  # noqa: N818  what happened to the body
    """The octets of a literal could not be read, or ended before the announced size.

    The client already has the literal's size, so that the server can only close the connection.
    """


class ServerConnection:
    """Runs one IMAP session over one connection.

    `addresses`: the `local` and `remote` addresses for the trace, as HOST:PORT. `clock`: returns seconds since 1970.
    `private`: the connection is encrypted from its start.
    """

    def __init__(
        self,
        service: ImapService,
        writer: Writer,
        trace: Trace,
        addresses: tuple[str, str],
        clock: Callable[[], float],
        *,
        private: bool = False,
    ) -> None:
        self.session = ImapSession(service.backend.config, Address.parse(addresses[1]).host, private=private)
        service.backend.change_notifier.join(self.session)
        self._service = service
        self._writer = writer
        self._trace = trace
        self._local, self._remote = addresses
        self._clock = clock
        self._incoming: Incoming | None = None
        self._tallies: list[LiteralTally] = []  # one for each message literal of the command that is being received

    async def greet(self) -> None:
        """Send the greeting."""
        await self.send(self._service.greeting(self.session))

    async def pump(self) -> None:
        """Carry out all commands that have been received, in their order; then send updates to a client in IDLE.

        Raises BodyBroken, or ConnectionError if the connection is closed.
        """
        work = 0
        while True:
            await self._service.backend.turns.take(self.session, work)
            before = self.session.buffered
            event = self.session.next_event()
            work = COMMAND + before - self.session.buffered
            if event is None:
                if not self.session.idling or not self._service.has_updates(self.session):
                    return
                async for reply in self._service.updates(self.session):
                    await self.send(reply)
                continue
            if isinstance(event, MessageComing):
                # Each literal of a message brings the command with all the parts before it.
                work += _PART * sum(len(message.parts) for message in event.command.messages)
                await self._begin(event)
                continue
            if isinstance(event, MessageOctets):
                work = COMMAND + len(event.data) // _EASIER
                await self._take(event.data)
                continue
            if event.line is not None:
                self._trace_received(event.line)
            if isinstance(event, Answered):
                if not event.text.startswith(b"+"):
                    await self.abandon()
                await self.send(Reply.of(event.text))
                continue
            incoming, self._incoming = self._incoming, None
            replies = self._service.perform(self.session, event.tag, event.command, self._clock(), incoming)
            async for reply in replies:
                await self.send(reply)

    async def abandon(self) -> None:
        """Discard the message that is being received, if there is one: it was refused, or its end will not come."""
        incoming, self._incoming = self._incoming, None
        self._tallies = []
        if incoming is not None:
            await incoming.abandon()

    async def _begin(self, event: MessageComing) -> None:
        """Prepare to receive a message's octets, or refuse its literal before the client sends it."""
        self._incoming = self._incoming or Incoming(self._service.backend, self.session)
        self._tallies.append(LiteralTally())
        refusal = await self._service.begin(self._incoming, event.tag, event.command, self._clock())
        if refusal is not None:
            self.session.refuse_literal()
            await self.abandon()
            await self.send(refusal)

    async def _take(self, octets: bytes) -> None:
        if self._incoming is not None:
            self._tallies[-1].update(octets)
            await self._incoming.write(octets)

    def _trace_received(self, line: LogicalLine) -> None:
        """Write a received command to the trace, with the digests of the literals that were not kept in memory."""
        tallies, self._tallies = iter(self._tallies), []
        if self._trace.sink is None:
            return
        text, forms = command_form(line)
        if len(forms) == len(line.literals):
            told = zip(line.literals, forms, strict=True)
            forms = [form if literal.kept else next(tallies).form() for literal, form in told]
        self._emit("received", text, forms)

    @property
    def ended(self) -> bool:
        """Whether the session has ended, so that the connection must be closed."""
        return self.session.state is SessionState.LOGOUT

    async def send(self, reply: Reply | ReplyBatch) -> None:
        """Write one reply to the client and to the trace.

        A reply with a body is traced after its last octet, when the digest is known, with the time of its beginning.
        Raises BodyBroken or ConnectionError.
        """
        if isinstance(reply, ReplyBatch):
            await self._send_batch(reply)
            return
        line = reply.line
        if line is not None:
            if self._trace.sink is not None:
                self._emit("sent", *(("+ ***", []) if reply.secret else response_form(line)))
            octets = line.octets()
            await self._writer.write(octets)
            await self._service.backend.turns.take(self.session, REPLY + len(octets) // _EASIER)
            return
        began = self._trace.clock()
        forms: list[Json] = []
        for piece in reply.pieces:
            if isinstance(piece, Body):
                await self._writer.write(piece.mark + b"\r\n")
                forms.append(await self._send_body(piece))
            elif isinstance(piece, ImapLiteral):
                await self._writer.write(piece.mark + b"\r\n" + piece.data)
                forms.append(literal_form(piece))
            else:
                await self._writer.write(piece)
        await self._writer.write(b"\r\n")
        self._emit("sent", reply.text.decode("utf-8", "backslashreplace"), forms, at=began)

    async def _send_batch(self, batch: ReplyBatch) -> None:
        if self._trace.sink is not None:
            for text in batch.lines:
                self._emit("sent", text.decode("utf-8", "backslashreplace"), [])
        for at in range(0, len(batch.lines), _TOGETHER):
            octets = b"\r\n".join([*batch.lines[at : at + _TOGETHER], b""])
            await self._writer.write(octets)
            await self._service.backend.turns.take(self.session, len(octets) // _EASIER)

    async def _send_body(self, body: Body) -> Json:
        tally = LiteralTally()
        try:
            while tally.size < body.size and (chunk := await self._service.backend.call(next, body.chunks, b"")):
                tally.update(chunk)
                await self._writer.write(chunk)
        except (OSError, ValueError) as problem:
            if isinstance(problem, ConnectionError):
                raise
            raise BodyBroken(str(problem)) from problem
        if tally.size != body.size:
            raise BodyBroken(f"{tally.size} octets could be read of {body.size}")
        return tally.form()

    def _emit(self, way: str, text: str, literals: list[Json], *, at: float | None = None) -> None:
        self._trace.emit(
            "imap", at=at, way=way, side="server", local=self._local, remote=self._remote, text=text, literals=literals
        )
