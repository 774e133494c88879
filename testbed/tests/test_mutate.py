from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lemonade_testbed.evidence import Event, Evidence, NodeAddress, RecordedWorld
from lemonade_testbed.ladder.matcher import match_ladder
from lemonade_testbed.ladder.observe import observe
from lemonade_testbed.ladder.parser import parse_ladder
from lemonade_testbed.mutate import Matched, NotGreenError, try_mutations
from lemonade_testbed.scenario.model import Given, Scenario

IMAP, MEDIA, CLIENT = "127.9.9.1:1143", "127.9.9.2:5060", "127.9.9.3:5060"
URL = "imap://joe@imap.example.com/INBOX/;UID=1/;SECTION=2;URLAUTH=anonymous"
TICKET = f"{URL}:INTERNAL:fp-0123456789abcdef"

LADDER = """
client->>imap: IMAP GENURLAUTH $url
imap-->>client: IMAP OK GENURLAUTH
client->>media: SIP INVITE ivr
opt
media-->>client: SIP 100 INVITE
end
media-->>client: SIP 200 INVITE
client->>media: SIP ACK
client->>media: SIP INFO playcollect $url
media-->>client: SIP 200 INFO
media->>imap: IMAP URLFETCH $url
imap-->>media: IMAP OK URLFETCH data
media->>client: RTP PCMU 0.9..1.1 s
client->>media: SIP INFO dtmf-relay 6
media-->>client: SIP 200 INFO
media->>client: RTP PCMU 1.9..2.1 s continued
media->>client: SIP INFO response timeout
client-->>media: SIP 200 INFO
client->>media: SIP BYE
media-->>client: SIP 200 BYE
"""


