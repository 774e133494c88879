"""Checks of the ticket that a client asks for: its permitted users, its lifetime, and the part that it names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import is_raw, step_at
from lemonade_testbed.checks.imap_exchanges import ImapExchange, TicketUrl, exchanges, mailbox_name
from lemonade_testbed.checks.medialist import (
    ListedCall,
    ListedServer,
    calls,
    configured_servers,
    discoveries,
    servers_known,
)
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.imaptext import as_text, first_url, read_genurlauth
from lemonade_testbed.ladder.model import Url
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult
from lemonade_wire.script.duration import parse_duration

_EXPIRE_FIRST = ("LS-2.3-3",)
_LIFE = ("LS-2.3-4", "LS-2.3-3")
_MECHANISM = ("LS-2.3-10",)
_NAMES = ("LS-2.3-2",)
_OBLIGED = ("LS-2.2-8", "LS-2.3-7", "LS-2.2-4", "LS-3-8")
_BY_CASE = ("LS-7-1",)
_ORDERED = ("LS-2.3-8", "LS-3-3")
_RESTRICTED = ("LS-2.3-8",)
_ALLOWED = ("LS-2.3-9",)
_TOLERANCE = 5.0
"""Seconds by which EXPIRE may differ from the lifetime in the script: a busy client is slow, and may round to seconds.
"""
_DEFAULT_LIFE = "600 s"
_ACCESS = re.compile(r";URLAUTH=([^;:]*)", re.IGNORECASE)
_EXPIRE = re.compile(r";EXPIRE=([^;:]+(?::[^;:]+){2}(?::\d\d)?)", re.IGNORECASE)
_Message = tuple[str, str, str, str, str]
"""Host, user, mailbox, UIDVALIDITY and UID of a message; empty if the URL does not have the component."""


@dataclass(frozen=True)
class Asked:
    """One URL in a GENURLAUTH command that the client composed itself.

    It has the command, the URL, and the word for the mechanism, and the verb and arguments of the step that sent it
    (empty if the step is not known).
    """

    exchange: ImapExchange
    url: str
    mechanism: str
    verb: str
    args: Mapping[str, Any]

    @property
    def granted(self) -> tuple[Url, ...]:
        """The URLs that the server returned for the command."""
        lines = self.exchange.lines if self.exchange.ok else ()
        return tuple(Url.parse(url) for line in lines if (url := read_genurlauth(line.text, line.literals)))


def tickets_asked(scenario: Scenario, evidence: Evidence) -> Iterator[Asked]:
    """Yield the URLs in GENURLAUTH commands of clients, except those that the script gives word for word."""
    steps = [(verb, args) for step in scenario.client for verb, args in step.items() if verb in {"authorise", "stream"}]
    for one in exchanges(evidence):
        raw = is_raw(scenario, evidence, one.t)
        if one.command.name != "GENURLAUTH" or raw or evidence.world.kind_of(one.asker) != "client":
            continue
        verb, args = step_at(scenario, evidence, one.t)
        if not verb and len(steps) == 1:
            verb, args = steps[0]
        words = one.arguments
        for place, word in enumerate(words):
            if url := first_url([word]):
                yield Asked(one, url, as_text(words[place + 1]) if place + 1 < len(words) else "", verb, args)


def _access_as_obliged(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the access identifier is the one that list, script and profile require"
    found, made = discoveries(scenario, evidence), calls(evidence)
    findings: list[tuple[Breach, str]] = []
    for asked in tickets_asked(scenario, evidence):
        one, access = asked.exchange, _access_of(asked.url)
        known = servers_known(found, one.asker, one.t)
        tuples = _tuples_for(asked, made, known, configured_servers(evidence))
        obliged = _obligation(scenario, evidence, asked, tuples)
        if obliged is not None:
            clauses, wanted = obliged
            findings.append((Breach(one.asker, clauses, wanted, access or "none", one.t), access))
    expected = ", ".join(dict.fromkeys(one.expected for one, _ in findings)) or "an access identifier"
    if not findings:
        return CheckResult.without_material(requirement, expected, "no GENURLAUTH whose access is known")
    breaches = tuple(one for one, access in findings if access.lower() != one.expected.lower())
    reached = tuple(dict.fromkeys(clause for one, _ in findings for clause in one.clauses))
    return CheckResult(
        requirement, expected, ", ".join(dict.fromkeys(one.seen for one, _ in findings)), breaches, reached
    )


def _access_of(url: str) -> str:
    """Return the access identifier of a URL; the user name after the `+` may be percent-encoded."""
    kind, plus, user = (_ACCESS.findall(url) or [""])[-1].partition("+")
    return f"{kind}{plus}{unquote(user)}"


def _obligation(
    scenario: Scenario, evidence: Evidence, asked: Asked, tuples: Sequence[Sequence[ListedServer]]
) -> tuple[tuple[str, ...], str] | None:
    """Return the access identifier that a URL must have, and the clauses that say so; None if any is allowed.

    It follows from the token of the called server in the list (LS-2.2-8), else from the script, else from the profile
    (LS-2.3-8).
    """
    restricted = "stream" if evidence.world.profile == "rfc5616" else f"submit+{scenario.given.owner[0]}"
    listed = next((group for group in tuples if group and all(one.authorised for one in group)), [])
    if listed:
        by_case = any(one.token != (one.token or "").lower() for one in listed)
        return (*_OBLIGED, *(_BY_CASE if by_case else ())), restricted
    if any(one.authorised for group in tuples for one in group) or not asked.verb:
        return None  # some URIs of the host have a token and others have none, or the steps of the client are not known
    script = asked.args.get("access")
    if not isinstance(script, str):
        return _RESTRICTED, restricted
    if script.lower() == "submit+":
        return _ORDERED, f"submit+{scenario.given.owner[0]}"
    return (_ALLOWED if script.lower() == "anonymous" else _ORDERED), unquote(script)


def _tuples_for(
    asked: Asked, made: Sequence[ListedCall], known: Sequence[ListedServer], configured: Sequence[ListedServer]
) -> list[list[ListedServer]]:
    """Return the entries of the list for each media server that the ticket is for.

    These are the servers that got the ticket, else the one that was called next. If that server is not in the list, or
    no server was called, all entries that a client can use are returned.
    """
    after = [call for call in made if call.invite.source == asked.exchange.asker and call.invite.t >= asked.exchange.t]
    got = [call for call in after if any(url.text == asked.url for _, url in call.urls)]
    usable = [one for one in known if one.scheme in {"sip", "sips"}]
    found = []
    for call in got or after[:1]:
        same = [one for one in usable if one.is_at(call.server)]
        if same or any(one.is_at(call.server) for one in configured):
            found.append([one for one in same if one.user == call.server.user] or same)
    return found or [usable]


def _mechanism_is_internal(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "GENURLAUTH asks for the mechanism INTERNAL"
    asked = list(tickets_asked(scenario, evidence))
    if not asked:
        return CheckResult.without_material(requirement, "INTERNAL", "no GENURLAUTH")
    breaches = tuple(
        Breach(one.exchange.asker, _MECHANISM, "INTERNAL", one.mechanism or "nothing", one.exchange.t, alone=True)
        for one in asked
        if one.mechanism.upper() != "INTERNAL"
    )
    return CheckResult(requirement, "INTERNAL", ", ".join(dict.fromkeys(one.mechanism for one in asked)), breaches)


def _expire_before_urlauth(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "EXPIRE with a date and time, then URLAUTH, end the URL that GENURLAUTH is asked for"
    expected = ";EXPIRE=<datetime>;URLAUTH=<access>"
    asked = [one for one in tickets_asked(scenario, evidence) if re.search(";EXPIRE=", one.url, re.IGNORECASE)]
    if not asked:
        return CheckResult.without_material(requirement, expected, "no GENURLAUTH with EXPIRE")
    breaches = tuple(
        Breach(one.exchange.asker, _EXPIRE_FIRST, expected, one.url, one.exchange.t, alone=True)
        for one in asked
        if not re.search(_EXPIRE.pattern + r";URLAUTH=[^;]+$", one.url, re.IGNORECASE) or _expires(one.url) is None
    )
    return CheckResult(requirement, expected, ", ".join(one.url for one in asked), breaches)


def _lives_as_asked(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the lifetime until EXPIRE is the one in the script"
    findings = []
    for one in tickets_asked(scenario, evidence):
        until, life = _expires(one.url), str(one.args.get("expire", _DEFAULT_LIFE))
        if until is not None and one.verb and life != "none":
            findings.append((one.exchange, until - one.exchange.t, parse_duration(life, negative=True)))
    expected = ", ".join(dict.fromkeys(f"{life:g} s" for _, _, life in findings)) or "a lifetime in the script"
    if not findings:
        return CheckResult.without_material(requirement, expected, "no GENURLAUTH with a lifetime from the script")
    breaches = tuple(
        Breach(one.asker, _LIFE, f"{life:g} s", f"{left:.0f} s", one.t, alone=True)
        for one, left, life in findings
        if abs(left - life) > _TOLERANCE
    )
    return CheckResult(requirement, expected, ", ".join(f"{left:.0f} s" for _, left, _ in findings), breaches)


def _expires(url: str) -> float | None:
    """Return the time at which a URL expires, in seconds since 1970 (RFC 3339, any time zone); None without EXPIRE."""
    found = _EXPIRE.search(url)
    try:
        moment = datetime.fromisoformat(found[1].upper()) if found else None
    except ValueError:
        return None
    return moment.timestamp() if moment is not None and moment.tzinfo is not None else None


def _names_the_message(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the URL names the right server, user, mailbox and message (RFC 5092)"
    findings = []
    for one in tickets_asked(scenario, evidence):
        parts = _message_named(one.url)
        findings.append((one.exchange, parts, _message_there(scenario, evidence, one, parts)))
    expected = ", ".join(dict.fromkeys(_in_words(there) for _, _, there in findings)) or "a message"
    if not findings:
        return CheckResult.without_material(requirement, expected, "no GENURLAUTH")
    breaches = tuple(
        Breach(one.asker, _NAMES, _in_words(there), _in_words(named), one.t, alone=True)
        for one, named, there in findings
        if named != there
    )
    return CheckResult(requirement, expected, ", ".join(_in_words(named) for _, named, _ in findings), breaches)


def _message_named(url: str) -> _Message:
    plain = TicketUrl.parse(re.split(r";EXPIRE=|;URLAUTH=", url, maxsplit=1, flags=re.IGNORECASE)[0])
    host = re.match(r"imap://(?:[^/@]*@)?([^/:]*)", url, re.IGNORECASE)
    if plain is None or host is None:
        return ("", "", "", "", "")
    validity = "" if plain.uidvalidity is None else str(plain.uidvalidity)
    return (host[1].lower(), plain.user, plain.mailbox, validity, str(plain.uid))


def _message_there(scenario: Scenario, evidence: Evidence, asked: Asked, named: _Message) -> _Message:
    """Return what the URL must name: the selected mailbox (else the one of the scenario) and a message that exists.

    A component that the run does not show is copied from the URL.
    """
    host, _, _, validity, uid = named
    mailbox = scenario.given.mailbox
    place = evidence.world.roles.get(asked.exchange.server)
    if place is not None and place.name and host != place.address and "." in place.name:
        host = place.name.lower()
    before = [one for one in exchanges(evidence) if one.opened == asked.exchange.opened and one.t <= asked.exchange.t]
    selected = [one for one in before if one.ok and one.command.name in {"SELECT", "EXAMINE"} and one.arguments]
    if selected:
        mailbox = mailbox_name(as_text(selected[-1].arguments[0]))
        shown = re.search(r"\[UIDVALIDITY (\d+)\]", " ".join(line.text for line in selected[-1].lines), re.IGNORECASE)
        validity = shown[1] if shown and validity else validity
    uids = {found for one in before for line in one.lines for found in re.findall(r"\(.*?\bUID (\d+)", line.text)}
    if uids and uid not in uids:
        uid = max(uids, key=int)
    return (host, scenario.given.owner[0], mailbox, validity, uid)


def _in_words(message: _Message) -> str:
    host, user, mailbox, validity, uid = message
    return f"message {uid} in {mailbox!r}{f' ({validity})' if validity else ''} of {user} at {host}"


CHECKS = (
    Check(
        "access is as obliged",
        (*_OBLIGED, *_BY_CASE, *_ORDERED, *_ALLOWED),
        "GENURLAUTH's access identifier is the one that the called server's token requires, or else script and profile",
        _access_as_obliged,
    ),
    Check("mechanism is internal", _MECHANISM, "GENURLAUTH asks for the mechanism INTERNAL", _mechanism_is_internal),
    Check(
        "expire comes before urlauth",
        _EXPIRE_FIRST,
        "the URL asked for ends in ;EXPIRE=, a date and time of RFC 3339, and ;URLAUTH=",
        _expire_before_urlauth,
    ),
    Check(
        "ticket lives as asked", _LIFE, "EXPIRE is as many seconds in the future as the script says", _lives_as_asked
    ),
    Check(
        "ticket names the message",
        _NAMES,
        "host, user, mailbox, UIDVALIDITY and UID of the URL asked for are those of the message",
        _names_the_message,
    ),
)
