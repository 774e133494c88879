"""The closed list of checks, which `lemonade checks` prints."""

from __future__ import annotations

import re
from difflib import get_close_matches

from lemonade_testbed.checks import (
    answer,
    asking,
    client,
    entering,
    ivr,
    logs,
    part,
    recorded,
    relay,
    secured,
    tickets,
    timing,
)
from lemonade_testbed.checks.audio import heard_is_part
from lemonade_testbed.checks.base import Check
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult


class CheckError(ValueError):
    """No check has these words; the text names the nearest one."""


def _heard_is_the_part(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    return heard_is_part(evidence, None)


def _heard_is_file(scenario: Scenario, evidence: Evidence, file: str) -> CheckResult:
    return heard_is_part(evidence, scenario.file(file))


_AUDIO = ("LS-1-1", "LS-2.1-6", "LS-2.8-11")
CHECKS: dict[str, Check] = {
    check.words: check
    for check in (
        Check(
            "audio heard is the part",
            _AUDIO,
            "what the client received is what the mail holds, after the jumps that the keys asked for",
            _heard_is_the_part,
        ),
        Check("audio heard is FILE", _AUDIO, "the same, compared with a recording", _heard_is_file),
        *tickets.CHECKS,
        *part.CHECKS,
        *answer.CHECKS,
        *timing.CHECKS,
        *asking.CHECKS,
        *ivr.CHECKS,
        *client.CHECKS,
        *entering.CHECKS,
        *logs.CHECKS,
        *relay.CHECKS,
        *recorded.CHECKS,
        *secured.CHECKS,
    )
}


def find_check(words: str) -> tuple[Check, str]:
    """Return the check that `words` mean and the file they name; raises CheckError with the nearest one."""
    words = " ".join(words.split())
    if words in CHECKS and "FILE" not in words:
        return CHECKS[words], ""
    for check in CHECKS.values():
        if "FILE" in check.words:
            match = re.fullmatch(re.escape(check.words).replace("FILE", r"(\S+\.[a-z0-9]+)"), words)
            if match:
                return check, match[1]
    near = get_close_matches(words, CHECKS, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise CheckError(f"no check {words!r}{hint} (`lemonade checks` lists them)")
