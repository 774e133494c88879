"""Checks of what an IMAP server sends, in any scenario; every breach is charged to the server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import imap_data, is_relayed, sender_of, signals
from lemonade_testbed.checks.imap_exchanges import ImapExchange, UntaggedResponse, connection_of, exchanges
from lemonade_testbed.checks.structures import ENCODING, LINES, PARAMETERS, SIZE, TYPES, differences
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.imaptext import LiteralText, as_text, capabilities, fetch_items, read_tagged, tokens
from lemonade_testbed.mailparts import read_mail
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

_STRUCTURE = (TYPES, PARAMETERS, ENCODING, SIZE, LINES)
_ENTRY, _LISTED, _TUPLES, _UTF8 = "RFC5464-4.4.1", "LS-2.2-6", "LS-2.2-7", ("LS-7-2", "LS-4-1")
_ANSWERED = "RFC3501-2.2.2"
_PATIENCE = 5.0
"""Seconds without any response after which a command counts as unanswered; a busy server may be slow."""
_PARTS = "RFC3501-6.1.3"
_TLS = "RFC3501-6.2.1"
_UNSEEN, _KEPT_UNSEEN = "RFC5092-6-4", "RFC3501-6.4.5-2"
_FIRST_UNSEEN = re.compile(r"\[UNSEEN (\d+)\]", re.IGNORECASE)
_WITH_UID = "RFC3501-6.4.8"
_OFFERED = "RFC3501-6.1.1"
_VALUE = re.compile(r"<[^<>]*>(?::[^;<>]*)?(?:;\s*<[^<>]*>(?::[^;<>]*)?)*")
_NO_UTF8 = re.compile(r"\\x[89a-f][0-9a-f]")
"""The form in which a trace shows an octet that is not UTF-8."""
_FLAGS = re.compile(r"\* +(\d+) +FETCH +\(.*?FLAGS +\(([^)]*)\)", re.IGNORECASE)
_CHANGE_FLAGS = frozenset({"STORE", "URLFETCH", "CLOSE", "EXPUNGE", "MOVE", "COPY", "APPEND", "IDLE", "UNSELECT"})
_SETS_SEEN = re.compile(r"STORE|(?:BODY|BINARY)\[|RFC822(?:\.TEXT)?(?:[ )]|$)", re.IGNORECASE)


def _structure_is_mail(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "FETCH BODYSTRUCTURE describes the mail: types, parameters, encodings, sizes"
    expected = "what the mail's headers and octets say"
    talk = exchanges(evidence)
    if evidence.message is None or any(one.command.name == "APPEND" for one in talk):
        return CheckResult.without_material(requirement, expected, "the mail is not known")
    mail = read_mail(evidence.message)
    structures = [(one, line, fields) for one in talk for line, fields in _structures(one)]
    if not structures:
        return CheckResult.without_material(requirement, expected, "no BODYSTRUCTURE")
    breaches = tuple(
        Breach(one.server, (wrong.clause,), wrong.expected, wrong.seen, line.t, alone=True)
        for one, line, fields in structures
        for wrong in differences(fields, mail)
    )
    return CheckResult(requirement, expected, f"{len(structures)} structures", breaches)


def _structures(one: ImapExchange) -> Iterator[tuple[UntaggedResponse, object]]:
    """Yield the structures in the answer to a FETCH of BODYSTRUCTURE."""
    if one.command.name != "FETCH" or "BODYSTRUCTURE" not in fetch_items(one.command.rest):
        return
    for line in one.lines:
        found = re.fullmatch(r"\* +\d+ +FETCH +(.*)", line.text, re.IGNORECASE | re.DOTALL)
        items = tokens(found[1], line.literals) if found else []
        for name, value in _pairs(items[0] if items and isinstance(items[0], list) else []):
            if as_text(name).upper() == "BODYSTRUCTURE":
                yield line, value


def _pairs(items: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    yield from zip(items[::2], items[1::2], strict=False)


def _metadata_is_provisioned(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = (
        "GETMETADATA answers the media servers' entry under its name, with the value that the server was given"
    )
    wanted, talk = scenario.given.media_servers, exchanges(evidence)
    asked = [(one, names) for one in talk if one.ok and (names := _entries(one))]
    if not asked or any(one.command.name == "SETMETADATA" for one in talk):
        return CheckResult.without_material(requirement, wanted or "NIL", "no answer to GETMETADATA")
    breaches = [breach for one, names in asked for breach in _wrong_metadata(one, names, wanted)]
    reached = None if wanted else (_ENTRY,)
    return CheckResult(requirement, wanted or "NIL", f"{len(asked)} answers", tuple(breaches), reached)


def _entries(one: ImapExchange) -> list[str]:
    """Return the entries for media servers, in lower case, in a GETMETADATA of server annotations."""
    if one.command.name != "GETMETADATA":
        return []
    flat = [word for token in one.arguments for word in (token if isinstance(token, list) else [token])]
    names = [as_text(word).lower() for word in flat]
    return [name for name in names if name.endswith("/mediaservers")] if "" in names and "DEPTH" not in flat else []


def _wrong_metadata(one: ImapExchange, names: Sequence[str], wanted: str) -> Iterator[Breach]:
    entries = [(line, as_text(name), value) for line in one.lines for name, value in _annotations(line)]
    others = [(line, name) for line, name, _ in entries if name.lower() not in names]
    for line, name in others:
        yield Breach(one.server, (_ENTRY,), " ".join(names), name, line.t, alone=True)
    if others:
        return
    if not wanted:  # an entry without a value is NIL, or left out (RFC 5464, section 4.4.1)
        for line, _, value in entries:
            if as_text(value).upper() != "NIL":
                yield Breach(one.server, (_ENTRY,), "NIL", line.text, line.t, alone=True)
        return
    for wanted_name in names:
        found = [(line, value) for line, name, value in entries if name.lower() == wanted_name]
        if not found:
            yield Breach(one.server, (_LISTED,), wanted, "no value", one.end, alone=True)
        for line, value in found:
            clauses, seen = _wrong_value(line, value, wanted)
            if clauses:
                yield Breach(one.server, clauses, wanted, seen, line.t, alone=True)


def _annotations(line: UntaggedResponse) -> Iterator[tuple[Any, Any]]:
    found = re.fullmatch(r'\* +METADATA +(?:"") +(.*)', line.text, re.IGNORECASE | re.DOTALL)
    items = tokens(found[1], line.literals) if found else []
    yield from _pairs(items[0] if items and isinstance(items[0], list) else [])


def _wrong_value(line: UntaggedResponse, value: object, wanted: str) -> tuple[tuple[str, ...], str]:
    """Return the clauses that a value breaks, and the value; no clause if it is the value that was provisioned."""
    text = value.text if isinstance(value, LiteralText) else as_text(value)
    if text == wanted:
        return (), ""
    if text is None or _NO_UTF8.search(line.text):
        return _UTF8, f"octets that are no UTF-8: {line.text}"
    if text.upper() == "NIL":
        return (_LISTED,), "NIL"
    return (_LISTED,) if _VALUE.fullmatch(text.strip()) else (_TUPLES,), text


def _every_command_answered(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "every command gets one tagged response"
    expected, talk = "one OK, NO or BAD with the command's tag", exchanges(evidence)
    if not talk:
        return CheckResult.without_material(requirement, expected, "no command was sent")
    breaches = list(_strange_tags(talk, evidence))
    for one in talk:
        name = f"{one.command.tag} {one.command.name}"
        if one.tagged is None and (why := _why_unanswered(one, talk, evidence)):
            t, seen = why
            breaches.append(Breach(one.server, (_ANSWERED,), expected, f"{seen}, and {name} is not", t, alone=True))
        if one.repeated is not None:
            breaches.append(Breach(one.server, (_ANSWERED,), expected, f"two for {name}", one.repeated, alone=True))
    reached = (_ANSWERED, *([_TLS] if any(one.command.name == "STARTTLS" and one.ok for one in talk) else []))
    return CheckResult(requirement, expected, f"{len(talk)} commands", tuple(breaches), reached)


def _strange_tags(talk: Sequence[ImapExchange], evidence: Evidence) -> Iterator[Breach]:
    """Yield a breach for each tagged response whose tag no command of its connection has."""
    sent: dict[str, set[str]] = {}
    for one in talk:
        sent.setdefault(one.opened, set()).add(one.command.tag)
    private = {one.opened for one in talk if one.command.name == "STARTTLS" and one.ok}
    for event in imap_data(evidence, "client", "media"):
        tagged, known = read_tagged(event.text("text")), sent.get(connection_of(event), set())
        if tagged and known and tagged.tag not in known:
            server = sender_of(event, evidence)
            clause, wanted = (_TLS, "TLS") if connection_of(event) in private else (_ANSWERED, "the tag of a command")
            yield Breach(server, (clause,), wanted, event.text("text"), event.t, alone=True)


def _why_unanswered(one: ImapExchange, talk: Sequence[ImapExchange], evidence: Evidence) -> tuple[float, str] | None:
    """Return the time by which a command is surely unanswered, and what shows it.

    Returns None if the answer may still come, or if another node may have closed the connection.
    """
    later = [other for other in talk if other.opened == one.opened and other.t > one.t and other.tagged]
    if later:
        return later[0].end, f"{later[0].command.name} is answered"
    ended = {one.server, one.asker} & evidence.world.died.keys()
    if ended or is_relayed(evidence) or any(other.opened == one.opened and other.t > one.t for other in talk):
        return None
    if one.command.name == "LOGOUT":
        said = any(re.match(r"\* +BYE\b", line.text, re.IGNORECASE) for line in one.lines)
        return (one.end, "BYE was sent") if said else None
    given_up = min((t for t in _given_up(one, evidence) if t >= one.t), default=None)
    if given_up is not None:
        return given_up, f"{one.asker} gave up waiting"
    waited = evidence.world.ended - max(one.t, one.end)
    return (max(one.t, one.end) + _PATIENCE, f"{_PATIENCE:g} s passed") if waited > _PATIENCE else None


def _given_up(one: ImapExchange, evidence: Evidence) -> Iterator[float]:
    """Yield the times at which a node shows that it got no answer.

    A step of the client fails; a media server refuses the call, or sends an MSCML response to a caller that has not
    ended the call.
    """
    if evidence.world.kind_of(one.asker) == "client":
        yield from (step.t for step in evidence.of("step", one.asker) if step.text("state") == "failed")
        return
    for signal in signals(evidence):
        if signal.t < one.t:
            continue
        if signal.message.method in {"BYE", "CANCEL"} and not signal.message.is_response:
            return
        refuses = signal.message.is_response and signal.message.method == "INVITE" and signal.message.status >= "4"
        if signal.source == one.asker and (
            refuses or (signal.message.method == "INFO" and not signal.message.is_response)
        ):
            yield signal.t


def _bye_before_logout_ends(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "LOGOUT is answered with an untagged BYE before its OK"
    expected, ended = "* BYE", [one for one in exchanges(evidence) if one.command.name == "LOGOUT" and one.ok]
    if not ended:
        return CheckResult.without_material(requirement, expected, "no LOGOUT was answered")
    breaches = tuple(
        Breach(one.server, (_PARTS,), expected, "; ".join(line.text for line in one.lines) or "OK", one.end, alone=True)
        for one in ended
        if not any(re.match(r"\* +BYE\b", line.text, re.IGNORECASE) for line in one.lines)
    )
    return CheckResult(requirement, expected, f"{len(ended)} times LOGOUT", breaches)


def _seen_is_untouched(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = r"URLFETCH does not set \Seen"
    expected, talk = r"no \Seen", exchanges(evidence)
    breaches: list[Breach] = []
    compared = 0
    for opened in dict.fromkeys(one.opened for one in talk):
        before: dict[str, bool] = {}
        fetched: float | None = None
        for one in talk:
            if one.opened == opened and (one.command.name in {"SELECT", "EXAMINE"} or _SETS_SEEN.search(_whole(one))):
                before, fetched = {}, None
            if one.command.name == "URLFETCH" and any(data.content is not None for _, data in one.fetched()):
                fetched = one.end
            for line in one.lines if one.opened == opened else ():
                for number, flags in _FLAGS.findall(line.text):
                    seen = "\\seen" in flags.lower()
                    if number in before and fetched is not None:
                        compared += 1
                        if seen and not before[number]:
                            breaches.append(Breach(one.server, (_UNSEEN,), expected, line.text, line.t, alone=True))
                    before[number] = seen
    if not compared:
        return CheckResult.without_material(requirement, expected, "no flags before and after a URLFETCH")
    return CheckResult(requirement, expected, f"flags sent {compared} times after a URLFETCH", tuple(breaches))


def _fetch_leaves_unseen(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = r"FETCH does not set \Seen, unless it asks for a body"
    expected, talk, compared = r"no \Seen", exchanges(evidence), 0
    breaches: list[Breach] = []
    unseen: dict[str, set[str]] = {}
    for one in talk:
        if one.command.name in {"SELECT", "EXAMINE"}:
            unseen[one.opened] = set(_FIRST_UNSEEN.findall(" ".join(line.text for line in one.lines)))
        elif one.command.name in _CHANGE_FLAGS or _SETS_SEEN.search(_whole(one)):
            unseen = {}  # a flag may be set now, or a message number be that of another message
        for line in one.lines if one.command.name == "FETCH" else ():
            for number, flags in _FLAGS.findall(line.text):
                if number not in unseen.get(one.opened, ()):
                    continue
                compared += 1
                if "\\seen" in flags.lower():
                    breaches.append(Breach(one.server, (_KEPT_UNSEEN,), expected, line.text, line.t, alone=True))
    if not compared:
        return CheckResult.without_material(requirement, expected, "no flags of a message that was unseen")
    return CheckResult(requirement, expected, f"flags sent {compared} times", tuple(breaches))


def _uid_is_told(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "each FETCH response to a UID command has the UID"
    expected, compared, breaches = "UID among the data items", 0, []
    for one in exchanges(evidence):
        for line in one.lines if one.command.uid and one.command.name == "FETCH" else ():
            items = _fetched_items(line)
            if items is None or _is_flags_alone(items):
                continue  # the server may send FLAGS by itself, after another session changed them
            compared += 1
            if "UID" not in items:
                breaches.append(Breach(one.server, (_WITH_UID,), expected, line.text, line.t, alone=True))
    if not compared:
        return CheckResult.without_material(requirement, expected, "no answer to UID FETCH")
    return CheckResult(requirement, expected, f"{compared} responses", tuple(breaches))


def _fetched_items(line: UntaggedResponse) -> list[str] | None:
    """Return the names of the data items of a FETCH response, in upper case; None for any other response."""
    found = re.fullmatch(r"\* +\d+ +FETCH +(.*)", line.text, re.IGNORECASE | re.DOTALL)
    items = tokens(found[1], line.literals) if found else []
    if not items or not isinstance(items[0], list):
        return None
    return [as_text(name).upper() for name, _ in _pairs(items[0])]


def _is_flags_alone(items: Sequence[str]) -> bool:
    return set(items) <= {"FLAGS", "MODSEQ"}


def _offered_is_taken(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a server that lists AUTH=ANONYMOUS accepts AUTHENTICATE ANONYMOUS"
    expected, compared, breaches = "OK", 0, []
    offers: dict[str, set[str]] = {}
    for event in imap_data(evidence, "client", "media"):
        if listed := capabilities(event.text("text")):
            offers.setdefault(sender_of(event, evidence), set()).update(listed)
    for one in exchanges(evidence):
        mechanism = as_text(one.arguments[0]).upper() if one.command.name == "AUTHENTICATE" and one.arguments else ""
        if mechanism != "ANONYMOUS" or "AUTH=ANONYMOUS" not in offers.get(one.server, set()) or one.tagged is None:
            continue
        compared += 1
        if not one.ok:
            seen = f"{one.tagged.result} {one.tagged.rest}".strip()
            breaches.append(Breach(one.server, (_OFFERED,), expected, seen, one.end, alone=True))
    if not compared:
        return CheckResult.without_material(requirement, expected, "no AUTHENTICATE ANONYMOUS that was offered")
    return CheckResult(requirement, expected, f"{compared} logins", tuple(breaches))


def _whole(one: ImapExchange) -> str:
    return f"{one.command.name} {one.command.rest}"


CHECKS = (
    Check(
        "bodystructure is the mail",
        _STRUCTURE,
        "FETCH BODYSTRUCTURE names each part's type, parameters, encoding, octets and lines as the mail has them",
        _structure_is_mail,
    ),
    Check(
        "metadata is what was provisioned",
        (_ENTRY, _LISTED, _TUPLES, *_UTF8),
        "GETMETADATA answers the entry that was asked for with the value that the server was given",
        _metadata_is_provisioned,
    ),
    Check(
        "every command is answered",
        (_ANSWERED, _TLS),
        "each IMAP command gets one tagged response",
        _every_command_answered,
    ),
    Check("logout is answered with bye", (_PARTS,), "LOGOUT gets an untagged BYE, then OK", _bye_before_logout_ends),
    Check("uid is told", (_WITH_UID,), "a FETCH response to a UID command holds the UID", _uid_is_told),
    Check(
        "anonymous login is taken",
        (_OFFERED,),
        "AUTHENTICATE ANONYMOUS is answered OK by a server that lists AUTH=ANONYMOUS",
        _offered_is_taken,
    ),
    Check(
        "fetch leaves messages unseen",
        (_KEPT_UNSEEN,),
        r"FETCH of flags and structure does not set the flag \Seen",
        _fetch_leaves_unseen,
    ),
    Check("seen is untouched", (_UNSEEN,), r"a URLFETCH leaves the flag \Seen as it was", _seen_is_untouched),
)