class Wire:
    """Makes events as two nodes would trace one message."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.t = 1000.0
        self.cseq = {"client": 0, "media": 0}

    def both(self, kind: str, source: tuple[str, str], target: tuple[str, str], **fields: object) -> None:
        self.t += 0.01
        for (node, local), (_, remote), way, later in ((source, target, "sent", 0), (target, source, "received", 1e-3)):
            extra = {"side": "server" if node == "imap" else "client"} if kind == "imap" else {"transport": "udp"}
            fields_here = {"way": way, "local": local, "remote": remote, **extra, **fields}
            self.events.append(Event(self.t + later, node, len(self.events) + 1, kind, fields_here))

    def imap(self, client: str, tag: str, command: str, *answers: str, literal: str = "") -> None:
        here = {"client": ("client", CLIENT), "media": ("media", "127.9.9.2:40000")}[client]
        self.both("imap", here, ("imap", IMAP), text=f"{tag} {command}", literals=[])
        for answer in answers:
            literals = [{"size": len(literal), "sha256": "00"}] if literal and answer.startswith("*") else []
            self.both("imap", ("imap", IMAP), here, text=answer, literals=literals)

    def sip(self, source: str, method: str, *statuses: int, body: str = "", kind: str = "") -> None:
        ends = {"client": ("client", CLIENT), "media": ("media", MEDIA)}
        target = "media" if source == "client" else "client"
        if method != "ACK":
            self.cseq[source] += 1
        number = self.cseq[source]
        branch = f"z9hG4bK{source}{method}{number}"
        head = (
            f"Via: SIP/2.0/UDP {ends[source][1]};branch={branch}\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@y>;tag=2\r\n"
            f"Call-ID: one\r\nCSeq: {number} {method}\r\n"
        )
        content = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        uri = "sip:ivr@media.example.net"
        rest = content if body else "\r\n"
        self.both(
            "sip",
            ends[source],
            ends[target],
            text=f"{method} {uri} SIP/2.0\r\n{head}{rest}",
        )
        for status in statuses:
            self.both("sip", ends[target], ends[source], text=f"SIP/2.0 {status} Fine\r\n{head}\r\n")

    def rtp(self, seconds: float, first: int) -> int:
        payload = base64.b64encode(b"\xff" * 160).decode()
        last = first + round(seconds * 50)
        for seq in range(first, last):
            self.t += 0.02
            fields = {"way": "received", "local": "127.9.9.3:20000", "remote": "127.9.9.2:16384", "ssrc": 7, "seq": seq}
            fields |= {"ts": seq * 160, "pt": 0, "marker": seq == 0, "payload": payload}
            self.events.append(Event(self.t, "client", len(self.events) + 1, "rtp", fields))
        return last


@pytest.fixture
def evidence() -> Evidence:
    wire = Wire()
    wire.imap(
        "client",
        "a1",
        f'GENURLAUTH "{URL}" INTERNAL',
        f'* GENURLAUTH "{TICKET}"',
        "a1 OK done",
    )
    wire.sip("client", "INVITE", 100, 200)
    wire.sip("client", "ACK")
    played = (
        '<?xml version="1.0"?><MediaServerControl version="1.0"><request><playcollect skipinterval="4s" ffkey="6">'
        f'<prompt><audio url="{TICKET}"/></prompt>'
        "</playcollect></request></MediaServerControl>"
    )
    mscml = "application/mediaservercontrol+xml"
    wire.sip("client", "INFO", 200, body=played, kind=mscml)
    wire.imap(
        "media",
        "b1",
        f'URLFETCH ("{TICKET}" BINARY)',
        f'* URLFETCH "{TICKET}" (BINARY {{3}})',
        "b1 OK done",
        literal="abc",
    )
    heard = wire.rtp(1.0, 0)
    wire.sip("client", "INFO", 200, body="Signal=6\r\nDuration=100\r\n", kind="application/dtmf-relay")
    wire.rtp(2.0, heard)
    ended = (
        '<?xml version="1.0"?><MediaServerControl version="1.0"><response request="playcollect" code="200" text="OK" '
        'reason="timeout" playduration="3000ms" playoffset="7000ms" digits=""/></MediaServerControl>'
    )
    wire.sip("media", "INFO", 200, body=ended, kind=mscml)
    wire.sip("client", "BYE", 200)
    roles = {
        name: NodeAddress(address.rpartition(":")[0])
        for name, address in (("imap", IMAP), ("media", MEDIA), ("client", CLIENT))
    }
    events = tuple(sorted(wire.events, key=lambda event: event.t))
    return Evidence(RecordedWorld(roles, started=999.0, ended=wire.t + 1, media_length=7.0), events)


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    given = Given("voicemail.eml", {"joe": "secret"})
    return Scenario("ivr", "", "", (), {}, given, (), parse_ladder(LADDER), (), (), tmp_path)


def ladder_alone(scenario: Scenario, evidence: Evidence) -> Matched:
    observed = observe(evidence)
    return observed, match_ladder(scenario.ladder, observed, 7.0)


def test_every_drop_and_every_swap_is_noticed_at_the_arrow_that_follows_from_the_rules(
    scenario: Scenario, evidence: Evidence
) -> None:
    _, ladder = ladder_alone(scenario, evidence)
    assert ladder.mismatch is None, ladder.mismatch
    results = try_mutations(scenario, evidence, ladder_alone)
    assert [result for result in results if not result.ok] == []
    assert len(results) == 18 + 17
    drops = [result.expected for result in results if result.kind == "drop"]
    # the 100 may be missing; without the key's INFO or its 200 the RTP before it grows too long
    assert drops == [1, 2, 3, None, 5, 6, 7, 8, 9, 10, 11, 11, 11, 14, 15, 16, 17, 18]
    swaps = [result.expected for result in results if result.kind == "swap"]
    assert swaps == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11, 11, 14, 15, 16, 17]


def test_messages_of_two_branches_may_change_places(scenario: Scenario, evidence: Evidence) -> None:
    fetch = "media->>imap: IMAP URLFETCH $url\nimap-->>media: IMAP OK URLFETCH data\n"
    in_turn, at_once = (
        f"media-->>client: SIP 200 INFO\n{fetch}",
        f"par\nmedia-->>client: SIP 200 INFO\nand\n{fetch}end\n",
    )
    assert in_turn in LADDER
    ladder = parse_ladder(LADDER.replace(in_turn, at_once))
    results = try_mutations(replace(scenario, ladder=ladder), evidence, ladder_alone)
    assert [result for result in results if not result.ok] == []
    swaps = [result.expected for result in results if result.kind == "swap"]
    assert swaps[7:10] == [None, 9, 10]  # 200 and URLFETCH; URLFETCH and its answer; that and RTP


def test_an_imap_response_changes_places_together_with_its_data(scenario: Scenario, evidence: Evidence) -> None:
    """The 200 to INFO comes between URLFETCH and its data; the tagged OK that takes its place brings the data along."""
    fetch = "media->>imap: IMAP URLFETCH $url\nimap-->>media: IMAP OK URLFETCH data\n"
    ladder = parse_ladder(
        LADDER.replace(
            f"media-->>client: SIP 200 INFO\n{fetch}", f"par\nmedia-->>client: SIP 200 INFO\nand\n{fetch}end\n"
        )
    )
    asked = next(event.t for event in evidence.events if event.text("text").startswith("b1 URLFETCH"))
    accepted = next(
        event.t for event in evidence.events if event.text("text").startswith("SIP/2.0 200") and event.t > asked - 0.015
    )
    late = asked + 0.005 - accepted
    events = [replace(event, t=event.t + late) if accepted <= event.t < asked else event for event in evidence.events]
    moved = replace(evidence, events=tuple(sorted(events, key=lambda event: event.t)))
    results = try_mutations(replace(scenario, ladder=ladder), moved, ladder_alone)
    assert [result for result in results if not result.ok] == []
    touched = [result.touched for result in results if result.kind == "swap" and result.expected is None]
    assert "media-->>client: SIP 200 INFO <-> imap-->>media: IMAP OK URLFETCH data" in touched


def test_a_message_that_may_be_missing_in_one_of_two_ways_may_be_dropped(
    scenario: Scenario, evidence: Evidence
) -> None:
    called = "client->>media: SIP INVITE ivr\nopt\nmedia-->>client: SIP 100 INVITE\nend\n"
    assert called in LADDER
    either = f"alt\n{called}else\nclient->>media: SIP INVITE annc $url\nend\n"
    ladder = parse_ladder(LADDER.replace(called, either))
    results = try_mutations(replace(scenario, ladder=ladder), evidence, ladder_alone)
    assert [result for result in results if not result.ok] == []


def test_without_the_first_arrow_of_an_opt_the_one_behind_it_is_due(scenario: Scenario, evidence: Evidence) -> None:
    authorised = "client->>imap: IMAP GENURLAUTH $url\nimap-->>client: IMAP OK GENURLAUTH\n"
    ladder = parse_ladder(LADDER.replace(authorised, f"opt\n{authorised}end\n"))
    results = try_mutations(replace(scenario, ladder=ladder), evidence, ladder_alone)
    assert [result for result in results if not result.ok] == []
    assert [result.expected for result in results if result.kind == "drop"][:3] == [3, 2, 3]


def test_mutations_that_a_judge_does_not_report_are_counted(scenario: Scenario, evidence: Evidence) -> None:
    def blind(scenario: Scenario, evidence: Evidence) -> Matched:
        return ladder_alone(scenario, evidence)[0], first

    _, first = ladder_alone(scenario, evidence)
    wrong = [result for result in try_mutations(scenario, evidence, blind) if not result.ok]
    assert len(wrong) == 18 + 17 - 1  # all but the 100, which may be missing


def test_evidence_that_does_not_match_its_ladder_is_refused(scenario: Scenario, evidence: Evidence) -> None:
    def without_bye() -> Iterator[Event]:
        return (event for event in evidence.events if "BYE" not in str(event.fields.get("text")))

    with pytest.raises(NotGreenError, match="ivr: the ladder does not match at arrow 17"):
        try_mutations(scenario, Evidence(evidence.world, tuple(without_bye())), ladder_alone)
