"""Checks of a client against its script: its calls ask for what the script orders, and it can receive the sound."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import Signal, names_url, signals, step_at
from lemonade_testbed.checks.medialist import ListedCall, calls
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.mscmltext import PlayCollectText
from lemonade_testbed.ladder.sdptext import STATIC, MediaText, SdpText, read_sdp
from lemonade_testbed.ladder.siptext import SipText, mscml_of
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult
from lemonade_wire.script.duration import parse_duration

_PARAMETERS, _OFFERED, _KEYS, _PROMPT = "LS-2.5-2", "LS-2.6-1", "LS-2.7-7", "RFC5022-6.1"
_CONTACT = "RFC3261-8.1.1.8-2"
_ADDRESS = re.compile(r"^sips?:(?:[^@]*@)?([0-9]+(?:\.[0-9]+){3})(?=[:;?]|$)", re.IGNORECASE)
_CALLING = frozenset({"announce", "ivr", "stream"})
_NETANN = {"repeat": "1", "delay": "0", "duration": None}
"""The parameters that change how long a URL is heard (RFC 4240, section 3.2), with the value that changes nothing."""
_ESCAPE = "*"
"""The escape key if neither request nor script names one (RFC 5022, section 6.4)."""
_MS = 1000
_Finding = tuple[str, str, str]
"""A clause, what is expected, and what is seen; both are equal if the clause is kept."""


def _call_as_ordered(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a call has the parameters and codecs of the script, and lets the client receive"
    expected = "parameters and codecs of the script, and an address, port and direction to receive by"
    reached: list[str] = []
    breaches: list[Breach] = []
    for call in calls(evidence):
        verb, args = step_at(scenario, evidence, call.invite.t)
        if verb not in _CALLING:
            continue
        findings = [*_parameters(call, args), *_offer(call.invite.message, args)]
        reached += [clause for clause, _, _ in findings]
        breaches += [
            Breach(call.invite.source, (clause,), wanted, seen, call.invite.t, alone=True)
            for clause, wanted, seen in findings
            if wanted != seen
        ]
    if not reached:
        return CheckResult.without_material(requirement, expected, "no call of a step that is known")
    seen = "; ".join(breach.seen for breach in breaches) or expected
    return CheckResult(requirement, expected, seen, tuple(breaches), tuple(dict.fromkeys(reached)))


def _parameters(call: ListedCall, args: Mapping[str, Any]) -> Iterator[_Finding]:
    """Yield the parameters of an announcement with those ordered: names in lower case, values decoded."""
    if call.server.user != "annc":
        return
    ordered = args.get("params")
    wanted = {
        str(name).lower(): str(value) for name, value in (ordered if isinstance(ordered, Mapping) else {}).items()
    }
    given_names = [word.partition("=")[::2] for word in call.invite.message.uri.partition("?")[0].split(";")[1:]]
    named = {unquote(name).lower(): unquote(value) for name, value in given_names}
    changing = {name for name, value in named.items() if name in _NETANN and value != _NETANN[name]}
    given = {name: value for name, value in named.items() if name in wanted or name in changing}
    yield _PARAMETERS, _in_words(wanted), _in_words(given)


def _in_words(parameters: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value.lower()}" for name, value in sorted(parameters.items())) or "no parameter but play"


def _offer(message: SipText, args: Mapping[str, Any]) -> Iterator[_Finding]:
    """Yield the first audio line of an offer with what was ordered."""
    text = message.content("application/sdp")
    described = read_sdp(text) if text and "sdp" not in args else SdpText()
    line = next((one for one in described.media if one.media == "audio"), None)
    if line is None:
        return
    wanted = "an audio line that lets the client receive"
    yield _OFFERED, wanted, wanted if line.receives else f"{line.direction} at {line.address}:{line.port}"
    ordered = args.get("offer")
    if isinstance(ordered, list | tuple) and ordered:
        codecs = _codecs(line)
        names = [str(one).lower() for one in ordered]
        said = ", ".join(names)
        yield _OFFERED, said, said if any(name in codecs for name in names) else ", ".join(codecs) or "no codec"


def _codecs(line: MediaText) -> list[str]:
    named = {**STATIC, **line.codecs()}
    known = [named[int(one)] for one in line.formats if one.isdecimal() and int(one) in named]
    return [f"{one.name}/{one.clock}".lower() for one in known]


def _request_as_ordered(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a request has the keys and the skip of the script, and plays once from its start"
    expected, findings = "keys, skip and offset of the script", []
    for signal in signals(evidence):
        content = mscml_of(signal.message)
        verb, args = step_at(scenario, evidence, signal.t)
        if signal.message.is_response or not isinstance(content, PlayCollectText) or verb not in {"ivr", "stream"}:
            continue
        if evidence.world.kind_of(signal.source) == "client" and not names_url(scenario, evidence, signal.t):
            pressed = any(str(step.get("press", {}).get("key", "")) == _ESCAPE for step in scenario.client)
            wanted = {"escape": _ESCAPE, **args} if pressed else args
            findings += [(signal, *one) for one in _request(content, wanted)]
    if not findings:
        return CheckResult.without_material(requirement, expected, "no <playcollect> of a step that is known")
    breaches = tuple(_breach(*one) for one in findings if one[2] != one[3])
    seen = "; ".join(breach.seen for breach in breaches) or expected
    return CheckResult(requirement, expected, seen, breaches, tuple(dict.fromkeys(one[1] for one in findings)))


def _breach(signal: Signal, clause: str, wanted: str, seen: str) -> Breach:
    return Breach(signal.source, (clause,), wanted, seen, signal.t, alone=True)


def _request(content: PlayCollectText, args: Mapping[str, Any]) -> Iterator[_Finding]:
    """Yield what a request has with what was ordered; keys and skip are judged only if the script orders them."""
    for name, key in (("ff", content.ff_key), ("rw", content.rw_key), ("escape", content.escape_key)):
        if name in args:
            yield _KEYS, f"{name} {args[name]}", f"{name} {key}"
    if "skip" in args:
        yield _KEYS, f"skipinterval {_seconds(args['skip']):g} s", f"skipinterval {content.skip_interval_ms / _MS:g} s"
    if content.prompt is None:
        return
    if args.get("offset") != "playoffset":
        wanted = _seconds(args.get("offset", "0 s"))
        yield _PROMPT, f"offset {wanted:g} s", f"offset {content.prompt.offset_ms / _MS:g} s"
    yield _PROMPT, "repeat 1", f"repeat {content.prompt.repeat}"
    if content.prompt.duration_ms != math.inf:
        yield _PROMPT, "no duration", f"duration {content.prompt.duration_ms / _MS:g} s"


def _seconds(value: object) -> float:
    return parse_duration(str(value), negative=True) if isinstance(value, str) else float(str(value))


def _contact_is_own(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the Contact of an INVITE has an address at which its sender receives requests"
    expected, reached, breaches = "an address of its own", 0, []
    for signal in signals(evidence):
        found = _ADDRESS.search(signal.message.contact_uri())
        if signal.message.method != "INVITE" or signal.message.is_response or found is None:
            continue  # a host name may stand for any address
        reached += 1
        if evidence.world.role_of(found[1]) is None:
            seen = signal.message.contact_uri()
            breaches.append(Breach(signal.source, (_CONTACT,), expected, seen, signal.t, alone=True))
    if not reached:
        return CheckResult.without_material(requirement, expected, "no INVITE with an address in Contact")
    return CheckResult(requirement, expected, f"{reached} INVITEs", tuple(breaches))


CHECKS = (
    Check(
        "contact is its sender's", (_CONTACT,), "the address in an INVITE's Contact is one of the run", _contact_is_own
    ),
    Check(
        "call is as ordered",
        (_PARAMETERS, _OFFERED),
        "the INVITE has the script's parameters and codecs, and its offer lets the client receive",
        _call_as_ordered,
    ),
    Check(
        "request is as ordered",
        (_KEYS, _PROMPT),
        "a <playcollect> has the script's keys, skip and offset, and plays once",
        _request_as_ordered,
    ),
)
