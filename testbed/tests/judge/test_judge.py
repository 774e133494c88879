"""The judge on hand-written evidence: the five verdicts, with their reasons, places and clauses."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from dataclasses import replace

import pytest

from lemonade_testbed.clauses import SCENARIOS, load_clauses
from lemonade_testbed.evidence import EvidenceError, load_evidence
from lemonade_testbed.judge import judge
from lemonade_testbed.ladder.observe import observe
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.testing.flow import Flow
from lemonade_testbed.verdict import Outcome, Place, Verdict

ANNC = load_scenario(SCENARIOS / "announcement-service.yaml")
IVR = load_scenario(SCENARIOS / "ivr-service.yaml")
BYE = Place("arrow", "media->>client: SIP BYE")


def outcomes(verdict: Verdict, outcome: Outcome) -> set[str]:
    return {clause.id for clause in verdict.clauses if clause.outcome is outcome}


def test_both_diagrams_pass_and_every_clause_with_them(annc: Flow) -> None:
    verdict = judge(ANNC, annc.evidence(), load_clauses())
    assert verdict.outcome is Outcome.PASS
    assert verdict.reasons == ()
    assert verdict.accepted(strict=True)
    assert outcomes(verdict, Outcome.PASS) >= set(ANNC.clauses)
    assert verdict.ignored == {"AUTHENTICATE": 1, "LOGIN": 1, "LOGOUT": 1}
    assert verdict.rtp[0].packets == 612


def test_the_ivr_diagram_passes(ivr: Flow) -> None:
    assert judge(IVR, ivr.evidence(), load_clauses()).outcome is Outcome.PASS


def test_a_missing_arrow_fails_with_its_clauses(annc: Flow) -> None:
    annc.drop("bye")
    annc.drop("bye-ok")
    verdict = judge(ANNC, annc.evidence(), load_clauses())
    assert verdict.outcome is Outcome.FAIL
    (reason,) = verdict.reasons
    assert reason.place == BYE
    assert reason.clauses == ("LS-2.1-7", "LS-2.9-1")
    assert reason.expected == "media->>client: SIP BYE"
    assert reason.seen == "missing; seen instead: nothing more"
    assert (reason.node, reason.role) == ("media", "media")
    assert outcomes(verdict, Outcome.FAIL) == {"LS-2.1-7", "LS-2.9-1"}
    assert verdict.off_target((BYE,)) == ""
    assert "not red at step listen" in verdict.off_target((BYE, Place("step", "listen")))


def test_the_clauses_that_are_given_decide_how_grave_a_breach_is(annc: Flow) -> None:
    annc.drop("bye")
    annc.drop("bye-ok")
    lenient = {name: replace(clause, level="SHOULD") for name, clause in load_clauses().items()}
    verdict = judge(ANNC, annc.evidence(), lenient)
    assert verdict.outcome is Outcome.NONSTRICT
    assert outcomes(verdict, Outcome.NONSTRICT) == {"LS-2.1-7", "LS-2.9-1"}


def test_an_arrow_of_rtp_says_its_time_in_seconds(annc: Flow) -> None:
    annc["rtp"].seconds = 5.0
    reason = next(
        one for one in judge(ANNC, annc.evidence(), load_clauses()).reasons if one.place and one.place.kind == "arrow"
    )
    assert "(from 12.13 s to 12.33 s)" in reason.expected
    assert reason.seen == "another stream: media->>client: RTP PCMU 5.00 s"


def test_a_broken_should_is_nonstrict(annc: Flow) -> None:
    for name in ("genurlauth", "genurlauth-data", "urlfetch", "urlfetch-data"):
        annc.change(name, ";EXPIRE=2026-11-22T10:00:00Z", "")
    annc.change("invite", "%3BEXPIRE%3D2026-11-22T10:00:00Z", "")
    verdict = judge(ANNC, annc.evidence(), load_clauses())
    assert verdict.outcome is Outcome.NONSTRICT
    assert verdict.accepted()
    assert not verdict.accepted(strict=True)
    assert verdict.red() == (Place("check", "ticket has an expiry"),)
    assert outcomes(verdict, Outcome.NONSTRICT) == {"LS-2.3-4"}


def test_a_capability_that_the_server_does_not_list_is_unsupported(annc: Flow) -> None:
    annc.change("login-ok", " URLAUTH=BINARY", "")
    annc.change("authenticate-ok", " URLAUTH=BINARY", "")
    verdict = judge(ANNC, annc.evidence(), load_clauses())
    assert verdict.outcome is Outcome.UNSUPPORTED
    assert verdict.red() == (Place("needs", "imap URLAUTH=BINARY"),)


@pytest.mark.parametrize(("warning", "outcome"), [("", Outcome.UNSUPPORTED), ("Warning: 304 x\r\n", Outcome.FAIL)])
def test_a_service_that_is_refused_is_unsupported(annc: Flow, warning: str, outcome: Outcome) -> None:
    for name in ("rtp", "bye", "bye-ok"):
        annc.drop(name)
    head = annc["invite-ok"].text.partition("Contact")[0].replace("200 OK", "488 Not Acceptable Here")
    branch = re.search(r"branch=([^;\s]+)", annc["invite"].text)
    assert branch
    annc["ack"].text = re.sub(r"branch=[^;\s]+", branch[0], annc["ack"].text).replace(
        "ACK sip:annc@127.9.8.2:5060", f"ACK {annc['invite'].text.split()[1]}"
    )
    annc["invite-ok"].text = f"{head}{warning}Content-Length: 0\r\n\r\n"
    verdict = judge(ANNC, annc.evidence(), load_clauses())
    assert verdict.outcome is outcome, verdict.reasons


def test_a_client_without_the_verb_is_unsupported(annc: Flow) -> None:
    annc.world["exits"] = {"client": 127}
    assert judge(ANNC, annc.evidence(), load_clauses()).outcome is Outcome.UNSUPPORTED


def test_a_failed_step_fails_with_its_words(annc: Flow) -> None:
    annc.steps = [{"index": 4, "verb": "listen", "line": 9, "state": "failed", "why": "no BYE in 17 s"}]
    annc.world["exits"] = {"client": 1}
    (reason,) = judge(ANNC, annc.evidence(), load_clauses()).reasons
    assert reason.place == Place("step", "listen")
    assert reason.seen == "no BYE in 17 s"


def test_a_client_that_had_to_be_stopped_fails_at_its_last_step(annc: Flow) -> None:
    annc.steps = [{"index": 3, "verb": "announce", "line": 8, "state": "started", "why": ""}]
    annc.world |= {"exits": {"client": -15}, "timed_out": True}
    (reason,) = judge(ANNC, annc.evidence(), load_clauses()).reasons
    assert reason.place == Place("step", "announce")
    assert reason.seen == "it did not end in time"


@pytest.mark.parametrize(("dropped", "place"), [(("bye", "bye-ok"), BYE), ((), Place("arrow", "end"))])
def test_a_dead_node_fails_at_its_arrow_with_its_last_log_lines(
    annc: Flow, dropped: tuple[str, ...], place: Place
) -> None:
    for name in dropped:
        annc.drop(name)
    annc.world["died"] = {"media": {"t": 1795341012.0, "exit": -11, "log": ["playing", "out of memory"]}}
    verdict = judge(ANNC, annc.evidence(), load_clauses())
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons[0].place == place
    assert "the media node died with exit code -11" in verdict.reasons[0].seen
    assert "  out of memory" in verdict.reasons[0].detail


def test_a_missing_line_of_a_trace_is_an_error(annc: Flow) -> None:
    annc.evidence()
    trace = annc.folder / "trace-media.jsonl"
    trace.write_text("".join(trace.read_text().splitlines(keepends=True)[1:]))
    verdict = judge(ANNC, load_evidence(annc.folder), load_clauses())
    assert verdict.outcome is Outcome.ERROR
    assert "event 1 is missing" in verdict.reasons[0].seen


def test_a_line_that_is_no_event_is_an_error(annc: Flow) -> None:
    annc.evidence()
    with (annc.folder / "trace-media.jsonl").open("a") as trace:
        trace.write('{"t": 1, "nod')
    assert judge(ANNC, load_evidence(annc.folder), load_clauses()).outcome is Outcome.ERROR


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"roles": []}', json.dumps({"roles": {"imap": {}}})])
def test_an_invalid_world_is_an_error_that_names_the_file(annc: Flow, text: str) -> None:
    annc.evidence()
    (annc.folder / "world.json").write_text(text)
    with pytest.raises(EvidenceError, match=r"world\.json"):
        load_evidence(annc.folder)


def test_every_arrow_that_is_dropped_or_swapped_is_named(ivr: Flow) -> None:
    evidence = ivr.evidence()
    observed = observe(evidence)
    taken = judge(IVR, evidence, load_clauses()).ladder.arrows
    for place, index in enumerate(taken):
        rest = observed.messages[:place] + observed.messages[place + 1 :]
        dropped = judge(IVR, evidence, load_clauses(), replace(observed, messages=rest)).ladder.mismatch
        assert dropped is not None
        assert dropped.index == index
        if place + 1 == len(taken):
            continue
        swapped = list(observed.messages)
        swapped[place], swapped[place + 1] = swapped[place + 1], swapped[place]
        mismatch = judge(IVR, evidence, load_clauses(), replace(observed, messages=tuple(swapped))).ladder.mismatch
        assert mismatch is not None
        assert mismatch.index == index


def test_a_fault_is_off_target_where_something_else_is_red(annc: Flow) -> None:
    annc.change("ack", "ACK sip:annc@127.9.8.2:5060", "ACK sip:annc@media.example.net")
    annc.change("urlfetch-data", '"BINARY" 9', '"BASE64" 9')
    verdict = judge(ANNC, annc.evidence(), load_clauses())
    ack, described = Place("check", "ack goes to the contact"), Place("check", "part is described")
    assert verdict.off_target((ack, described)) == ""
    assert verdict.off_target((ack,)) == "red elsewhere too: check part is described"
    assert "not red at arrow" in verdict.off_target((BYE,))


def test_messages_that_change_nothing_of_a_call_are_left_out_and_counted(annc: Flow) -> None:
    """Messages: 180 and 183 before the 200, OPTIONS before the INVITE, and a FETCH of flags."""
    for status in ("183 Session Progress", "180 Ringing"):
        copy = deepcopy(annc["trying"])
        copy.text = copy.text.replace("100 Trying", status).replace("net>\r", "net>;tag=b\r")
        annc.messages.insert(annc.messages.index(annc["invite-ok"]), copy)
    options = [deepcopy(annc[name]) for name in ("invite", "invite-ok")]
    for copy in options:
        copy.text = copy.text.replace("1 INVITE", "1 OPTIONS").replace("INVITE sip", "OPTIONS sip")
        copy.text = copy.text.replace("client1INVITE", "options").replace("call1", "call0").replace("tag=a", "tag=o")
    place = annc.messages.index(annc["invite"])
    annc.messages[place:place] = options
    flags = [deepcopy(annc[name]) for name in ("fetch", "fetch-ok")]
    for copy in flags:
        copy.text = copy.text.replace("a2 ", "a7 ").replace("(UID BODYSTRUCTURE)", "(FLAGS ENVELOPE)")
    annc.messages[place:place] = flags
    verdict = judge(ANNC, annc.evidence(), load_clauses())
    assert not [one for one in verdict.reasons if one.outcome is Outcome.FAIL]
    folded = {"180 INVITE": 1, "183 INVITE": 1, "200 OPTIONS": 1, "OPTIONS": 1, "FETCH": 1}
    assert folded.items() <= verdict.ignored.items()


def test_a_fetch_of_content_is_not_left_out(annc: Flow) -> None:
    copies = [deepcopy(annc[name]) for name in ("fetch", "fetch-ok")]
    for copy in copies:
        copy.text = copy.text.replace("a2 ", "a7 ").replace("(UID BODYSTRUCTURE)", "(FLAGS BODY[2])")
    annc.messages[3:3] = copies
    assert judge(ANNC, annc.evidence(), load_clauses()).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("statuses", "outcome", "node"),
    [
        ({"annc": "488", "ivr": "200"}, Outcome.UNSUPPORTED, "media"),
        ({"annc": "488", "ivr": "488"}, Outcome.FAIL, "media"),
        ({"annc": "200", "ivr": "200"}, Outcome.FAIL, "media"),
    ],
)
def test_a_refused_service_is_unsupported_if_options_agrees_and_the_other_service_exists(
    annc: Flow, statuses: dict[str, str], outcome: Outcome, node: str
) -> None:
    """A server that refuses both services lacks neither of them, and so does a server that has the service."""
    annc.change("invite-ok", "200 OK", "488 Not Acceptable Here")
    annc.change("ack", "client1ACK", "client1INVITE")
    annc.change("ack", "sip:annc@127.9.8.2:5060", annc["invite"].text.split()[1])
    annc.messages = annc.messages[: annc.messages.index(annc["ack"]) + 1]
    for service, status in statuses.items():
        text = f"SIP/2.0 {status} X\r\nTo: <sip:{service}@media.example.net>;tag=m\r\nCSeq: 1 OPTIONS\r\n\r\n"
        copy = deepcopy(annc["invite-ok"])
        copy.text, copy.target = text, "testbed"
        annc.messages.insert(0, copy)
    verdict = judge(ANNC, annc.evidence(), load_clauses())
    assert verdict.outcome is outcome, verdict.reasons
    assert verdict.reasons[0].node == node
    both = [one for one in verdict.reasons if one.place == Place("check", "media server has a service")]
    assert bool(both) == (statuses["ivr"] == "488")
