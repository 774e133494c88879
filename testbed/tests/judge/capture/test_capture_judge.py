"""Captures of both diagrams get the same verdict as their traces, and an incomplete capture charges no node."""

from __future__ import annotations

import itertools
import re
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lemonade_testbed.capture.store import CAPTURE_NG, View, load_run
from lemonade_testbed.capture.tshark import Tshark
from lemonade_testbed.clauses import load_clauses
from lemonade_testbed.cli import main
from lemonade_testbed.judge import judge
from lemonade_testbed.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from tests.judge.capture.conftest import Captured


VIEWS: tuple[View, ...] = ("traces", "capture", "both")
pytestmark = pytest.mark.usefixtures("tshark")


def sense(verdict: Verdict) -> object:
    """Return what must be the same in every view: everything but the times of single packets."""
    messages = [
        (seen.source, seen.target, seen.label(verdict.ladder.bindings), seen.copies)
        for seen in verdict.observed.messages
    ]
    checks = [(check.words, check.result.ok) for check in verdict.checks]
    clauses = [(clause.id, clause.outcome) for clause in verdict.clauses]
    reasons = [(str(reason.place), reason.outcome) for reason in verdict.reasons]
    return messages, checks, clauses, reasons, verdict.outcome, verdict.ladder.arrows, verdict.ignored


@pytest.mark.parametrize("name", ["announcement", "interactive"])
def test_capture_and_traces_give_one_ladder_and_one_verdict(request: pytest.FixtureRequest, name: str) -> None:
    run: Captured = request.getfixturevalue(name)
    run.write()
    verdicts = {view: run.judged(view) for view in VIEWS}
    assert verdicts["traces"].outcome is Outcome.PASS, verdicts["traces"].reasons
    assert sense(verdicts["capture"]) == sense(verdicts["traces"]) == sense(verdicts["both"])
    assert verdicts["both"].remarks == verdicts["capture"].remarks == ()


@pytest.mark.parametrize("name", ["bye-ok", "urlfetch", "invite-ok"])
def test_what_is_missing_is_missing_in_every_view(announcement: Captured, name: str) -> None:
    announcement.flow.drop(name)
    announcement.flow["rtp"].seconds = 0.4
    announcement.write()
    verdicts = {view: announcement.judged(view) for view in VIEWS}
    assert verdicts["traces"].outcome is Outcome.FAIL
    assert sense(verdicts["capture"]) == sense(verdicts["traces"]) == sense(verdicts["both"])


def test_a_node_without_a_trace_is_judged_from_the_wire(announcement: Captured) -> None:
    announcement.write()
    for node in ("imap", "media"):
        announcement.tell(node, [])
        (announcement.folder / f"trace-{node}.jsonl").unlink()
    verdict = announcement.judged("both")
    assert verdict.outcome is Outcome.PASS
    assert verdict.remarks == ()


@pytest.mark.parametrize(("url", "ok"), [("$url", False), ("$url1", True)])
def test_a_url_that_the_script_gives_is_not_charged_to_the_client(announcement: Captured, url: str, ok: bool) -> None:
    announcement.flow.change("invite", "SECTION%3D2", "SECTION%3D3")
    steps = announcement.scenario.client
    announcement.scenario = replace(announcement.scenario, client=(*steps[:2], {"announce": {"url": url}}, *steps[3:]))
    announcement.write()
    places = [str(reason.place) for reason in announcement.judged("capture").reasons]
    assert ("check url played is url authorised" not in places) is ok


def test_without_tshark_the_verdict_is_an_error(announcement: Captured) -> None:
    announcement.flow["rtp"].seconds = 0.4
    announcement.write()
    verdict = judge(announcement.scenario, load_run(announcement.folder, "both", lambda: None), load_clauses())
    assert verdict.outcome is Outcome.ERROR
    assert "no tshark" in verdict.reasons[0].seen


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({"dropped": 3}, "the kernel dropped 3 packets"),
        ({"dropped": None}, "lacks its counts of dropped"),
        ({"interface": 100_000}, "of 100000 that crossed the interface"),
    ],
)
def test_an_incomplete_capture_charges_no_node(
    announcement: Captured, counts: dict[str, int | None], says: str
) -> None:
    announcement.flow.drop("bye-ok")
    announcement.flow["rtp"].seconds = 0.4
    announcement.write()
    announcement.count(**counts)
    verdict = announcement.judged("capture")
    assert verdict.outcome is Outcome.ERROR
    assert says in verdict.reasons[0].seen


def test_missing_octets_of_a_connection_charge_no_node(announcement: Captured) -> None:
    announcement.flow["rtp"].seconds = 0.4
    announcement.write()
    big = [place for place, (_, packet) in enumerate(announcement.wire.packets) if len(packet) == 1440]
    del announcement.wire.packets[big[5]]
    announcement.count()
    announcement.put()
    verdict = announcement.judged("capture")
    assert verdict.outcome is Outcome.ERROR
    assert "octets of the connection" in verdict.reasons[0].seen


