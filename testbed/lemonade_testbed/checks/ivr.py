"""Checks of the IVR service: what the response says, and when it comes."""

from __future__ import annotations

from lemonade_testbed.audio.part import UnheardPartError, part_of
from lemonade_testbed.checks.audio import hear_call
from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import Signal, answer_to, signals
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.siptext import mscml_of
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
    found = _response(signals(evidence))
    if found is None:
        return CheckResult(False, requirement, "a response to <playcollect>", "none")
    response = found[1]
    try:
        played = hear_call(evidence, part_of(evidence.message or b"", "the mail of the run"))
    except UnheardPartError as problem:
        return CheckResult(False, requirement, "a part that can be heard", str(problem))
    if played is None or not played.stretches:
        return CheckResult(False, requirement, "RTP", "none was heard")
    duration = sum(stretch.length for stretch in played.stretches) / RATE
    offset = played.stretches[-1].content_end / RATE
    told = (response.play_duration_ms, response.play_offset_ms)
    ok = all(
        said is not None and abs(said / 1000 - heard) <= TOLERANCE
        for said, heard in zip(told, (duration, offset), strict=True)
    )
    seen = ", ".join("absent" if said is None else f"{said / 1000:.2f} s" for said in told)
    return CheckResult(ok, requirement, f"playduration {duration:.2f} s, playoffset {offset:.2f} s", seen)


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
)
