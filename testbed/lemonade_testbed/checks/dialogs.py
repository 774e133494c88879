"""Checks of the requests of a call: identifiers, sequence numbers, targets, and answers.

The rules are those of RFC 3261, sections 8, 9, 12, 13, 15 and 17.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import Signal, answer_to, copies_of, signals
from lemonade_testbed.checks.sip import (
    Findings,
    calls_of,
    is_ordered,
    number_of,
    requests_of,
    same_uri,
    tag_of,
    uri_in,
    values_of,
)
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult

PATIENCE = 1.0
"""Seconds within which a request must be answered: a request that is lost is sent again after half a second (T1)."""

KEPT = ("RFC3261-12.2.1.1", "RFC3261-12.2.1.1-2", "RFC3261-12.2.1.1-3")
REPEATED = (
    "RFC3261-13.2.2.4", "RFC3261-13.2.1", "RFC3261-17.1.1.3", "RFC3261-9.1", "RFC3261-9.1-2", "RFC3261-17.1.2",
)  # fmt: skip
NEW = ("RFC3261-8.1.1.2", "RFC3261-12.2.1.1", "RFC3261-8.1.1.4", "RFC3261-8.1.1.7-2", "RFC3261-8.1.3.5", "RFC3261-19.3")
ANSWERED = ("RFC3261-15.1.2", "RFC3261-9.2", "RFC3261-13.2.2.4-2", "RFC3261-17.1.1.3-2")


@dataclass
class _Dialog:
    """The state of a dialog for each side: its tag, the URI and routes of its requests, and its last CSeq number."""

    tags: dict[str, str]
    names: dict[str, str] = field(default_factory=dict)
    """The URI of each side: that of From and that of To in the INVITE."""
    targets: dict[str, str] = field(default_factory=dict)
    routes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    other_tags: set[str] = field(default_factory=set)
    """The To tags of further 2xx to the INVITE: each makes a dialog of its own (RFC 3261, section 13.2.2.4)."""

    @classmethod
    def begin(cls, invite: Signal, response: Signal) -> _Dialog:
        """Make the dialog of an INVITE and a response to it (RFC 3261, section 12.1)."""
        caller, callee = invite.source, invite.target
        recorded = [uri_in(one) for one in values_of(response.message, "record-route")]
        return cls(
            {caller: tag_of(invite.message.header("from")), callee: tag_of(response.message.header("to"))},
            {caller: uri_in(invite.message.header("from")), callee: uri_in(invite.message.header("to"))},
            {caller: response.message.contact_uri(), callee: invite.message.contact_uri()},
            {caller: tuple(reversed(recorded)), callee: tuple(recorded)},
            {caller: number_of(invite.message)},
        )


def _check_dialogs(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    found = Findings()
    all_signals = signals(evidence)
    asked = requests_of(all_signals)
    for messages in calls_of(all_signals):
        dialog: _Dialog | None = None
        for signal in messages:
            message = signal.message
            if message.is_response:
                dialog = _follow(dialog, signal, asked[id(signal)], evidence)
            elif dialog is None or message.method in {"ACK", "CANCEL"}:
                continue
            elif message.method == "INVITE" and not tag_of(message.header("to")):
                dialog = None
            elif not is_ordered(signal, scenario, evidence):
                _judge_inside(found, dialog, signal, traced=bool(evidence.of("sip", signal.source)))
            else:
                dialog.numbers[signal.source] = number_of(message)
    return found.result(
        "requests inside a call are those of its dialog", "tags, CSeq and target of the dialog", "dialog"
    )


def _follow(dialog: _Dialog | None, response: Signal, request: Signal | None, evidence: Evidence) -> _Dialog | None:
    """Return the dialog after a response to INVITE.

    The first response with a tag makes the dialog; a later one refreshes the targets of both sides.
    """
    message = response.message
    accepted = message.status.startswith("2")
    if request is None or message.method != "INVITE" or not tag_of(message.header("to")):
        return dialog
    if not tag_of(request.message.header("to")):
        makes = accepted or (message.status.startswith("1") and message.contact_uri())
        dialog = _Dialog.begin(request, response) if makes and (dialog is None or accepted) else dialog
        if dialog is not None and accepted:
            dialog.other_tags = {tag_of(copy.header("to")) for copy in copies_of(response, evidence)}
            dialog.other_tags -= {dialog.tags[response.source]}
        return dialog
    if dialog is not None and accepted:
        dialog.targets[request.source] = message.contact_uri() or dialog.targets.get(request.source, "")
        dialog.targets[response.source] = request.message.contact_uri() or dialog.targets.get(response.source, "")
    return dialog


def _judge_inside(found: Findings, dialog: _Dialog, signal: Signal, *, traced: bool) -> None:
    message, own, other = signal.message, signal.source, signal.target
    seen = tag_of(message.header("from")), tag_of(message.header("to"))
    wanted = dialog.tags.get(own, ""), dialog.tags.get(other, "")
    if seen[0] == wanted[0] and seen[1] in dialog.other_tags:
        found.reached.add("RFC3261-12.2.1.1")
        return  # its CSeq numbers are those of the other dialog
    expected = f"From tag {wanted[0]}, To tag {wanted[1] or 'none'}"
    said = f"From tag {seen[0] or 'none'}, To tag {seen[1] or 'none'}"
    found.expect(seen == wanted, "RFC3261-12.2.1.1", signal, expected, said)
    uris = uri_in(message.header("from")), uri_in(message.header("to"))
    names = dialog.names.get(own, ""), dialog.names.get(other, "")
    fits = all(map(same_uri, uris, names))
    found.expect(fits, "RFC3261-12.2.1.1", signal, f"From {names[0]}, To {names[1]}", f"From {uris[0]}, To {uris[1]}")
    number, before = number_of(message), dialog.numbers.get(own)
    if before is not None:
        fits = number == before + 1 if traced else number > before
        found.expect(fits, "RFC3261-12.2.1.1-2", signal, f"CSeq: {before + 1}", f"CSeq: {message.cseq}")
    dialog.numbers[own] = number
    target, routes = dialog.targets.get(own, ""), dialog.routes.get(own, ())
    if not target or message.method == "INVITE":
        return  # RFC 5022 section 3 lets a re-INVITE name another service
    sent = tuple(uri_in(one) for one in values_of(message, "route"))
    loose = not routes or ";lr" in routes[0].lower()
    fits = not loose or (
        same_uri(message.uri, target) and len(sent) == len(routes) and all(map(same_uri, sent, routes))
    )
    expected = f"{target} by {len(routes)} routes" if routes else target
    said = f"{message.uri} by {len(sent)} routes" if routes or sent else message.uri
    found.expect(fits, "RFC3261-12.2.1.1-3", signal, expected, said)


def _check_acks_and_cancels(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    """Judge the requests that belong to an earlier request: ACK, CANCEL and retransmissions."""
    found = Findings()
    all_signals = signals(evidence)
    for signal in all_signals:
        if signal.message.is_response or is_ordered(signal, scenario, evidence):
            continue
        if signal.message.method == "ACK":
            _judge_ack(found, signal, all_signals, evidence)
        elif signal.message.method == "CANCEL":
            _judge_cancel(found, signal, all_signals)
        _judge_resent(found, signal, all_signals, evidence)
    return found.result("ACK, CANCEL and retransmissions agree with their request", "the values of the request", "ACK")


def _invite_of(signal: Signal, all_signals: Sequence[Signal]) -> Signal | None:
    """Return the INVITE of an ACK or a CANCEL: by CSeq number or branch, else the last INVITE of the call."""
    invites = [one for one in all_signals if _is_invite(one) and one.source == signal.source and one.t <= signal.t]
    mine = [one for one in invites if one.message.call_id == signal.message.call_id]
    same = [one for one in mine if number_of(one.message) == number_of(signal.message)]
    same = same or [one for one in invites if one.message.branch == signal.message.branch]
    return next(reversed(same or mine), None)


def _is_invite(signal: Signal) -> bool:
    return signal.message.method == "INVITE" and not signal.message.is_response


def _final(invite: Signal, all_signals: Sequence[Signal], before: float) -> Signal | None:
    """Return the final response to an INVITE that was sent at the time `before` or earlier."""
    asked = requests_of(all_signals)
    return next(
        (one for one in all_signals if one.message.status >= "2" and one.t <= before and asked[id(one)] is invite), None
    )


def _judge_ack(found: Findings, ack: Signal, all_signals: Sequence[Signal], evidence: Evidence) -> None:
    invite = _invite_of(ack, all_signals)
    final = _final(invite, all_signals, ack.t) if invite else None
    if invite is None or final is None:
        return
    asked, sent = invite.message, ack.message
    inside = asked if tag_of(asked.header("to")) and final.message.status.startswith("2") else None
    given = [tag_of(copy.header("to")) for copy in ([inside] if inside else copies_of(final, evidence))]
    tag = tag_of(sent.header("to"))
    wrong = _differences(
        ("CSeq", str(number_of(asked)), str(number_of(sent))),
        ("Call-ID", asked.call_id, sent.call_id),
        ("From", asked.header("from"), sent.header("from")),
        # in a dialog the ACK of a 2xx has the tag of the dialog, even if the 2xx has another one
        ("To tag", tag if tag in given else given[0], tag),
    )
    if final.message.status.startswith("2"):
        if sent.branch and sent.branch == asked.branch:
            wrong.append(("a new branch", sent.branch))
        clause = "RFC3261-13.2.2.4"
    else:
        wrong += _differences(("branch", asked.branch, sent.branch), ("", asked.uri, sent.uri))
        clause = "RFC3261-17.1.1.3"
    _expect_all(found, clause, ack, wrong)
    described = "application/sdp"
    if asked.content_type == described and final.message.status.startswith("2"):
        expected = "no description: INVITE and 2xx have offer and answer"
        found.expect(sent.content_type != described, "RFC3261-13.2.1", ack, expected, "a session description")


def _judge_cancel(found: Findings, cancel: Signal, all_signals: Sequence[Signal]) -> None:
    invite = _invite_of(cancel, all_signals)
    if invite is None:
        return
    asked, sent = invite.message, cancel.message
    wrong = _differences(
        ("", asked.uri, sent.uri),
        ("branch", asked.branch, sent.branch),
        ("CSeq", str(number_of(asked)), str(number_of(sent))),
        ("Call-ID", asked.call_id, sent.call_id),
        ("From", asked.header("from"), sent.header("from")),
        ("To", asked.header("to"), sent.header("to")),
    )
    wrong += [(f"no {name.title()}", sent.header(name)) for name in ("require", "proxy-require") if sent.header(name)]
    _expect_all(found, "RFC3261-9.1", cancel, wrong)
    asked_by = requests_of(all_signals)
    given = [one for one in all_signals if one.t <= cancel.t and asked_by.get(id(one)) is invite]
    found.expect(bool(given), "RFC3261-9.1-2", cancel, "CANCEL after a response to the INVITE", "CANCEL before it")


def _judge_resent(found: Findings, signal: Signal, all_signals: Sequence[Signal], evidence: Evidence) -> None:
    """Judge that copies of a request have the same octets; each ACK of a 2xx is a request of its own."""
    if signal.message.method == "ACK":
        return
    copies = [evidence.events[place] for place in signal.events]
    texts = {one.text("text") for one in copies if one.text("way") == "sent"}
    number = number_of(signal.message)
    again = [
        one
        for one in all_signals
        if not one.message.is_response
        and (one.source, one.message.method, one.message.call_id)
        == (signal.source, signal.message.method, signal.message.call_id)
        and number_of(one.message) == number
        and (one.message.uri, tag_of(one.message.header("to")))
        == (signal.message.uri, tag_of(signal.message.header("to")))
        and one.t < signal.t
    ]
    if len(texts) > 1 or again:
        seen = f"branch {signal.message.branch}" if again else f"{len(texts)} different copies"
        expected = f"branch {again[0].message.branch}" if again else "the same message again"
        found.expect(False, "RFC3261-17.1.2", signal, expected, seen)
    elif len(copies) > 2:
        found.expect(True, "RFC3261-17.1.2", signal, "the same message again", "the same")


def _differences(*pairs: tuple[str, str, str]) -> list[tuple[str, str]]:
    """Return the expected and the seen values of those (name, expected, seen) that differ."""
    return [
        (f"{name} {wanted}".strip(), f"{name} {seen or 'none'}".strip())
        for name, wanted, seen in pairs
        if "".join(wanted.split()) != "".join(seen.split())
    ]


def _expect_all(found: Findings, clause: str, signal: Signal, wrong: Sequence[tuple[str, str]]) -> None:
    expected = ", ".join(wanted for wanted, _ in wrong) or "as in the INVITE"
    found.expect(not wrong, clause, signal, expected, ", ".join(seen for _, seen in wrong))


def _check_identifiers(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    """Judge that the branch of each request, and Call-ID and From tag of each call, were not used before."""
    found = Findings()
    all_signals = signals(evidence)
    requests = [one for one in all_signals if not one.message.is_response and not is_ordered(one, scenario, evidence)]
    branches: dict[str, Signal] = {}
    calls: list[Signal] = []
    first_of = {one.message.call_id: one for one in reversed(all_signals)}
    for signal in requests:
        if first_of[signal.message.call_id] is signal:
            to = signal.message.header("to")
            meant = _call_of(signal, all_signals)
            if meant is not None:
                expected, seen = f"Call-ID {meant.message.call_id}", f"Call-ID {signal.message.call_id}"
                found.expect(False, "RFC3261-12.2.1.1", signal, expected, seen)
            else:
                found.expect(not tag_of(to), "RFC3261-8.1.1.2", signal, "To without a tag", f"To: {to}")
        if signal.message.method not in {"ACK", "CANCEL"} and signal.message.branch:
            first = branches.setdefault(signal.message.branch, signal)
            if first is not signal or len(branches) > 1:
                seen = f"branch {signal.message.branch}"
                found.expect(first is signal, "RFC3261-8.1.1.7-2", signal, "a new branch", seen)
        if _is_invite(signal) and not tag_of(signal.message.header("to")):
            for before in calls:
                if before.source == signal.source:
                    _judge_call(found, before, signal, all_signals)
            calls.append(signal)
    return found.result("each new call and request has identifiers of its own", "new identifiers", "second request")


def _call_of(signal: Signal, all_signals: Sequence[Signal]) -> Signal | None:
    """Return a message of the call that has the tags of a request with another Call-ID; None if there is none."""
    tags = {tag_of(signal.message.header("from")), tag_of(signal.message.header("to"))}
    earlier = (one for one in all_signals if one.t < signal.t and one.message.call_id != signal.message.call_id)
    return next(
        (
            one
            for one in earlier
            if "" not in tags and {tag_of(one.message.header("from")), tag_of(one.message.header("to"))} == tags
        ),
        None,
    )


def _judge_call(found: Findings, before: Signal, signal: Signal, all_signals: Sequence[Signal]) -> None:
    """Judge a new call against an earlier one; after a refusal its Call-ID may be used again (RFC 3261, section
    8.1.3.5).
    """
    old, new = before.message, signal.message
    if old.call_id != new.call_id:
        tag = tag_of(new.header("from"))
        found.expect(tag != tag_of(old.header("from")), "RFC3261-19.3", signal, "a new From tag", f"From tag {tag}")
        found.expect(True, "RFC3261-8.1.1.4", signal, "", "")
        return
    if answer_to(before, all_signals) is not None:
        found.expect(False, "RFC3261-8.1.1.4", signal, "a new Call-ID", f"Call-ID {new.call_id}")
        return
    expected = f"CSeq above {number_of(old)}, or a new Call-ID"
    found.expect(number_of(new) > number_of(old), "RFC3261-8.1.3.5", signal, expected, f"CSeq: {new.cseq}")


def _check_answers(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    found = Findings()
    all_signals = signals(evidence)
    asked = requests_of(all_signals)
    answered = {id(asked[id(one)]) for one in all_signals if one.message.status >= "2"}
    acks = [
        (one, _invite_of(one, all_signals))
        for one in all_signals
        if one.message.method == "ACK" and not one.message.is_response
    ]
    clauses = {"BYE": "RFC3261-15.1.2", "CANCEL": "RFC3261-9.2"}
    for signal in all_signals:
        message, due = signal.message, signal.t + PATIENCE
        clause = clauses.get(message.method)
        waited = evidence.world.ended > due and signal.target not in evidence.world.died and came(signal, evidence)
        if message.is_response and message.method == "INVITE" and message.status >= "2":
            clause = "RFC3261-13.2.2.4-2" if message.status < "3" else "RFC3261-17.1.1.3-2"
            invite = asked[id(signal)]
            if any(of is not None and of is invite and ack.t >= signal.t for ack, of in acks):
                found.reached.add(clause)
            elif waited:
                found.charge(signal.target, clause, "ACK", f"no ACK of {message.start}", due)
        elif not message.is_response and clause and not is_ordered(signal, scenario, evidence):
            if id(signal) in answered:
                found.reached.add(clause)
            elif waited:
                found.charge(signal.target, clause, f"a final response to {message.method}", "none", due)
    return found.result("BYE and CANCEL are answered, and final responses to INVITE acknowledged", "an answer", "BYE")


def came(signal: Signal, evidence: Evidence) -> bool:
    """Tell whether a message arrived; where the receiver has no trace, it counts as arrived."""
    ways = {(evidence.events[place].node, evidence.events[place].text("way")) for place in signal.events}
    return not evidence.of("sip", signal.target) or (signal.target, "received") in ways


CHECKS = (
    Check(
        "requests keep to their dialog",
        KEPT,
        "a request inside a call has the tags, the next CSeq number, the target and the routes of its dialog",
        _check_dialogs,
    ),
    Check(
        "acks and cancels belong to their invite",
        REPEATED,
        "ACK and CANCEL agree with their INVITE, the ACK of a 2xx has a new branch, retransmissions are equal",
        _check_acks_and_cancels,
    ),
    Check(
        "calls and requests are new",
        NEW,
        "each request has a new branch, each call a new Call-ID and From tag, or a higher CSeq after a refusal",
        _check_identifiers,
    ),
    Check(
        "sip requests are answered",
        ANSWERED,
        "BYE and CANCEL get a final response, and each final response to INVITE an ACK",
        _check_answers,
    ),
)
