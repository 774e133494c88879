"""The IMAP connection over TCP: its events, and that none comes from within a call of its methods."""

from __future__ import annotations

import socket
import threading
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from lemonade_client.imap_connection import MailConnection
from lemonade_client.mailbox_session import MailAnswered, MailEvent, MailLost, MailOpened
from lemonade_wire.address import Address
from lemonade_wire.imap import command as commands
from lemonade_wire.redaction import Redactor
from lemonade_wire.trace import Trace

reactor: Any = installed  # its interfaces are zope's, whose methods have no self for mypy


def serve(listener: socket.socket) -> None:
    """Greet, answer the first command, and hang up on the second."""
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as lines:
        connection.sendall(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
        connection.sendall(lines.readline().split()[0] + b" OK done\r\n")
        lines.readline()


class TestMailLine(TestCase):
    def make(self, port: int) -> MailConnection:
        self.events: list[MailEvent] = []
        self.waiting: Deferred[MailEvent] | None = None
        return MailConnection(
            reactor, Address("127.0.0.1", port), "127.0.0.1", Trace("client", None, Redactor("s")), self.told
        )

    def told(self, event: MailEvent) -> None:
        self.events.append(event)
        if self.waiting is not None:
            waiting, self.waiting = self.waiting, None
            waiting.callback(event)

    async def next(self) -> MailEvent:
        self.waiting = Deferred()
        return await self.waiting

    async def test_a_connection_from_greeting_to_loss(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        line = self.make(listener.getsockname()[1])
        assert line.capabilities is None
        line.open()
        assert await self.next() == MailOpened()
        assert line.capabilities == {"IMAP4REV1"}
        name = line.send(commands.noop())
        answered = await self.next()
        assert isinstance(answered, MailAnswered)
        assert (answered.tag, answered.status.result) == (name, "OK")
        line.send(commands.noop())
        assert isinstance(await self.next(), MailLost)
        line.close()
        assert line.closed is not None
        await line.closed

    async def test_a_refused_connection_is_reported_as_lost(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            port = nobody.getsockname()[1]
        line = self.make(port)
        line.open()
        lost = await self.next()
        assert isinstance(lost, MailLost)
        assert "no connection to the IMAP server" in lost.why

    async def test_a_command_without_a_connection_is_reported_later(self) -> None:
        line = self.make(1)
        line.send(commands.noop())
        assert self.events == []
        assert await self.next() == MailLost("there is no connection")
        line.close()
        assert line.closed is None
