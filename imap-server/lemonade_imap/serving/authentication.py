"""Carries out LOGIN, AUTHENTICATE and the commands of every state: CAPABILITY, NOOP, IDLE, LOGOUT, STARTTLS and ID.

Sources: RFC 3501, 6.2; RFC 4616 (PLAIN); RFC 4505 (ANONYMOUS); RFC 5802 (SCRAM).
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from lemonade_imap import sasl
from lemonade_imap.admission import network_of
from lemonade_imap.grammar import commands as c
from lemonade_imap.grammar.base import SessionState
from lemonade_imap.sasl import ANONYMOUS, PLAIN, PasswordShown, SaslRefused, mechanisms, read_anonymous, read_plain
from lemonade_imap.serving.backend import Backend, Challenge, Done, Refused
from lemonade_imap.serving.context import Context, Handlers, Replies, line
from lemonade_imap.session import ImapSession
from lemonade_wire.sasl import PrepError, saslprep

_ANONYMOUS_USER = "anonymous"
_LONGEST_LOGGED = 64
_NONCE_OCTETS = 18
_BEFORE_LOGIN = ("IMAP4rev1", "SASL-IR", "LITERAL+", "ID")
_ANONYMOUS = ("IMAP4rev1", "LITERAL+", "ID", "URLAUTH", "URLAUTH=BINARY", "METADATA-SERVER")
_MAILBOXES = ("IDLE", "UNSELECT", "CHILDREN", "NAMESPACE", "ENABLE", "UIDPLUS", "MOVE", "CONDSTORE")
_MAIL = ("BINARY", "MULTIAPPEND", "CATENATE", "ESEARCH")
_AFTER_LOGIN = ("IMAP4rev1", "LITERAL+", "ID", *_MAILBOXES, *_MAIL, "URLAUTH", "URLAUTH=BINARY", "METADATA")


@dataclass(frozen=True)
class Authenticated:
    """A successful login: the account, or None for an anonymous login; `how` names the mechanism for the log."""

    user: str | None
    how: str


Step = Awaitable[Authenticated | Challenge]


async def _login(context: Context, command: c.Login) -> Replies:
    if not context.session.private and not context.backend.config.cleartext_login:
        raise Refused("NO", "[PRIVACYREQUIRED] LOGIN is accepted only over TLS")

    async def step() -> Authenticated:
        # LS-2.8-7, E-30: LOGIN as `anonymous` is an anonymous login and accepts any password.
        if command.user.lower() == _ANONYMOUS_USER:
            return Authenticated(None, "LOGIN")
        user = await _authenticate_password(context, PasswordShown("", command.user, command.password))
        return Authenticated(user, context.backend.behaviour.logged_mechanism("LOGIN", command.password))

    async for reply in _answer_login(context, step):
        yield reply


async def _authenticate(context: Context, command: c.Authenticate) -> Replies:
    async for reply in _answer_login(context, lambda: _MECHANISMS[command.mechanism](context, command)):
        yield reply


async def _answer_login(context: Context, step: Callable[[], Step]) -> Replies:
    """Carry out one step of a login and answer it with a challenge, success or failure.

    An address with too many failed logins is refused before the step. A failure is answered after a delay.
    """
    backend, session = context.backend, context.session
    try:
        if backend.authenticator.failures.blocked(session.peer, context.now):
            raise SaslRefused("NO", "[LIMIT] too many logins of this address failed: try again later")
        came = await step()
    except SaslRefused as refused:
        session.scram = None
        session.failed_logins += 1
        await backend.pause(backend.authenticator.failures.failed(session.peer, context.now))
        if session.failed_logins >= backend.config.logins.failures:
            session.log_out()
            yield line("* BYE [LIMIT] too many logins failed on this connection")
        raise Refused(refused.result, str(refused)) from None
    if isinstance(came, Challenge):
        yield came
        return
    session.scram = None
    session.log_in(came.user)
    backend.log(f"{'anonymous' if came.user is None else repr(came.user)} logged in by {came.how}")
    yield Done(f"[CAPABILITY {' '.join(capabilities(backend, session))}] logged in")


async def _anonymous(context: Context, command: c.Authenticate) -> Authenticated:
    if not context.backend.behaviour.accepts_anonymous():
        raise SaslRefused("NO", "[AUTHORIZATIONFAILED] there are no anonymous logins")
    trace = read_anonymous(command.message or b"")
    return Authenticated(None, f"AUTHENTICATE ANONYMOUS with {trace[:_LONGEST_LOGGED]!r}")


async def _plain(context: Context, command: c.Authenticate) -> Authenticated:
    shown = read_plain(command.message or b"")
    way = context.backend.behaviour.logged_mechanism("AUTHENTICATE PLAIN", shown.password)
    return Authenticated(await _authenticate_password(context, shown), way)


async def _scram(context: Context, command: c.Authenticate) -> Authenticated | Challenge:
    """Carry out one of the three steps of SCRAM (RFC 5802, 5; RFC 3501, 6.2.2).

    The client's messages and the server's answers:

        1. client-first-message                challenge: server-first-message
        2. client-final-message, with proof    challenge: server-final-message, with the server's proof
        3. an empty response                   logged in
    """
    backend, session, message = context.backend, context.session, command.message or b""
    match session.scram:
        case None:
            first = sasl.ClientFirst.read(message)
            checks = backend.authenticator
            verifier = await backend.hashing.call_in_turn(network_of(session.peer), checks.verifier, first.name)
            session.scram = sasl.ServerFirst.answer(first, verifier, secrets.token_urlsafe(_NONCE_OCTETS))
            return Challenge(session.scram.message, command)
        case sasl.ServerFirst(first) as asked:
            try:
                proof = asked.finish(message)
            except SaslRefused:
                _log_refusal(backend, first.name)
                raise
            session.scram = sasl.Proved(_acting(backend, first.name, first.authorise))
            return Challenge(proof, command)
        case sasl.Proved(user):
            if message:
                raise SaslRefused("BAD", "an empty response is expected")
            return Authenticated(user, "AUTHENTICATE SCRAM-SHA-256")


async def _authenticate_password(context: Context, shown: PasswordShown) -> str:
    """Check name and password, and return the account in whose name the session will act; raises SaslRefused."""
    backend = context.backend
    try:
        name = saslprep(shown.name)
    except PrepError:
        name = ""  # no account has this name; the check then takes as long as for any unknown name
    address = network_of(context.session.peer)
    matches = await backend.hashing.call_in_turn(address, backend.authenticator.matches, name, shown.password)
    if not backend.behaviour.accepts_password(matches):
        _log_refusal(backend, shown.name)
        raise SaslRefused("NO", sasl.WRONG)
    return _acting(backend, name, shown.authorise)


def _acting(backend: Backend, name: str, authorise: str) -> str:
    """Return the account in whose name the session acts: `authorise` if `name` may act for it; raises SaslRefused.

    An account may act for itself, an administrator for every account (RFC 4616, 2).
    """
    if authorise in {"", name}:
        return name
    if name not in backend.config.admins or not backend.authenticator.known(authorise):
        raise SaslRefused("NO", "[AUTHORIZATIONFAILED] this account may not act for that one")
    return authorise


def _log_refusal(backend: Backend, name: str) -> None:
    backend.log(f"login refused for {name[:_LONGEST_LOGGED]!r}")


_MECHANISMS: dict[str, Callable[[Context, c.Authenticate], Step]] = {
    sasl.MECHANISM: _scram,
    PLAIN: _plain,
    ANONYMOUS: _anonymous,
}


try:
    _VERSION = version("lemonade-imap")
except PackageNotFoundError:
    _VERSION = "unknown"


def capabilities(backend: Backend, session: ImapSession) -> tuple[str, ...]:
    """Return the capabilities that are available in the session's present state."""
    if session.state is SessionState.NOT_AUTHENTICATED:
        names = (*_BEFORE_LOGIN, *_login_capabilities(backend, session))
    else:
        names = _ANONYMOUS if session.state is SessionState.ANONYMOUS else _AFTER_LOGIN
    return backend.behaviour.capabilities(names)


