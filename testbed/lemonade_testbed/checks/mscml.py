"""Checks of the MSCML documents of media servers: form, time values, one response to each request, and `<stop>`.

The rules are those of RFC 5022, section 4, and LS-2.7-15 (a playing that is stopped ends).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from xml.etree import ElementTree as Xml

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.exchanges import MSCML, SipExchange, exchanges, mscml_requests
from lemonade_testbed.checks.facts import Signal, answer_to, is_relayed, signals
from lemonade_testbed.checks.rtp import sound_streams
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.siptext import pressed_key
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

_FORM, _ONCE, _TIMES, _CEASES = "RFC5022-4.1", "RFC5022-4.1-2", "RFC5022-4.2.1", "LS-2.7-15"
_TIME = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:ms|s)?")
_TIME_NAMES = ("playduration", "playoffset", "recduration", "interdigittime")
_PLAYS = ("play", "playcollect", "playrecord")
_AT_ONCE = ("stop", "configure_leg")
"""The requests that a media server can answer at once."""
_SOON, _SLOWLY = 0.25, 1.5
"""Seconds within which such a response must be sent: without a relay, and with a relay, which may lose it."""
_EFFECT = 0.3
"""Seconds after the 200 to a request that stops a playing within which its packets may still arrive."""
_FEW = 3
"""The number of packets after a stop that may have been sent before it."""


def _check_documents(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a document of a media server is well formed, of version 1.0, with one response or notification"
    expected = "MediaServerControl 1.0 with a response or a notification, and times by section 4.2.1"
    sent = [
        one
        for one in signals(evidence)
        if evidence.world.kind_of(one.source) == "media"
        and not one.message.is_response
        and one.message.content_type == MSCML
    ]
    if not sent:
        return CheckResult.without_material(requirement, expected, "no document of a media server")
    breaches: list[Breach] = []
    for one in sent:
        content = one.message.content(MSCML) or ""
        clause, problem = _FORM, _problem(content)
        if not problem:
            times = re.findall(rf"\b({'|'.join(_TIME_NAMES)})\s*=\s*[\"']([^\"']*)", content)
            wrong = [f"{name}={value!r}" for name, value in times if not _TIME.fullmatch(value)]
            clause, problem = _TIMES, ", ".join(wrong)
        if problem:
            breaches.append(Breach(one.source, (clause,), expected, problem, one.t, alone=True))
    seen = "; ".join(breach.seen for breach in breaches) or f"{len(sent)} documents"
    return CheckResult(requirement, expected, seen, tuple(breaches), reached=(_FORM, _TIMES))


def _problem(text: str) -> str:
    """Return what is wrong with a document of a media server; an empty text if nothing is."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        return "a document type"
    try:
        root = Xml.fromstring(text.strip().encode())  # noqa: S314  entities are refused above
    except Xml.ParseError as problem:
        return f"no XML: {problem}"
    names = [_local(one) for one in root]
    if _local(root) != "MediaServerControl" or root.get("version") != "1.0":
        return f"<{_local(root)}> of version {root.get('version', 'none')}"
    if names not in (["response"], ["notification"]):
        return f"{', '.join(f'<{name}>' for name in names) or 'nothing'} in it"
    return ""


def _local(element: Xml.Element) -> str:
    return element.tag.rpartition("}")[2]


