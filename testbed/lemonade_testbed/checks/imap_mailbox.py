"""Checks of what an IMAP server says about itself and its mailboxes (RFC 3501, section 6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import imap_data, sender_of
from lemonade_testbed.checks.imap_exchanges import ImapExchange, exchanges, mailbox_name, user_of
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.imaptext import as_text, capabilities, fetch_items, tokens
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

_SELECTS = frozenset({"SELECT", "EXAMINE"})
_BRINGS = frozenset({"APPEND", "COPY", "MOVE"})
_REMOVES = frozenset({"DELETE", "RENAME", "EXPUNGE", "MOVE", "CLOSE"})
_PLAIN_ITEMS = frozenset({"BODYSTRUCTURE", "BODY", "ENVELOPE", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "UID"})

_COUNT = re.compile(r"\* +[0-9]+ ")

_LISTED, _BASE = "RFC3501-6.1.1-2", "RFC3501-7.2.1"
_SELECTED, _VALIDITY = "RFC3501-6.3.1", "RFC3501-2.3.1.1"
_SEARCHED, _FETCHED, _UID = "RFC3501-6.4.4", "RFC3501-6.4.5", "RFC3501-6.4.8"
_MADE, _COPIED = "RFC3501-6.3.3", "RFC3501-6.4.7"


def _capabilities_listed(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "CAPABILITY is answered with a list, and each list names IMAP4rev1"
    expected, reached = "IMAP4rev1 among the capabilities", []
    breaches: list[Breach] = []
    charged: set[str] = set()
    for event in imap_data(evidence, "client", "media"):
        listed, server = capabilities(event.text("text")), sender_of(event, evidence)
        reached += [_BASE] if listed else []
        if listed and not listed & {"IMAP4REV1", "IMAP4REV2"} and server not in charged:
            charged.add(server)
            breaches.append(Breach(server, (_BASE,), expected, " ".join(sorted(listed)), event.t, alone=True))
    talk = exchanges(evidence)
    for one in talk:
        if one.command.name == "CAPABILITY" and one.ok and _by_itself(one, talk):
            reached.append(_LISTED)
            if not _lines(one, "CAPABILITY"):
                breaches.append(Breach(one.server, (_LISTED,), "* CAPABILITY", "OK alone", one.end, alone=True))
    if not reached:
        return CheckResult.without_material(requirement, expected, "no list of capabilities")
    return CheckResult(requirement, expected, f"{len(reached)} lists", tuple(breaches), tuple(dict.fromkeys(reached)))


def _by_itself(one: ImapExchange, talk: Sequence[ImapExchange]) -> bool:
    """Tell whether no other command of the connection was in progress, so that untagged responses are its own."""
    return not any(
        other is not one and other.opened == one.opened and other.t <= one.end and (other.end or one.end) >= one.t
        for other in talk
    )


def _lines(one: ImapExchange, *names: str) -> list[str]:
    """Return the untagged responses of a command with one of these names; a number may precede the name."""
    wanted = re.compile(rf"\* +(?:[0-9]+ +)?(?:{'|'.join(names)})\b", re.IGNORECASE)
    return [line.text for line in one.lines if wanted.match(line.text)]


def _select_describes_mailbox(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "SELECT returns FLAGS, EXISTS and a UIDVALIDITY that does not change; UIDNEXT is above all UIDs"
    expected = "* FLAGS, * EXISTS, * OK [UIDVALIDITY], as before"
    talk = exchanges(evidence)
    chosen = [one for one in talk if one.command.name in _SELECTS and one.ok and one.arguments]
    if not chosen:
        return CheckResult.without_material(requirement, expected, "no SELECT was answered OK")
    breaches: list[Breach] = []
    before: dict[tuple[str, str | None, str], int] = {}
    for one in chosen:
        validity, missing = _number("UIDVALIDITY", one), _missing(one)
        if missing and _by_itself(one, talk):
            seen = f"none of {', '.join(missing)}"
            breaches.append(Breach(one.server, (_SELECTED,), expected, seen, one.end, alone=True))
        place = (one.server, user_of(one, scenario, evidence), mailbox_name(as_text(one.arguments[0])))
        known = None if any(other.command.name in {"DELETE", "RENAME"} for other in talk) else before.get(place)
        if validity is not None and known not in {None, validity}:
            seen = f"UIDVALIDITY {validity}"
            breaches.append(Breach(one.server, (_VALIDITY,), f"UIDVALIDITY {known}", seen, one.end, alone=True))
        elif validity is not None:
            before[place] = validity
        breaches += list(_above_next(one, talk)) or list(_more_than_exist(one, talk))
    return CheckResult(requirement, expected, f"{len(chosen)} mailboxes", tuple(breaches))


def _missing(one: ImapExchange) -> list[str]:
    found = [name for name in ("FLAGS", "EXISTS") if not _lines(one, name)]
    return found + ([] if _number("UIDVALIDITY", one) is not None else ["UIDVALIDITY"])


def _number(code: str, one: ImapExchange) -> int | None:
    """Return the number in a response code such as UIDNEXT, of an untagged or the tagged response; None without one."""
    texts = [line.text for line in one.lines] + ([one.tagged.rest] if one.tagged else [])
    found = next((hit for text in texts if (hit := re.search(rf"\[{code} ([0-9]+)\]", text, re.IGNORECASE))), None)
    return int(found[1]) if found else None


def _above_next(one: ImapExchange, talk: Sequence[ImapExchange]) -> Iterator[Breach]:
    """Yield the places at which the server shows a UID that is not below the UIDNEXT of the mailbox.

    A mailbox to which a message was added in between is not judged.
    """
    following = _number("UIDNEXT", one)
    for other in talk if following is not None else ():
        if other.t < one.t or other is one:
            continue
        if other.command.name in _BRINGS or (other.opened == one.opened and other.command.name in _SELECTS):
            return
        high = [uid for uid in _searched(other) if uid >= (following or 0)]
        if other.opened == one.opened and high:
            seen = f"UID {high[0]}"
            yield Breach(one.server, (_VALIDITY,), f"UIDs below UIDNEXT {following}", seen, other.end, alone=True)
            return


def _more_than_exist(one: ImapExchange, talk: Sequence[ImapExchange]) -> Iterator[Breach]:
    """Yield the first answer to SEARCH that has more messages than the EXISTS of the mailbox."""
    for other in _while_selected(one, talk):
        most, found = _most(one, other, talk), _found(other)
        if most is not None and found > most:
            wanted = f"EXISTS of {found} or more"
            yield Breach(one.server, (_SELECTED,), wanted, f"{most} EXISTS", other.end, alone=True)
            return


def _while_selected(one: ImapExchange, talk: Sequence[ImapExchange]) -> Iterator[ImapExchange]:
    """Yield the later commands of a session until it selects again, or until a message may come into a mailbox."""
    for other in talk:
        if other is one or other.t < one.t:
            continue
        if other.command.name in _BRINGS or (other.opened == one.opened and other.command.name in _SELECTS):
            return
        if other.opened == one.opened:
            yield other


def _most(chosen: ImapExchange, until: ImapExchange, talk: Sequence[ImapExchange]) -> int | None:
    """Return the highest EXISTS that a session was sent since it selected a mailbox; None without one."""
    since = [one for one in talk if one.opened == chosen.opened and chosen.t <= one.t <= until.t]
    return max(
        (int(text.split()[1]) for one in since for text in _lines(one, "EXISTS") if _COUNT.match(text)), default=None
    )


def _found(one: ImapExchange) -> int:
    """Return the number of messages in the answer to SEARCH, or the highest number of a message in it."""
    numbers = _numbers(one)
    return max([len(numbers), *(() if one.command.uid else numbers)]) if one.command.name == "SEARCH" else 0


def _fetched_beyond(one: ImapExchange, talk: Sequence[ImapExchange]) -> Iterator[Breach]:
    """Yield the first FETCH response whose message number is above the EXISTS of the mailbox."""
    chosen = [
        other for other in talk if other.opened == one.opened and other.t < one.t and other.command.name in _SELECTS
    ]
    if not chosen or one not in _while_selected(chosen[-1], talk):
        return
    most = _most(chosen[-1], one, talk)
    if most is None or any(_found(other) > most for other in _while_selected(chosen[-1], talk)):
        return  # the EXISTS itself is wrong
    for text in _lines(one, "FETCH"):
        number = text.split()[1]
        if number.isdecimal() and int(number) > most:
            wanted = f"message numbers up to {most}"
            yield Breach(one.server, (_FETCHED,), wanted, f"message number {number}", one.end, alone=True)
            return


def _searched(one: ImapExchange) -> list[int]:
    """Return the UIDs in the answer to UID SEARCH."""
    if not one.command.uid or one.command.name != "SEARCH":
        return []
    return [int(word) for text in _lines(one, "SEARCH") for word in text.split()[2:] if word.isdecimal()]


def _items(text: str, one: ImapExchange) -> dict[str, str]:
    """Return the data items of a FETCH response by name; a value that is a list becomes an empty text."""
    literals = next((line.literals for line in one.lines if line.text == text), ())
    data = tokens(text, literals)[3:4]
    fields = data[0] if data and isinstance(data[0], list) else []
    return {as_text(name).upper(): as_text(value) for name, value in zip(fields[::2], fields[1::2], strict=False)}


def _fewer_than_exist(one: ImapExchange, talk: Sequence[ImapExchange], provisioned: str) -> Iterator[Breach]:
    """Yield a breach if the answer to SEARCH ALL has fewer messages than the EXISTS of the mailbox.

    The mailbox `provisioned` was given one message: if SEARCH lists one, EXISTS is wrong. After a command that
    changes a mailbox nothing is judged.
    """
    before = [other for other in talk if other.opened == one.opened and other.t < one.t]
    chosen = [other for other in before if other.command.name in _SELECTS]
    if one.command.rest.strip().upper() != "ALL" or not chosen or not chosen[-1].ok:
        return
    most, found = _most(chosen[-1], one, talk), len(_numbers(one))
    if (
        most is None
        or found >= most
        or any(other.command.name in _BRINGS | _REMOVES for other in talk if other.t < one.end)
    ):
        return
    wanted, seen = f"{most} EXISTS, and as many messages in SEARCH ALL", f"{found} messages"
    is_known = found == 1 and mailbox_name(as_text((chosen[-1].arguments or [""])[0])) == provisioned
    yield Breach(one.server, (_SELECTED if is_known else _SEARCHED,), wanted, seen, one.end, alone=True)


def _numbers(one: ImapExchange) -> set[int]:
    """Return the numbers in the answer to SEARCH: UIDs, or message numbers."""
    return {int(word) for text in _lines(one, "SEARCH") for word in text.split()[2:] if word.isdecimal()}


def _search_and_fetch(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "SEARCH ALL lists all messages, and FETCH returns the items of them that were asked for"
    expected, talk = "* SEARCH, and * FETCH of each message", exchanges(evidence)
    breaches: list[Breach] = []
    reached: list[str] = []
    for place, one in enumerate(talk):
        if not one.ok or not _by_itself(one, talk):
            continue
        if one.command.name == "SEARCH":
            reached.append(_SEARCHED)
            if not _lines(one, "SEARCH", "ESEARCH"):
                breaches.append(Breach(one.server, (_SEARCHED,), "* SEARCH", "OK alone", one.end, alone=True))
            elif _lines(one, "SEARCH"):
                breaches += _fewer_than_exist(one, talk, scenario.given.mailbox)
        elif one.command.name == "FETCH":
            reached += [_FETCHED, _UID] if one.command.uid else [_FETCHED]
            breaches += [*_wrong_fetch(one, _there(one, talk[:place])), *_fetched_beyond(one, talk)]
    if not reached:
        return CheckResult.without_material(requirement, expected, "no SEARCH and no FETCH")
    return CheckResult(requirement, expected, f"{len(reached)} answers", tuple(breaches), tuple(dict.fromkeys(reached)))


def _there(one: ImapExchange, before: Iterable[ImapExchange]) -> set[int]:
    """Return the UIDs that SEARCH found in the mailbox that is selected when a command is sent."""
    found: set[int] = set()
    for other in before:
        if other.opened == one.opened:
            found = set() if other.command.name in _SELECTS else found | set(_searched(other))
        if other.command.name in _REMOVES:
            found = set()
    return found


def _wrong_fetch(one: ImapExchange, there: set[int]) -> Iterator[Breach]:
    """Yield what a FETCH response leaves out, and the messages in it that the command did not ask for."""
    numbers = one.command.rest.partition(" ")[0]
    answered = [items for text in _lines(one, "FETCH") if (items := _items(text, one))]
    answers = [items for items in answered if not items.keys() <= {"FLAGS", "MODSEQ"}]
    if one.command.uid and re.fullmatch(r"[0-9]+", numbers):
        others = [items["UID"] for items in answers if "UID" in items and items["UID"] != numbers]
        for uid in others[:1]:
            yield Breach(one.server, (_UID,), f"UID {numbers}", f"UID {uid}", one.end, alone=True)
        if others:
            return
        if not answered and int(numbers) in there:
            seen = f"OK, and nothing of message {numbers}, which SEARCH listed"
            yield Breach(one.server, (_FETCHED,), "* FETCH", seen, one.end, alone=True)
    wanted = [item for item in fetch_items(one.command.rest) if item in _PLAIN_ITEMS]
    names = {name for items in answered for name in items}
    missing = [item for item in wanted if item not in names]
    if answered and missing and re.fullmatch(r"[0-9]+", numbers):
        yield Breach(one.server, (_FETCHED,), " ".join(wanted), " ".join(sorted(names)), one.end, alone=True)


def _changes_are_made(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "CREATE and COPY that are answered OK were carried out"
    expected, talk = "the mailbox is there, and the messages in it", exchanges(evidence)
    reached: list[str] = []
    breaches: list[Breach] = []
    made: set[tuple[str | None, str]] = set()
    filled: set[tuple[str | None, str]] = set()
    for place, one in enumerate(talk):
        if one.command.name in _REMOVES:
            made, filled = set(), set()
        named = [mailbox_name(as_text(word)) for word in one.arguments]
        if not named or one.tagged is None:
            continue
        where = (user_of(one, scenario, evidence), named[1] if one.command.name == "COPY" and named[1:] else named[0])
        if one.command.name in {*_SELECTS, "COPY"} and where in made:
            reached.append(_MADE)
            if one.tagged.result == "NO" and "[LIMIT" not in one.tagged.rest.upper():
                seen = f"{one.command.name} got NO {one.tagged.rest}"
                breaches.append(Breach(one.server, (_MADE,), f"mailbox {where[1]!r}", seen, one.end, alone=True))
        if one.command.name in _SELECTS and one.ok and where in filled:
            reached.append(_COPIED)
            if any(re.match(r"\* +0 +EXISTS", line.text, re.IGNORECASE) for line in one.lines):
                breaches.append(Breach(one.server, (_COPIED,), "a message", "* 0 EXISTS", one.end, alone=True))
        made |= {where} if one.command.name == "CREATE" and one.ok else set()
        copied = one.command.name == "COPY" and one.ok and one.command.uid and named[0].isdecimal()
        filled |= {where} if copied and int(named[0]) in _there(one, talk[:place]) else set()
    if not reached:
        return CheckResult.without_material(requirement, expected, "no mailbox that was made and then used")
    return CheckResult(requirement, expected, f"{len(reached)} uses", tuple(breaches), tuple(dict.fromkeys(reached)))


CHECKS = (
    Check(
        "capabilities are listed",
        (_LISTED, _BASE),
        "CAPABILITY is answered with a list, and IMAP4rev1 is in each list",
        _capabilities_listed,
    ),
    Check(
        "select tells the mailbox",
        (_SELECTED, _VALIDITY),
        "SELECT returns FLAGS, EXISTS, the same UIDVALIDITY each time, and a UIDNEXT above all UIDs",
        _select_describes_mailbox,
    ),
    Check(
        "messages are found and fetched",
        (_SEARCHED, _FETCHED, _UID, _SELECTED),
        "SEARCH ALL lists as many messages as EXISTS, and FETCH has the items of the message that was asked for",
        _search_and_fetch,
    ),
    Check(
        "mailboxes are made and filled",
        (_MADE, _COPIED),
        "a mailbox that CREATE made can be selected, and holds what COPY put there",
        _changes_are_made,
    ),
)
