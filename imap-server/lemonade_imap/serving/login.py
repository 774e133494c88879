"""What the server can and who it is, and the commands of every state (RFC 3501, 6.1; STARTTLS; RFC 2971)."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from lemonade_imap.grammar import commands as c
from lemonade_imap.sasl.offer import mechanisms
from lemonade_imap.serving.backend import Backend, Done, Refused
from lemonade_imap.serving.context import Context, Handlers, Replies, line
from lemonade_imap.session import ImapSession
from lemonade_imap.state import State

_BEFORE_LOGIN = ("IMAP4rev1", "SASL-IR", "LITERAL+", "ID")
_ANONYMOUS = ("IMAP4rev1", "LITERAL+", "ID", "URLAUTH", "URLAUTH=BINARY", "METADATA-SERVER")
_MAILBOXES = ("IDLE", "UNSELECT", "CHILDREN", "NAMESPACE", "ENABLE", "UIDPLUS", "MOVE", "CONDSTORE")
_MAIL = ("BINARY", "MULTIAPPEND", "CATENATE", "ESEARCH")
_AFTER_LOGIN = ("IMAP4rev1", "LITERAL+", "ID", *_MAILBOXES, *_MAIL, "URLAUTH", "URLAUTH=BINARY", "METADATA")
try:
    _VERSION = version("lemonade-imap")
except PackageNotFoundError:
    _VERSION = "unknown"


def capabilities(backend: Backend, session: ImapSession) -> tuple[str, ...]:
    """Return what works in the session as it stands, and nothing else."""
    if session.state is State.NOT_AUTHENTICATED:
        names = (*_BEFORE_LOGIN, *_ways_in(backend, session))
    else:
        names = _ANONYMOUS if session.state is State.ANONYMOUS else _AFTER_LOGIN
    return backend.behaviour.capabilities(names)


def _ways_in(backend: Backend, session: ImapSession) -> list[str]:
    """Return what tells a client how it may log in, which TLS changes (RFC 3501, 6.2.1)."""
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
        raise Refused("BAD", "TLS is there already")
    if not context.backend.config.tls:
        raise Refused("BAD", "TLS is not offered here")
    context.session.start_tls()
    yield Done("begin TLS now")


async def _id(_context: Context, _command: c.Id) -> Replies:
    yield line(f'* ID ("name" "lemonade-imap" "version" "{_VERSION}")')
    yield Done("ID completed")


HANDLERS: Handlers = {
    c.Capability: _capability,
    c.Noop: _noop,
    c.Idle: _idle,
    c.IdleDone: _idle_done,
    c.Logout: _logout,
    c.StartTls: _starttls,
    c.Id: _id,
}
