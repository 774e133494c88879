"""The login at an IMAP server, for every client of one: STARTTLS, the choice of the login command, clear-text rules.

The functions are generators: each yields a command, and its caller sends back the tagged response. They raise
ImapLoginError, whose text continues a sentence that begins with the server ("the IMAP server ...").
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from lemonade_wire.imap import command as commands
from lemonade_wire.imap.command import ImapCommand
from lemonade_wire.imap.response import StatusResponse
from lemonade_wire.sasl import PrepError
from lemonade_wire.tls import TlsPolicy

LoginSteps = Generator[ImapCommand, StatusResponse, None]
PASSWORD_MECHANISMS = ("SCRAM-SHA-256", "PLAIN", "LOGIN")
"""The ways to log in with a password, the best first; LOGIN is the command (RFC 3501 section 6.2.3)."""
_SECRET_KEPT = frozenset({"SCRAM-SHA-256"})


class LoginStep(Enum):
    """The step in which a login failed."""

    STARTTLS = "starttls"
    LOGIN = "login"


class ImapLoginError(Exception):
    """The login failed, or the policy forbids it."""

    def __init__(self, step: LoginStep, why: str) -> None:
        super().__init__(why)
        self.step = step
        self.why = why


class ServerView(Protocol):
    """What is known of the server on this connection."""

    @property
    def capabilities(self) -> Collection[str] | None:
        """The capabilities in capitals that the server sent last; None if they are not known."""
        ...

    @property
    def encrypted(self) -> bool:
        """Whether the connection is encrypted by TLS."""
        ...


@dataclass(frozen=True)
class ClientLoginPolicy:
    """What a client permits: STARTTLS, a password in the clear, and the mechanisms that it uses, the best first.

    `trace` is the text of an anonymous login by SASL (RFC 4505), `contact` the mail address of one by LOGIN (RFC 5092
    section 3.2; "" permits none).
    """

    tls: TlsPolicy
    cleartext: bool
    mechanisms: tuple[str, ...] = PASSWORD_MECHANISMS
    trace: str = field(default="", repr=False)
    contact: str = field(default="", repr=False)


def secure(server: ServerView, policy: ClientLoginPolicy, *, preauthenticated: bool = False) -> LoginSteps:
    """Start TLS by STARTTLS if it is offered, and ask for the capabilities again (RFC 3501 section 6.2.1).

    After a PREAUTH greeting STARTTLS is not allowed any more. Raises ImapLoginError if the policy requires TLS and it
    cannot be started.
    """
    if server.encrypted or policy.tls is TlsPolicy.NEVER:
        return
    why = "offers no STARTTLS"
    if "STARTTLS" in (server.capabilities or ()) and not preauthenticated:
        status = yield commands.starttls()
        if status.result == "OK":
            yield commands.capability()
            return
        why = f"answered STARTTLS with {result_of(status)}"
    if policy.tls is TlsPolicy.REQUIRED:
        raise ImapLoginError(LoginStep.STARTTLS, why)


def log_in(
    server: ServerView, policy: ClientLoginPolicy, account: tuple[str, str] | None, command: ImapCommand | None = None
) -> LoginSteps:
    """Log in with a name and a password, or anonymously (None), by the best command that server and policy permit.

    `command` replaces the command that would be chosen. Raises ImapLoginError.
    """
    try:
        chosen = command or (_by_password(server, policy, *account) if account else _anonymous(server, policy))
    except PrepError as problem:
        raise ImapLoginError(LoginStep.LOGIN, f"cannot be given the account's name: {problem}") from None
    status = yield chosen
    if status.result != "OK":
        raise ImapLoginError(LoginStep.LOGIN, f"answered the login with {result_of(status)}")


def _by_password(server: ServerView, policy: ClientLoginPolicy, user: str, password: str) -> ImapCommand:
    """Choose the login command for an account: PLAIN and LOGIN show the password, and need TLS or the permission."""
    offered = server.capabilities or frozenset()
    private = server.encrypted or policy.cleartext
    makers = {
        "SCRAM-SHA-256": commands.authenticate_scram,
        "PLAIN": commands.authenticate_plain,
        "LOGIN": commands.login,
    }
    for mechanism in policy.mechanisms:
        listed = "LOGINDISABLED" not in offered if mechanism == "LOGIN" else f"AUTH={mechanism}" in offered
        if listed and (private or mechanism in _SECRET_KEPT):
            return makers[mechanism](user, password)
    why = "offers no login that is known here" if private else "offers no login but with the password in the clear"
    raise ImapLoginError(LoginStep.LOGIN, why)


def _anonymous(server: ServerView, policy: ClientLoginPolicy) -> ImapCommand:
    """Choose the command for an anonymous login: ANONYMOUS, else LOGIN with the contact's address.

    Source: LS-2.8-4 to 2.8-7, RFC 5092 section 3.2.
    """
    offered = server.capabilities or frozenset()
    if "AUTH=ANONYMOUS" in offered:
        return commands.authenticate_anonymous(policy.trace)
    if "LOGINDISABLED" in offered:
        raise ImapLoginError(LoginStep.LOGIN, "offers no anonymous login")
    if not policy.contact:
        raise ImapLoginError(LoginStep.LOGIN, "has no AUTH=ANONYMOUS, and LOGIN needs a contact")
    if not server.encrypted and not policy.cleartext:
        raise ImapLoginError(LoginStep.LOGIN, "offers no anonymous login but LOGIN in the clear")
    return commands.login("anonymous", policy.contact)


def result_of(status: StatusResponse) -> str:
    """Return the result and the response code of a tagged response, without its text: that may contain the URL."""
    return f"{status.result} [{status.code_name}]" if status.code_name else status.result
