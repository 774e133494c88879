"""Checks of the IVR service: the requests of the client, and the responses of the media server."""

from __future__ import annotations

import math
from collections.abc import Callable

from lemonade_testbed.checks.audio import hear_playings
from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.exchanges import exchanges
from lemonade_testbed.checks.facts import Signal, answer_to, authorised_urls, names_url, signals
from lemonade_testbed.checks.playing import Playing
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.model import Url
from lemonade_testbed.ladder.mscmltext import AudioText, PlayCollectText, ResponseText
from lemonade_testbed.ladder.siptext import mscml_of, prompt_url
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

_SDP = "application/sdp"
_NEGOTIATES = ("LS-2.7-2",)
_TIMERS = ("LS-2.7-5",)
_PROMPT = ("LS-2.7-9", "LS-2.7-8")
_STOPS = ("LS-2.7-11",)
RATE = 8000
TOLERANCE = 0.1
"""Seconds by which playduration and playoffset may differ from what was heard."""
_LENGTH = ("LS-2.7-13",)
_AT_ONCE = ("LS-2.7-12",)
_NO_RETRIEVAL = frozenset({"400", "415", "488"})
"""Codes of failures that do not come from fetching a URL (RFC 5022, section 10.4.1): bad request, content without
sound.
"""
_FAILURES = frozenset({"4", "5", "6"})
_EXPLAINS = ("LS-2.7-16", "LS-2.8-12")


def _asked(evidence: Evidence) -> list[tuple[Signal, PlayCollectText]]:
    documents = [
        (one, mscml_of(one.message)) for one in signals(evidence) if evidence.world.kind_of(one.source) == "client"
    ]
    return [(signal, content) for signal, content in documents if isinstance(content, PlayCollectText)]


def _check_each_request(
    scenario: Scenario,
    evidence: Evidence,
    requirement: str,
    expected: str,
    *,
    clauses: tuple[str, ...],
    judge_request: Callable[[PlayCollectText], tuple[bool, str]],
) -> CheckResult:
    """Return the result of a check of every `<playcollect>` of the client; `judge_request` judges one of them."""
    judged = [
        (signal, *judge_request(request))
        for signal, request in _asked(evidence)
        if not names_url(scenario, evidence, signal.t)
    ]
    if not judged:
        return CheckResult.without_material(requirement, expected, "no <playcollect>")
    breaches = tuple(Breach(one.source, clauses, expected, text, one.t) for one, ok, text in judged if not ok)
    return CheckResult(requirement, expected, ", ".join(dict.fromkeys(text for _, _, text in judged)), breaches)


