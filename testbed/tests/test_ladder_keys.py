"""Keys in RTP as arrows of a ladder and as jumps of the expected sound, in the sender's trace or in a capture."""

from __future__ import annotations

import base64
from dataclasses import astuple

import pytest

from lemonade_testbed.audio.heard import hear
from lemonade_testbed.audio.played import ExpectedSound
from lemonade_testbed.checks.playing import playings
from lemonade_testbed.checks.timing import measure
from lemonade_testbed.evidence import Event, Evidence, NodeAddress, RecordedWorld
from lemonade_testbed.ladder.observe import observe
from lemonade_testbed.ladder.parser import LadderError, parse_ladder

WORLD = RecordedWorld(
    {
        "imap": NodeAddress("127.9.9.1"),
        "media": NodeAddress("127.9.9.2"),
        "client": NodeAddress("127.9.9.3", aliases=("127.9.9.13",)),
    }
)
OFFER = (
    "INVITE sip:ivr@127.9.9.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.9.9.3;branch=z9hG4bK1\r\nCSeq: 1 INVITE\r\n"
    "Content-Type: application/sdp\r\n\r\nm=audio 20000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)
COLLECT = (
    "INFO sip:ivr@127.9.9.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.9.9.3;branch=z9hG4bK2\r\nCSeq: 2 INFO\r\n"
    "Content-Type: application/mediaservercontrol+xml\r\n\r\n"
    '<MediaServerControl version="1.0"><request><playcollect id="1" ffkey="6" rwkey="4" skipinterval="4s">'
    '<prompt><audio url="imap://joe@imap.example.com/INBOX/;UID=1"/></prompt></playcollect></request></MediaServerControl>'
)


def info(key: str, cseq: int) -> str:
    return (
        f"INFO sip:ivr@127.9.9.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.9.9.3;branch=z9hG4bK{cseq}\r\nCSeq: {cseq} INFO\r\n"
        f"Content-Type: application/dtmf-relay\r\n\r\nSignal={key}\r\nDuration=160\r\n"
    )


def sip(t: float, text: str) -> Event:
    ends = {"local": "127.9.9.3:5060", "remote": "127.9.9.2:5060"}
    return Event(t, "client", 0, "sip", {"way": "sent", "transport": "udp", **ends, "text": text})


def packet(t: float, seq: int, ts: int, payload: str, *, captured: bool = False, pt: int = 101) -> Event:
    """Return a packet from the client to the media server, as the sender's trace or a capture has it."""
    ends = ("127.9.9.3:20000", "127.9.9.2:16384")
    way = {"way": "received", "local": ends[1], "remote": ends[0]} if captured else {}
    fields = {"way": "sent", "local": ends[0], "remote": ends[1], "ssrc": 7, "seq": seq, "ts": ts, "pt": pt} | way
    octets = base64.b64encode(bytes.fromhex(payload)).decode()
    return Event(t, "media" if captured else "client", 0, "rtp", fields | {"marker": False, "payload": octets})


def press(t: float, key: str, seq: int, *, captured: bool = False) -> list[Event]:
    """Return a press of 100 ms (RFC 4733): two updates, the end three times."""
    code, ts = f"{'0123456789*#'.index(key):02x}", round(t * 8000)
    payloads = [f"{code}0a0190", *[f"{code}8a0320"] * 3]
    return [
        packet(t + 0.05 * number, seq + number, ts, payload, captured=captured)
        for number, payload in enumerate(payloads, 1)
    ]


def evidence(*events: Event) -> Evidence:
    return Evidence(WORLD, tuple(sorted(events, key=lambda event: event.t)))


def lines(told: Evidence) -> list[str]:
    return [seen.text() for seen in observe(told).messages if seen.words[0] == "RTP"]


def heard_call(told: Evidence) -> ExpectedSound:
    """Return the sound that the only playing of a run asks for."""
    (playing,) = playings(told)
    return playing.call


@pytest.mark.parametrize("captured", [False, True])
def test_each_press_is_one_arrow_at_its_first_packet(captured: bool) -> None:
    told = evidence(sip(99, OFFER), *press(103, "6", 1, captured=captured), *press(104, "*", 5, captured=captured))
    assert lines(told) == ["client->>media: RTP telephone-event 6", "client->>media: RTP telephone-event *"]
    first = next(seen for seen in observe(told).messages if seen.words[0] == "RTP")
    assert first.t == pytest.approx(103.05)
    assert len(first.events) == 4


def test_what_both_ends_tell_is_one_press() -> None:
    assert lines(evidence(sip(99, OFFER), *press(103, "6", 1), *press(103, "6", 1, captured=True))) == [
        "client->>media: RTP telephone-event 6"
    ]


def test_sound_of_the_client_is_an_arrow_and_not_what_it_hears() -> None:
    sound = [packet(100 + number * 0.02, number, number * 160, "10" * 160, captured=True, pt=0) for number in range(50)]
    told = evidence(sip(99, OFFER), *sound, *press(100.5, "6", 60, captured=True))
    assert lines(told) == ["client->>media: RTP PCMU 1.00 s", "client->>media: RTP telephone-event 6"]
    assert hear(told.events) is None
    assert measure(told) == ()


def test_keys_in_rtp_move_what_should_be_heard() -> None:
    told = evidence(sip(99, OFFER), sip(99.5, COLLECT), *press(103, "6", 1), *press(105, "4", 5), *press(106, "1", 9))
    first, second = heard_call(told).jumps
    assert astuple(first) == (103.05, pytest.approx(103.15), 4.0)
    assert astuple(second) == (105.05, pytest.approx(105.15), -4.0)


def test_a_key_before_the_request_moves_nothing() -> None:
    assert heard_call(evidence(sip(99, OFFER), *press(99.1, "6", 1), sip(99.5, COLLECT))) == ExpectedSound()


@pytest.mark.parametrize(
    ("rtp", "by_info", "jumps"), [(103.0, 103.2, 1), (103.2, 103.0, 1), (103.0, 105.0, 2), (105.0, 103.0, 2)]
)
def test_a_key_that_is_told_both_ways_moves_once(rtp: float, by_info: float, jumps: int) -> None:
    told = evidence(sip(99, OFFER), sip(99.5, COLLECT), *press(rtp, "6", 1), sip(by_info, info("6", 3)))
    assert len(heard_call(told).jumps) == jumps


def test_a_key_pressed_again_the_same_way_moves_again() -> None:
    told = evidence(sip(99, OFFER), sip(99.5, COLLECT), *press(103, "6", 1), *press(103.4, "6", 5))
    assert len(heard_call(told).jumps) == 2


def test_keys_are_written_in_a_ladder_as_they_are_seen() -> None:
    arrow = parse_ladder("client->>media: RTP telephone-event #").arrows[0]
    assert (arrow.words, arrow.rtp) == (("RTP", "telephone-event", "#"), None)
    for wrong in ("", " E", " 66", " 6 s"):
        with pytest.raises(LadderError, match="RTP telephone-event KEY"):
            parse_ladder(f"client->>media: RTP telephone-event{wrong}")
