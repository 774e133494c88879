# mypy: disable-error-code="no-untyped-call"
# Twisted's test transports have no types.
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection

from lemonade_imap.config import ConnectionLimits, ServerConfig
from lemonade_imap.protocol import ImapFactory, ImapProtocol
from lemonade_imap.serving.backend import Backend
from lemonade_imap.serving.service import ImapService
from lemonade_imap.serving.turns import COMMAND, FairTurns
from lemonade_imap.store.base import CHUNK
from lemonade_imap.store.sqlite import SqliteStore
from lemonade_imap.store.thread import InlineRunner
from lemonade_imap.testing.memory_store import MemoryStore
from lemonade_imap.testing.messages import mailbox_of
from lemonade_wire.redaction import Redactor
from lemonade_wire.trace import Trace
from lemonade_wire.turns import TURN, TurnQueue

CONFIG = ServerConfig(passwords={"joe": "secret"}, idle_seconds=1800.0)
BIG = b"Subject: big\r\n\r\n" + b"x" * 1_000_000


class Transport(StringTransportWithDisconnection):
    """A transport whose buffer is full after `room` octets until the test drains it."""

    room = 100_000_000
    held = 0
    no_delay = False
    bufferSize = 0  # noqa: N815  Twisted's name
    aborted = False

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802  Twisted's name
        self.no_delay = enabled

    def write(self, data: bytes) -> None:
        super().write(data)
        self.held += len(data)
        if self.held > self.room and self.producer is not None:
            self.producer.pauseProducing()

    def drain(self) -> bytes:
        taken: bytes = self.value()
        self.clear()
        self.held = 0
        assert self.producer is not None
        self.producer.resumeProducing()
        return taken

    def abortConnection(self) -> None:  # noqa: N802  the same
        self.aborted = True
        self.loseConnection()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make_factory(clock: Clock, config: ServerConfig) -> ImapFactory:
    service = ImapService(Backend(config, MemoryStore(), InlineRunner()))
    return ImapFactory(service, Trace("imap", None, Redactor("")), cast(Any, clock), lambda: 1795305600.0)


@pytest.fixture
def factory(clock: Clock) -> ImapFactory:
    return make_factory(clock, CONFIG)


def connect(factory: ImapFactory) -> tuple[ImapProtocol, Transport]:
    protocol, transport = factory.buildProtocol(None), Transport()
    transport.protocol = protocol  # type: ignore[assignment]  # zope interfaces mean nothing to mypy
    protocol.makeConnection(transport)
    return protocol, transport


def logged_in(factory: ImapFactory) -> tuple[ImapProtocol, Transport]:
    protocol, transport = connect(factory)
    protocol.dataReceived(b"l LOGIN joe secret\r\na APPEND INBOX {%d+}\r\n%s\r\ns SELECT INBOX\r\n" % (len(BIG), BIG))
    assert transport.value().endswith(b"s OK [READ-WRITE] SELECT completed\r\n")
    transport.clear()
    return protocol, transport


def test_small_segments_are_not_held_back(factory: ImapFactory) -> None:
    _, transport = connect(factory)
    assert transport.no_delay
    assert transport.value().startswith(b"* OK [CAPABILITY IMAP4rev1 ")


def test_a_body_waits_for_a_client_that_does_not_read(factory: ImapFactory) -> None:
    protocol, transport = logged_in(factory)
    transport.room = 100_000
    protocol.dataReceived(b"f FETCH 1 BODY.PEEK[]\r\nn NOOP\r\n")
    whole = b""
    while b"n OK" not in whole:
        held = transport.value()
        assert len(held) < 100_000 + 2 * CHUNK
        whole += transport.drain()
    assert whole == b"* 1 FETCH (BODY[] {%d}\r\n%s)\r\nf OK FETCH completed\r\nn OK NOOP completed\r\n" % (
        len(BIG),
        BIG,
    )


def test_the_server_stops_reading_from_a_client_that_sends_too_much(factory: ImapFactory, clock: Clock) -> None:
    protocol, transport = logged_in(factory)
    transport.room = 10
    protocol.dataReceived(b"f FETCH 1 BODY.PEEK[]\r\n")
    flood = b"n NOOP" + b" " * 1000 + b"\r\n"
    protocol.dataReceived(flood * 300)
    assert transport.producerState == "paused"
    transport.room = 1_000_000_000
    transport.drain()
    while transport.producerState == "paused":
        # other clients are served in between
        clock.advance(0)
    assert transport.value().count(b"n OK NOOP completed\r\n") == 300


