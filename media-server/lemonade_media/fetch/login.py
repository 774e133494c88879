"""The media server's login at an IMAP server: STARTTLS, login, and the check for URLAUTH=BINARY (LS-2.8-2 to 2.8-9).

`enter` is a generator, as in `fetch.py`: it yields the command to run next, and its caller sends it the result.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from lemonade_media.faults.imap import (
    BINARY_NOT_CHECKED,
    CAPABILITIES_BEFORE_LOGIN,
    DRAFT_FETCH,
    LOGIN_IN_CLEAR,
    NO_STARTTLS,
)
from lemonade_media.fetch.settings import ImapAccount, ImapSettings
from lemonade_media.model.failures import FailureKind, FetchError
from lemonade_wire.faults import Fault
from lemonade_wire.imap import command as commands
from lemonade_wire.imap.client import CommandDone, ImapClient
from lemonade_wire.imap.command import ImapCommand
from lemonade_wire.imap.login import ClientLoginPolicy, ImapLoginError, LoginStep, LoginSteps, log_in, secure

T = TypeVar("T")
Steps = Generator[ImapCommand, CommandDone, T]


def enter(
    engine: ImapClient, settings: ImapSettings, identity: ImapAccount | None, fault: Fault | None = None
) -> Steps[None]:
    """Start TLS as the policy says, log in, and check that the server offers URLAUTH=BINARY; raises FetchError.

    `engine` is a connection whose greeting has come. `identity` None: the login is anonymous. The kinds of the errors
    are TLS_FAILED, LOGIN_REFUSED and NO_BINARY.
    """
    if engine.capabilities is None:
        yield commands.capability()
    policy = ClientLoginPolicy(settings.tls, settings.cleartext_login, trace=settings.trace, contact=settings.contact)
    if fault is not LOGIN_IN_CLEAR and fault is not NO_STARTTLS:
        yield from _by_done(secure(engine, policy, preauthenticated=engine.preauthenticated))
    offered = _gives_parts(engine)
    if not engine.preauthenticated:
        account = (identity.user, identity.password) if identity else None
        yield from _by_done(log_in(engine, policy, account, _login_of_fault(fault, settings, identity)))
    if fault is not CAPABILITIES_BEFORE_LOGIN:  # LS-2.8-9: the capabilities after the login are the valid ones
        if engine.capabilities is None:
            yield commands.capability()
        offered = _gives_parts(engine)
    if not offered and fault is not BINARY_NOT_CHECKED:
        raise FetchError(FailureKind.NO_BINARY, "the IMAP server has no URLAUTH=BINARY")


def _gives_parts(engine: ImapClient) -> bool:
    return engine.has("URLAUTH=BINARY") or engine.has("URLFETCH=BINARY")  # a misprint in RFC 5524 section 6


def _by_done(steps: LoginSteps) -> Steps[None]:
    """Carry out a generator of the shared login, with the errors of fetches."""
    try:
        command = next(steps)
        while True:
            done = yield command
            command = steps.send(done.status)
    except StopIteration:
        return
    except ImapLoginError as problem:
        kind = FailureKind.TLS_FAILED if problem.step is LoginStep.STARTTLS else FailureKind.LOGIN_REFUSED
        raise FetchError(kind, f"the IMAP server {problem.why}") from None


def _login_of_fault(fault: Fault | None, settings: ImapSettings, identity: ImapAccount | None) -> ImapCommand | None:
    """Return the login command that a fault sends; None if the login is the usual one."""
    if fault is DRAFT_FETCH:
        return commands.login("anonymous", "null")
    if fault is LOGIN_IN_CLEAR:
        return commands.login(*((identity.user, identity.password) if identity else ("anonymous", settings.trace)))
    return None
