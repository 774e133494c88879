"""Checks of MSCML responses and requests by RFC 5022: attributes, reason, digits, and the time of a response."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.exchanges import MSCML, MscmlElement, SipExchange, exchanges, mscml_requests
from lemonade_testbed.checks.facts import is_raw, is_relayed, signals
from lemonade_testbed.checks.playing import held_times, pressed_keys
from lemonade_testbed.checks.rtp import sound_streams
from lemonade_testbed.checks.sip import contradicts_status
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.streams import ObservedPacket
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

_AT_ONCE = 0.3
"""Seconds after the last packet within which a response must be sent if all timers are zero."""
_PACKET = 0.02
_IN_FLIGHT = 0.1
"""Seconds after a response within which packets may still arrive."""
_KEY_EFFECT = 0.5
"""Seconds after which a key must have taken effect."""

_ID = "RFC5022-10.2"
_BASE = "RFC5022-10.2-2"
_ATTRIBUTES = {
    "play": ("RFC5022-10.4", ("playduration", "playoffset")),
    "playcollect": ("RFC5022-10.5", ("playduration", "playoffset", "digits")),
    "playrecord": ("RFC5022-10.6", ("playduration", "playoffset", "digits", "reclength", "recduration")),
}
_DIGITS = "LS-2.7-13"
_REASON = "RFC5022-10.5-2"
_END = "LS-2.7-6"
_NOT_BEFORE = "LS-2.7-12"
_FORM = "RFC5022-11"
_KEYS = ("escapekey", "returnkey", "ffkey", "rwkey")


def _check_attributes(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a response echoes the request's id and name, and has the attributes that RFC 5022 requires"
    expected = "id, request, code, text, and the attributes for the kind of request"
    found = exchanges(evidence)
    if not found:
        return CheckResult.without_material(requirement, expected, "no response can be read")
    reached = {_BASE}
    breaches: list[Breach] = []
    for one in found:
        said = one.response.attributes
        if one.request is not None:
            asked = one.request.attributes.get("id")
            reached |= {_ID} if asked is not None else set()
            if asked is not None and said.get("id") != asked:
                breaches.append(_breach(one, _ID, f"id {asked}", f"id {said.get('id', 'absent')}"))
            if said.get("request") != one.request.name:
                breaches.append(
                    _breach(one, _BASE, f"request {one.request.name}", f"request {said.get('request', 'absent')}")
                )
        code = said.get("code", "")
        if len(code) != len("200") or not code.isdecimal() or code[0] not in "245":
            breaches.append(_breach(one, _BASE, "a code of 2xx, 4xx or 5xx", f"code {code or 'absent'}"))
        elif said.get("text") and contradicts_status(code, said["text"]):
            breaches.append(_breach(one, _BASE, f"a reason phrase for {code}", f'text "{said["text"]}"'))
        if not said.get("text"):
            breaches.append(_breach(one, _BASE, "text with a reason phrase", "no text"))
        clause, names = _ATTRIBUTES.get(said.get("request", ""), ("", ()))
        if clause and code[:1] == "2":
            reached.add(clause)
            absent = [name for name in names if name not in said]
            if absent:
                breaches.append(_breach(one, clause, ", ".join(names), f"without {', '.join(absent)}"))
    seen = "; ".join(breach.seen for breach in breaches) or f"{len(found)} responses that do"
    return CheckResult(requirement, expected, seen, tuple(breaches), reached=tuple(sorted(reached)))


def _check_result(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a response has the digits that were pressed and no others, and the reason why the request ended"
    expected = "the client's own digits, and the reason that its messages show"
    pressed = pressed_keys(evidence)
    seen: list[str] = []
    breaches: list[Breach] = []
    reached: list[str] = []
    for one in exchanges(evidence):
        said = one.response.attributes
        if one.request is None or one.request.name not in {"playcollect", "playrecord"} or said.get("code") != "200":
            continue
        keys = [(t, key) for t, key in pressed if t <= one.response.signal.t]
        reached.append(_DIGITS)
        wanted = _possible_digits(one.request, keys)
        digits = said.get("digits", "")
        seen.append(f"{len(digits)} digits, reason {said.get('reason', 'absent')}")
        if "-" not in digits and not _is_within(digits, wanted):  # masked digits are not compared
            allowed = f"{len(wanted)} digits that could be collected" if wanted else "no digits"
            breaches.append(_breach(one, _DIGITS, allowed, f"{len(digits)} digits that were not pressed"))
        reason = said.get("reason", "")
        if reason:
            reached.append(_REASON)
        if reason and (why := _wrong_reason(one, reason, keys, evidence)):
            breaches.append(_breach(one, _REASON, why, f"reason {reason}"))
    if not seen:
        return CheckResult.without_material(requirement, expected, "no response to <playcollect> or <playrecord>")
    return CheckResult(requirement, expected, "; ".join(seen), tuple(breaches), reached=tuple(dict.fromkeys(reached)))


def _breach(one: SipExchange, clause: str, expected: str, seen: str) -> Breach:
    signal = one.response.signal
    return Breach(signal.source, (clause,), expected, seen, signal.t, alone=True)


def _possible_digits(request: MscmlElement, keys: Sequence[tuple[float, str]]) -> str:
    """Return the keys that a request may have collected: all but its function keys."""
    attributes = request.attributes
    functions = {attributes.get("escapekey", attributes.get("escape", "*")), attributes.get("returnkey", "#")}
    functions |= {attributes[name] for name in _KEYS[2:] if name in attributes}
    if request.name == "playrecord":
        functions = set()  # the key that ended the recording is reported, whatever its function
    return "".join(key for _, key in keys if key not in functions)


def _is_within(digits: str, keys: str) -> bool:
    """Tell whether `digits` are some of the keys, in their order."""
    rest = iter(keys)
    return all(digit in rest for digit in digits)


def _wrong_reason(one: SipExchange, reason: str, keys: Sequence[tuple[float, str]], evidence: Evidence) -> str:
    """Return the reason that the client's messages show, if it is another one; an empty text if `reason` fits them."""
    if one.request is None:
        return ""
    attributes, since, until = one.request.attributes, one.request.signal.t, one.response.signal.t
    escape = attributes.get("escapekey", attributes.get("escape", "*"))
    during = [(t, key) for t, key in keys if t >= since]
    stops = [other.t for other in signals(evidence) if _may_stop(other.message.method, other.source, evidence)]
    stopped = any(since < t <= until for t in stops)
    needs = {"escapekey": escape, "returnkey": attributes.get("returnkey", "#")}
    if reason in needs:
        return "" if any(key == needs[reason] for _, key in keys) else f"another reason: the {reason} was not pressed"
    if reason == "stopped":
        return "" if stopped else "another reason: nothing stopped the request"
    if any(key == escape and t < until - _KEY_EFFECT for t, key in during) and one.request.name == "playcollect":
        return "reason escapekey"
    return ""


