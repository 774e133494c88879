"""A difference between a trace and the capture becomes a remark."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest

from lemonade_testbed.capture.store import load_run
from lemonade_testbed.verdict import Outcome

if TYPE_CHECKING:
    from tests.judge.capture.conftest import Captured

Line = dict[str, Any]
pytestmark = pytest.mark.usefixtures("tshark")


def test_a_message_that_no_trace_has_is_still_in_the_ladder(announcement: Captured) -> None:
    announcement.write()
    for node in ("client", "media"):
        announcement.tell(node, [event for event in announcement.lines(node) if "200 OK" not in event.get("text", "")])
    assert announcement.judged("traces").outcome is Outcome.FAIL
    verdict = announcement.judged("both")
    assert verdict.outcome is Outcome.PASS
    assert any(
        "SIP 200 (Call-ID call1, CSeq 1 INVITE)" in remark and "sent by media on the wire, not in its trace" in remark
        for remark in verdict.remarks
    )


def test_every_line_that_is_removed_from_a_trace_is_reported(announcement: Captured) -> None:
    announcement.flow["rtp"].seconds = 0.1
    announcement.write()
    load_run(announcement.folder)
    for node in ("imap", "media", "client"):
        lines = announcement.lines(node)
        signals = [place for place, event in enumerate(lines) if event["event"] != "rtp"]
        for place in signals:
            rest = lines[:place] + lines[place + 1 :]
            announcement.tell(node, rest, counted=False)
            evidence = announcement.evidence()
            assert evidence.remarks, (node, lines[place])
            assert evidence.problems or place == len(lines) - 1
            announcement.tell(node, rest)
            assert announcement.evidence().remarks, (node, lines[place])
        announcement.tell(node, lines)
    assert announcement.evidence().remarks == ()


def test_a_packet_that_the_client_did_not_trace_is_reported(announcement: Captured) -> None:
    announcement.flow["rtp"].seconds = 0.4
    announcement.write()
    lines = announcement.lines("client")
    heard = [place for place, event in enumerate(lines) if event["event"] == "rtp"]
    announcement.tell("client", lines[: heard[7]] + lines[heard[7] + 1 :])
    (remark,) = announcement.evidence().remarks
    assert f"{len(heard)} packets on the wire, {len(heard) - 1} in its trace" in remark


def test_a_packet_that_the_capture_lacks_is_reported(announcement: Captured) -> None:
    announcement.flow["rtp"].seconds = 0.4
    announcement.write(lambda event: event["event"] == "sip" and event["text"].startswith("ACK"))
    remarks = announcement.evidence().remarks
    assert [remark.partition(":")[2] for remark in remarks if "ACK" in remark]
    assert all("not on the wire" in remark for remark in remarks)
    assert announcement.judged("both").outcome is Outcome.FAIL, "the capture wins"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("CSeq: 1 BYE", "CSeq: 2 BYE", "CSeq 2 BYE"),
        ("Call-ID: call1\r\nCSeq: 1 BYE", "Call-ID: call2\r\nCSeq: 1 BYE", "Call-ID call2"),
        ("SIP/2.0 100", "SIP/2.0 183", "SIP 183"),
        ("a3 OK", "a3 NO", "IMAP a3 NO"),
        ("a3 GENURLAUTH", "a9 GENURLAUTH", "IMAP a9 GENURLAUTH"),
    ],
)
def test_a_message_that_a_trace_has_differently_is_reported(
    announcement: Captured, old: str, new: str, says: str
) -> None:
    announcement.flow["rtp"].seconds = 0.4
    announcement.write()
    changed = [event | {"text": event.get("text", "").replace(old, new)} for event in announcement.lines("client")]
    announcement.tell("client", changed)
    remarks = announcement.evidence().remarks
    assert any(says in remark and "in its trace, not on the wire" in remark for remark in remarks)
    assert any(says not in remark and "on the wire, not in its trace" in remark for remark in remarks)


def test_another_order_is_reported(announcement: Captured) -> None:
    announcement.flow["rtp"].seconds = 0.4
    announcement.write()
    lines = announcement.lines("media")
    sent = [place for place, event in enumerate(lines) if event["event"] == "sip" and event["way"] == "sent"]
    one, other = lines[sent[0]], lines[sent[1]]
    lines[sent[0]], lines[sent[1]] = other | {"t": one["t"]}, one | {"t": other["t"]}
    announcement.tell("media", lines)
    (remark,) = announcement.evidence().remarks
    assert "sent by media in another order than on the wire" in remark


def test_a_direction_that_a_trace_has_differently_is_reported(announcement: Captured) -> None:
    announcement.flow["rtp"].seconds = 0.4
    announcement.write()
    lines = [
        event | {"way": "received"} if event.get("text", "").startswith("BYE") else event
        for event in announcement.lines("media")
    ]
    announcement.tell("media", lines)
    remarks = announcement.evidence().remarks
    assert len(remarks) == 2
    assert "sent by media on the wire, not in its trace" in remarks[0]
    assert "received by media in its trace, not on the wire" in remarks[1]


REPORTS = (("client", "RR", 201), ("media", "SR", 200), ("client", "RR", 201))
"""The RTCP packets that are sent while the announcement plays, with their senders."""


def with_reports(run: Captured, at: str = "BYE") -> tuple[list[Line], list[Line]]:
    """Write a run with RTCP just before a message; returns its lines in the traces of client and media server."""
    run.flow["rtp"].seconds = 0.4
    run.write()
    client, media = run.lines("client"), run.lines("media")
    t = next(line["t"] for line in client if line.get("text", "").startswith(at)) - 0.005
    ports = {"client": "127.9.8.3:20001", "media": "127.9.8.2:16385"}
    for place, (source, kind, number) in enumerate(REPORTS):
        target = "media" if source == "client" else "client"
        octets = struct.pack(">BBHI", 0x80, number, 1 if kind == "RR" else 6, 77) + bytes(0 if kind == "RR" else 20)
        run.wire.udp(t + place / 1000, ports[source], ports[target], octets)
        line = {"t": t + place / 1000, "event": "rtcp", "kinds": [kind]}
        client.append(line | {"node": "client", "way": "sent" if source == "client" else "received"})
        client[-1] |= {"local": ports["client"], "remote": ports["media"]}
        media.append(line | {"node": "media", "way": "received" if target == "media" else "sent"})
        media[-1] |= {"local": ports["media"], "remote": ports["client"]}
    for node, lines in (("client", client), ("media", media)):
        run.tell(node, lines)
    run.count()
    run.put()
    return client, media


def test_every_rtcp_packet_is_compared_both_ways(announcement: Captured) -> None:
    for node, lines in zip(("client", "media"), with_reports(announcement), strict=True):
        assert announcement.evidence().remarks == ()
        reports = [place for place, line in enumerate(lines) if line["event"] == "rtcp"]
        assert len(reports) == len(REPORTS)
        for place in reports:
            announcement.tell(node, lines[:place] + lines[place + 1 :])
            (remark,) = announcement.evidence().remarks
            assert f"{lines[place]['way']} by {node} on the wire" in remark
            assert remark.startswith(f"RTCP {lines[place]['kinds'][0]} (")
        announcement.tell(node, [*lines, lines[reports[0]]])
        (remark,) = announcement.evidence().remarks
        assert "times in the trace" in remark or "times on the wire" in remark
        announcement.tell(node, lines)


def test_reports_to_a_node_that_has_hung_up_may_find_its_port_closed(announcement: Captured) -> None:
    client, media = with_reports(announcement, at="SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.9.8.2:5060")
    announcement.tell("media", [line for line in media if (line["event"], line["way"]) != ("rtcp", "received")])
    announcement.tell("client", [line for line in client if (line["event"], line["way"]) != ("rtcp", "received")])
    assert announcement.evidence().remarks == ()
    announcement.tell("client", [line for line in client if (line["event"], line["way"]) != ("rtcp", "sent")])
    (remark,) = announcement.evidence().remarks
    assert "sent by client on the wire, not in its trace" in remark
