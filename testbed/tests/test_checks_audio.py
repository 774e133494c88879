"""The check of the sound: the signalling says which part and which jumps to expect, and when a playing ended early."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from lemonade_testbed.audio.part import media_part
from lemonade_testbed.audio.played import ExpectedSound, Jump
from lemonade_testbed.checks.playing import playings
from lemonade_testbed.checks.registry import CHECKS
from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.evidence import Event, Evidence, RecordedWorld
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.verdict import CheckResult

FIXTURES = Path(__file__).parents[2] / "scenarios" / "fixtures"
MAIL = FIXTURES / "voicemail-basic.eml"
BASIC = media_part(MAIL)
ANNC = load_scenario(SCENARIOS / "announcement-service.yaml")


def heard_is_part(of: Evidence) -> CheckResult:
    return CHECKS["audio heard is the part"].run(ANNC, of, "")


def mscml(content: str) -> str:
    return (
        "INFO sip:ivr@127.0.0.2 SIP/2.0\r\nCSeq: 2 INFO\r\nContent-Type: application/mediaservercontrol+xml\r\n\r\n"
        f'<MediaServerControl version="1.0">{content}</MediaServerControl>'
    )


def playcollect(offset: str = "0") -> str:
    return mscml(
        f'<request><playcollect id="1" ffkey="6" rwkey="4" skipinterval="4s"><prompt offset="{offset}">'
        '<audio url="imap://joe@imap.example.com/INBOX/;UID=1/;SECTION=2"/></prompt></playcollect></request>'
    )


def response(reason: str) -> str:
    return mscml(
        f'<response request="playcollect" id="1" code="200" text="OK" reason="{reason}" '
        'playduration="3s" playoffset="3s" digits=""/>'
    )


def key(key: str) -> str:
    head = "INFO sip:ivr@127.0.0.2 SIP/2.0\r\nCSeq: 3 INFO\r\nContent-Type: application/dtmf-relay\r\n\r\n"
    return f"{head}Signal={key}\r\nDuration=160\r\n"


OK = "SIP/2.0 200 OK\r\nCSeq: 3 INFO\r\n\r\n"
BYE = "BYE sip:client@127.0.0.3 SIP/2.0\r\nCSeq: 9 BYE\r\n\r\n"
STOP = mscml('<request><stop id="1"/></request>')


def evidence(*messages: tuple[float, str, str], octets: bytes = b"") -> Evidence:
    """Return a run: SIP messages (time, way, text) of the client, and packets of 20 ms from 100 s on.

    Each MSCML body gets a CSeq of its own: a second message with the same octets would be a retransmission.
    """
    sip = [
        Event(time, "client", 0, "sip", {"way": way, "text": text.replace("CSeq: 2 ", f"CSeq: {number} ")})
        for number, (time, way, text) in enumerate(messages, 100)
    ]
    rtp = [
        Event(
            100 + index * 0.02,
            "client",
            0,
            "rtp",
            {
                "way": "received",
                "ssrc": 1,
                "seq": index,
                "ts": index * 160,
                "pt": 0,
                "payload": base64.b64encode(octets[index * 160 : (index + 1) * 160].ljust(160, b"\xff")).decode(),
            },
        )
        for index in range((len(octets) + 159) // 160)
    ]
    events = sorted([*sip, *rtp], key=lambda event: event.t)
    return Evidence(RecordedWorld({}), tuple(events), message=MAIL.read_bytes())


PLAYED = (99.0, "sent", playcollect())


@pytest.mark.parametrize(
    ("messages", "call"),
    [
        ([], ExpectedSound()),
        (
            [PLAYED, (103.0, "sent", key("6")), (103.5, "received", OK), (110.0, "received", response("timeout"))],
            ExpectedSound(0, (Jump(103.0, 103.5, 4.0),)),
        ),
        ([PLAYED, (103.0, "sent", key("4"))], ExpectedSound(0, (Jump(103.0, 103.0, -4.0),))),
        ([PLAYED, (103.0, "sent", key("1"))], ExpectedSound()),
        ([PLAYED, (103.0, "received", response("escapekey"))], ExpectedSound(cut_short=True)),
        ([PLAYED, (103.0, "sent", STOP)], ExpectedSound(cut_short=True)),
        ([(99.0, "sent", playcollect("5s"))], ExpectedSound(5.0)),
        ([(112.0, "received", BYE)], ExpectedSound()),
        ([(104.0, "sent", BYE)], ExpectedSound(cut_short=True)),
        ([PLAYED, (110.0, "received", response("timeout")), (111.0, "sent", BYE)], ExpectedSound()),
        ([PLAYED, (110.0, "received", response("timeout")), (111.0, "sent", key("6"))], ExpectedSound()),
    ],
)
def test_the_signalling_says_what_should_be_heard(messages: list[tuple[float, str, str]], call: ExpectedSound) -> None:
    assert [playing.call for playing in playings(evidence(*messages))] == [call]


def test_a_playing_ends_with_its_response_and_the_next_one_begins() -> None:
    told = playings(
        evidence(
            PLAYED,
            (101.0, "sent", playcollect("5s")),
            (101.1, "received", response("stopped")),
            (102.0, "sent", key("6")),
            (102.1, "received", OK),
            (103.0, "received", response("escapekey")),
            (104.0, "sent", playcollect("9s")),
            (107.0, "received", response("timeout")),
            (108.0, "sent", BYE),
        )
    )
    assert [(playing.call, playing.until) for playing in told] == [
        (ExpectedSound(cut_short=True), 101.1),
        (ExpectedSound(5.0, (Jump(102.0, 102.1, 4.0),), cut_short=True), 103.0),
        (ExpectedSound(9.0), 107.0),
    ]


def test_every_playing_is_heard_by_itself() -> None:
    messages = [
        PLAYED,
        (101.59, "received", response("escapekey")),
        (101.59, "sent", playcollect("5s")),
        (103.19, "received", response("escapekey")),
    ]
    second = BASIC.octets[40000:52800]
    assert heard_is_part(evidence(*messages, octets=BASIC.octets[:12800] + second)).ok
    wrong = heard_is_part(evidence(*messages, octets=BASIC.octets[:25600]))
    assert "at its start the playing goes on at 1.60 s of the part instead of 5.00 s" in wrong.seen
    assert (
        heard_is_part(evidence(*messages, octets=BASIC.octets[:12800])).breaches[0].seen
        == "no packet of a playing arrived"
    )


def test_a_playing_that_failed_is_not_heard() -> None:
    failed = response("timeout").replace('code="200"', 'code="404"')
    done = response("timeout")
    messages = [PLAYED, (99.5, "received", failed), (99.6, "sent", playcollect()), (120.0, "received", done)]
    assert heard_is_part(evidence(*messages, octets=BASIC.octets)).ok
    assert playings(evidence(*messages))[0].response is not None


def test_the_part_is_heard() -> None:
    result = heard_is_part(evidence(octets=BASIC.octets))
    assert (result.ok, result.expected) == (True, f"{BASIC.length:.2f} s of audio/basic")


def test_a_skip_is_heard_and_a_missing_skip_is_noticed() -> None:
    messages = [PLAYED, (103.0, "sent", key("6")), (110.0, "received", response("timeout"))]
    skipped = BASIC.octets[:24000] + BASIC.octets[56000:]
    assert heard_is_part(evidence(*messages, octets=skipped)).ok
    assert "after key 1" in heard_is_part(evidence(*messages, octets=BASIC.octets)).seen


def test_nothing_heard_is_said() -> None:
    assert heard_is_part(evidence()).seen == "no RTP packet with sound arrived"
