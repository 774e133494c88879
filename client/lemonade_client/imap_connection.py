"""The client's IMAP connection over TCP (Twisted); it implements `mailbox_session.Mail` for the script's steps."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred

from lemonade_client.mailbox_session import MailAnswered, MailEvent, MailLost, MailOpened
from lemonade_wire.address import Address
from lemonade_wire.imap.command import ImapCommand
from lemonade_wire.imap.endpoint import ImapConnection, ImapConnectionError, TlsPlan, connect
from lemonade_wire.trace import Trace

PATIENCE = 600.0
"""The timeout of one command in seconds: longer than any step, whose own deadline ends the wait earlier."""


class MailConnection:
    """Implements `mailbox_session.Mail` with a TCP connection from the local address `bind`.

    `on_event` is called later, and never from within a method of this class. `tls` holds the settings for TLS, from the
    start of the connection or by STARTTLS.
    """

    def __init__(
        self,
        reactor: Any,  # noqa: ANN401  a reactor is many interfaces in one
        address: Address,
        bind: str,
        trace: Trace,
        on_event: Callable[[MailEvent], None],
        *,
        tls: TlsPlan | None = None,
    ) -> None:
        self._reactor = reactor
        self._address = address
        self._bind = bind
        self._trace = trace
        self._on_event = on_event
        self._tls = tls
        self._connection: ImapConnection | None = None
        self._numbers = count(1)
        self.closed: Deferred[None] | None = None
        """Fires when the connection is closed, after `close`; None before `close`, or if there was no connection."""

    @property
    def capabilities(self) -> frozenset[str] | None:
        """The capabilities that the server sent last; None if they are not known."""
        return self._connection.engine.capabilities if self._connection else None

    @property
    def encrypted(self) -> bool:
        """Whether the connection is encrypted by TLS."""
        return self._connection is not None and self._connection.engine.encrypted

    def open(self) -> None:
        """Connect and wait for the greeting."""
        ensureDeferred(self._open())

    def send(self, command: ImapCommand) -> str:
        """Send a command; returns a name for it, which the event of its answer carries."""
        name = str(next(self._numbers))
        ensureDeferred(self._run(name, command))
        return name

    def close(self) -> None:
        """Close the connection if there is one."""
        if self._connection is not None:
            self.closed = ensureDeferred(self._connection.close())

    async def _open(self) -> None:
        try:
            self._connection = await connect(
                self._reactor, self._address, self._trace, bind=self._bind, tls=self._tls, long_fetch=True
            )
        except ImapConnectionError as problem:
            self._tell(MailLost(str(problem)))
        else:
            self._tell(MailOpened())

    async def _run(self, name: str, command: ImapCommand) -> None:
        try:
            if self._connection is None:
                raise ImapConnectionError("there is no connection")
            done = await self._connection.run(command, PATIENCE)
        except ImapConnectionError as problem:
            self._tell(MailLost(str(problem)))
        else:
            self._tell(MailAnswered(name, done.status, done.untagged))

    def _tell(self, event: MailEvent) -> None:
        self._reactor.callLater(0, self._on_event, event)
