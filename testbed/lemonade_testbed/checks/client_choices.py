"""Checks of what a client chooses before a call: the part of the message, and the media server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.client_tickets import Asked, tickets_asked
from lemonade_testbed.checks.facts import is_raw, names_url, signals, step_at
from lemonade_testbed.checks.imap_exchanges import ImapExchange, TicketUrl, exchanges
from lemonade_testbed.checks.medialist import (
    ENTRIES,
    ListedCall,
    ListedServer,
    calls,
    configured_servers,
    discoveries,
    servers_known,
)
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.imaptext import as_text, fetch_items, tokens
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

_DECIDES = ("LS-2.1-1", "LS-2.3-1")
_SECTION = ("LS-2.3-1", "LS-2.1-1")
_STOPS = ("LS-2.3-12",)
_KNOWN_HOST = ("LS-2.2-2",)
_SIP_ALONE = ("LS-2.2-9",)
_SERVICE = ("LS-2.2-10", "LS-2.4-2")
_FROM_LIST = ("LS-2.2-12",)
_NOT_UNASKED = ("LS-2.2-1",)
_ASKS = ("LS-2.2-2",)
_SERVICES = frozenset({"annc", "ivr"})
_DISCOVERING = frozenset({"discover", "stream"})


def _section_by_structure(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the client takes the part that the structure of the message shows to be of the type that is wanted"
    expected, seen = [], []
    breaches: list[Breach] = []
    for asked in tickets_asked(scenario, evidence):
        one, url = asked.exchange, _rump(asked.url)
        before = [other for other in exchanges(evidence) if other.opened == one.opened and other.end <= one.t]
        reading = [other for other in before if other.command.name == "FETCH" and _asks_for_types(other)]
        if not reading:
            wanted, got = "FETCH BODYSTRUCTURE, then GENURLAUTH", f"GENURLAUTH of section {url.section if url else '?'}"
            breaches.append(Breach(one.asker, _DECIDES, wanted, f"{got} without it", one.t))
            expected.append(wanted)
            seen.append(got)
            continue
        structure = next((found for other in reversed(reading) if (found := _structure(other, url))), None)
        if structure is None or url is None:
            continue
        kind = _wanted_type(scenario, evidence, asked)
        sections = [section for section, media_type in walk(structure) if _matches(media_type, kind)]
        if kind and sections:
            expected.append(f"section {sections[0]}, the first that is {kind}")
            seen.append(f"section {url.section or 'none'}")
            if url.section != sections[0]:
                breaches.append(Breach(one.asker, _SECTION, expected[-1], seen[-1], one.t))
    if not expected:
        return CheckResult.without_material(requirement, "FETCH BODYSTRUCTURE", "no GENURLAUTH with a structure")
    return CheckResult(requirement, ", ".join(dict.fromkeys(expected)), ", ".join(dict.fromkeys(seen)), tuple(breaches))


def _rump(url: str) -> TicketUrl | None:
    return TicketUrl.parse(re.split(r";EXPIRE=|;URLAUTH=", url, maxsplit=1, flags=re.IGNORECASE)[0])


def _asks_for_types(one: ImapExchange) -> bool:
    """Tell whether a FETCH asks for content types: by BODYSTRUCTURE or by header fields of message or parts."""
    items = fetch_items(one.command.rest)
    return any(
        item in {"BODYSTRUCTURE", "BODY", "FULL"} or re.match(r"BODY(\.PEEK)?\[([0-9.]*\.)?(HEADER|MIME)", item)
        for item in items
    )


def _structure(one: ImapExchange, url: TicketUrl | None) -> list[Any] | None:
    """Return the BODYSTRUCTURE that a FETCH returned for the message that a URL names; None if there is none."""
    for line in one.lines:
        words = tokens(line.text, line.literals)
        data = words[3] if len(words) > 3 and as_text(words[2]).upper() == "FETCH" else None
        if not isinstance(data, list):
            continue
        values = {as_text(name).upper(): value for name, value in zip(data[::2], data[1::2], strict=False)}
        structure = values.get("BODYSTRUCTURE", values.get("BODY"))
        if isinstance(structure, list) and (url is None or as_text(values.get("UID")) in {"", str(url.uid)}):
            return structure
    return None


def walk(structure: Sequence[Any], section: str = "") -> Iterator[tuple[str, str]]:
    """Yield the section number and the media type (in lower case) of each part that is not a multipart.

    The order is that of the section numbers; a message/rfc822 comes before the parts inside it (RFC 3501, sections
    6.4.5 and 7.4.2).
    """
    if structure and isinstance(structure[0], list):
        for number, part in enumerate(structure, 1):
            if not isinstance(part, list):
                return
            yield from walk(part, f"{section}.{number}" if section else str(number))
        return
    media_type = "/".join(as_text(word).lower() for word in structure[:2])
    yield section or "1", media_type
    inner = structure[8] if media_type == "message/rfc822" and len(structure) > 8 else None
    if isinstance(inner, list):
        multipart = bool(inner) and isinstance(inner[0], list)
        yield from walk(inner, section or "1") if multipart else walk(inner, f"{section or '1'}.1")


def _matches(media_type: str, wanted: str) -> bool:
    kind, _, subtype = wanted.lower().partition("/")
    return media_type == wanted.lower() or (subtype == "*" and media_type.partition("/")[0] == kind)


def _wanted_type(scenario: Scenario, evidence: Evidence, asked: Asked) -> str:
    """Return the type in the last `find-part` step before a ticket; an empty text if it cannot be known which step it
    was.
    """
    types = [str(step["find-part"].get("type", "audio/*")) for step in scenario.client if "find-part" in step]
    begun = [
        event.t
        for event in evidence.of("step")
        if event.text("state") == "started" and event.text("verb") == "find-part" and event.t <= asked.exchange.t
    ]
    if begun:
        return str(step_at(scenario, evidence, begun[-1])[1].get("type", "audio/*"))
    return (types or ["audio/*"])[0] if len(types) < 2 else ""


def _no_call_without_ticket(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "without a ticket the client calls no media server with the URL"
    expected = "no INVITE or MSCML request with a URL that was not authorised"
    asked = list(tickets_asked(scenario, evidence))
    refused = [one for one in asked if one.exchange.tagged is not None and not _is_granted(one)]
    if not refused:
        return CheckResult.without_material(requirement, expected, "no GENURLAUTH without success")
    breaches = []
    for call in calls(evidence):
        for t, url in call.urls:
            given = [one for one in asked if _is_granted(one) and one.url == url.text and one.exchange.end <= t]
            denied = [one for one in refused if one.url == url.text and one.exchange.end <= t]
            if denied and not given and not names_url(scenario, evidence, t):
                seen = f"{url}, for which GENURLAUTH had got {_answer(denied[-1])}"
                breaches.append(Breach(call.invite.source, _STOPS, expected, seen, t, alone=True))
    seen = ", ".join(f"GENURLAUTH got {_answer(one)}" for one in refused)
    return CheckResult(requirement, expected, seen, tuple(breaches))


def _is_granted(asked: Asked) -> bool:
    return any(url.token is not None and url.text == asked.url for url in asked.granted)


def _answer(asked: Asked) -> str:
    tagged = asked.exchange.tagged
    got = ", ".join(map(str, asked.granted))
    return (got or "no URL") if tagged is None or tagged.result == "OK" else f"{tagged.result} {tagged.rest}".strip()


def _calls_known_servers(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the client calls media servers that are listed for SIP, or else the configured one"
    found, others = discoveries(scenario, evidence), [*configured_servers(evidence), *_redirected(evidence)]
    made = [one for one in calls(evidence) if not is_raw(scenario, evidence, one.invite.t)]
    expected = ", ".join(map(str, others))
    if not made:
        return CheckResult.without_material(requirement, expected, "no call")
    reached = dict.fromkeys(_KNOWN_HOST)
    breaches: list[Breach] = []
    for place, call in enumerate(made):
        known = servers_known(found, call.invite.source, call.invite.t)
        if any(one.scheme not in {"sip", "sips"} for one in known):
            reached |= dict.fromkeys(_SIP_ALONE)
        clauses, wanted = _wrong_server(call, known, others)
        usable = _usable(scenario, evidence, call, known)
        if not clauses and usable:
            reached |= dict.fromkeys(_FROM_LIST)
            clauses, wanted = _not_listed(call, usable, made[:place])
        if not clauses and usable and _is_chosen(scenario, evidence, call):
            reached |= dict.fromkeys(_SERVICE)
            clauses, wanted = _other_service(call, usable, made[:place])
        if clauses:
            breaches.append(Breach(call.invite.source, clauses, wanted, str(call.server), call.invite.t, alone=True))
    seen = ", ".join(dict.fromkeys(str(one.server) for one in made))
    return CheckResult(requirement, expected, seen, tuple(breaches), tuple(reached))


def _redirected(evidence: Evidence) -> list[ListedServer]:
    """Return the servers in the Contact of 3xx responses (RFC 3261, section 8.1.3.4)."""
    contacts = (one.message.contact_uri() for one in signals(evidence) if one.message.status.startswith("3"))
    return [server for uri in contacts if (server := ListedServer.parse(uri))]


def _wrong_server(
    call: ListedCall, known: Sequence[ListedServer], others: Sequence[ListedServer]
) -> tuple[tuple[str, ...], str]:
    """Return the clauses that a call breaks because of its server (none if it is allowed), and the allowed servers.

    `known` are the servers of the list; `others` are servers that may be called although the list does not name them.
    """
    allowed = [*(one for one in known if one.scheme in {"sip", "sips"}), *others]
    wanted = ", ".join(dict.fromkeys(map(str, allowed)))
    if any(one.is_at(call.server) for one in allowed):
        return (), wanted
    return (_SIP_ALONE if any(one.is_at(call.server) for one in known) else _KNOWN_HOST), wanted


def _is_chosen(scenario: Scenario, evidence: Evidence, call: ListedCall) -> bool:
    """Tell whether the client itself chose the service of a call: the step `stream` does not name a service."""
    verb, _ = step_at(scenario, evidence, call.invite.t)
    return verb == "stream" or (not verb and any("stream" in step for step in scenario.client))


def _usable(
    scenario: Scenario, evidence: Evidence, call: ListedCall, known: Sequence[ListedServer]
) -> list[ListedServer]:
    """Return the listed servers that a call can go to.

    They use `sip:` (no node has SIP over TLS), and offer the service of the call, unless the client chose the service.
    """
    services = {"", call.server.user}
    chosen = _is_chosen(scenario, evidence, call)
    return [one for one in known if one.scheme == "sip" and not one.bare and (chosen or one.user in services)]


def _not_listed(
    call: ListedCall, usable: Sequence[ListedServer], before: Sequence[ListedCall]
) -> tuple[tuple[str, ...], str]:
    """Return the clauses that a call to the configured server breaks if no listed server was called before."""
    tried = any(one.is_at(other.server) for one in usable for other in (*before, call))
    return (() if tried else _FROM_LIST), ", ".join(map(str, usable))


def _other_service(
    call: ListedCall, usable: Sequence[ListedServer], before: Sequence[ListedCall]
) -> tuple[tuple[str, ...], str]:
    """Return the clauses that a call breaks if its service is not the one in the URI of the list."""
    same = [one for one in usable if one.is_at(call.server)]
    refused = any(other.server.is_at(call.server) and not other.status.startswith("2") for other in before)
    named = bool(same) and all(one.user in _SERVICES for one in same)
    wrong = named and not refused and all(one.user != call.server.user for one in same)
    return (_SERVICE if wrong else ()), ", ".join(map(str, same))


def _discovery_where_wanted(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the client asks for the profile's METADATA entry of media servers if none is configured"
    asked = discoveries(scenario, evidence)
    wanting = any(_DISCOVERING & step.keys() for step in scenario.client)
    made = [one for one in calls(evidence) if not is_raw(scenario, evidence, one.invite.t)]
    entry = ENTRIES.get(evidence.world.profile, ENTRIES["draft-07"])
    expected = f"GETMETADATA {entry}" if wanting else "no GETMETADATA"
    seen = ", ".join(name for one in asked for name in one.entries) or "no GETMETADATA"
    if not wanting:
        if not asked and not made:
            return CheckResult.without_material(requirement, expected, "no call, and no GETMETADATA")
        unasked = tuple(Breach(one.node, _NOT_UNASKED, expected, seen, one.t, alone=True) for one in asked)
        return CheckResult(requirement, expected, seen, unasked, _NOT_UNASKED)
    if not made and not asked:
        return CheckResult.without_material(requirement, expected, "no call, and no GETMETADATA")
    first = made[0].invite if made else None
    early = [one for one in asked if first is None or one.t <= first.t]
    names = {name for one in early for name in one.entries}
    node, t = (first.source, first.t) if first else (asked[-1].node, asked[-1].t)
    wrong = entry not in names and not any(one.servers for one in early)
    breaches = (Breach(node, _ASKS, expected, ", ".join(sorted(names)) or "no GETMETADATA", t),) if wrong else ()
    return CheckResult(requirement, expected, seen, breaches, _ASKS)


CHECKS = (
    Check(
        "section is chosen by structure",
        _DECIDES,
        "BODYSTRUCTURE was fetched before GENURLAUTH, and the section asked for is the first of the type wanted",
        _section_by_structure,
    ),
    Check(
        "no call without a ticket",
        _STOPS,
        "no URL is handed over for which GENURLAUTH had no success",
        _no_call_without_ticket,
    ),
    Check(
        "call goes to a known server",
        (*_KNOWN_HOST, *_SIP_ALONE, *_SERVICE, *_FROM_LIST),
        "the Request-URI of each INVITE names a listed SIP server by its service, or the configured server",
        _calls_known_servers,
    ),
    Check(
        "discovery where it is wanted",
        (*_NOT_UNASKED, *_ASKS),
        "GETMETADATA asks for the profile's entry of media servers if the script requires it, and never otherwise",
        _discovery_where_wanted,
    ),
)
