"""The account's IMAP connection on a socket (Twisted), as the steps use it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred

from lemonade_client.mail import MailAnswered, MailEvent, MailLost, MailOpened
from lemonade_wire.address import Address
from lemonade_wire.imap.command import Command
from lemonade_wire.imap.endpoint import ImapConnection, ImapConnectionError, TlsPlan, connect
from lemonade_wire.trace import Trace

PATIENCE = 600.0
"""Seconds for one command: the step's own deadline is what counts."""


class MailLine:
    """`lemonade_client.mail.Mail` on a TCP connection from the address `bind`. Events come later, never at once.

    `tls` says how the connection becomes private, at its beginning or with STARTTLS.
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
        """Fires when the connection that `close` closes is gone."""

    @property
    def capabilities(self) -> frozenset[str] | None:
        """What the server said last."""
        return self._connection.engine.capabilities if self._connection else None

    @property
    def encrypted(self) -> bool:
        """Whether TLS is there."""
        return self._connection is not None and self._connection.engine.encrypted

    def open(self) -> None:
        """Connect and wait for the greeting."""
        ensureDeferred(self._open())

    def send(self, command: Command) -> str:
        """Send a command; returns a name for it."""
        name = str(next(self._numbers))
        ensureDeferred(self._run(name, command))
        return name

    def close(self) -> None:
        """Close the connection, where there is one."""
        if self._connection is not None:
            self.closed = ensureDeferred(self._connection.close())

    async def _open(self) -> None:
        try:
            self._connection = await connect(self._reactor, self._address, self._trace, bind=self._bind, tls=self._tls)
        except ImapConnectionError as problem:
            self._tell(MailLost(str(problem)))
        else:
            self._tell(MailOpened())

    async def _run(self, name: str, command: Command) -> None:
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
