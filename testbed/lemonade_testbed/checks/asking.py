"""Checks of what a client asks of the IVR service: an INVITE that only negotiates, and a request that only plays."""

from __future__ import annotations

from collections.abc import Callable

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import authorised_urls, signals
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.model import Url
from lemonade_testbed.ladder.siptext import mscml_of
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult
from lemonade_wire.mscml.request import Audio, PlayCollect


def _asked(evidence: Evidence) -> list[PlayCollect]:
    contents = [mscml_of(signal.message) for signal in signals(evidence) if signal.source == "client"]
    return [content for content in contents if isinstance(content, PlayCollect)]


def _each(
    evidence: Evidence, requirement: str, expected: str, tell: Callable[[PlayCollect], tuple[bool, str]]
) -> CheckResult:
    """Say whether every <playcollect> of the client is as `tell` wants it."""
    told = [tell(request) for request in _asked(evidence)]
    seen = ", ".join(dict.fromkeys(text for _, text in told))
    return CheckResult(bool(told) and all(ok for ok, _ in told), requirement, expected, seen or "no <playcollect>")


def _invite_negotiates(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "an INVITE to the IVR service carries a session description and nothing else"
    invites = [one.message for one in signals(evidence) if one.message.method == "INVITE" and one.source == "client"]
    kinds = [one.content_type or "no body" for one in invites if one.service() == "ivr"]
    ok = bool(kinds) and set(kinds) == {"application/sdp"}
    return CheckResult(ok, requirement, "application/sdp", ", ".join(dict.fromkeys(kinds)) or "no INVITE to ivr")


def _timers_are_zero(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    def timers(request: PlayCollect) -> tuple[bool, str]:
        given = (request.first_digit_ms, request.interdigit_ms, request.extra_digit_ms)
        return not any(given), " ".join(f"{one:g}ms" for one in given)

    requirement = "firstdigittimer, interdigittimer and extradigittimer are 0ms"
    return _each(evidence, requirement, "0ms 0ms 0ms", timers)


def _one_audio(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    authorised = authorised_urls(evidence)

    def items(request: PlayCollect) -> tuple[bool, str]:
        found = request.prompt.items if request.prompt else ()
        urls = [Url.parse(item.url) for item in found if isinstance(item, Audio)]
        ok = len(found) == len(urls) == 1 and urls[0] in authorised
        return ok, " and ".join(map(str, urls)) or "no <audio>"

    requirement = "the prompt is one <audio> with the authorised URL"
    return _each(evidence, requirement, ", ".join(map(str, authorised)) or "a URL", items)


def _stops_on_error(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    def attribute(request: PlayCollect) -> tuple[bool, str]:
        stops = request.prompt is not None and request.prompt.stop_on_error
        return stops, f'stoponerror="{"yes" if stops else "no"}"'

    return _each(evidence, "the prompt stops on errors", 'stoponerror="yes"', attribute)


CHECKS = (
    Check(
        "invite only negotiates",
        ("LS-2.7-2",),
        "the INVITE to ivr holds a session description and no MSCML",
        _invite_negotiates,
    ),
    Check("digit timers are zero", ("LS-2.7-5",), "no <playcollect> waits for keys after its prompt", _timers_are_zero),
    Check(
        "prompt is one audio",
        ("LS-2.7-8", "LS-2.7-9"),
        "the prompt of every <playcollect> is one <audio> with the authorised URL",
        _one_audio,
    ),
    Check("prompt stops on errors", ("LS-2.7-11",), 'every prompt has stoponerror="yes"', _stops_on_error),
)
