"""LOGIN and AUTHENTICATE: who comes in, and what a failure costs (RFC 3501, 6.2; RFC 4616; RFC 4505; RFC 5802)."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lemonade_imap.grammar import commands as c
from lemonade_imap.sasl import scram
from lemonade_imap.sasl.messages import PasswordShown, SaslRefused
from lemonade_imap.sasl.offer import ANONYMOUS, PLAIN
from lemonade_imap.sasl.plain import read_anonymous, read_plain
from lemonade_imap.serving.backend import Backend, Challenge, Done, Refused
from lemonade_imap.serving.context import Context, Handlers, Replies, line
from lemonade_imap.serving.login import capabilities
from lemonade_wire.sasl.prep import PrepError, saslprep

_ANONYMOUS_USER = "anonymous"
_LONGEST_LOGGED = 64
_NONCE_OCTETS = 18


@dataclass(frozen=True)
class Entered:
    """Somebody is let in: a user, or with None nobody in particular; `how` is for the log."""

    user: str | None
    how: str


Step = Awaitable[Entered | Challenge]


async def _login(context: Context, command: c.Login) -> Replies:
    if not context.session.private and not context.backend.config.cleartext_login:
        raise Refused("NO", "[PRIVACYREQUIRED] LOGIN is taken over TLS alone")

    async def step() -> Entered:
        # facts 3.7: for anonymous any password will do
        if command.user.lower() == _ANONYMOUS_USER:
            return Entered(None, "LOGIN")
        return Entered(await _who(context, PasswordShown("", command.user, command.password)), "LOGIN")

    async for reply in _let_in(context, step):
        yield reply


async def _authenticate(context: Context, command: c.Authenticate) -> Replies:
    async for reply in _let_in(context, lambda: _MECHANISMS[command.mechanism](context, command)):
        yield reply


async def _let_in(context: Context, step: Callable[[], Step]) -> Replies:
    """Take one step: a challenge, or an end. An address that failed too often is refused before it."""
    backend, session = context.backend, context.session
    try:
        if backend.gate.failures.blocked(session.peer, context.now):
            raise SaslRefused("NO", "[LIMIT] too many logins of this address failed: try again later")
        came = await step()
    except SaslRefused as refused:
        session.scram = None
        session.failed_logins += 1
        await backend.pause(backend.gate.failures.failed(session.peer, context.now))
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


async def _anonymous(_context: Context, command: c.Authenticate) -> Entered:
    trace = read_anonymous(command.message or b"")
    return Entered(None, f"AUTHENTICATE ANONYMOUS with {trace[:_LONGEST_LOGGED]!r}")


async def _plain(context: Context, command: c.Authenticate) -> Entered:
    return Entered(await _who(context, read_plain(command.message or b"")), "AUTHENTICATE PLAIN")


async def _scram(context: Context, command: c.Authenticate) -> Entered | Challenge:
    """Go one step of three: the name, the proof, and the empty message upon the server's own proof."""
    backend, session, message = context.backend, context.session, command.message or b""
    match session.scram:
        case None:
            first = scram.ClientFirst.read(message)
            verifier = await backend.hashing.call(backend.gate.verifier, first.name)
            session.scram = scram.ServerFirst.answer(first, verifier, secrets.token_urlsafe(_NONCE_OCTETS))
            return Challenge(session.scram.message, command)
        case scram.ServerFirst(first) as asked:
            try:
                proof = asked.finish(message)
            except SaslRefused:
                _log_refusal(backend, first.name)
                raise
            session.scram = scram.Proved(_acting(backend, first.name, first.authorise))
            return Challenge(proof, command)
        case scram.Proved(user):
            if message:
                raise SaslRefused("BAD", "nothing is left to say")
            return Entered(user, "AUTHENTICATE SCRAM-SHA-256")


async def _who(context: Context, shown: PasswordShown) -> str:
    """Return the account that the password lets act; raises SaslRefused."""
    backend = context.backend
    try:
        name = saslprep(shown.name)
    except PrepError:
        name = ""  # nobody's name: it costs what any wrong one costs
    if not await backend.hashing.call(backend.gate.matches, name, shown.password):
        _log_refusal(backend, shown.name)
        raise SaslRefused("NO", scram.WRONG)
    return _acting(backend, name, shown.authorise)


def _acting(backend: Backend, name: str, authorise: str) -> str:
    """Return the account that acts: the one logged in, or for an administrator any other."""
    if authorise in {"", name}:
        return name
    if name not in backend.config.admins or not backend.gate.known(authorise):
        raise SaslRefused("NO", "[AUTHORIZATIONFAILED] this account may not act for that one")
    return authorise


def _log_refusal(backend: Backend, name: str) -> None:
    backend.log(f"login refused for {name[:_LONGEST_LOGGED]!r}")


_MECHANISMS: dict[str, Callable[[Context, c.Authenticate], Step]] = {
    scram.MECHANISM: _scram,
    PLAIN: _plain,
    ANONYMOUS: _anonymous,
}
HANDLERS: Handlers = {c.Login: _login, c.Authenticate: _authenticate}