def _invite_negotiates(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "an INVITE to the IVR service carries a session description and nothing else"
    invites = [one for one in signals(evidence) if one.message.is_call_to("ivr")]
    if not invites:
        return CheckResult.without_material(requirement, _SDP, "no INVITE to ivr")
    kinds = [(one, one.message.content_type or "no body") for one in invites]
    breaches = tuple(Breach(one.source, _NEGOTIATES, _SDP, kind, one.t) for one, kind in kinds if kind != _SDP)
    return CheckResult(requirement, _SDP, ", ".join(dict.fromkeys(kind for _, kind in kinds)), breaches)


def _timers_are_zero(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    def timers(request: PlayCollectText) -> tuple[bool, str]:
        given = (request.first_digit_ms, request.interdigit_ms, request.extra_digit_ms)
        return not any(given), " ".join(f"{one:g}ms" for one in given)

    requirement = "firstdigittimer, interdigittimer and extradigittimer are 0ms"
    return _check_each_request(scenario, evidence, requirement, "0ms 0ms 0ms", clauses=_TIMERS, judge_request=timers)


def _one_audio(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    authorised = [one.url for one in authorised_urls(evidence)]

    def items(request: PlayCollectText) -> tuple[bool, str]:
        found = request.prompt.items if request.prompt else ()
        urls = [Url.parse(item.url) for item in found if isinstance(item, AudioText)]
        ok = len(found) == len(urls) == 1 and (urls[0] in authorised or not authorised)
        return ok, " and ".join(map(str, urls)) or "no <audio>"

    requirement = "the prompt is one <audio> with the authorised URL"
    return _check_each_request(
        scenario,
        evidence,
        requirement,
        ", ".join(map(str, authorised)) or "a URL",
        clauses=_PROMPT,
        judge_request=items,
    )


def _stops_on_error(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    def attribute(request: PlayCollectText) -> tuple[bool, str]:
        stops = request.prompt is not None and request.prompt.stop_on_error
        return stops, f'stoponerror="{"yes" if stops else "no"}"'

    return _check_each_request(
        scenario, evidence, "the prompt stops on errors", 'stoponerror="yes"', clauses=_STOPS, judge_request=attribute
    )


def _length_agrees(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "playduration and playoffset say what was heard, within 100 ms"
    expected, seen, breaches = [], [], []
    for one in hear_playings(evidence)[0]:
        response = one.playing.response
        plain = one.playing.repeat == 1 and math.isinf(one.playing.limit)
        if response is None or one.played is None or not one.played.stretches or not plain:
            continue
        stretches = one.played.stretches
        heard = (sum(stretch.length for stretch in stretches) / RATE, stretches[-1].content_end / RATE)
        told_ms = (response.play_duration_ms, response.play_offset_ms)
        expected.append(f"playduration {heard[0]:.2f} s, playoffset {heard[1]:.2f} s")
        seen.append(", ".join("absent" if said is None else f"{said / 1000:.2f} s" for said in told_ms))
        agrees = all(
            said is not None and abs(said / 1000 - length) <= TOLERANCE
            for said, length in zip(told_ms, heard, strict=True)
        )
        if not agrees:
            breaches.append(Breach(_sender(one.playing, evidence), _LENGTH, expected[-1], seen[-1], one.playing.until))
    if not expected:
        return CheckResult.without_material(requirement, "a response to <playcollect>, and RTP", "not both")
    return CheckResult(requirement, "; ".join(expected), "; ".join(seen), tuple(breaches))


def _sender(playing: Playing, evidence: Evidence) -> str:
    """Return the name of the node that sent the response of a playing."""
    sent = [one for one in signals(evidence) if isinstance(mscml_of(one.message), ResponseText)]
    return next((one.source for one in reversed(sent) if one.t <= playing.until), "media")


def _answered_first(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the INFO with a request is answered before the response to it is sent"
    expected, all_signals = "the response after the 200", signals(evidence)
    seen, breaches = [], []
    for one in exchanges(evidence):
        answer = answer_to(one.request.signal, all_signals) if one.request is not None else None
        if answer is None:
            continue
        response = one.response.signal
        gap = response.t - answer.t
        seen.append(f"the response {abs(gap) * 1000:.0f} ms {'after' if gap > 0 else 'before'} the 200")
        if gap <= 0:
            breaches.append(Breach(response.source, _AT_ONCE, expected, seen[-1], response.t))
    if not seen:
        return CheckResult.without_material(requirement, expected, "a request, its 200 and its response: not all")
    return CheckResult(requirement, expected, "; ".join(seen), tuple(breaches))


def _check_error_info(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a response of failure says in <error_info> what went wrong with which URL"
    expected = "code, text and URL in each response"
    seen, breaches = [], []
    for one in exchanges(evidence):
        url = prompt_url(mscml_of(one.request.signal.message)) if one.request is not None else None
        code = one.response.attributes.get("code", "")
        if url is None or code[:1] not in {"4", "5"} or code in _NO_RETRIEVAL:
            continue
        info = one.response.error_info
        seen.append(f"{info.get('code')} {info.get('text')}, {info.get('context')}" if info else "no error_info")
        if not info or not info.get("text") or info.get("code", "")[:1] not in _FAILURES or info.get("context") != url:
            signal = one.response.signal
            breaches.append(Breach(signal.source, _EXPLAINS, expected, seen[-1], signal.t))
    if not seen:
        return CheckResult.without_material(requirement, expected, "no response of failure")
    return CheckResult(requirement, expected, "; ".join(seen), tuple(breaches))


CHECKS = (
    Check(
        "invite only negotiates",
        _NEGOTIATES,
        "the INVITE to ivr holds a session description and no MSCML",
        _invite_negotiates,
    ),
    Check("digit timers are zero", _TIMERS, "no <playcollect> waits for keys after its prompt", _timers_are_zero),
    Check(
        "prompt is one audio",
        _PROMPT,
        "the prompt of every <playcollect> is one <audio> with the authorised URL",
        _one_audio,
    ),
    Check("prompt stops on errors", _STOPS, 'every prompt has stoponerror="yes"', _stops_on_error),
    Check(
        "played length agrees",
        _LENGTH,
        "playduration and playoffset of the response agree with what was heard within 100 ms",
        _length_agrees,
    ),
    Check(
        "info answered before response",
        _AT_ONCE,
        "200 to the request's INFO comes before the INFO with the response",
        _answered_first,
    ),
    Check(
        "response explains the failure",
        _EXPLAINS,
        "each response with an error code has <error_info> with a code, a text and the URL being fetched",
        _check_error_info,
    ),
)
