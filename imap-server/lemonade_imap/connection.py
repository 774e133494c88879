"""One connection: takes octets to the session, its commands to the service, and the replies to whoever writes.

The same for Twisted and for tests in memory; what differs is the `Writer` and the service's runner.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Protocol

from lemonade_imap.reply import Batch, Body, Reply
from lemonade_imap.serving.incoming import Incoming
from lemonade_imap.serving.service import Service
from lemonade_imap.session import Answered, ImapSession, MessageComing, MessageOctets
from lemonade_imap.state import State
from lemonade_wire.address import Address
from lemonade_wire.imap.framing import Literal, LogicalLine
from lemonade_wire.imap.tracing import LiteralTally, literal_form, trace_form
from lemonade_wire.trace import Json, Trace

_TURN = 64
"""Commands carried out for one client before others have their turn."""
_TOGETHER = 2000
"""Lines of a batch that are written at once."""


class Writer(Protocol):
    """Where a connection's octets go."""

    async def write(self, octets: bytes) -> None:
        """Send octets; returns when more may come. Raises ConnectionError when the peer is gone."""
        ...

    async def turn(self) -> None:
        """Let others have their turn."""
        ...


class BodyBroken(Exception):  # noqa: N818  what happened to the body
    """A body ended before its announced size, or could not be read: only closing the connection is left."""


class Connection:
    """Drives one session. `addresses` are the trace's `local` and `remote`; `clock` gives seconds since 1970.

    `private`: the connection is encrypted from its start.
    """

    def __init__(
        self,
        service: Service,
        writer: Writer,
        trace: Trace,
        addresses: tuple[str, str],
        clock: Callable[[], float],
        *,
        private: bool = False,
    ) -> None:
        self.session = ImapSession(service.backend.config, Address.parse(addresses[1]).host, private=private)
        service.backend.hub.join(self.session)
        self._service = service
        self._writer = writer
        self._trace = trace
        self._local, self._remote = addresses
        self._clock = clock
        self._incoming: Incoming | None = None
        self._tallies: list[LiteralTally] = []  # of the messages that came with the command under way

    async def greet(self) -> None:
        """Send the greeting."""
        await self.send(self._service.greeting(self.session))

    async def pump(self) -> None:
        """Carry out all that is there, in its order; raises BodyBroken, or ConnectionError when the peer is gone."""
        for count in itertools.count(1):
            if not count % _TURN:
                await self._writer.turn()
            event = self.session.next_event()
            if event is None:
                if not self.session.idling or not self._service.has_news(self.session):
                    return
                async for reply in self._service.news(self.session):
                    await self.send(reply)
                continue
            if isinstance(event, MessageComing):
                await self._begin(event)
                continue
            if isinstance(event, MessageOctets):
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
        """Leave nothing of a message that began to come and is not wanted, or whose end will never come."""
        incoming, self._incoming = self._incoming, None
        self._tallies = []
        if incoming is not None:
            await incoming.abandon()

    async def _begin(self, event: MessageComing) -> None:
        """Prepare for a message's octets, or refuse them before they come."""
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
        """Trace a command, with the digests of the literals that were streamed past."""
        tallies, self._tallies = iter(self._tallies), []
        if self._trace.sink is None:
            return
        text, forms = trace_form(line)
        if len(forms) == len(line.literals):
            told = zip(line.literals, forms, strict=True)
            forms = [form if literal.kept else next(tallies).form() for literal, form in told]
        self._emit("received", text, forms)

    @property
    def ended(self) -> bool:
        """Whether the session is over and the connection to be closed."""
        return self.session.state is State.LOGOUT

    async def send(self, reply: Reply | Batch) -> None:
        """Trace and write one reply; a body is traced when its last octet is known, under the time it began."""
        if isinstance(reply, Batch):
            await self._send_batch(reply)
            return
        line = reply.line
        if line is not None:
            if self._trace.sink is not None:
                self._emit("sent", *(("+ ***", []) if reply.secret else trace_form(line)))
            await self._writer.write(line.octets())
            return
        began = self._trace.clock()
        forms: list[Json] = []
        for piece in reply.pieces:
            if isinstance(piece, Body):
                await self._writer.write(piece.mark + b"\r\n")
                forms.append(await self._send_body(piece))
            elif isinstance(piece, Literal):
                await self._writer.write(piece.mark + b"\r\n" + piece.data)
                forms.append(literal_form(piece))
            else:
                await self._writer.write(piece)
        await self._writer.write(b"\r\n")
        self._emit("sent", reply.text.decode("utf-8", "backslashreplace"), forms, at=began)

    async def _send_batch(self, batch: Batch) -> None:
        if self._trace.sink is not None:
            for text in batch.lines:
                self._emit("sent", text.decode("utf-8", "backslashreplace"), [])
        for at in range(0, len(batch.lines), _TOGETHER):
            await self._writer.write(b"\r\n".join([*batch.lines[at : at + _TOGETHER], b""]))

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
            raise BodyBroken(f"{tally.size} octets came of {body.size}")
        return tally.form()

    def _emit(self, way: str, text: str, literals: list[Json], *, at: float | None = None) -> None:
        self._trace.emit(
            "imap", at=at, way=way, side="server", local=self._local, remote=self._remote, text=text, literals=literals
        )