def _login_capabilities(backend: Backend, session: ImapSession) -> list[str]:
    """Return the capabilities for logging in: AUTH=, STARTTLS and LOGINDISABLED; TLS changes them (RFC 3501, 6.2.1)."""
    config, private = backend.config, session.private
    names = [f"AUTH={mechanism}" for mechanism in mechanisms(config, private=private)]
    names += ["STARTTLS"] if config.tls and not private else []
    return names + ([] if config.cleartext_login or private else ["LOGINDISABLED"])


async def _capability(context: Context, _command: c.Capability) -> Replies:
    yield line(f"* CAPABILITY {' '.join(capabilities(context.backend, context.session))}")


async def _noop(context: Context, _command: c.Noop) -> Replies:
    yield Done("NOOP completed")


async def _idle(_context: Context, _command: c.Idle) -> Replies:
    yield line("+ idling")


async def _idle_done(_context: Context, _command: c.IdleDone) -> Replies:
    yield Done("IDLE completed")


async def _logout(context: Context, _command: c.Logout) -> Replies:
    context.session.select(None)
    context.session.log_out()
    yield line("* BYE until next time")


async def _starttls(context: Context, _command: c.StartTls) -> Replies:
    if context.session.private:
        raise Refused("BAD", "TLS is active already")
    if not context.backend.config.tls:
        raise Refused("BAD", "TLS is not available")
    context.session.start_tls()
    yield Done("begin TLS now")


async def _id(_context: Context, _command: c.Id) -> Replies:
    yield line(f'* ID ("name" "lemonade-imap" "version" "{_VERSION}")')
    yield Done("ID completed")


HANDLERS: Handlers = {
    c.Login: _login,
    c.Authenticate: _authenticate,
    c.Capability: _capability,
    c.Noop: _noop,
    c.Idle: _idle,
    c.IdleDone: _idle_done,
    c.Logout: _logout,
    c.StartTls: _starttls,
    c.Id: _id,
}