def _check_responses(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "each MSCML request gets one response, and no second one"
    found = exchanges(evidence)
    if not found:
        return CheckResult.without_material(requirement, "one response to each", "no response can be read")
    breaches = [*_second_responses(found), *_missing_responses(found, evidence)]
    seen = "; ".join(breach.seen for breach in breaches) or f"{len(found)} responses"
    return CheckResult(requirement, "one response to each", seen, tuple(breaches))


def _second_responses(found: list[SipExchange]) -> Iterator[Breach]:
    """Yield a breach for each second response to one request."""
    for place, one in enumerate(found):
        said, call = one.response.attributes, one.response.signal.message.call_id
        same = [
            other
            for other in found[:place]
            if other.response.signal.message.call_id == call
            and all(other.response.attributes.get(name) == said.get(name) for name in ("id", "request"))
        ]
        if same and (one.request is None or one.request.name != said.get("request")):
            signal, seen = one.response.signal, f"a second response to {said.get('request', 'a request')}"
            yield Breach(signal.source, (_ONCE,), "one response to each", seen, signal.t, alone=True)


def _missing_responses(found: list[SipExchange], evidence: Evidence) -> Iterator[Breach]:
    """Yield a breach for each request without a response, if a later request of the call has one."""
    answered = [one for one in found if one.request is not None]
    for request in mscml_requests(evidence):
        signal = request.signal
        if any(one.request is not None and one.request.signal is signal for one in answered):
            continue
        accepted = answer_to(signal, signals(evidence))
        if accepted is not None and request.name in _AT_ONCE and _has_time_to_respond(accepted, evidence):
            yield Breach(signal.target, (_ONCE,), "one response to each", f"none to <{request.name}>", accepted.t)
            continue
        later = [
            one.response.signal
            for one in answered
            if one.request is not None
            and one.request.signal.t > signal.t
            and one.request.signal.message.call_id == signal.message.call_id
        ]
        if later and accepted is not None:
            seen = f"none to <{request.name}>, and one to a request behind it"
            yield Breach(signal.target, (_ONCE,), "one response to each", seen, later[0].t)


def _has_time_to_respond(accepted: Signal, evidence: Evidence) -> bool:
    """Tell whether there was time for a response between the 200 to its request and the end of the call."""
    call = accepted.message.call_id
    ends = [one.t for one in signals(evidence) if one.message.call_id == call and one.message.method == "BYE"]
    return min(ends, default=evidence.world.ended) - accepted.t > (_SLOWLY if is_relayed(evidence) else _SOON)


def _check_stops(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a playing ends when the request to stop it, or its escape key, is acknowledged"
    expected = "no packet behind the 200"
    stopping = [] if is_relayed(evidence) else list(_stopped_playings(evidence))
    if not stopping:
        return CheckResult.without_material(requirement, expected, "nothing was stopped")
    packets = [one for stream in sound_streams(evidence) for one in stream]
    seen, breaches = [], []
    for acknowledged, until in stopping:
        sent = [one for one in packets if one.stream[0] == acknowledged.source]
        late = [one for one in sent if acknowledged.t + _EFFECT < one.t < until]
        seen.append(f"{len(late)} packets behind the 200")
        if len(late) > _FEW:
            breaches.append(Breach(acknowledged.source, (_CEASES,), expected, seen[-1], late[0].t, alone=True))
    return CheckResult(requirement, expected, "; ".join(seen), tuple(breaches))


def _stopped_playings(evidence: Evidence) -> Iterator[tuple[Signal, float]]:
    """Yield the 200 of each INFO that stops a playing, and the time from which something else may be played."""
    all_signals = signals(evidence)
    requests = mscml_requests(evidence)
    begins = [one.signal.t for one in requests if one.name in _PLAYS]
    begins += [one.t for one in all_signals if one.message.method == "INVITE" and not one.message.is_response]
    for one in all_signals:
        if one.message.is_response or one.message.method != "INFO" or evidence.world.kind_of(one.source) != "client":
            continue
        running = [request for request in requests if request.signal.t < one.t and request.name in _PLAYS]
        running = [request for request in running if request.signal.message.call_id == one.message.call_id]
        attributes = running[-1].attributes if running and running[-1].name == "playcollect" else {}
        key = pressed_key(one.message)
        escapes = bool(attributes) and key == attributes.get("escapekey", attributes.get("escape", "*"))
        stops = any(request.signal is one and request.name == "stop" for request in requests)
        acknowledged = answer_to(one, all_signals)
        if acknowledged is not None and (escapes or (stops and running)):
            yield acknowledged, min((t for t in begins if t > one.t), default=math.inf)


CHECKS = (
    Check(
        "mscml documents are whole",
        (_FORM, _TIMES),
        "a document of a media server is well formed, of version 1.0, with one response or notification",
        _check_documents,
    ),
    Check(
        "mscml requests are answered once",
        (_ONCE,),
        "each MSCML request gets one response",
        _check_responses,
    ),
    Check(
        "playing ends when it is stopped",
        (_CEASES,),
        "no packet of the playing follows the 200 to <stop> or to the escape key",
        _check_stops,
    ),
)
