"""Checks of how the media server enters the IMAP server: TLS, a login, and what is offered behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import imap_commands, imap_data
from lemonade_testbed.evidence import Event, Evidence
from lemonade_testbed.ladder.imaptext import ImapCommand, capabilities, read_tagged
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult

_LOGINS = frozenset({"LOGIN", "AUTHENTICATE"})


@dataclass
class _Connection:
    """What was said on one connection: the media server's commands, and the server's lines."""

    commands: list[ImapCommand] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def granted(self, command: ImapCommand) -> bool:
        """Whether a command was answered OK."""
        answers = [tagged for line in self.lines if (tagged := read_tagged(line)) and tagged.tag == command.tag]
        return any(answer.result == "OK" for answer in answers)

    def logins(self) -> Iterator[tuple[ImapCommand, bool]]:
        """Yield the commands that authenticate, and whether TLS was begun before."""
        private = False
        for command in self.commands:
            private = private or (command.name == "STARTTLS" and self.granted(command))
            if command.name in _LOGINS:
                yield command, private

    def told_after_login(self) -> bool:
        """Whether the server listed its capabilities after the login and before the content."""
        logins = {command.tag for command, _ in self.logins()}
        fetches = {command.tag for command in self.commands if command.name == "URLFETCH"}
        inside = False
        for line in self.lines:
            tagged = read_tagged(line)
            if tagged and tagged.tag in fetches:
                return False
            inside = inside or (tagged is not None and tagged.tag in logins and tagged.result == "OK")
            if inside and capabilities(line):
                return True
        return False


def _connections(evidence: Evidence) -> list[_Connection]:
    found: dict[str, _Connection] = {}
    for event, command in imap_commands(evidence, "media"):
        found.setdefault(_name(event), _Connection()).commands.append(command)
    for event in imap_data(evidence, "media"):
        found.setdefault(_name(event), _Connection()).lines.append(event.text("text"))
    return list(found.values())


def _name(event: Event) -> str:
    return " ".join(sorted((event.text("local"), event.text("remote"))))


def _way(command: ImapCommand, *, private: bool) -> str:
    mechanism = command.rest.split()[:1] if command.name == "AUTHENTICATE" else []
    return " ".join([command.name, *mechanism]) + (" over TLS" if private else "")


def _ways(evidence: Evidence) -> list[tuple[str, bool]]:
    """Return how the media server authenticates, in words, and whether over TLS."""
    logins = [login for connection in _connections(evidence) for login in connection.logins()]
    return [(_way(command, private=private), private) for command, private in logins]


def _no_login(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the media server does not use LOGIN on an unencrypted connection"
    ways = [way for way, _ in _ways(evidence)]
    seen = ", ".join(ways) or "no authentication"
    return CheckResult(bool(ways) and "LOGIN" not in ways, requirement, "AUTHENTICATE, or LOGIN over TLS", seen)


def _over_tls(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the media server authenticates after STARTTLS, on every connection"
    ways = _ways(evidence)
    ok = bool(ways) and all(private for _, private in ways)
    return CheckResult(ok, requirement, "every login over TLS", ", ".join(way for way, _ in ways) or "no login")


def _nothing_shown(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the media server authenticates to no IMAP server that it cannot reach as its policy wants"
    connections = _connections(evidence)
    ways = [way for way, _ in _ways(evidence)]
    seen = ", ".join(ways) or ("no authentication" if connections else "no connection")
    return CheckResult(bool(connections) and not ways, requirement, "no authentication", seen)


def _after_login(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the media server learns after its login what the IMAP server has, and then asks for content"
    fetching = [one for one in _connections(evidence) if any(command.name == "URLFETCH" for command in one.commands)]
    told = sum(connection.told_after_login() for connection in fetching)
    ok = bool(fetching) and told == len(fetching)
    expected = "capabilities listed between login and URLFETCH"
    return CheckResult(ok, requirement, expected, f"on {told} of {len(fetching)} connections")


CHECKS = (
    Check(
        "no login in clear",
        ("LS-2.8-3", "LS-2.8-4", "LS-2.8-5", "LS-2.8-6"),
        "the media server authenticates, and not by LOGIN without TLS",
        _no_login,
    ),
    Check(
        "media server authenticates over tls",
        ("LS-2.8-2", "LS-2.8-4", "LS-3-7"),
        "on every connection of the media server STARTTLS is answered OK before it authenticates",
        _over_tls,
    ),
    Check(
        "media server does not authenticate",
        ("LS-2.8-2", "LS-2.8-4", "LS-3-7"),
        "the media server reaches the IMAP server, and shows it no credentials",
        _nothing_shown,
    ),
    Check(
        "capabilities are those after login",
        ("LS-2.8-9",),
        "the media server learns what the IMAP server has after its login, before it asks for content",
        _after_login,
    ),
)
