"""The limits of the media server's load, and the answers when they are reached."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_media.calls import limits as limiting
from lemonade_media.calls.limits import CallRate, limits_from
from lemonade_media.cli import parser
from lemonade_media.config import Limits
from lemonade_media.testing import CALLER, CONFIG, SERVER, Replay
from lemonade_wire.sdp.codec import PCMU
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.event import CallAnswered, CallEnded, CallRefused, RequestAnswered
from lemonade_wire.sip.message import SipResponse
from lemonade_wire.sip.message.uri import SipUri

IVR = SipUri.parse("sip:ivr@media.example.net")
ANNC = SipUri.parse("sip:annc@media.example.net;play=imap://imap.example.com/INBOX/%3BUID%3D1")
OFFER = bytes(make_offer("192.0.2.3", 20000, [PCMU]))
NEEDED = ["--listen", "127.0.0.1:5060", "--rtp-ports", "20000-20010"]


def called(replay: Replay) -> tuple[int, str | None]:
    """Send an INVITE, and return its status and Retry-After."""
    replay.invite(IVR, OFFER)
    event = replay.heard[-1]
    assert isinstance(event, CallAnswered | CallRefused)
    assert event.response is not None
    return event.response.status, event.response.headers.get("Retry-After")


def asked(replay: Replay) -> tuple[int, str | None]:
    """Send OPTIONS, and return its status and Retry-After."""
    replay.caller.request("OPTIONS", SipUri.parse("sip:media.example.net"), next_hop=SERVER, now=replay.now)
    replay.settle()
    event = replay.heard[-1]
    assert isinstance(event, RequestAnswered)
    assert isinstance(event.response, SipResponse)
    return event.response.status, event.response.headers.get("Retry-After")


def test_options_gets_the_status_that_an_invite_would_get() -> None:
    replay = Replay(config=replace(CONFIG, limits=Limits(calls=2)))
    assert asked(replay) == (200, None)
    call = replay.invite(IVR, OFFER)
    assert asked(replay) == (200, None)
    assert called(replay) == (200, None)
    assert asked(replay) == called(replay) == (503, "10")
    replay.caller.bye(call, now=replay.now)
    replay.settle()
    assert asked(replay) == called(replay) == (200, None)


def test_a_stopping_server_accepts_no_calls() -> None:
    replay = Replay()
    replay.invite(IVR, OFFER)
    replay.server.shut_down(replay.now)
    assert asked(replay) == called(replay) == (503, "60")
    replay.settle()
    assert "server BYE" in replay.log
    assert replay.server.idle


def test_a_call_without_its_ack_is_hung_up_at_the_end_of_the_server() -> None:
    """RFC 3261 section 15: BYE waits for the ACK. At the end of the server a caller whose ACK is lost gets BYE too."""
    replay = Replay(deliver=lambda data: not data.startswith(b"ACK"))
    replay.invite(IVR, OFFER)
    replay.server.shut_down(replay.now)
    replay.advance(0.4)
    assert "server BYE" not in replay.log
    replay.server.leave(replay.now)
    replay.settle()
    assert replay.log.count("server BYE") == 1
    assert replay.server.idle
    assert isinstance(replay.heard[-1], CallEnded)
    assert replay.heard[-1].why == "bye-received"


def test_the_end_waits_for_the_ack_of_a_refused_invite() -> None:
    lost: list[bytes] = []

    def deliver(data: bytes) -> bool:
        if first := data.startswith(b"SIP/2.0 503") and not lost:
            lost.append(data)
        return not first

    replay = Replay(fetch=lambda command: None, deliver=deliver)
    replay.invite(ANNC, OFFER)
    replay.server.shut_down(replay.now)
    replay.settle()
    assert not replay.server.idle
    replay.advance(0.6)
    assert isinstance(replay.heard[-1], CallRefused)
    assert replay.server.idle


def test_the_calls_of_one_address_in_a_minute_are_limited() -> None:
    replay = Replay(config=replace(CONFIG, limits=Limits(calls_per_minute=2)))
    assert called(replay) == called(replay) == (200, None)
    assert called(replay) == (503, "30")
    replay.advance(15)
    assert called(replay) == (503, "15")
    assert asked(replay) == (200, None), "the server is well"
    replay.advance(15)
    assert called(replay) == (200, None)


def test_a_proxy_may_begin_any_number_of_calls() -> None:
    networks = (ipaddress.ip_network("192.0.2.0/29"),)
    replay = Replay(config=replace(CONFIG, limits=Limits(calls_per_minute=1, unlimited=networks)))
    assert {called(replay) for _ in range(5)} == {(200, None)}


def test_the_calls_of_one_address_are_limited_by_default() -> None:
    rate = CallRate(Limits().calls_per_minute)
    assert any(rate.wait("a", 0.0) for _ in range(1000))


def test_each_address_has_its_own_limit() -> None:
    rate = CallRate(1)
    assert [rate.wait(address, 0.0) for address in ("a", "a", "b")] == [0, 60, 0]


def test_without_a_limit_no_calls_are_counted() -> None:
    rate = CallRate(None)
    assert {rate.wait("a", 0.0) for _ in range(1000)} == {0}
    assert len(rate) == 0


def test_idle_addresses_and_the_oldest_of_too_many_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    rate = CallRate(1)
    for number in range(100):
        rate.wait(str(number), number / 100)
    rate.wait("last", 60.5)
    assert len(rate) == 50
    monkeypatch.setattr(limiting, "MAX_ADDRESSES", 10)
    rate.wait("another", 60.5)
    assert len(rate) == 10


@given(st.integers(1, 20), st.lists(st.floats(0, 30), max_size=60))
def test_never_more_than_the_bucket_and_its_refill(per_minute: int, gaps: list[float]) -> None:
    rate, now, taken = CallRate(per_minute), 0.0, 0
    for gap in gaps:
        now += gap
        wait = rate.wait("a", now)
        taken += not wait
        assert taken <= per_minute + now * per_minute / 60 + 1e-6
        assert 0 <= wait <= 60


def test_a_call_after_retry_after_is_accepted() -> None:
    rate = CallRate(7)
    for _ in range(7):
        rate.wait("a", 0.0)
    wait = rate.wait("a", 1.0)
    assert rate.wait("a", 1.0 + wait) == 0


def test_options_of_the_command_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits_from(parser().read(NEEDED)) == Limits()
    given_ = ["--max-calls", "5", "--call-rate", "6", "--max-transactions", "7", "--max-body", "8", "--max-call", "9"]
    assert limits_from(parser().read([*NEEDED, *given_])) == Limits(5, 6, 7, 8, 9)
    given_ = ["--max-connections", "5", "--max-connections-per-address", "6", "--unlimited", "192.0.2.0/24"]
    networks = (ipaddress.ip_network("192.0.2.0/24"),)
    assert limits_from(parser().read([*NEEDED, *given_])) == Limits(
        streams=5, streams_per_address=6, unlimited=networks
    )
    off = ["--call-rate", "0", "--max-connections", "0", "--max-connections-per-address", "0"]
    assert limits_from(parser().read([*NEEDED, *off])) == Limits(
        calls_per_minute=None, streams=0, streams_per_address=0
    )
    monkeypatch.setenv("LEMONADE_CALL_RATE", "9")
    assert limits_from(parser().read(NEEDED)).calls_per_minute == 9


@pytest.mark.parametrize("word", ["0", "-1", "many", "1.5", "9999999999"])
def test_a_value_that_is_no_limit_exits_2(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        parser().read([*NEEDED, "--max-calls", word])
    assert exited.value.code == 2
    assert "a number from 1" in capsys.readouterr().err


def test_the_limit_of_an_address_holds_for_all_its_ports() -> None:
    assert CALLER.host == "192.0.2.3"
    replay = Replay(config=replace(CONFIG, limits=Limits(calls_per_minute=1)))
    replay.invite(IVR, OFFER)
    # The limit also holds for another port of the same address.
    invite = (
        b"INVITE sip:ivr@media.example.net SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.3:9;branch=z9hG4bKx\r\n"
        b"From: <sip:a@h>;tag=1\r\nTo: <sip:ivr@media.example.net>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n"
        b"Contact: <sip:a@192.0.2.3:9>\r\nContent-Length: 0\r\n\r\n"
    )
    replay.callee.datagram_received(invite, CALLER._replace(port=9), replay.now)
    replay.settle()
    assert replay.log[-1] == "server 503"
