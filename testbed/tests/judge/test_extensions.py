"""The checks of extensions, of refusals, and of the times of SIP messages: red for each rule, else green."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lemonade_testbed.checks.extensions import CHECKS as EXTENSIONS
from lemonade_testbed.checks.retransmissions import CHECKS as TIMES
from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.testing.flow import Flow, Message

ANNC = load_scenario(SCENARIOS / "announcement-service.yaml")
Change = Callable[[Flow], None]


def found(flow: Flow) -> set[tuple[str, str]]:
    """Return node and clause of everything that the checks of this file find."""
    evidence = flow.evidence()
    return {
        (breach.node, breach.clauses[0])
        for check in (*EXTENSIONS, *TIMES)
        for breach in check.run(ANNC, evidence, "").breaches
    }


def header(name: str, line: str) -> Change:
    """Add a header line to a message."""
    return lambda flow: flow.change(name, "CSeq", f"{line}\r\nCSeq")


def both(*changes: Change) -> Change:
    def change(flow: Flow) -> None:
        for one in changes:
            one(flow)

    return change


def copies(name: str) -> Change:
    """Let a message be sent three times within some milliseconds."""
    return lambda flow: setattr(flow[name], "copies", 3)


def refuse(status: str) -> Change:
    """Let BYE be refused."""
    return lambda flow: flow.change("bye-ok", "200 OK", status)


def answer_late(flow: Flow) -> None:
    """Let 1.5 seconds pass between the INVITE and the first response to it."""
    if any(message.name == "trying" for message in flow.messages):
        flow.drop("trying")
    silence = Message("silence", "rtp", "media", "client", seconds=1.5)
    flow.messages.insert(flow.messages.index(flow["invite-ok"]), silence)


@pytest.mark.parametrize(
    ("change", "node", "clause"),
    [
        (header("invite", "Supported: timer, x-own"), "client", "RFC3261-8.1.1.9"),
        (header("invite", "Require: x-own"), "client", "RFC3261-8.1.1.9"),
        (header("invite-ok", "Require: 100rel"), "media", "RFC3261-8.2.4"),
        (header("invite-ok", "RSeq: 1"), "media", "RFC3261-8.2.4"),
        (header("invite-ok", "Session-Expires: 60;refresher=uas"), "media", "RFC4028-4"),
        (header("invite", "Session-Expires: soon"), "client", "RFC4028-4"),
        (header("invite-ok", "x: 1800"), "media", "RFC4028-9"),
        (refuse("415 Unsupported Media Type"), "client", "RFC3261-8.2"),
        (refuse("405 Method Not Allowed"), "client", "RFC3261-8.2"),
        (refuse("420 Bad Extension"), "client", "RFC3261-8.2"),
        (copies("invite-ok"), "media", "RFC3261-17.1.1.2"),
        (copies("bye"), "media", "RFC3261-17.1.1.2"),
        (answer_late, "media", "RFC3261-17.2.1-2"),
    ],
)
def test_a_breach_is_charged_to_its_sender(annc: Flow, change: Change, node: str, clause: str) -> None:
    change(annc)
    assert found(annc) == {(node, clause)}


@pytest.mark.parametrize(
    "change",
    [
        copies("ack"),
        both(header("invite", "k: timer, 100rel"), header("invite-ok", "Require: timer")),
        header("invite-ok", "Session-Expires: 1800;refresher=uas"),
        both(refuse("415 Unsupported Media Type"), header("bye-ok", "Accept: application/sdp")),
        both(refuse("421 Extension Required"), header("bye-ok", "Require: timer")),
    ],
)
def test_harmless_variations_are_green(annc: Flow, change: Change) -> None:
    change(annc)
    assert found(annc) == set()


def test_an_invite_that_waits_has_100(annc: Flow) -> None:
    silence = Message("silence", "rtp", "media", "client", seconds=1.5)
    annc.messages.insert(annc.messages.index(annc["invite-ok"]), silence)
    assert found(annc) == set()


def test_an_invite_without_any_response_is_charged_to_a_receiver_that_sends_other_messages(annc: Flow) -> None:
    annc.messages = [one for one in annc.messages if one.name not in ("trying", "invite-ok")]
    annc.waited = 10.0
    assert ("media", "RFC3261-17.2.1-2") in found(annc)


def test_a_receiver_that_sends_nothing_may_not_be_there(annc: Flow) -> None:
    annc.messages = annc.messages[: annc.messages.index(annc["invite"]) + 1]
    annc.waited = 10.0
    (check,) = TIMES
    assert check.run(ANNC, annc.evidence(), "").ok
