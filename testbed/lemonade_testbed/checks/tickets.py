"""Checks of the URL on its way: asked for, authorised, played, fetched."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lemonade_testbed.capture.ticket import difference, nearest
from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import asked_urls, authorised_urls, fetched_data, fetched_urls, played_urls
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.model import Url
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult


def _all_among(requirement: str, urls: Sequence[Url], allowed: Sequence[Url], what: str) -> CheckResult:
    """Say whether every URL is, octet for octet and with its token, among the allowed ones."""
    expected = ", ".join(map(str, dict.fromkeys(allowed))) or "a URL"
    if not urls or not allowed:
        return CheckResult(False, requirement, expected, f"no URL was {what}")
    stray = [url for url in urls if url not in allowed]
    if not stray:
        return CheckResult(True, requirement, expected, ", ".join(map(str, dict.fromkeys(urls))))
    told = [f"{url}: {difference(url, before)}" for url in stray if (before := nearest(url, allowed)) is not None]
    return CheckResult(False, requirement, expected, ", ".join(told))


def _played_is_authorised(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the URL of GENURLAUTH's answer goes to the media server unchanged"
    authorised, played = authorised_urls(evidence), played_urls(evidence)
    return _all_among(requirement, played, authorised, "played" if authorised else "authorised")


def _fetched_is_played(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the media server fetches the URL that it was given, unchanged"
    played, fetched = played_urls(evidence), fetched_urls(evidence)
    return _all_among(requirement, fetched, played, "fetched" if played else "played")


def _answered_is_fetched(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "URLFETCH answers under the very URL that was asked for"
    answered = [Url.parse(data.url) for data in fetched_data(evidence)]
    return _all_among(requirement, answered, fetched_urls(evidence), "answered")


def _authorised_is_asked(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "GENURLAUTH's answer is the URL asked for, with mechanism and token behind it"
    asked, given = asked_urls(evidence), authorised_urls(evidence)
    if not asked or not given:
        return CheckResult(False, requirement, ", ".join(asked) or "a URL", "no URL was authorised")
    stray = [url for url in given if url.text not in asked or url.token is None]
    return CheckResult(not stray, requirement, ", ".join(dict.fromkeys(asked)), ", ".join(map(str, stray or given)))


def _has_expiry(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the client asks for tickets with an EXPIRE"
    asked = asked_urls(evidence)
    bare = [url for url in asked if not re.search(r";EXPIRE=[^;]+", url, re.IGNORECASE)]
    seen = ", ".join(bare or asked) or "no GENURLAUTH"
    return CheckResult(bool(asked) and not bare, requirement, ";EXPIRE=... in every URL", seen)


CHECKS = (
    Check(
        "url played is url authorised",
        ("LS-2.1-4", "LS-2.3-11", "LS-2.5-3", "LS-2.5-4"),
        "what the client hands to the media server is GENURLAUTH's answer, octet for octet",
        _played_is_authorised,
    ),
    Check(
        "url fetched is url played",
        ("LS-2.1-5", "LS-2.8-8"),
        "what the media server fetches is what it was given, octet for octet",
        _fetched_is_played,
    ),
    Check(
        "url answered is url fetched",
        ("LS-2.8-11",),
        "URLFETCH's answer names the URL as it was asked for",
        _answered_is_fetched,
    ),
    Check(
        "url authorised is url asked",
        ("LS-2.3-10",),
        "GENURLAUTH adds a token and changes nothing else",
        _authorised_is_asked,
    ),
    Check("ticket has an expiry", ("LS-2.3-3", "LS-2.3-4"), "the URL asked for has an EXPIRE", _has_expiry),
)
