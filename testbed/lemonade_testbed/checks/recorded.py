"""`recorded is FILE`: what the media server wrote, compared with what the client said."""

from __future__ import annotations

import numpy as np

from lemonade_testbed.audio.compare import Samples, compare
from lemonade_testbed.audio.part import RATE, MediaPart, UnheardPartError
from lemonade_testbed.checks.base import Check
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult

RECORDED = "recorded.wav"
"""The name by which a scenario has the media server record: `recurl="file:///recorded.wav"`."""
REQUIREMENT = "what was said is recorded, whole and in order; the silence around it is free"


def _is_file(scenario: Scenario, evidence: Evidence, file: str) -> CheckResult:
    try:
        said = _voice(MediaPart("audio/wav", scenario.file(file).read_bytes()))
        path = evidence.folder / RECORDED if evidence.folder else None
        if path is None or not path.is_file():
            return CheckResult(False, REQUIREMENT, f"{len(said) / RATE:.2f} s", f"there is no {RECORDED}")
        recorded = _voice(MediaPart("audio/wav", path.read_bytes()))
    except UnheardPartError as problem:
        return CheckResult(False, REQUIREMENT, "a recording that can be heard", str(problem))
    problems = compare(said, recorded).problems if len(recorded) else ["nothing but silence"]
    seen = "; ".join(problems) or f"{len(recorded) / RATE:.2f} s"
    return CheckResult(not problems, REQUIREMENT, f"{len(said) / RATE:.2f} s", seen)


def _voice(part: MediaPart) -> Samples:
    """Return the sound without the silence before and behind it."""
    loud = np.flatnonzero(part.samples)
    return part.samples[loud[0] : loud[-1] + 1] if len(loud) else part.samples[:0]


CHECKS = (
    Check(
        "recorded is FILE",
        (),
        f"what the media server recorded as {RECORDED} is what a recording holds that the client said",
        _is_file,
    ),
)
