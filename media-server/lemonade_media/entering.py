"""How the media server enters an IMAP server (LS-2.8-2 to 2.8-9): TLS, a login, and what is offered after it.

A generator, as `fetch.py` has it: it yields the command to run next and is sent its answer.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from lemonade_media.failures import FailureKind, FetchError
from lemonade_media.faults import BinaryNotChecked, CapabilitiesBeforeLogin, DraftFetch, LoginInClear, NoStarttls
from lemonade_media.imap_settings import Identity, ImapSettings
from lemonade_wire.faults import Fault
from lemonade_wire.imap import command as commands
from lemonade_wire.imap.client import CommandDone, ImapClient
from lemonade_wire.imap.command import Command
from lemonade_wire.sasl.prep import PrepError
from lemonade_wire.tls.policy import TlsPolicy

T = TypeVar("T")
Steps = Generator[Command, CommandDone, T]


def enter(
    engine: ImapClient, settings: ImapSettings, identity: Identity | None, fault: Fault | None = None
) -> Steps[None]:
    """Begin TLS as the policy says, log in, and see that parts can be fetched; raises FetchError.

    `engine` has greeted. `identity` None: anonymously.
    """
    if engine.capabilities is None:
        yield commands.capability()
    if not isinstance(fault, LoginInClear | NoStarttls):
        yield from _secure(engine, settings)
    offered = _gives_parts(engine)
    yield from _log_in(engine, settings, identity, fault)
    if not isinstance(fault, CapabilitiesBeforeLogin):  # LS-2.8-9: what counts is what is offered after login
        if engine.capabilities is None:
            yield commands.capability()
        offered = _gives_parts(engine)
    if not offered and not isinstance(fault, BinaryNotChecked):
        raise FetchError(FailureKind.NO_BINARY, "the IMAP server has no URLAUTH=BINARY")


def _gives_parts(engine: ImapClient) -> bool:
    return engine.has("URLAUTH=BINARY") or engine.has("URLFETCH=BINARY")  # RFC 5524 section 6 misprints it


def _secure(engine: ImapClient, settings: ImapSettings) -> Steps[None]:
    """Begin TLS (LS-2.8-2). After PREAUTH it is too late for STARTTLS (RFC 3501, 6.2.1)."""
    if engine.encrypted or settings.tls is TlsPolicy.NEVER:
        return
    why = "offers no STARTTLS"
    if engine.has("STARTTLS") and not engine.preauthenticated:
        done = yield commands.starttls()
        if done.ok:
            yield commands.capability()
            return
        why = f"answered STARTTLS with {result_of(done)}"
    if settings.tls is TlsPolicy.REQUIRED:
        raise FetchError(FailureKind.TLS_FAILED, f"the IMAP server {why}")


def _log_in(engine: ImapClient, settings: ImapSettings, identity: Identity | None, fault: Fault | None) -> Steps[None]:
    if engine.preauthenticated:
        return
    try:
        login = _login_in_clear(settings, identity) if isinstance(fault, LoginInClear) else None
        if isinstance(fault, DraftFetch):
            login = commands.login("anonymous", fault.password)
        login = login or (_by_identity(engine, settings, identity) if identity else _anonymously(engine, settings))
    except PrepError as problem:
        raise FetchError(FailureKind.LOGIN_REFUSED, f"the account's name cannot be used: {problem}") from None
    done = yield login
    if not done.ok:
        raise FetchError(FailureKind.LOGIN_REFUSED, f"the IMAP server answered the login with {result_of(done)}")


def _by_identity(engine: ImapClient, settings: ImapSettings, identity: Identity) -> Command:
    """Choose how the account logs in (LS-2.8-3): what shows the password in the clear comes last, and by permission."""
    if engine.has("AUTH=SCRAM-SHA-256"):
        return commands.authenticate_scram(identity.user, identity.password)
    private = engine.encrypted or settings.cleartext_login
    if engine.has("AUTH=PLAIN") and private:
        return commands.authenticate_plain(identity.user, identity.password)
    if not engine.has("LOGINDISABLED") and private:
        return commands.login(identity.user, identity.password)
    why = "offers no login that it knows" if private else "offers no login but with the password in the clear"
    raise FetchError(FailureKind.LOGIN_REFUSED, f"the IMAP server {why}")


def _anonymously(engine: ImapClient, settings: ImapSettings) -> Command:
    """Choose how nobody logs in (LS-2.8-5 to 2.8-7, RFC 5092 section 3.2)."""
    if engine.has("AUTH=ANONYMOUS"):
        return commands.authenticate_anonymous(settings.trace)
    if engine.has("LOGINDISABLED"):
        raise FetchError(FailureKind.LOGIN_REFUSED, "the IMAP server offers no anonymous login")
    if not settings.contact:
        raise FetchError(FailureKind.LOGIN_REFUSED, "the IMAP server has no AUTH=ANONYMOUS, and LOGIN needs a contact")
    if not engine.encrypted and not settings.cleartext_login:  # LS-2.8-4
        raise FetchError(FailureKind.LOGIN_REFUSED, "the IMAP server offers no anonymous login but LOGIN in the clear")
    return commands.login("anonymous", settings.contact)


def _login_in_clear(settings: ImapSettings, identity: Identity | None) -> Command:
    return commands.login(*((identity.user, identity.password) if identity else ("anonymous", settings.trace)))


def result_of(done: CommandDone) -> str:
    """Return an answer's result and code; not its text, in which a server may repeat the URL."""
    code = done.status.code_name
    return f"{done.status.result} [{code}]" if code else done.status.result
