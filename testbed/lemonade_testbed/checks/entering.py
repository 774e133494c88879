"""Checks of logins at the IMAP server: TLS, account, password, mechanism, and tags of the media server's commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import imap_commands, imap_data, is_raw, sender_of, signals
from lemonade_testbed.checks.imap_exchanges import ImapExchange, exchanges
from lemonade_testbed.evidence import Event, Evidence
from lemonade_testbed.ladder.imaptext import CommandText, as_text, capabilities, read_tagged
from lemonade_testbed.scenario.model import Given, Scenario
from lemonade_testbed.verdict import Breach, CheckResult

_LOGINS = frozenset({"LOGIN", "AUTHENTICATE"})
_BY_PASSWORD = frozenset({"PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256"})
_WRONG_CREDENTIALS = frozenset({"AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED"})
"""Response codes that say that an account or its password is wrong (RFC 5530, section 3)."""
_PASSWORD = ("RFC3501-6.2",)
_TAG = ("RFC3501-2.2.1",)
_TRUST = ("LS-3-9",)
_ACCOUNT = ("LS-2.8-3",)
_CLEAR = ("LS-2.8-4",)
_TLS = ("LS-2.8-2", "LS-2.8-4", "LS-3-7")


@dataclass(frozen=True)
class _Login:
    """A command that authenticates: the node that sent it, its time, and whether it was sent inside TLS."""

    node: str
    t: float
    command: CommandText
    private: bool

    @property
    def is_anonymous(self) -> bool:
        """Whether the login is anonymous."""
        return self.command.rest.replace('"', "").upper().startswith("ANONYMOUS")

    @property
    def way(self) -> str:
        """The way in which the command authenticates, in words."""
        mechanism = self.command.rest.split()[:1] if self.command.name == "AUTHENTICATE" else []
        return " ".join([self.command.name, *mechanism]) + (" over TLS" if self.private else "")


@dataclass
class _Connection:
    """One IMAP connection: the name of the media server, its commands with their times, and the lines of the server."""

    node: str = ""
    commands: list[tuple[float, CommandText]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def granted(self, command: CommandText) -> bool:
        """Tell whether a command was answered OK."""
        answers = [tagged for line in self.lines if (tagged := read_tagged(line)) and tagged.tag == command.tag]
        return any(answer.result == "OK" for answer in answers)

    def logins(self) -> Iterator[_Login]:
        """Yield the commands that authenticate, each with whether TLS began before it."""
        private = False
        for t, command in self.commands:
            private = private or (command.name == "STARTTLS" and self.granted(command))
            if command.name in _LOGINS:
                yield _Login(self.node, t, command, private)


def _connections(evidence: Evidence) -> list[_Connection]:
    found: dict[str, _Connection] = {}
    for event, command in imap_commands(evidence, "media"):
        connection = found.setdefault(_name(event), _Connection(sender_of(event, evidence)))
        connection.commands.append((event.t, command))
    for event in imap_data(evidence, "media"):
        if _name(event) in found:
            found[_name(event)].lines.append(event.text("text"))
    return list(found.values())


def _name(event: Event) -> str:
    return " ".join(sorted((event.text("local"), event.text("remote"))))


def _logins(evidence: Evidence) -> list[_Login]:
    return [login for connection in _connections(evidence) for login in connection.logins()]


def _no_login(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the media server does not use LOGIN on an unencrypted connection"
    expected, logins = "AUTHENTICATE, or LOGIN over TLS", _logins(evidence)
    if not logins:
        return CheckResult.without_material(requirement, expected, "no authentication")
    offered = any("AUTH=ANONYMOUS" in capabilities(event.text("text")) for event in imap_data(evidence, "media"))
    breaches = tuple(
        Breach(one.node, _CLEAR, expected, one.way, one.t)
        for one in logins
        if one.way == "LOGIN" and (offered or not one.is_anonymous)  # else RFC 5092, section 3.2, requires LOGIN
    )
    return CheckResult(requirement, expected, ", ".join(one.way for one in logins), breaches)


def _uses_account(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a media server that has an account at the IMAP server logs in with it for callers that it trusts"
    expected = "a login that is not anonymous"
    others = {one.target for one in signals(evidence) if one.message.method == "INVITE" and one.source != "client"}
    logins = [one for one in _logins(evidence) if one.node not in others and _has_account(scenario.given.of(one.node))]
    if not logins:
        return CheckResult.without_material(requirement, expected, "no login of a media server with an account")
    anonymous = [one for one in logins if one.is_anonymous]
    breaches = tuple(Breach(one.node, _ACCOUNT, expected, one.way, one.t, ends=True) for one in anonymous)
    return CheckResult(requirement, expected, ", ".join(one.way for one in logins), breaches)


def _account_is_kept(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a media server uses its own account only for callers that it trusts"
    expected = "an anonymous login"
    logins = [one for one in _logins(evidence) if _trusts_no_caller(scenario.given.of(one.node))]
    if not logins:
        return CheckResult.without_material(requirement, expected, "no login for a caller that is not trusted")
    own = [one for one in logins if not one.is_anonymous]
    breaches = tuple(Breach(one.node, _TRUST, expected, one.way, one.t, ends=True) for one in own)
    return CheckResult(requirement, expected, ", ".join(one.way for one in logins), breaches)


def _own_tags(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "each command of a media server has a tag of its own on its connection"
    expected, talk = "a new tag", [one for one in exchanges(evidence) if evidence.world.kind_of(one.asker) == "media"]
    if not talk:
        return CheckResult.without_material(requirement, expected, "no command of a media server")
    known: set[tuple[str, str]] = set()
    breaches: list[Breach] = []
    for one in talk:
        key = (one.opened, one.command.tag)
        if key in known:
            seen = f"{one.command.tag} {one.command.name} after another command of this tag"
            breaches.append(Breach(one.asker, _TAG, expected, seen, one.t, alone=True))
        known.add(key)
    return CheckResult(requirement, expected, f"{len(known)} tags of {len(talk)} commands", tuple(breaches))


def _trusts_no_caller(given: Given) -> bool:
    """Tell whether a media server has an account that it must not use for the client, which it does not trust."""
    return given.identity is not None and not given.trusted_caller


def _has_account(given: Given) -> bool:
    """Tell whether a media server has an account that it uses for the client, which it trusts."""
    return given.identity is not None and given.trusted_caller


def _password_counts(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "an IMAP server refuses a login with a wrong password"
    expected = "NO"
    tried = [
        one
        for one in exchanges(evidence)
        if one.command.name in _LOGINS and evidence.world.kind_of(one.asker) == "media" and one.tagged is not None
        if not as_text((one.arguments or [""])[0]).upper().startswith("ANONYMOUS")
        if (identity := scenario.given.of(one.asker).identity) and scenario.given.users.get(identity[0]) != identity[1]
    ]
    if not tried:
        return CheckResult.without_material(requirement, expected, "no login by a wrong password")
    breaches = tuple(
        Breach(one.server, _PASSWORD, expected, f"{one.command.name} is answered OK", one.end, alone=True)
        for one in tried
        if one.ok
    )
    return CheckResult(requirement, expected, f"{len(tried)} logins", breaches)


def _right_password_counts(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "an IMAP server accepts a login with the credentials of an account"
    expected = "OK"
    offers: dict[str, frozenset[str]] = {}
    for event in imap_data(evidence, "client", "media"):
        if listed := capabilities(event.text("text")):
            server = sender_of(event, evidence)
            offers[server] = offers.get(server, frozenset()) | listed
    tried = [
        one
        for one in exchanges(evidence)
        if one.command.name in _LOGINS and one.tagged is not None and _is_of_account(one, scenario, evidence)
        if _is_offered(one, offers.get(one.server, frozenset()))
    ]
    if not tried:
        return CheckResult.without_material(requirement, expected, "no login by a right password")
    breaches = tuple(
        Breach(one.server, _PASSWORD, expected, f"{one.command.name} is answered {_result(one)}", one.end, alone=True)
        for one in tried
        if _says_wrong(one)
    )
    return CheckResult(requirement, expected, f"{len(tried)} logins", breaches)


def _is_of_account(one: ImapExchange, scenario: Scenario, evidence: Evidence) -> bool:
    """Tell whether a node logs in with the account that the scenario gives it, and the server has this account.

    The password itself is not in a trace. A login that the script writes word for word may have any password.
    """
    if evidence.world.kind_of(one.asker) == "client":
        own_server = one.server == scenario.given.first("imap").name
        identity = scenario.given.owner if own_server and not is_raw(scenario, evidence, one.t) else None
    else:
        identity = scenario.given.of(one.asker).identity
    return identity is not None and scenario.given.of(one.server).users.get(identity[0]) == identity[1]


def _is_offered(one: ImapExchange, listed: frozenset[str]) -> bool:
    """Tell whether the server offers this way to log in with a password."""
    way = as_text((one.arguments or [""])[0]).upper()
    if one.command.name == "LOGIN":
        return way != "ANONYMOUS" and "LOGINDISABLED" not in listed
    return way in _BY_PASSWORD and f"AUTH={way}" in listed


def _says_wrong(one: ImapExchange) -> bool:
    """Tell whether a login is refused for its credentials: NO with no response code, or with one that says so."""
    if one.tagged is None or one.tagged.result != "NO":
        return False
    code = re.match(r"\[([^ \]]+)", one.tagged.rest)
    return code is None or code[1].upper() in _WRONG_CREDENTIALS


def _result(one: ImapExchange) -> str:
    return f"{one.tagged.result} {one.tagged.rest}".rstrip() if one.tagged else ""


def _over_tls(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the media server authenticates after STARTTLS, on every connection"
    expected, logins = "every login over TLS", _logins(evidence)
    if not logins:
        return CheckResult.without_material(requirement, expected, "no login")
    breaches = tuple(Breach(one.node, _TLS, expected, one.way, one.t) for one in logins if not one.private)
    return CheckResult(requirement, expected, ", ".join(one.way for one in logins), breaches)


def _nothing_shown(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the media server does not authenticate to an IMAP server that does not meet its TLS policy"
    expected = "no authentication"
    if not any(imap_data(evidence, "media")) and not _connections(evidence):
        return CheckResult.without_material(requirement, expected, "no connection")
    breaches = tuple(Breach(one.node, _TLS, expected, one.way, one.t) for one in _logins(evidence))
    return CheckResult(requirement, expected, expected, breaches)


CHECKS = (
    Check(
        "no login in clear",
        _CLEAR,
        "the media server authenticates, and not by LOGIN without TLS",
        _no_login,
    ),
    Check(
        "tags of commands are new",
        _TAG,
        "a media server gives each of its commands on an IMAP connection another tag",
        _own_tags,
    ),
    Check(
        "media server uses its account",
        _ACCOUNT,
        "a media server with an account logs in with it, and not anonymously, for callers that it trusts",
        _uses_account,
    ),
    Check(
        "account is for trusted callers",
        _TRUST,
        "a media server that does not trust the caller fetches without its own account",
        _account_is_kept,
    ),
    Check(
        "wrong passwords are refused",
        _PASSWORD,
        "the IMAP server refuses a login with a wrong password",
        _password_counts,
    ),
    Check(
        "right passwords are accepted",
        _PASSWORD,
        "the IMAP server accepts logins with the account and password that it was given",
        _right_password_counts,
    ),
    Check(
        "media server authenticates over tls",
        _TLS,
        "on every connection of the media server STARTTLS is answered OK before it authenticates",
        _over_tls,
        general=False,
    ),
    Check(
        "media server does not authenticate",
        _TLS,
        "the media server reaches the IMAP server, and shows it no credentials",
        _nothing_shown,
        general=False,
    ),
)
