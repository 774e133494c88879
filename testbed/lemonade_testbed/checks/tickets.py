"""Checks of the URL on its way through a run: requested, authorised, played, and fetched."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import (
    Sighting,
    asked_urls,
    authorised_urls,
    fetched_data,
    fetched_urls,
    is_raw,
    names_url,
    played_urls,
)
from lemonade_testbed.checks.ticket_path import difference, nearest
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.model import Url
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult
from lemonade_wire.redaction import MALFORMED

_HANDED = ("LS-2.1-4", "LS-2.3-11", "LS-2.5-3", "LS-2.5-4")
_DEREFERENCED = ("LS-2.8-8", "LS-2.1-5")
_ANSWERED = ("LS-2.8-11",)
_AUTHORISED = ("LS-2.3-10",)
_EXPIRES = ("LS-2.3-4",)
_TOKEN_FORM = ("RFC4467-9",)


def _compare_urls(
    requirement: str, urls: Sequence[Sighting], allowed: Sequence[Sighting], clauses: tuple[str, ...], what: str
) -> CheckResult:
    """Judge that each URL equals, octet for octet and with its token, one that its sender had received before."""
    known = [one.url for one in allowed]
    expected = ", ".join(map(str, dict.fromkeys(known))) or "a URL"
    if not urls or not allowed:
        return CheckResult.without_material(requirement, expected, f"no URL was {what}")
    breaches = tuple(
        Breach(one.node, clauses, expected, _describe_difference(one.url, known), one.t)
        for one in urls
        if one.url not in known
    )
    return CheckResult(requirement, expected, ", ".join(dict.fromkeys(str(one.url) for one in urls)), breaches)


def _describe_difference(url: Url, known: Sequence[Url]) -> str:
    before = nearest(url, known)
    return f"{url}: {difference(url, before)}" if before is not None else str(url)


def _played_is_authorised(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the URL of GENURLAUTH's answer goes to the media server unchanged"
    authorised = authorised_urls(evidence)
    played = [one for one in played_urls(evidence) if not names_url(scenario, evidence, one.t)]
    return _compare_urls(requirement, played, authorised, _HANDED, "played" if authorised else "authorised")


def _fetched_is_played(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the media server fetches the URL that it was given, unchanged"
    played, fetched = played_urls(evidence), fetched_urls(evidence)
    return _compare_urls(requirement, fetched, played, _DEREFERENCED, "fetched" if played else "played")


def _answered_is_fetched(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the answer of URLFETCH has the URL that was asked for, unchanged"
    answered = [Sighting(one.node, one.t, Url.parse(one.data.url)) for one in fetched_data(evidence)]
    return _compare_urls(requirement, answered, fetched_urls(evidence), _ANSWERED, "answered")


def _authorised_is_asked(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "GENURLAUTH's answer is the URL that was asked for, followed by mechanism and token"
    asked, given = [one.url.text for one in asked_urls(evidence)], authorised_urls(evidence)
    expected = ", ".join(dict.fromkeys(asked)) or "a URL"
    if not asked or not given:
        return CheckResult.without_material(requirement, expected, "no URL was authorised")
    breaches = tuple(
        Breach(one.node, _AUTHORISED, expected, str(one.url), one.t)
        for one in given
        if one.url.text not in asked or one.url.token is None
    )
    return CheckResult(requirement, expected, ", ".join(str(one.url) for one in given), breaches)


def _token_is_whole(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the token of a ticket is 32 hexadecimal digits or more"
    expected, given = "32 hexadecimal digits or more", [one for one in authorised_urls(evidence) if one.url.token]
    if not given:
        return CheckResult.without_material(requirement, expected, "no ticket")
    breaches = tuple(
        Breach(one.node, _TOKEN_FORM, expected, f"another form: {one.url}", one.t, alone=True)
        for one in given
        if (one.url.token or "").endswith(MALFORMED)
    )
    return CheckResult(requirement, expected, f"{len(given)} tickets", breaches)


def _has_expiry(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the client asks for tickets with an EXPIRE"
    asked = [one for one in asked_urls(evidence) if not is_raw(scenario, evidence, one.t)]
    expected = ";EXPIRE=... in every URL"
    if not asked:
        return CheckResult.without_material(requirement, expected, "no GENURLAUTH")
    breaches = tuple(
        Breach(one.node, _EXPIRES, expected, one.url.text, one.t)
        for one in asked
        if not re.search(r";EXPIRE=[^;]+", one.url.text, re.IGNORECASE)
    )
    return CheckResult(requirement, expected, ", ".join(one.url.text for one in asked), breaches)


CHECKS = (
    Check(
        "url played is url authorised",
        _HANDED,
        "what the client hands to the media server is GENURLAUTH's answer, octet for octet",
        _played_is_authorised,
    ),
    Check(
        "url fetched is url played",
        _DEREFERENCED,
        "what the media server fetches is what it was given, octet for octet",
        _fetched_is_played,
    ),
    Check(
        "url answered is url fetched",
        _ANSWERED,
        "URLFETCH's answer names the URL as it was asked for",
        _answered_is_fetched,
    ),
    Check(
        "url authorised is url asked",
        _AUTHORISED,
        "GENURLAUTH adds a token and changes nothing else",
        _authorised_is_asked,
    ),
    Check(
        "token is whole",
        _TOKEN_FORM,
        "the token of each URL that GENURLAUTH gives is 32 hexadecimal digits or more",
        _token_is_whole,
    ),
    Check("ticket has an expiry", _EXPIRES, "the URL asked for has an EXPIRE", _has_expiry),
)
