"""Checks of extensions and session timers, and of what a refusal must name (RFC 3261, section 8; RFC 4028)."""

from __future__ import annotations

import re

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import Signal, signals
from lemonade_testbed.checks.sip import Findings, is_ordered, requests_of, values_of
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.siptext import SipText
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult

_DEFINED = frozenset({
    "100rel", "199", "answermode", "early-session", "eventlist", "explicitsub", "from-change",
    "geolocation-http", "geolocation-sip", "gin", "gruu", "histinfo", "ice", "join", "multiple-refer",
    "norefersub", "nosub", "outbound", "path", "policy", "precondition", "pref", "privacy",
    "recipient-list-invite", "recipient-list-message", "recipient-list-subscribe", "record-aware",
    "replaces", "resource-priority", "sdp-anat", "sec-agree", "siprec", "tdialog", "timer", "trickle-ice",
    "uui",
})  # fmt: skip
"""The option tags that RFCs define (the registry of option tags of SIP)."""
_TAGGED = ("require", "supported", "proxy-require")
_SHORTEST = 90
"""Seconds: the smallest Session-Expires (RFC 4028, section 4)."""
_NAMED = {
    "405": ("allow",),
    "415": ("accept", "accept-encoding", "accept-language"),
    "420": ("unsupported",),
    "422": ("min-se",),
}
"""The headers of which a refusal with this status has one at least."""

_DEFINES, _AGREED, _REFUSES = "RFC3261-8.1.1.9", "RFC3261-8.2.4", "RFC3261-8.2"
_INTERVAL, _REFRESHER = "RFC4028-4", "RFC4028-9"


def _check_extensions(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    found = Findings()
    all_signals = signals(evidence)
    asked = requests_of(all_signals)
    for signal in all_signals:
        if is_ordered(signal, scenario, evidence):
            continue
        _judge_timer(found, signal)
        if not signal.message.is_response:
            tags = [tag for name in _TAGGED for tag in _tags(signal.message, name)]
            strange = [tag for tag in tags if tag not in _DEFINED]
            found.expect(not strange, _DEFINES, signal, "option tags of RFCs", ", ".join(strange))
        elif (request := asked[id(signal)]) is not None:
            _judge_required(found, request, signal)
    return found.result("extensions are those that the other side supports", "extensions of both sides", "SIP message")


def _judge_required(found: Findings, request: Signal, response: Signal) -> None:
    """Judge that a response requires only what its request supports; 421 says what the request would have to."""
    message = response.message
    known = {*_tags(request.message, "supported"), *_tags(request.message, "require")}
    required = {*_tags(message, "require"), *(("100rel",) if message.header("rseq") else ())}
    unknown = sorted(required - known) if message.status != "421" else []
    expected = f"none but {', '.join(sorted(known))}" if known else "no required extension"
    found.expect(not unknown, _AGREED, response, expected, f"Require: {', '.join(unknown)}")


def _judge_timer(found: Findings, signal: Signal) -> None:
    """Judge Session-Expires: at least 90 s, and a 2xx says which side refreshes the session."""
    message = signal.message
    for value in message.headers.get("session-expires", ()):
        seconds = value.partition(";")[0].strip()
        fits = seconds.isdecimal() and int(seconds) >= _SHORTEST
        found.expect(fits, _INTERVAL, signal, f"{_SHORTEST} s or more", f"Session-Expires: {value}")
        if message.status.startswith("2"):
            named = re.search(r";\s*refresher\s*=\s*ua[cs]\b", value, re.IGNORECASE) is not None
            found.expect(named, _REFRESHER, signal, "refresher=uac or uas", f"Session-Expires: {value}")


def _tags(message: SipText, name: str) -> list[str]:
    return [one.lower() for one in values_of(message, name)]


def _check_refusals(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    found = Findings()
    for signal in signals(evidence):
        names = _NAMED.get(signal.message.status)
        if names is not None and signal.message.is_response:
            has = any(name in signal.message.headers for name in names)
            expected = " or ".join(name.title() for name in names)
            found.expect(has, _REFUSES, signal, expected, "none of them")
    return found.result("a refusal names what would be accepted", "the header for its status", "405, 415, 420 or 422")


CHECKS = (
    Check(
        "extensions are agreed",
        (_DEFINES, _AGREED, _INTERVAL, _REFRESHER),
        "option tags are those of RFCs, a response requires what its request supports, Session-Expires is 90 or more",
        _check_extensions,
    ),
    Check(
        "refusals name what is accepted",
        (_REFUSES,),
        "405 has Allow, 415 Accept, Accept-Encoding or Accept-Language, 420 Unsupported, 422 Min-SE",
        _check_refusals,
    ),
)