CUT_SHORT = {
    "RTP": ("127.9.8.2:16384", "127.9.8.3:20000", struct.pack(">BBHII", 0x8F, 0, 1, 2, 3)),
    "RTCP": ("127.9.8.2:16385", "127.9.8.3:20001", struct.pack(">BBHI", 0x80, 200, 6, 77) + bytes(4)),
}
"""Malformed packets of the media server to the client: an RTP header that is cut short, a report that is cut short."""


@pytest.mark.parametrize("protocol", CUT_SHORT)
def test_a_malformed_packet_fails_at_its_sender(announcement: Captured, protocol: str) -> None:
    announcement.write()
    t = next(event["t"] for event in announcement.lines("client") if event["event"] == "rtp") + 1
    announcement.wire.udp(t, *CUT_SHORT[protocol])
    announcement.count()
    announcement.put()
    verdict = announcement.judged("both")
    assert verdict.outcome is Outcome.FAIL
    malformed = [reason for reason in verdict.reasons if "alformed" in reason.seen]
    assert [str(reason.place).rpartition(" ")[2] for reason in malformed] == ["media->client"]


def test_segments_in_another_order_and_twice_are_put_together(announcement: Captured) -> None:
    announcement.write()
    packets = announcement.wire.packets
    big = [place for place, (_, packet) in enumerate(packets) if len(packet) == 1440]
    one, other = big[3], big[4]
    (t, first), (_, second) = packets[one], packets[other]
    packets[one], packets[other] = (t, second), (t, first)
    packets.insert(other + 1, (t, first))
    announcement.count()
    announcement.put()
    assert announcement.judged("capture").outcome is Outcome.PASS


def test_sip_over_tcp_is_read(announcement: Captured) -> None:
    announcement.write(lambda event: event["event"] == "sip" and "BYE" in event["text"])
    bye, ok = (
        event for event in announcement.lines("media") if event["event"] == "sip" and "CSeq: 1 BYE" in event["text"]
    )
    said = [event["text"].replace("SIP/2.0/UDP", "SIP/2.0/TCP") for event in (bye, ok)]
    said = [text.replace(";rport=5060", ";rport=33000") for text in said]
    texts = [re.sub("Content-Length: [0-9]+", "Content-Length: 0", text).encode() for text in said]
    caller, called = "127.9.8.2:33000", "127.9.8.3:5060"
    announcement.wire.tcp(bye["t"], caller, called, texts[0][:100])
    announcement.wire.tcp(bye["t"] + 0.0001, caller, called, texts[0][100:])
    announcement.wire.tcp(ok["t"], called, caller, texts[1])
    announcement.count()
    announcement.put()
    assert sense(announcement.judged("capture")) == sense(announcement.judged("traces"))
    assert announcement.evidence().remarks == ()


def test_the_pcapng_file_has_steps_and_names(announcement: Captured, tshark: Tshark) -> None:
    announcement.flow.steps = [{"index": 3, "verb": "announce", "state": "started", "line": 1, "why": ""}]
    announcement.flow["rtp"].seconds = 0.4
    announcement.write()
    lines = announcement.lines("client")
    bye = next(event for event in lines if event.get("text", "").startswith("BYE"))
    steps = [event | ({"t": bye["t"] - 0.002} if event["event"] == "step" else {}) for event in lines]
    announcement.tell("client", sorted(steps, key=lambda event: event["t"]))
    announcement.evidence()
    fields = ["-T", "fields", "-e", "frame.comment", "-e", "sip.Method"]
    told = tshark.run(["-r", "-", "-Y", "frame.comment", *fields], announcement.folder / CAPTURE_NG)
    assert told.decode().split("\n")[0].split("\t") == ["step 3: announce", "BYE"]
    shown = tshark.run(["-r", "-", "-N", "n", "-Y", "sip.Method == BYE"], announcement.folder / CAPTURE_NG).decode()
    assert re.search(r"media\b.* client\b", shown)


@pytest.mark.parametrize(("view", "code"), [("capture", 0), ("traces", 1), ("both", 0)])
def test_the_command_judges_the_view_that_it_is_given(
    announcement: Captured, view: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    announcement.write()
    (announcement.folder / "scenario.yaml").write_text(announcement.scenario.path.read_text())
    announcement.tell("media", [event for event in announcement.lines("media") if "BYE" not in event.get("text", "")])
    announcement.tell("client", [event for event in announcement.lines("client") if "BYE" not in event.get("text", "")])
    assert main(["judge", "--from", view, str(announcement.folder)]) == code
    assert ("not in its trace" in capsys.readouterr().out) is (view == "both")


def test_captured_packets_are_numbered_as_tshark_numbers_them(announcement: Captured) -> None:
    announcement.flow["rtp"].seconds = 0.4
    announcement.write()
    numbers = [event.number("packet") for event in announcement.evidence("capture").events]
    assert numbers == sorted(numbers)
    assert all(one <= other for one, other in itertools.pairwise(numbers))
