"""Checks of how client and media server use the IMAP server: downloads, LOGOUT, items of URLFETCH, anonymous login."""

from __future__ import annotations

import re

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import imap_commands, imap_data, is_raw, sender_of
from lemonade_testbed.checks.imap_exchanges import ImapExchange, exchanges
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.imaptext import capabilities, fetch_items
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_CONTENT = re.compile(
    r"RFC822(?:\.TEXT)?|(?:BODY|BINARY)(?:\.PEEK)?\[(?!HEADER|(?:[0-9]+\.)*MIME)[^\]]*\](?:<[0-9.]+>)?"
)
_NOTHING = "no content fetched"
_STREAMS = ("LS-1-2",)
_LOGOUT = ("LS-2.8-15",)
_KEEPS = ("LS-2.8-14",)
_EXTENDED = ("LS-2.8-10", "LS-2.1-11")


def _downloads_nothing(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the client streams the part and does not download it"
    loads: list[tuple[str, float, str]] = []
    commands = 0
    for event, command in imap_commands(evidence, "client"):
        commands += 1
        if is_raw(scenario, evidence, event.t):
            continue
        if command.name == "URLFETCH":
            loads.append((sender_of(event, evidence), event.t, "URLFETCH"))
        elif command.name == "FETCH":
            items = [item for item in fetch_items(command.rest) if _CONTENT.fullmatch(item)]
            loads += [(sender_of(event, evidence), event.t, item) for item in items]
    if not commands:
        return CheckResult.without_material(requirement, _NOTHING, "the client sent no IMAP command")
    breaches = tuple(Breach(node, _STREAMS, _NOTHING, item, t) for node, t, item in loads)
    return CheckResult(requirement, _NOTHING, _NOTHING, breaches)


def _logs_out(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the media server ends each IMAP connection with LOGOUT"
    last: dict[str, tuple[str, float, str]] = {}
    silent = {one.opened for one in exchanges(evidence) if one.tagged is None and one.command.name != "LOGOUT"}
    for event, command in imap_commands(evidence, "media"):
        connection = " ".join(sorted((event.text("local"), event.text("remote"))))
        if connection not in silent:  # the server did not answer the command before it, so LOGOUT cannot be expected
            last[connection] = (sender_of(event, evidence), event.t, command.name)
    if not last:
        return CheckResult.without_material(requirement, "LOGOUT", "no command")
    breaches = tuple(Breach(node, _LOGOUT, "LOGOUT", name, t) for node, t, name in last.values() if name != "LOGOUT")
    return CheckResult(requirement, "LOGOUT", ", ".join(name for _, _, name in last.values()), breaches)


def _asks_by_the_profile(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a media server fetches content without its encoding (BINARY), and asks what it is"
    expected = "BODYPARTSTRUCTURE and BINARY"
    asked: dict[tuple[str, str], list[ImapExchange]] = {}
    for one in exchanges(evidence):
        if one.command.name == "URLFETCH" and evidence.world.kind_of(one.asker) == "media":
            for url in one.asked():
                asked.setdefault((one.asker, url), []).append(one)
    breaches: list[Breach] = []
    served = 0
    for (asker, url), fetches in asked.items():
        contents = [data.content for one in fetches for _, data in one.fetched() if data.url == url]
        if not any(content is not None for content in contents):
            continue  # the server refuses the URL (NIL), so the other items of URLFETCH are not needed
        served += 1
        wants = {word for one in fetches for word in one.wants(url)}
        if missing := {"BODYPARTSTRUCTURE", "BINARY"} - wants:
            seen = f"URLFETCH without {' and '.join(sorted(missing))}"
            breaches.append(Breach(asker, _EXTENDED, expected, seen, fetches[0].t, alone=True))
    if not served:
        return CheckResult.without_material(requirement, expected, "no content was fetched")
    return CheckResult(requirement, expected, f"{served} URLs", tuple(breaches))


def _anonymous_by_the_rules(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = (
        "a media server without an account uses AUTHENTICATE ANONYMOUS where it is offered, else LOGIN anonymous"
    )
    offered = any("AUTH=ANONYMOUS" in capabilities(event.text("text")) for event in imap_data(evidence, "media"))
    wanted = "AUTHENTICATE ANONYMOUS" if offered else "LOGIN ANONYMOUS with an address"
    logins = [
        (node, event.t, f"{command.name} {_anonymous_as(command.rest)}")
        for event, command in imap_commands(evidence, "media")
        if command.name in {"LOGIN", "AUTHENTICATE"}
        and scenario.given.of(node := sender_of(event, evidence)).identity is None
    ]
    if not logins:
        return CheckResult.without_material(requirement, wanted, "no login of a media server without an account")
    clauses = ("LS-2.8-6", "LS-2.8-5") if offered else ("LS-2.8-7", "LS-2.8-5")
    breaches = tuple(Breach(node, clauses, wanted, login, t) for node, t, login in logins if login != wanted)
    return CheckResult(requirement, wanted, ", ".join(login for _, _, login in logins), breaches, clauses)


def _anonymous_as(arguments: str) -> str:
    """Return the user name of a login, and for LOGIN whether the password is a mail address (RFC 5092, section 3.2)."""
    name, _, password = arguments.replace('"', "").partition(" ")
    return f"{name.upper()} with an address" if _ADDRESS.fullmatch(password.strip()) else name.upper()


def _keeps_its_connection(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the media server fetches over the connection that it has"
    expected = "several URLFETCH over one connection"
    over = [
        (sender_of(event, evidence), event.t, " ".join(sorted((event.text("local"), event.text("remote")))))
        for event, command in imap_commands(evidence, "media")
        if command.name == "URLFETCH"
    ]
    seen = f"{len(over)} URLFETCH over {len({where for _, _, where in over})} connections"
    if len(over) < 2:
        return CheckResult.without_material(requirement, expected, seen)
    other = [Breach(node, _KEEPS, expected, seen, t) for node, t, where in over if where != over[0][2]]
    return CheckResult(requirement, expected, seen, tuple(other[:1]))


CHECKS = (
    Check(
        "anonymous login by the rules",
        ("LS-2.8-5", "LS-2.8-6", "LS-2.8-7"),
        "a media server without an account uses AUTHENTICATE ANONYMOUS where it is offered, else LOGIN with an address",
        _anonymous_by_the_rules,
    ),
    Check(
        "media server keeps its connection",
        _KEEPS,
        "all that the media server fetches comes over one connection",
        _keeps_its_connection,
        general=False,
    ),
    Check(
        "urlfetch asks by the profile",
        _EXTENDED,
        "a media server asks for content and description of a URL by BINARY and BODYPARTSTRUCTURE",
        _asks_by_the_profile,
    ),
    Check("media server logs out", _LOGOUT, "the last command of each connection is LOGOUT", _logs_out, general=False),
    Check("client downloads nothing", _STREAMS, "the client fetches no content of the part", _downloads_nothing),
)