def _may_stop(method: str, source: str, evidence: Evidence) -> bool:
    """Tell whether a message may stop a request: another request, `<stop>`, or a re-INVITE."""
    return method in {"INFO", "INVITE", "BYE"} and evidence.world.kind_of(source) == "client"


def _check_time(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a response comes at the end of its media: not before, and within 300 ms if no timer runs"
    expected = "within 300 ms of the last packet, and no packet behind it"
    seen: list[str] = []
    breaches: list[Breach] = []
    reached: list[str] = []
    packets = sorted(one.t for stream in sound_streams(evidence) for one in stream if _is_played(one, evidence))
    for one in exchanges(evidence) if not held_times(evidence) else ():
        if one.request is None or one.request.name not in {"play", "playcollect"}:
            continue
        since, until = one.request.signal.t, one.response.signal.t
        during = [t for t in packets if since < t <= until]
        if not during:
            continue
        next_request = _next_request(evidence, since)
        if next_request > until and not is_relayed(evidence):
            reached.append(_NOT_BEFORE)
            behind = sum(until + _IN_FLIGHT < t < next_request for t in packets)
            if behind:
                breaches.append(_breach(one, _NOT_BEFORE, "no packet behind it", f"{behind} packets behind it"))
        if one.response.attributes.get("reason") in {"timeout", "EOF"} and _waits_for_nothing(one.request):
            reached.append(_END)
            wait = until - during[-1] - _PACKET
            seen.append(f"{wait * 1000:.0f} ms after the last packet")
            if wait > _AT_ONCE * (2 if is_relayed(evidence) else 1):
                breaches.append(_breach(one, _END, "within 300 ms of the last packet", seen[-1]))
    if not reached:
        return CheckResult.without_material(requirement, expected, "no response to a request that played")
    text = "; ".join((*seen, *(breach.seen for breach in breaches))) or "responses behind their media"
    return CheckResult(requirement, expected, text, tuple(breaches), reached=tuple(dict.fromkeys(reached)))


def _is_played(packet: ObservedPacket, evidence: Evidence) -> bool:
    return evidence.world.kind_of(packet.stream[0]) == "media"


def _next_request(evidence: Evidence, since: float) -> float:
    """Return the time of the client's next request to play or for another service; infinite if there is none."""
    times = [one.signal.t for one in mscml_requests(evidence) if one.name in _ATTRIBUTES]
    times += [one.t for one in signals(evidence) if one.message.method == "INVITE" and not one.message.is_response]
    return min((t for t in times if t > since), default=math.inf)


def _waits_for_nothing(request: MscmlElement) -> bool:
    """Tell whether a request ends with its prompt: it collects no keys, or its timers are all zero."""
    timers = ("firstdigittimer", "interdigittimer", "extradigittimer")
    return request.name == "play" or all(request.seconds(name) == 0 for name in timers)


def _check_requests(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "an MSCML request of a client is one document of version 1.0 with one request"
    expected = "one request, and function keys of one character each"
    sent = [
        one
        for one in signals(evidence)
        if evidence.world.kind_of(one.source) == "client" and one.message.content_type == MSCML
    ]
    own = [one for one in sent if not is_raw(scenario, evidence, one.t)]
    if not own:
        return CheckResult.without_material(requirement, expected, "no MSCML request of the client's own")
    breaches = [
        Breach(one.source, (_FORM,), expected, problem, one.t, alone=True)
        for one in own
        if (problem := _problem(one.message.body))
    ]
    seen = "; ".join(breach.seen for breach in breaches) or f"{len(own)} requests"
    return CheckResult(requirement, expected, seen, tuple(breaches))


def _problem(body: str) -> str:
    """Return what is wrong with the document of a request; an empty text if nothing is."""
    if "<!DOCTYPE" in body or "<!ENTITY" in body:
        return "a document type"
    try:
        root = Xml.fromstring(body.encode())  # noqa: S314  entities are refused above
    except Xml.ParseError as problem:
        return f"no XML: {problem}"
    requests = list(root)
    if root.tag != "MediaServerControl" or root.get("version") != "1.0":
        return f"<{root.tag}> of version {root.get('version', 'none')}"
    if [one.tag for one in requests] != ["request"] or len(requests[0]) != 1:
        return f"{', '.join(f'<{one.tag}> with {len(one)}' for one in requests) or 'nothing'} in it"
    keys = {name: value for name, value in requests[0][0].attrib.items() if name in _KEYS and len(value) != 1}
    return ", ".join(f"{name} of {len(value)} characters" for name, value in keys.items())


CHECKS = (
    Check(
        "mscml response is whole",
        (_ID, _BASE, *(clause for clause, _ in _ATTRIBUTES.values())),
        "a response echoes id and name of its request, and has every attribute that RFC 5022 requires",
        _check_attributes,
    ),
    Check(
        "mscml response tells what happened",
        (_DIGITS, _REASON),
        "a response has the digits that were pressed and no others, and the reason why its request ended",
        _check_result,
    ),
    Check(
        "mscml response comes at the end",
        (_END, _NOT_BEFORE),
        "a response comes at the end of its media, within 300 ms if no timer runs",
        _check_time,
    ),
    Check(
        "mscml request is well formed",
        (_FORM,),
        "an MSCML request of a client is one document of version 1.0 with one request",
        _check_requests,
    ),
)
