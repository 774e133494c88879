"""Reports: the drawing, the text, Mermaid, JSON and JUnit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from lemonade_testbed.clauses import SCENARIOS, load_clauses
from lemonade_testbed.judge import judge
from lemonade_testbed.ladder.draw import draw, mermaid, nodes_of
from lemonade_testbed.ladder.matcher import match_ladder
from lemonade_testbed.ladder.model import LadderResult, Observed, ObservedMessage
from lemonade_testbed.ladder.parser import parse_ladder
from lemonade_testbed.report.junit import junit_xml
from lemonade_testbed.report.result import Case, run_result
from lemonade_testbed.report.text import ladder_md, scenario_text, tally
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.testing.flow import Flow
from lemonade_testbed.verdict import Outcome, Reason, Verdict

ANNC = load_scenario(SCENARIOS / "announcement-service.yaml")

DRAWN = """\
                          expected                                                 observed
   Client               IMAP Server          Media Server   Client               IMAP Server          Media Server
   |         CREATE          |                          |   |         CREATE          |                          |
   |------------------------>|                          |   |------------------------>|                          |
   |                   SIP 100 INVITE                   |   |                         |                          |
   |<===================================================|   |                         |                          |
   |                  RTP PCMU 1..2 s                   |   |                         |          APPEND          |
>> |<+++++++++++++++++++++++++++++++++++++++++++++++++++|   |                         |<-------------------------|
   |                         |          APPEND          |   |                         |                          |
   |                         |<-------------------------|   |                         |                          |
   |                      SIP BYE                       |   |                         |                          |
   |===================================================>|   |                         |                          |
