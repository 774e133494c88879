"""Checks of how client and media server use the IMAP server."""

from __future__ import annotations

import re

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import imap_commands, imap_data
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.imaptext import capabilities, fetch_items
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_CONTENT = re.compile(
    r"RFC822(?:\.TEXT)?|(?:BODY|BINARY)(?:\.PEEK)?\[(?!HEADER|(?:[0-9]+\.)*MIME)[^\]]*\](?:<[0-9.]+>)?"
)


def _downloads_nothing(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the client streams the part and does not download it"
    loads = []
    for _, command in imap_commands(evidence, "client"):
        if command.name == "URLFETCH":
            loads.append("URLFETCH")
        elif command.name == "FETCH":
            loads += [item for item in fetch_items(command.rest) if _CONTENT.fullmatch(item)]
    return CheckResult(not loads, requirement, "no content fetched", ", ".join(loads) or "no content fetched")


def _logs_out(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the media server ends each IMAP connection with LOGOUT"
    last: dict[str, str] = {}
    for event, command in imap_commands(evidence, "media"):
        last[" ".join(sorted((event.text("local"), event.text("remote"))))] = command.name
    ok = bool(last) and set(last.values()) == {"LOGOUT"}
    return CheckResult(ok, requirement, "LOGOUT", ", ".join(last.values()) or "no command")


def _anonymous_by_the_rules(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "who has no account uses AUTHENTICATE ANONYMOUS where it is offered, and else LOGIN as anonymous"
    logins = [
        f"{command.name} {_anonymous_as(command.rest)}"
        for _, command in imap_commands(evidence, "media")
        if command.name in {"LOGIN", "AUTHENTICATE"}
    ]
    offered = any("AUTH=ANONYMOUS" in capabilities(event.text("text")) for event in imap_data(evidence, "media"))
    wanted = "AUTHENTICATE ANONYMOUS" if offered else "LOGIN ANONYMOUS with an address"
    ok = bool(logins) and set(logins) == {wanted}
    return CheckResult(ok, requirement, wanted, ", ".join(dict.fromkeys(logins)) or "no login")


def _anonymous_as(arguments: str) -> str:
    """Return whose login it is, and for LOGIN whether an address stands for the password (RFC 5092, 3.2)."""
    name, _, password = arguments.replace('"', "").partition(" ")
    return f"{name.upper()} with an address" if _ADDRESS.fullmatch(password.strip()) else name.upper()


def _keeps_its_connection(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the media server fetches over the connection that it has"
    over = [
        " ".join(sorted((event.text("local"), event.text("remote"))))
        for event, command in imap_commands(evidence, "media")
        if command.name == "URLFETCH"
    ]
    ok = len(over) > 1 and len(set(over)) == 1
    seen = f"{len(over)} URLFETCH over {len(set(over))} connections"
    return CheckResult(ok, requirement, "several URLFETCH over one connection", seen)


CHECKS = (
    Check(
        "anonymous login by the rules",
        ("LS-2.8-5", "LS-2.8-6", "LS-2.8-7"),
        "a media server without an account uses AUTHENTICATE ANONYMOUS where it is offered, else LOGIN with an address",
        _anonymous_by_the_rules,
    ),
    Check(
        "media server keeps its connection",
        ("LS-2.8-14",),
        "all that the media server fetches comes over one connection",
        _keeps_its_connection,
    ),
    Check("media server logs out", ("LS-2.8-15",), "the last command of each connection is LOGOUT", _logs_out),
    Check("client downloads nothing", ("LS-1-2",), "the client fetches no content of the part", _downloads_nothing),
)
