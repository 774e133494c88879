"""Each mismatch of the ladder is charged to the node that sent the wrong message or left out the right one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lemonade_testbed.clauses import SCENARIOS, load_clauses
from lemonade_testbed.judge import judge, keep_root_causes
from lemonade_testbed.ladder.blame import Charge, charge_mismatch
from lemonade_testbed.ladder.matcher import Matcher
from lemonade_testbed.ladder.observe import observe
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.testing.flow import Flow, Message, change_message, drop_messages
from lemonade_testbed.verdict import Outcome, Place, PlaceKind, Reason

ANNC = load_scenario(SCENARIOS / "announcement-service.yaml")
IVR = load_scenario(SCENARIOS / "ivr-service.yaml")
Change = Callable[["Flow"], None]


def charged(flow: Flow, *, ivr: bool = False) -> Charge:
    scenario, evidence = IVR if ivr else ANNC, flow.evidence()
    matcher, observed = Matcher(scenario.ladder, evidence.world.media_length), observe(evidence)
    charge = charge_mismatch(matcher, observed, matcher.match(observed), evidence)
    assert charge is not None
    return charge


def moved(name: str, before: str) -> Change:
    def change(flow: Flow) -> None:
        message = flow[name]
        flow.messages.remove(message)
        flow.messages.insert(flow.messages.index(flow[before]), message)

    return change


def refused_at_once(flow: Flow) -> None:
    drop_messages("urlfetch", "urlfetch-data", "urlfetch-ok")(flow)
    flow.change("invite-ok", "200", "404")


def called_in_capitals(flow: Flow) -> None:
    flow.change("invite", "sip:annc@", "sip:ANNC@")


CHARGES: dict[str, tuple[Change, str, str, str]] = {
    "a 200 before URLFETCH": (
        moved("invite-ok", "urlfetch"),
        "media",
        "media-->>client: SIP 200 INVITE",
        "before its time",
    ),
    "an error in the place of a success": (
        change_message("invite-ok", "200 OK", "404 Not Found"),
        "media",
        "media-->>client: SIP 200 INVITE",
        "another message: media-->>client: SIP 404 INVITE",
    ),
    "an error before the content was asked for": (
        refused_at_once,
        "media",
        "media-->>client: SIP 200 INVITE",
        "SIP 404 INVITE",
    ),
    "a service in capitals": (
        called_in_capitals,
        "client",
        "client->>media: SIP INVITE annc $url",
        "another message: client->>media: SIP INVITE ANNC",
    ),
    "no ACK": (drop_messages("ack"), "client", "client->>media: SIP ACK", "missing"),
    "no BYE": (drop_messages("bye", "bye-ok"), "media", "media->>client: SIP BYE", "missing"),
    "no answer to BYE": (drop_messages("bye-ok"), "client", "client-->>media: SIP 200 BYE", "nothing more"),
    "content that is refused": (
        change_message("urlfetch-data", "(BINARY ~{97818})", "(BINARY NIL)"),
        "imap",
        "imap-->>media: IMAP OK URLFETCH data",
        "NIL",
    ),
    "a refused GENURLAUTH": (
        change_message("genurlauth-ok", "OK", "NO"),
        "imap",
        "imap-->>client: IMAP OK GENURLAUTH",
        "IMAP NO GENURLAUTH",
    ),
    "RTP before the ACK": (
        moved("ack", "bye"),
        "media",
        "media->>client: RTP PCMU media-0.1..media+0.1 s",
        "before its time",
    ),
}


@pytest.mark.parametrize(("change", "node", "arrow", "seen"), CHARGES.values(), ids=CHARGES)
def test_the_node_that_did_wrong_is_charged(annc: Flow, change: Change, node: str, arrow: str, seen: str) -> None:
    change(annc)
    charge = charged(annc)
    assert charge.node == node
    assert str(charge.arrow) == arrow
    assert seen in charge.seen


def test_a_message_that_no_arrow_expects_is_charged_to_its_sender(annc: Flow) -> None:
    place = annc.messages.index(annc["genurlauth"])
    annc.messages[place:place] = [
        Message("extra", "imap", "client", "imap", "a9 UID STORE 20 FLAGS (\\Deleted)"),
        Message("extra-ok", "imap", "imap", "client", "a9 OK done"),
    ]
    charge = charged(annc)
    assert (charge.node, charge.arrow) == ("client", None)
    assert "one message too many" in charge.seen
    reason = judge(ANNC, annc.evidence(), load_clauses()).reasons[0]
    assert (reason.node, reason.clauses) == ("client", ("LS-2.9-1",))


def test_a_stream_that_stops_by_itself_is_charged_to_its_sender(ivr: Flow) -> None:
    ivr["rtp-again"].seconds = 2.0
    charge = charged(ivr, ivr=True)
    assert charge.node == "media"
    assert "another stream" in charge.seen


def test_a_stream_that_a_key_ended_too_early_is_charged_to_the_client(ivr: Flow) -> None:
    ivr["rtp"].seconds = 1.0
    charge = charged(ivr, ivr=True)
    assert charge.node == "client"
    assert "SIP INFO dtmf-relay 6" in charge.seen


def test_a_stream_that_goes_on_while_a_key_waits_for_its_answer_is_charged_to_the_media_server(ivr: Flow) -> None:
    ivr.drop("key-ok")
    charge = charged(ivr, ivr=True)
    assert (charge.node, str(charge.arrow)) == ("media", "media-->>client: SIP 200 INFO")


def test_a_stream_that_goes_on_because_a_key_has_a_wrong_type_is_charged_to_the_client(ivr: Flow) -> None:
    def from_client(_place: int, packet: dict[str, object]) -> None:
        if packet["pt"] == 97:
            packet["way"] = "sent"

    key = Message("press", "rtp", "media", "client", seconds=0.2, payload_type=97)
    ivr.messages.insert(ivr.messages.index(ivr["key"]), key)
    ivr.drop("key")
    ivr.drop("key-ok")
    assert charged(ivr, ivr=True).node == "media"
    ivr.change_packet = from_client
    charge = charged(ivr, ivr=True)
    assert charge.node == "client"
    assert "RTP PT97" in charge.seen


@pytest.mark.parametrize(
    ("began", "offset", "node"), [(True, "12.227s", "client"), (True, "3.000s", "media"), (False, "12.227s", "media")]
)
def test_a_key_after_the_end_of_the_message_is_charged_to_the_client(
    ivr: Flow, began: bool, offset: str, node: str
) -> None:
    moved("response", "key")(ivr)
    moved("response-ok", "key")(ivr)
    ivr.drop("rtp-again")
    ivr.change("response", 'playoffset="12.227s"', f'playoffset="{offset}"')
    ivr.steps = [{"index": 4, "verb": "press", "line": 9, "state": "started", "why": ""}]
    evidence = ivr.evidence()
    key = next(event for event in evidence.events if "Signal=6" in event.text("text"))
    for event in evidence.of("step"):
        object.__setattr__(event, "t", key.t - (0.001 if began else 5))
    matcher, observed = Matcher(IVR.ladder, evidence.world.media_length), observe(evidence)
    charge = charge_mismatch(matcher, observed, matcher.match(observed), evidence)
    assert charge is not None
    assert (charge.node, str(charge.seen).partition(";")[0].partition(":")[0]) == (
        node,
        "late" if node == "client" else "before its time",
    )


@pytest.mark.parametrize(("failed", "node"), [(True, "media"), (False, "client")])
def test_a_client_that_hangs_up_early_is_charged_unless_it_waited_in_vain(ivr: Flow, failed: bool, node: str) -> None:
    ivr.drop("response")
    ivr.drop("response-ok")
    state = "failed" if failed else "done"
    ivr.steps = [{"index": 5, "verb": "listen", "line": 9, "state": state, "why": "no response"}]
    evidence = ivr.evidence()
    steps = [event for event in evidence.events if event.kind == "step"]
    assert steps
    bye = next(event for event in evidence.events if event.text("text").startswith("BYE"))
    for event in steps:
        object.__setattr__(event, "t", bye.t - 0.001)
    matcher, observed = Matcher(IVR.ladder, evidence.world.media_length), observe(evidence)
    charge = charge_mismatch(matcher, observed, matcher.match(observed), evidence)
    assert charge is not None
    assert charge.node == node
    # the missing message was due before the client gave up
    assert not failed or charge.t < min(event.t for event in steps)


def test_a_missing_bye_is_charged_to_the_media_server_if_the_client_waited_for_it(annc: Flow) -> None:
    bye = annc["bye"].text.replace("BYE sip:127.9.8.3:5060", "BYE sip:annc@127.9.8.2:5060")
    annc.drop("bye")
    annc.drop("bye-ok")
    annc.steps = [{"index": 4, "verb": "listen", "line": 9, "state": "failed", "why": "no BYE"}]
    annc.messages.append(Message("own-bye", "sip", "client", "media", bye))
    charge = charged(annc)
    assert (charge.node, str(charge.arrow)) == ("media", "media->>client: SIP BYE")
    annc.steps = [{"index": 4, "verb": "listen", "line": 9, "state": "done", "why": ""}]
    assert charged(annc).node == "client"


def reason(
    t: float, node: str, *, alone: bool = False, outcome: Outcome = Outcome.FAIL, kind: PlaceKind = "check"
) -> Reason:
    place = Place(kind, f"{node} {t}")
    return Reason(place, "r", "e", "s", (), outcome, node=node, role=node, t=t, alone=alone)


def test_the_earliest_failure_is_the_root_cause_and_consequences_at_other_nodes_are_left_out() -> None:
    root, own, alone = reason(1, "client"), reason(3, "client"), reason(4, "imap", alone=True)
    consequence, step = reason(2, "media"), reason(5, "client", kind="step")
    assert keep_root_causes([alone, consequence, step, own, root]) == [root, own, alone]


def test_a_broken_should_is_no_root_cause_unless_it_ends_the_ladder() -> None:
    should = reason(1, "client", outcome=Outcome.NONSTRICT)
    other = reason(2, "media")
    assert keep_root_causes([other, should]) == [should, other]
    arrow = replace(reason(1, "client", outcome=Outcome.NONSTRICT, kind="arrow"), ends=True)
    assert keep_root_causes([other, arrow]) == [arrow]


def test_a_missing_capability_explains_later_failures_and_hides_no_earlier_one() -> None:
    before, lack = reason(1, "client"), reason(2, "imap", outcome=Outcome.UNSUPPORTED, kind="needs")
    after, same = reason(3, "media"), reason(4, "imap")
    assert keep_root_causes([lack, after, same]) == [lack]
    assert keep_root_causes([before, lack, after, same]) == [before]


def test_a_failed_step_is_a_reason_if_nothing_before_explains_it() -> None:
    step = reason(5, "client", kind="step")
    assert keep_root_causes([step]) == [step]
    should, missing = reason(4, "media", outcome=Outcome.NONSTRICT), reason(9, "media", kind="arrow")
    assert keep_root_causes([should, step]) == [should, step]
    # the message that is missing until the end is the one for which the step waited
    assert keep_root_causes([step, missing]) == [missing]
