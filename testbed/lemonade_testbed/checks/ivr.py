"""Checks of the IVR service: what the response says, and when it comes."""

from __future__ import annotations

from lemonade_testbed.audio.part import UnheardPartError, part_of
from lemonade_testbed.checks.audio import hear_playings
from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import Signal, answer_to, signals
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.siptext import mscml_of, prompt_url
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult
from lemonade_wire.mscml.request import PlayCollect
from lemonade_wire.mscml.response import Response

RATE = 8000
TOLERANCE = 0.1
"""Seconds by which playduration and playoffset may differ from what was heard."""


def _response(told: list[Signal]) -> tuple[Signal, Response] | None:
    for signal in told:
        content = None if signal.message.is_response else mscml_of(signal.message)
        if isinstance(content, Response) and content.request == "playcollect" and signal.source == "media":
            return signal, content
    return None


def _length_agrees(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "playduration and playoffset say what was heard, within 100 ms"
    try:
        told = hear_playings(evidence, part_of(evidence.message or b"", "the mail of the run"))
    except UnheardPartError as problem:
        return CheckResult(False, requirement, "a part that can be heard", str(problem))
    answered = [(playing.response, played) for playing, played in told if playing.response is not None]
    if not answered:
        return CheckResult(False, requirement, "a response to <playcollect>", "none")
    if any(played is None or not played.stretches for _, played in answered):
        return CheckResult(False, requirement, "RTP", "none was heard")
    ok, expected, seen = True, [], []
    for response, played in answered:
        stretches = played.stretches if played else ()
        heard = (sum(stretch.length for stretch in stretches) / RATE, stretches[-1].content_end / RATE)
        told_ms = (response.play_duration_ms, response.play_offset_ms)
        ok &= all(
            said is not None and abs(said / 1000 - length) <= TOLERANCE
            for said, length in zip(told_ms, heard, strict=True)
        )
        expected.append(f"playduration {heard[0]:.2f} s, playoffset {heard[1]:.2f} s")
        seen.append(", ".join("absent" if said is None else f"{said / 1000:.2f} s" for said in told_ms))
    return CheckResult(ok, requirement, "; ".join(expected), "; ".join(seen))


def _answered_first(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the INFO with <playcollect> is answered before the response to it is sent"
    told = signals(evidence)
    request = next((one for one in told if isinstance(mscml_of(one.message), PlayCollect)), None)
    response = _response(told)
    if request is None or response is None:
        return CheckResult(False, requirement, "a request and its response", "not both")
    answer = answer_to(request, told)
    if answer is None:
        return CheckResult(False, requirement, "200 to the INFO", "none")
    gap = response[0].t - answer.t
    seen = f"the response {abs(gap) * 1000:.0f} ms {'after' if gap > 0 else 'before'} the 200"
    return CheckResult(gap > 0, requirement, "the response after the 200", seen)


def _explained(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a response of failure tells in <error_info> what went wrong with which URL"
    contents = [(signal.source, mscml_of(signal.message)) for signal in signals(evidence)]
    urls = {url for _, content in contents if (url := prompt_url(content))}
    failed = [one for source, one in contents if source == "media" and isinstance(one, Response) and one.code >= 400]
    infos = [one.error_info for one in failed]
    ok = bool(failed) and all(info and info.code >= 400 and info.context in urls for info in infos)
    seen = ", ".join(f"{info.code} {info.text}, {info.context}" if info else "no error_info" for info in infos)
    return CheckResult(ok, requirement, "code, text and the URL in every one", seen or "no response of failure")


CHECKS = (
    Check(
        "played length agrees",
        ("LS-2.7-13",),
        "playduration and playoffset of the response agree with what was heard within 100 ms",
        _length_agrees,
    ),
    Check(
        "info answered before response",
        ("LS-2.7-12",),
        "200 to the request's INFO comes before the INFO with the response",
        _answered_first,
    ),
    Check(
        "response explains the failure",
        ("LS-2.7-16", "LS-2.8-12"),
        "each response with an error code has <error_info> with a code, a text and the URL being fetched",
        _explained,
    ),
)
