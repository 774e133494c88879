"""Checks of tickets at the IMAP server: which it must give, which it must serve, and which it must refuse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.imap_exchanges import (
    Authorised,
    ImapExchange,
    TicketUrl,
    authorised,
    exchanges,
    mailbox_name,
    user_of,
)
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.imaptext import UrlData, as_text, genurlauth_data, read_genurlauth
from lemonade_testbed.ladder.model import Url
from lemonade_testbed.mailparts import parts_by_section
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

_LINE, _OWNER, _RESET, _RESET_ALL, _NO, _GIVEN = (f"RFC4467-7-{number}" for number in range(1, 7))
_WHOLE_RUMP, _EXPIRED, _ACCESS, _STALE = "RFC4467-6", "RFC4467-3-1", "RFC4467-3-2", "RFC5092-6-3"
_SERVED = "LS-2.8-11"
_MARGIN = 2.0
"""Seconds around EXPIRE in which a URL may be served or refused: the clocks of two nodes differ."""
_CHANGES = frozenset({"DELETE", "RENAME", "EXPUNGE", "MOVE", "APPEND", "STORE"})
"""Commands after which the content of a mailbox is not known."""


def _every_url_answered(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "URLFETCH is answered with OK and with a line for every URL, NIL where it is refused"
    expected = "* URLFETCH for every URL, and OK"
    asked = [one for one in exchanges(evidence) if one.command.name == "URLFETCH" and one.tagged]
    if not asked:
        return CheckResult.without_material(requirement, expected, "no URLFETCH was answered")
    breaches: list[Breach] = []
    for one in asked:
        result, missing = (one.tagged.result if one.tagged else ""), len(one.asked()) - len(one.fetched())
        if one.ok and missing > 0:
            breaches.append(Breach(one.server, (_LINE,), expected, f"{missing} without a line", one.end, alone=True))
        elif result != "OK" and one.asked():
            known = any(not _why_bad(url, one, scenario, evidence) for url in one.asked())
            clauses = (_NO,) if known and result == "NO" else (_LINE,)
            breaches.append(Breach(one.server, clauses, expected, result, one.end, alone=True))
    return CheckResult(requirement, expected, f"{len(asked)} URLFETCH", tuple(breaches))


def _every_url_given(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "GENURLAUTH that is answered OK gives an authorised URL for every URL that was asked for"
    expected = "* GENURLAUTH with as many URLs"
    answered = [one for one in exchanges(evidence) if one.command.name == "GENURLAUTH" and one.ok and one.asked()]
    if not answered:
        return CheckResult.without_material(requirement, expected, "no GENURLAUTH was answered OK")
    breaches = tuple(
        Breach(one.server, (_GIVEN,), f"{len(one.asked())} URLs", f"OK, and {given or 'no'} URLs", one.end, alone=True)
        for one in answered
        if (given := sum(len(genurlauth_data(line.text, line.literals)) for line in one.lines)) != len(one.asked())
    )
    return CheckResult(requirement, expected, f"{len(answered)} GENURLAUTH", breaches)


def _only_valid_is_served(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "URLFETCH gives content for a ticket that is valid in this session, and NIL for any other"
    answers = [
        (one, line.t, data)
        for one in exchanges(evidence)
        if one.command.name == "URLFETCH"
        for line, data in one.fetched()
    ]
    expected = "content for valid tickets alone"
    if not answers:
        return CheckResult.without_material(requirement, expected, "no answer to URLFETCH")
    breaches: list[Breach] = []
    reached: list[str] = []
    for one, t, data in answers:
        asked = next((url for url in one.asked() if url.lower() == data.url.lower()), data.url)
        clause, why = _why_bad(asked, one, scenario, evidence) or ("", "")
        if clause:
            reached.append(clause)
        if clause and data.content is not None:
            breaches.append(Breach(one.server, (clause,), f"NIL: {why}", "content", t, alone=True))
        elif not clause and _must_be_served(one, data, scenario, evidence):
            reached.append(_SERVED)
            if data.refused:
                breaches.append(Breach(one.server, (_SERVED,), f"content for {data.url}", "NIL", t, alone=True))
    return CheckResult(requirement, expected, f"{len(answers)} answers", tuple(breaches), tuple(dict.fromkeys(reached)))


def _why_bad(text: str, one: ImapExchange, scenario: Scenario, evidence: Evidence) -> tuple[str, str] | None:
    """Return the clause by which a URL must be refused, and why; None if nothing shows that it must be."""
    seen = Url.parse(text)
    url = TicketUrl.parse(seen.text)
    given = [
        ticket
        for ticket in authorised(evidence)
        if ticket.server == one.server and ticket.t <= one.t and ticket.url.is_same_ticket(seen)
    ]
    if url is None or seen.token is None or not url.access:
        return None
    if not given:
        return _WHOLE_RUMP, "the server never authorised this URL with this token"
    if reset := _reset_after(given, url, one, scenario, evidence):
        return reset, "RESETKEY revoked it"
    if url.expire is not None and one.t > url.expire + _MARGIN:
        return _EXPIRED, "its EXPIRE has passed"
    if _lets_in(url.access, user_of(one, scenario, evidence), scenario) is False:
        return _ACCESS, f"{url.access} is not for this session"
    known = _uidvalidities(url, evidence, scenario)
    if url.uidvalidity is not None and known and url.uidvalidity not in known:
        return _STALE, f"UIDVALIDITY is {', '.join(map(str, sorted(known)))}"
    return None


def _reset_after(
    given: Sequence[Authorised], url: TicketUrl, one: ImapExchange, scenario: Scenario, evidence: Evidence
) -> str:
    """Return the clause of a RESETKEY between the ticket and its use; an empty text if there was none."""
    last = max(ticket.t for ticket in given)
    for other in exchanges(evidence):
        if other.command.name != "RESETKEY" or not other.ok or not last < other.t or other.end > one.t:
            continue
        named = mailbox_name(as_text(other.arguments[0])) if other.arguments else None
        if user_of(other, scenario, evidence) == url.user and named in {None, url.mailbox}:
            return _RESET_ALL if named is None else _RESET
    return ""


def _lets_in(access: str, user: str | None, scenario: Scenario) -> bool | None:
    """Tell whether an access identifier permits a session (RFC 4467, section 3); None if it cannot be known."""
    kind, _, named = access.lower().partition("+")
    if kind == "anonymous":
        return True
    if user is None:
        return False
    if kind == "authuser":
        return True
    if not user:
        return None
    if kind == "user":
        return named == user.lower()
    allowed = scenario.given.submit_users if kind == "submit" else scenario.given.applications.get(kind)
    return None if allowed is None else user in allowed


def _uidvalidities(url: TicketUrl, evidence: Evidence, scenario: Scenario) -> set[int]:
    """Return the UIDVALIDITY values that the server sent for the mailbox of a URL."""
    found: set[int] = set()
    for one in exchanges(evidence):
        if one.command.name not in {"SELECT", "EXAMINE"} or not one.arguments:
            continue
        if user_of(one, scenario, evidence) != url.user or mailbox_name(as_text(one.arguments[0])) != url.mailbox:
            continue
        for line in one.lines:
            _, code, rest = line.text.upper().partition("[UIDVALIDITY ")
            number = rest.partition("]")[0]
            found |= {int(number)} if code and number.isdecimal() else set()
    return found


def _must_be_served(one: ImapExchange, data: UrlData, scenario: Scenario, evidence: Evidence) -> bool:
    """Tell whether the run shows that a ticket is valid in every respect: session, mailbox and part."""
    seen = Url.parse(data.url)
    url = TicketUrl.parse(seen.text)
    user = user_of(one, scenario, evidence)
    if url is None or not any(ticket.url.is_same_ticket(seen) for ticket in authorised(evidence)):
        return False
    if not _lets_in(url.access, user, scenario):
        return False
    if scenario.given.fetch_users and user not in scenario.given.fetch_users:
        return False
    part = parts_by_section(evidence.message or b"").get(url.section)
    changed = any(other.command.name in _CHANGES for other in exchanges(evidence))
    return part is not None and part.decoded is not None and not changed and url.uid in _uids(evidence)


def _uids(evidence: Evidence) -> set[int]:
    """Return the UIDs that the server sent in answers to SEARCH."""
    found: set[int] = set()
    for one in exchanges(evidence):
        for line in one.lines if one.command.name == "SEARCH" else ():
            found |= {int(word) for word in line.text.split()[2:] if word.isdecimal()}
    return found


def _authorises_its_own(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "GENURLAUTH authorises complete URLs of the session's own mailboxes, by the mechanism INTERNAL"
    expected = "BAD"
    asked = [one for one in exchanges(evidence) if one.command.name == "GENURLAUTH" and one.tagged]
    if not asked:
        return CheckResult.without_material(requirement, expected, "no GENURLAUTH was answered")
    breaches = [
        Breach(one.server, (_OWNER,), f"BAD: {why}", "a ticket", one.end, alone=True)
        for one in asked
        if one.ok and any(read_genurlauth(line.text, line.literals) for line in one.lines)
        for why in _why_not(one, scenario, evidence)
    ]
    return CheckResult(requirement, expected, f"{len(asked)} GENURLAUTH", tuple(breaches))


def _why_not(one: ImapExchange, scenario: Scenario, evidence: Evidence) -> Iterator[str]:
    user, words = user_of(one, scenario, evidence), [as_text(word) for word in one.arguments]
    for text, mechanism in zip(words[::2], words[1::2], strict=False):
        url = TicketUrl.parse(text)
        known = _mailboxes(url.user, evidence, scenario) if url else set()
        if mechanism.upper() != "INTERNAL":
            yield f"the mechanism {mechanism} is not one of the server's"
        elif url is None or not url.access:
            yield "no access identifier in the URL"
        elif not url.user:
            yield "no owner in the URL"
        elif user and url.user != user and url.user in scenario.given.users:
            yield f"{url.user} is not the user of the session, {user}"
        elif url.user == user and url.mailbox not in known:
            yield f"there is no mailbox {url.mailbox!r}"


def _mailboxes(user: str, evidence: Evidence, scenario: Scenario) -> set[str]:
    """Return the mailboxes that a user can have in this run: the provisioned one, and those made or renamed."""
    made = {
        mailbox_name(as_text(word))
        for one in exchanges(evidence)
        if one.command.name in {"CREATE", "RENAME", "SELECT", "EXAMINE"} and one.ok
        for word in one.arguments
        if user_of(one, scenario, evidence) == user
    }
    return {"INBOX", scenario.given.mailbox} | made


CHECKS = (
    Check(
        "every url is answered",
        (_LINE, _NO),
        "URLFETCH has a line for every URL, and OK",
        _every_url_answered,
    ),
    Check(
        "every genurlauth gives a url",
        (_GIVEN,),
        "GENURLAUTH answered OK gives a URL for each that was asked for",
        _every_url_given,
    ),
    Check(
        "only valid tickets are served",
        (_WHOLE_RUMP, _RESET, _RESET_ALL, _EXPIRED, _ACCESS, _STALE, _SERVED),
        "URLFETCH gives content for a ticket that is authorised, valid, and permits the session, and for no other",
        _only_valid_is_served,
    ),
    Check(
        "tickets are of own mailboxes",
        (_OWNER,),
        "GENURLAUTH gives no ticket for a mailbox of another user, or without mailbox, access identifier or mechanism",
        _authorises_its_own,
    ),
)
