"""The login that the clients of IMAP servers share: each case is a policy, what the server offers, and what follows."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lemonade_wire.imap.command import ImapCommand
from lemonade_wire.imap.login import ClientLoginPolicy, ImapLoginError, LoginStep, LoginSteps, log_in, secure
from lemonade_wire.imap.response import StatusResponse
from lemonade_wire.tls import TlsPolicy

OK = StatusResponse("a1", "OK", None, "done")
NO = StatusResponse("a1", "NO", "AUTHENTICATIONFAILED", "imap://joe@example.net/ is secret")
JOE = ("joe", "secret")


@dataclass
class Server:
    """A server as the login sees it."""

    capabilities: frozenset[str] | None
    encrypted: bool = False


def server(offered: str = "", *, encrypted: bool = False) -> Server:
    return Server(frozenset(offered.split()), encrypted)


def drive(steps: LoginSteps, *answers: StatusResponse) -> list[ImapCommand]:
    """Carry out a login with these answers; returns the commands."""
    left, sent = list(answers), []
    try:
        command = next(steps)
        while True:
            sent.append(command)
            command = steps.send(left.pop(0))
    except StopIteration:
        assert not left
        return sent


@pytest.mark.parametrize(
    ("offered", "encrypted", "policy", "names"),
    [
        ("STARTTLS", False, TlsPolicy.PREFERRED, ["STARTTLS", "CAPABILITY"]),
        ("STARTTLS", False, TlsPolicy.REQUIRED, ["STARTTLS", "CAPABILITY"]),
        ("STARTTLS", False, TlsPolicy.NEVER, []),
        ("STARTTLS", True, TlsPolicy.REQUIRED, []),
        ("", False, TlsPolicy.PREFERRED, []),
    ],
)
def test_tls_begins_as_the_policy_says(offered: str, encrypted: bool, policy: TlsPolicy, names: list[str]) -> None:
    steps = secure(server(offered, encrypted=encrypted), ClientLoginPolicy(policy, cleartext=False))
    assert [command.name for command in drive(steps, *[OK] * len(names))] == names


@pytest.mark.parametrize(
    ("offered", "preauthenticated", "answers", "why"),
    [
        ("", False, (), "offers no STARTTLS"),
        ("STARTTLS", True, (), "offers no STARTTLS"),
        ("STARTTLS", False, (NO,), r"answered STARTTLS with NO \[AUTHENTICATIONFAILED\]"),
    ],
)
def test_required_tls_that_cannot_begin_is_an_error(
    offered: str, preauthenticated: bool, answers: tuple[StatusResponse, ...], why: str
) -> None:
    steps = secure(
        server(offered), ClientLoginPolicy(TlsPolicy.REQUIRED, cleartext=True), preauthenticated=preauthenticated
    )
    with pytest.raises(ImapLoginError, match=f"^{why}$") as caught:
        drive(steps, *answers)
    assert caught.value.step is LoginStep.STARTTLS


@pytest.mark.parametrize(
    ("offered", "encrypted", "cleartext", "chosen"),
    [
        ("AUTH=SCRAM-SHA-256 AUTH=PLAIN", False, False, b"AUTHENTICATE SCRAM-SHA-256"),
        ("AUTH=SCRAM-SHA-256 AUTH=PLAIN", True, True, b"AUTHENTICATE SCRAM-SHA-256"),
        ("AUTH=PLAIN", True, False, b"AUTHENTICATE PLAIN"),
        ("AUTH=PLAIN", False, True, b"AUTHENTICATE PLAIN"),
        ("", True, False, b"LOGIN"),
        ("", False, True, b"LOGIN"),
    ],
)
def test_the_best_permitted_login_with_a_password_is_chosen(
    offered: str, encrypted: bool, cleartext: bool, chosen: bytes
) -> None:
    policy = ClientLoginPolicy(TlsPolicy.PREFERRED, cleartext=cleartext)
    (command,) = drive(log_in(server(offered, encrypted=encrypted), policy, JOE), OK)
    assert command.line.text.startswith(chosen)


@pytest.mark.parametrize(
    ("offered", "encrypted", "account", "why"),
    [
        ("AUTH=PLAIN", False, JOE, "offers no login but with the password in the clear"),
        ("LOGINDISABLED", True, JOE, "offers no login that is known here"),
        ("LOGINDISABLED", True, None, "offers no anonymous login"),
        ("", True, None, "has no AUTH=ANONYMOUS, and LOGIN needs a contact"),
        ("AUTH=SCRAM-SHA-256", True, ("jo\u0007e", "secret"), "cannot be given the account's name: .*"),
    ],
)
def test_a_login_that_is_not_possible_is_an_error(
    offered: str, encrypted: bool, account: tuple[str, str] | None, why: str
) -> None:
    policy = ClientLoginPolicy(TlsPolicy.PREFERRED, cleartext=False)
    with pytest.raises(ImapLoginError, match=f"^{why}$") as caught:
        drive(log_in(server(offered, encrypted=encrypted), policy, account))
    assert caught.value.step is LoginStep.LOGIN


def test_a_refused_login_tells_the_code_and_not_the_text() -> None:
    policy = ClientLoginPolicy(TlsPolicy.PREFERRED, cleartext=True)
    with pytest.raises(ImapLoginError, match=r"^answered the login with NO \[AUTHENTICATIONFAILED\]$"):
        drive(log_in(server("AUTH=PLAIN"), policy, JOE), NO)


def test_only_the_mechanisms_of_the_policy_are_used() -> None:
    policy = ClientLoginPolicy(TlsPolicy.PREFERRED, cleartext=True, mechanisms=("PLAIN", "LOGIN"))
    (command,) = drive(log_in(server("AUTH=SCRAM-SHA-256 LOGINDISABLED AUTH=PLAIN"), policy, JOE), OK)
    assert command.name == "AUTHENTICATE"