def test_before_login_a_connection_reads_and_buffers_little(clock: Clock) -> None:
    factory = make_factory(clock, CONFIG)
    waiting: Deferred[None] = Deferred()
    factory.service.backend = replace(factory.service.backend, pause=lambda _seconds: waiting)
    protocol, transport = connect(factory)
    assert transport.bufferSize == factory.limits.early
    protocol.dataReceived(b"l LOGIN joe wrong\r\n")
    piece = b"n NOOP\r\n" * (transport.bufferSize // 8)
    given = 0
    while transport.producerState != "paused":
        protocol.dataReceived(piece)
        given += len(piece)
    assert given <= 2 * factory.limits.early
    waiting.callback(None)
    while transport.producerState == "paused":
        clock.advance(0)
    protocol.dataReceived(b"l LOGIN joe secret\r\n")
    clock.advance(0)
    assert transport.value().endswith(b"logged in\r\n")
    assert transport.bufferSize == CHUNK


def test_a_closed_connection_ends_the_reply_that_waits_for_it(factory: ImapFactory) -> None:
    protocol, transport = logged_in(factory)
    transport.room = 10
    protocol.dataReceived(b"f FETCH 1 BODY.PEEK[]\r\n")
    transport.loseConnection()
    assert factory.connections == set()


def test_a_connection_closed_in_the_middle_of_a_message_leaves_no_file(clock: Clock, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    service = ImapService(Backend(CONFIG, store, InlineRunner()))
    factory = ImapFactory(service, Trace("imap", None, Redactor("")), cast(Any, clock), lambda: 1795305600.0)
    protocol, transport = connect(factory)
    protocol.dataReceived(b"l LOGIN joe secret\r\na APPEND INBOX {1+}\r\nx {500000}\r\n")
    protocol.dataReceived(b"y" * 400000)

    def files() -> int:
        return sum(path.stat().st_size > 0 for path in tmp_path.rglob("*") if path.parent.name == "arriving")

    assert files() > 0
    transport.loseConnection()
    assert files() == 0
    assert store.uids(mailbox_of(store)) == []
    store.close()


def test_silence_ends_a_connection_after_half_an_hour(factory: ImapFactory, clock: Clock) -> None:
    protocol, transport = logged_in(factory)
    clock.advance(1799)
    protocol.dataReceived(b"a NOOP\r\n")
    clock.advance(1799)
    assert transport.connected
    clock.advance(2)
    assert transport.value().endswith(b"a OK NOOP completed\r\n* BYE idle for too long\r\n")
    assert not transport.connected
    assert clock.getDelayedCalls() == []


def test_a_client_that_does_not_log_in_is_disconnected(factory: ImapFactory, clock: Clock) -> None:
    protocol, transport = connect(factory)
    _, idle = logged_in(factory)
    clock.advance(179)
    protocol.dataReceived(b"a NOOP\r\n")
    assert transport.connected
    clock.advance(1)
    assert transport.value().endswith(b"a OK NOOP completed\r\n* BYE no login in time\r\n")
    assert not transport.connected
    assert idle.connected


def test_a_client_that_reads_nothing_is_dropped(factory: ImapFactory, clock: Clock) -> None:
    protocol, transport = logged_in(factory)
    transport.room = 100_000
    protocol.dataReceived(b"f FETCH 1 BODY.PEEK[]\r\n")
    clock.advance(299)
    transport.drain()
    clock.advance(299)
    assert not transport.aborted
    clock.advance(1)
    assert transport.aborted
    assert clock.getDelayedCalls() == []


def test_a_client_that_does_not_read_the_last_words_is_dropped(factory: ImapFactory, clock: Clock) -> None:
    protocol, transport = logged_in(factory)
    transport.loseConnection = lambda: None  # type: ignore[method-assign]  # octets wait that the client never reads
    protocol.dataReceived(b"a LOGOUT\r\nb NOOP\r\n")
    protocol.dataReceived(b"c NOOP\r\n")
    assert transport.value().endswith(b"a OK LOGOUT completed\r\n")
    clock.advance(9)
    assert not transport.aborted
    clock.advance(1)
    assert transport.aborted


def test_a_connection_above_the_limit_gets_bye_with_the_reason(clock: Clock) -> None:
    config = replace(CONFIG, connections=ConnectionLimits(total=2, per_address=1))
    factory = make_factory(clock, config)
    _, first = connect(factory)
    second = connect(factory)[1]
    assert second.value() == b"* BYE [LIMIT] too many connections of this address\r\n"
    assert not second.connected
    first.loseConnection()
    third = connect(factory)[1]
    assert third.connected
    assert third.value().startswith(b"* OK ")


class ReactorTurns:
    """Gives a factory turns, of which the test begins each."""

    def __init__(self, factory: ImapFactory, turn: int = TURN) -> None:
        self._calls: list[Callable[[], None]] = []
        turns = FairTurns(TurnQueue(self._calls.append, turn=turn))
        factory.service.backend = replace(factory.service.backend, turns=turns)

    def begin(self) -> None:
        calls, self._calls[:] = list(self._calls), []
        for call in calls:
            call()


def test_a_client_with_many_commands_does_not_delay_others(factory: ImapFactory) -> None:
    protocols = [logged_in(factory) for _ in range(20)]
    turns = ReactorTurns(factory)
    for protocol, _ in protocols:
        protocol.dataReceived(b"n NOOP\r\n" * 100)
    answered = [0]
    while answered[-1] < 2000:
        answered.append(sum(transport.value().count(b"n OK") for _, transport in protocols))
        assert answered[-1] - answered[-2] <= TURN // COMMAND + 1  # so much in one turn of the reactor, of all of them
        turns.begin()
    assert len(answered) > 2000 * COMMAND // TURN


def test_clients_before_login_do_not_delay_an_account(factory: ImapFactory) -> None:
    account, heard = logged_in(factory)
    turns = ReactorTurns(factory, turn=1)
    for _ in range(50):
        connect(factory)[0].dataReceived(b"n NOOP\r\n" * 100)
    for _ in range(10):
        turns.begin()
    account.dataReceived(b"n NOOP\r\n")
    assert b"n OK" not in heard.value()
    turns.begin()
    turns.begin()
    assert b"n OK" in heard.value()


def test_logout_closes(factory: ImapFactory, clock: Clock) -> None:
    protocol, transport = connect(factory)
    protocol.dataReceived(b"a LOGOUT\r\n")
    assert not transport.connected
    assert not transport.aborted
    assert clock.getDelayedCalls() == []


def test_an_unreadable_body_drops_the_connection_and_is_logged(
    factory: ImapFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    factory.service.backend = replace(factory.service.backend, log=log.append)
    protocol, transport = logged_in(factory)
    monkeypatch.setattr(factory.service.backend.store, "read", lambda *_: iter([b"short"]))
    protocol.dataReceived(b"f FETCH 1 BODY.PEEK[]\r\n")
    assert transport.aborted
    assert f"5 octets could be read of {len(BIG)}" in log[-1]


def test_close_all_sends_bye_and_fires_when_all_are_closed(factory: ImapFactory) -> None:
    ends = [connect(factory)[1] for _ in range(3)]
    gone: Deferred[None] = factory.close_all()
    assert gone.called
    assert all(transport.value().endswith(b"* BYE the server stops\r\n") for transport in ends)
    assert factory.close_all().called


def test_idle_gets_updates_after_the_command_that_caused_them(factory: ImapFactory, clock: Clock) -> None:
    busy, _ = logged_in(factory)
    protocol, transport = connect(factory)
    protocol.dataReceived(b"l LOGIN joe secret\r\ns SELECT INBOX\r\ni IDLE\r\n")
    transport.clear()
    busy.dataReceived(b"a APPEND INBOX {1+}\r\nx\r\nb APPEND INBOX {1+}\r\nx\r\n")
    assert transport.value() == b""
    clock.advance(0)
    assert b"* 3 EXISTS\r\n" in transport.value()
    transport.clear()
    # the limit of silence also applies to IDLE (RFC 2177, 3)
    clock.advance(1801)
    assert transport.value() == b"* BYE idle for too long\r\n"


def test_updates_wait_for_a_client_that_does_not_read(factory: ImapFactory, clock: Clock) -> None:
    busy, _ = logged_in(factory)
    protocol, transport = connect(factory)
    protocol.dataReceived(b"l LOGIN joe secret\r\ns SELECT INBOX\r\n")
    transport.drain()
    transport.room = 5
    protocol.dataReceived(b"i IDLE\r\n")
    busy.dataReceived(b"a APPEND INBOX {1+}\r\nx\r\n")
    clock.advance(0)
    assert transport.value() == b"+ idling\r\n"
    transport.room = 1_000_000
    transport.drain()
    assert b"* 2 EXISTS\r\n" in transport.value()


def test_updates_are_not_sent_to_a_closed_connection(factory: ImapFactory, clock: Clock) -> None:
    busy, _ = logged_in(factory)
    protocol, transport = connect(factory)
    protocol.dataReceived(b"l LOGIN joe secret\r\ns SELECT INBOX\r\ni IDLE\r\n")
    busy.dataReceived(b"a APPEND INBOX {1+}\r\nx\r\n")
    transport.loseConnection()
    transport.clear()
    clock.advance(0)
    assert transport.value() == b""
