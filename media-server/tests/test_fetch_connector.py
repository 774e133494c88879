"""The addresses that the connector connects to and those that it refuses, with a resolver of the test."""

from __future__ import annotations

import io
from typing import Any

import pytest
from twisted.internet import reactor as installed
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from lemonade_media.fetch.connector import ImapConnector
from lemonade_media.fetch.settings import AllowedHost, ImapSettings
from lemonade_media.model.failures import FailureKind, FetchError
from lemonade_wire.address import Resolver
from lemonade_wire.imap.endpoint import ImapConnection, ImapConnectionError, ImapTimeoutError
from lemonade_wire.redaction import Redactor
from lemonade_wire.trace import Trace

reactor: Any = installed


class Greeting(Protocol):
    """A server that sends a greeting and nothing else."""

    transport: Any

    def connectionMade(self) -> None:  # noqa: N802  Twisted's name
        self.transport.write(b"* OK ready\r\n")


@implementer(IHostnameResolver)
class Names:
    """A resolver with other addresses at each query, as in a DNS rebinding attack; None: it does not answer."""

    def __init__(self, *answers: list[str] | None) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def resolveHostName(self, receiver: Any, name: str, *_more: object, **_options: object) -> Any:  # noqa: ANN401, N802
        self.asked.append(name)
        answer = self.answers.pop(0)
        receiver.resolutionBegan(None)
        if answer is not None:
            for text in answer:
                kind = IPv6Address if ":" in text else IPv4Address
                receiver.addressResolved(kind("TCP", text, 0))
            receiver.resolutionComplete()


class DialTests(TestCase):
    timeout = 20

    def setUp(self) -> None:
        port = reactor.listenTCP(0, Factory.forProtocol(Greeting), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.port: int = port.getHost().port

    def names(self, *answers: list[str] | None) -> Names:
        names = Names(*answers)
        former = reactor.installNameResolver(names)
        self.addCleanup(reactor.installNameResolver, former)
        return names

    async def dial(
        self, allowed: str, host: str, *rules: str, port: int | None = None, seconds: float = 5
    ) -> ImapConnection:
        settings = ImapSettings((AllowedHost.parse(allowed),), connect_seconds=seconds)
        trace = Trace("media", io.StringIO(), Redactor("salt"))
        dialler = ImapConnector(reactor, settings, Resolver.parse(rules), trace, "127.0.0.1")
        connection = await dialler.dial(host, self.port if port is None else port)
        assert connection.engine.greeted
        gone: Deferred[None] = connection.gone()
        connection.abort()
        await gone
        return connection

    async def refused(self, allowed: str, host: str, *rules: str) -> None:
        with pytest.raises(FetchError) as caught:
            await self.dial(allowed, host, *rules)
        assert caught.value.failure.kind is FailureKind.HOST_REFUSED

    async def test_an_address_given_by_resolve_is_permitted(self) -> None:
        names = self.names()
        await self.dial("imap.example.com", "imap.example.com", f"imap.example.com:143=127.0.0.1:{self.port}", port=143)
        assert names.asked == []

    async def test_a_name_with_private_addresses_only_is_refused(self) -> None:
        v4 = ("127.0.0.1", "0.0.0.0", "169.254.169.254", "10.0.0.1", "224.0.0.1")  # noqa: S104  to be refused
        hidden = ("::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1", "2a00:1450::5efe:7f00:1")
        for inside in (*v4, "::", "::1", "fe80::1", "ff02::1", *hidden):
            self.names([inside])
            await self.refused("imap.example.com", "imap.example.com")

    async def test_only_public_addresses_of_a_name_are_tried(self) -> None:
        names = self.names(["10.0.0.1", "127.0.0.1", "169.254.169.254"])
        await self.dial("imap.example.com=127.0.0.1", "imap.example.com")
        assert names.asked == ["imap.example.com"]
        self.names(["127.0.0.2", "10.0.0.1"])
        await self.refused("imap.example.com=127.0.0.1", "imap.example.com")

    async def test_a_name_given_by_resolve_is_checked_too(self) -> None:
        names = self.names(["127.0.0.1"])
        await self.refused("imap.example.com", "imap.example.com", "imap.example.com=mail.lan")
        assert names.asked == ["mail.lan"]

    async def test_an_entry_may_permit_a_private_network(self) -> None:
        names = self.names(["127.0.0.1"])
        await self.dial("imap.example.com=127.0.0.0/8", "IMAP.example.com.")
        assert names.asked == ["imap.example.com"]

    async def test_a_name_is_resolved_once_so_that_it_cannot_change(self) -> None:
        names = self.names(["10.0.0.1", "127.0.0.1"], ["10.0.0.1"])
        await self.dial("imap.example.com=127.0.0.1", "imap.example.com")
        assert names.asked == ["imap.example.com"]

    async def test_the_next_address_is_tried_if_one_does_not_answer(self) -> None:
        self.names(["127.255.255.254", "127.0.0.1"])
        await self.dial("imap.example.com=127.0.0.0/8", "imap.example.com", seconds=2)

    async def test_an_address_in_a_url_is_permitted_if_the_entry_is_that_address(self) -> None:
        await self.dial("127.0.0.1", "127.0.0.1")

    async def test_an_unknown_name_has_no_address(self) -> None:
        self.names([])
        with pytest.raises(ImapConnectionError) as caught:
            await self.dial("imap.example.com", "imap.example.com")
        assert "has no address" in str(caught.value)

    async def test_a_resolver_without_an_answer_times_out(self) -> None:
        self.names(None)
        with pytest.raises(ImapTimeoutError):
            await self.dial("imap.example.com", "imap.example.com", seconds=0.1)

    async def test_a_host_that_is_no_valid_name_is_refused(self) -> None:
        await self.refused("imap.example.com", "\N{SNOWMAN WITHOUT SNOW}" * 70)
