"""The check of anonymous sessions at an IMAP server: a server that gives anonymous tickets serves them there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import imap_data, sender_of
from lemonade_testbed.checks.imap_exchanges import ImapExchange, TicketUrl, authorised, exchanges
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.imaptext import as_text, capabilities
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

_ANONYMOUS = ("LS-2.1-10",)
_BINARY = "URLAUTH=BINARY"


def _anonymous_sessions_fetch(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a server that gives anonymous tickets admits anonymous sessions, and offers them URLFETCH BINARY"
    expected = f"OK, and {_BINARY} among the capabilities"
    givers = {one.server for one in authorised(evidence) if _is_anonymous_ticket(one.url.text)}
    offers = _offers(evidence)
    talk = [one for one in exchanges(evidence) if one.server in givers and one.tagged is not None]
    logins = [one for one in talk if _is_anonymous_login(one)]
    if not logins:
        return CheckResult.without_material(requirement, expected, "no anonymous login at a server with such tickets")
    breaches = [
        Breach(one.server, _ANONYMOUS, expected, f"LOGIN is answered {one.tagged.result}", one.end, alone=True)
        for one in logins
        if one.command.name == "LOGIN" and one.tagged and not one.ok and "LOGINDISABLED" not in offers[one.server]
    ]
    for one, listed in _lists_of_anonymous(talk):
        if listed and _BINARY not in listed and _BINARY in offers[one.server]:
            seen = " ".join(sorted(listed))
            breaches.append(Breach(one.server, _ANONYMOUS, expected, seen, one.end, alone=True))
    return CheckResult(requirement, expected, f"{len(logins)} logins", tuple(breaches))


def _is_anonymous_ticket(rump: str) -> bool:
    url = TicketUrl.parse(rump)
    return url is not None and url.access.lower() == "anonymous"


def _offers(evidence: Evidence) -> dict[str, set[str]]:
    """Return all capabilities that each server listed during the run, in upper case."""
    found: dict[str, set[str]] = {}
    for event in imap_data(evidence, "client", "media"):
        found.setdefault(sender_of(event, evidence), set()).update(capabilities(event.text("text")))
    return found


def _is_anonymous_login(one: ImapExchange) -> bool:
    named = as_text((one.arguments or [""])[0]).upper()
    return one.command.name in {"LOGIN", "AUTHENTICATE"} and named == "ANONYMOUS"


def _lists_of_anonymous(talk: Sequence[ImapExchange]) -> Iterator[tuple[ImapExchange, frozenset[str]]]:
    """Yield the lists of capabilities that were sent in anonymous sessions, each with its command."""
    for one in talk:
        if one.ok and one.tagged and _is_anonymous_login(one):
            yield one, capabilities(one.tagged.rest)
        elif one.user is None and one.command.name == "CAPABILITY":
            yield one, frozenset().union(*(capabilities(line.text) for line in one.lines))


CHECKS = (
    Check(
        "anonymous sessions can fetch",
        _ANONYMOUS,
        "a server that gives anonymous tickets admits anonymous sessions, and lists URLAUTH=BINARY to them",
        _anonymous_sessions_fetch,
    ),
)