"""


def test_a_ladder_is_drawn_in_the_drafts_line_styles() -> None:
    ladder = parse_ladder(
        "client->>imap: IMAP CREATE\nopt\nmedia-->>client: SIP 100 INVITE\nend\nmedia->>client: RTP PCMU 1..2 s\n"
        "media->>imap: IMAP APPEND\nclient->>media: SIP BYE"
    )
    messages = (
        ObservedMessage(0, "client", "imap", False, ("IMAP", "CREATE")),
        ObservedMessage(1, "media", "imap", False, ("IMAP", "APPEND")),
    )
    observed = Observed(messages)
    drawn = draw(ladder, observed, match_ladder(ladder, observed))
    assert drawn == DRAWN


def test_named_nodes_have_their_own_lines_in_the_order_in_which_they_appear() -> None:
    nodes = ("client", "imap", "ms1", "ms2")
    ladder = parse_ladder("client->>ms1: SIP BYE\nms1->>imap: IMAP APPEND\nclient->>ms2: SIP BYE", nodes=nodes)
    observed = Observed((ObservedMessage(0, "client", "ms1", False, ("SIP", "BYE")),))
    assert nodes_of(ladder, observed) == ("client", "ms1", "imap", "ms2")
    heads, first = draw(ladder, observed, match_ladder(ladder, observed)).splitlines()[1:3]
    assert heads.split() == ["Client", "ms1", "IMAP", "Server", "ms2"] * 2
    assert first.count("SIP BYE") == 2
    assert "    participant ms2" in mermaid(ladder, observed, {}, "title")


def test_a_long_label_is_cut_and_the_drawing_keeps_its_width(annc: Flow) -> None:
    annc.change("urlfetch", "/INBOX", "/Another-mailbox")
    verdict = judge(ANNC, annc.evidence(), load_clauses())
    lines = draw(ANNC.ladder, verdict.observed, verdict.ladder).splitlines()
    assert max(map(len, lines)) <= 120
    assert any("..." in line for line in lines)


def test_a_green_report_shows_both_ladders_and_what_was_ignored(annc: Flow) -> None:
    text = scenario_text(ANNC, judge(ANNC, annc.evidence(), load_clauses()), annc.folder, "lemonade run it")
    assert "verdict: pass" in text
    assert "ignored:  AUTHENTICATE 1, LOGIN 1" in text
    assert f"evidence: {annc.folder}" in text
    assert "lemonade run it" not in text
    assert text.count("SIP INVITE annc $url") == 2


def test_a_failure_shows_requirement_expected_seen_spot_and_command(annc: Flow) -> None:
    annc.drop("bye")
    annc.drop("bye-ok")
    text = scenario_text(ANNC, judge(ANNC, annc.evidence(), load_clauses()), annc.folder, "lemonade run it")
    for part in (
        "FAIL by the media server at arrow media->>client: SIP BYE [LS-2.1-7 LS-2.9-1]",
        "requirement: Either side may end streaming",
        "expected:    media->>client: SIP BYE",
        "seen:        missing; seen instead: nothing more",
        ">  12 media->>client: SIP BYE",
        "again:    lemonade run it",
    ):
        assert part in text


def test_the_ladder_is_written_as_mermaid(annc: Flow) -> None:
    annc.change("urlfetch", "/INBOX", "/Inbox")
    text = ladder_md(ANNC, judge(ANNC, annc.evidence(), load_clauses()))
    assert text.count("```mermaid\nsequenceDiagram\n    participant client\n") == 2
    assert "%%" not in text
    observed = text.partition("## Observed")[2]
    assert "    client->>media: SIP INVITE annc $url" in observed
    assert "/Inbox#59;UIDVALIDITY" in observed
    assert "<imap" not in observed


def case(folder: Path, verdict: Verdict, name: str = "one") -> Case:
    return Case(name, ANNC, verdict, 1.5, folder, "lemonade run one")


def of(outcome: Outcome, seen: str = "") -> Verdict:
    reasons = () if outcome is Outcome.PASS else (Reason(None, "r", "e", seen, (), outcome),)
    return Verdict("one", outcome, reasons, Observed(()), LadderResult(()))


def test_the_result_is_json_with_all_values_of_the_run(annc: Flow) -> None:
    verdict = judge(ANNC, annc.evidence(), load_clauses())
    result = json.loads(json.dumps(run_result([case(annc.folder, verdict)], 2.0)))
    assert result["versions"]["python"]
    assert result["seconds"] == 2.0
    (one,) = result["scenarios"]
    assert one["outcome"] == "pass"
    assert {clause["id"] for clause in one["clauses"]} >= set(ANNC.clauses)
    assert {check["check"] for check in one["checks"]} >= set(ANNC.checks)
    assert result["roles"]["media"]["clauses"]["LS-2.5-5"] == "pass"
    assert result["roles"]["imap"]["counts"]["pass"] > 0
    assert one["rtp"][0]["packets"] == 612
    assert one["ladder"]["mismatch"] is None
    assert one["ladder"]["observed"][-1] == "client-->>media: SIP 200 BYE"
    assert {"profile", "seed", "folder", "command"} <= set(one)


@pytest.mark.parametrize(
    ("outcome", "strict", "element"),
    [
        (Outcome.PASS, False, None),
        (Outcome.NONSTRICT, False, None),
        (Outcome.NONSTRICT, True, "failure"),
        (Outcome.FAIL, False, "failure"),
        (Outcome.UNSUPPORTED, False, "skipped"),
        (Outcome.ERROR, False, "error"),
    ],
)
def test_junit_has_a_test_result_for_each_verdict(
    tmp_path: Path, outcome: Outcome, strict: bool, element: str | None
) -> None:
    text = junit_xml(
        [case(tmp_path, of(outcome, "bell \x07 & <angle>")), case(tmp_path, of(Outcome.PASS))], strict=strict
    )
    root = fromstring(text)  # noqa: S314  our own document
    assert root.tag == "testsuites"
    (suite,) = root
    first, second = suite
    counts = {name: int(suite.get(name, "")) for name in ("tests", "failures", "errors", "skipped")}
    plural = {"failure": "failures", "error": "errors", "skipped": "skipped"}
    assert counts == {"tests": 2, "failures": 0, "errors": 0, "skipped": 0} | ({plural[element]: 1} if element else {})
    assert first.get("name") == "one"
    assert first.get("classname")
    assert float(first.get("time", "")) == 1.5
    assert [child.tag for child in second] == ["system-out"]
    assert [child.tag for child in first] == [*([element] if element else []), "system-out"]
    if element:
        assert "bell ? & <angle>" in first[0].get("message", "")


def test_a_tally_counts_and_names_what_was_not_accepted(annc: Flow) -> None:
    good = judge(ANNC, annc.evidence(), load_clauses())
    annc.drop("bye")
    annc.drop("bye-ok")
    bad = judge(ANNC, annc.evidence(), load_clauses())
    assert tally({"one": good, "two": good}).splitlines()[-1] == "2 of 2 scenarios accepted"
    other = replace(bad, outcome=Outcome.UNSUPPORTED, reasons=(), differences=("it lacks RTP",))
    assert tally({"one": good, "two": bad, "three": other}).splitlines()[3:] == [
        "1 of 3 scenarios accepted",
        "three  unsupported: it lacks RTP",
        "two  fail: media server at arrow media->>client: SIP BYE [LS-2.1-7 LS-2.9-1]",
    ]
    assert (good.failed(), bad.failed(), other.failed()) == (False, True, False)
