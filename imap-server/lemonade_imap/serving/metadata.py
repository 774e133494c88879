"""Carries out GETMETADATA and SETMETADATA, for the server and for mailboxes (RFC 5464, 4; LS-2.2-6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from lemonade_imap.annotations import MEDIA_SERVERS, BadEntry, Names, is_private, is_read_only, too_many
from lemonade_imap.grammar import commands as c
from lemonade_imap.grammar.base import LOGGED_IN
from lemonade_imap.reply import Piece, Reply
from lemonade_imap.serving.backend import Backend, Done, Refused
from lemonade_imap.serving.context import Context, Handlers, Replies
from lemonade_imap.session import ImapSession
from lemonade_imap.store.base import Scope, Store, StoredMailbox
from lemonade_wire.imap import mutf7
from lemonade_wire.imap.lexer import quote

_PLAIN = re.compile(r"[A-Za-z0-9/._\-]+")
_ENABLED_BY = frozenset({"METADATA", "METADATA-SERVER"})


def set_start_values(backend: Backend) -> None:
    """Set the entry of the media servers to the value of the settings if it has no value; called at the start."""
    value = backend.config.media_servers
    if value is not None and MEDIA_SERVERS.lower() not in map(str.lower, backend.store.entries(Scope())):
        backend.store.set_entries(Scope(), {MEDIA_SERVERS: value.encode("utf-8")})


async def _getmetadata(context: Context, command: c.GetMetadata) -> Replies:
    """Send the requested entries; an entry without a value is sent as NIL."""
    backend = context.backend
    names = Names(backend.config.profile)
    for name in command.entries:
        _check(names, name, above=command.depth != "0")
    entries = await _readable(context, command.mailbox)
    found = backend.behaviour.annotations(names.asked(entries, command.entries, command.depth))
    longest = 0
    pieces: list[Piece] = []
    for name, value in found.items():
        if value is not None and command.max_size is not None and len(value) > command.max_size:
            longest = max(longest, len(value))
            continue
        pieces += [b" ", _entry(name), b" ", b"NIL" if value is None else quote(value)]
    if pieces:
        yield Reply.join([b"* METADATA ", quote(mutf7.encode(command.mailbox)), b" (", *pieces[1:], b")"])
    yield Done(f"[METADATA LONGENTRIES {longest}] GETMETADATA completed" if longest else "GETMETADATA completed")


def _check(names: Names, name: str, *, above: bool = False) -> None:
    try:
        names.check(name, above=above)
    except BadEntry as problem:
        raise Refused("BAD", str(problem)) from None


async def _readable(context: Context, name: str) -> dict[str, bytes]:
    """Return the annotations that the session may read, by name; an empty `name` means those of the server."""
    backend, user = context.backend, context.session.user
    if user is None:
        # An anonymous session may read only the entry of the media servers.
        if name:
            raise Refused("NO", "[NOPERM] an anonymous session has no mailboxes")
        entries = await backend.call(backend.store.entries, Scope())
        return {entry: value for entry, value in entries.items() if entry.lower() == MEDIA_SERVERS.lower()}
    mailbox = await backend.mailbox(user, name) if name else None
    private = user if backend.config.annotations.private else None
    return await backend.call(_entries, backend.store, private, mailbox)


def _entries(store: Store, user: str | None, mailbox: StoredMailbox | None) -> dict[str, bytes]:
    """Return the shared entries and those of a user, if one is given; must run by the store's runner."""
    shared = store.entries(Scope(None, mailbox))
    return shared if user is None else shared | store.entries(Scope(user, mailbox))


async def _setmetadata(context: Context, command: c.SetMetadata) -> Replies:
    """Set and remove entries, all or none, and inform the sessions that enabled it (RFC 5464, 4.3 and 4.4)."""
    backend, user = context.backend, context.user
    names, limits = Names(backend.config.profile), backend.config.annotations
    for name, _ in command.entries:
        _check(names, name)
    mailbox = await backend.mailbox(user, command.mailbox) if command.mailbox else None
    changes = {names.kept(name): value for name, value in command.entries}
    for name, value in changes.items():
        if is_private(name):
            if not limits.private:
                raise Refused("NO", "[METADATA NOPRIVATE] there are no private annotations here")
        elif mailbox is None and (user not in backend.config.admins or is_read_only(name)):
            raise Refused("NO", "[NOPERM] only administrators may set the server's shared annotations")
        if value is not None and len(value) > limits.max_value:
            raise Refused("NO", f"[METADATA MAXSIZE {limits.max_value}] the value is too large")
    changed = await backend.call(_set, backend, user, mailbox, changes)
    _notify(context, command.mailbox, [name for name in changed if not is_private(name)], lambda _session: True)
    _notify(context, command.mailbox, [name for name in changed if is_private(name)], lambda other: other.user == user)
    yield Done("SETMETADATA completed")


def _set(backend: Backend, user: str, mailbox: StoredMailbox | None, changes: Mapping[str, bytes | None]) -> list[str]:
    """Make the changes and return the names of the entries whose value changed; must run by the store's runner."""
    changed: list[str] = []
    by_scope: dict[Scope, dict[str, bytes | None]] = {}
    for scope in (Scope(None, mailbox), Scope(user, mailbox)):
        wanted = {name: value for name, value in changes.items() if is_private(name) == (scope.user is not None)}
        present = {name.lower(): value for name, value in backend.store.entries(scope).items()}
        if too_many(present, wanted, backend.config.annotations.max_entries):
            raise Refused("NO", "[METADATA TOOMANY] there are too many annotations already")
        changed += [name for name, value in wanted.items() if present.get(name.lower()) != value]
        by_scope[scope] = wanted
    backend.store.set_entries_of(by_scope)
    return changed


def _notify(context: Context, mailbox: str, changed: Sequence[str], selects: Callable[[ImapSession], bool]) -> None:
    """Send the names of changed entries, without values, to other sessions that enabled METADATA (RFC 5464, 4.4)."""
    if not changed:
        return
    alias = Names(context.backend.config.profile).alias
    listed = [*changed, *([alias] if alias and MEDIA_SERVERS in changed and not mailbox else [])]

    def concerned(session: ImapSession) -> bool:
        wants = session.state in LOGGED_IN and not _ENABLED_BY.isdisjoint(session.enabled)
        own = not mailbox or session.user == context.user
        return wants and own and session is not context.session and selects(session)

    line = b"* METADATA %s %s" % (_quoted(mutf7.encode(mailbox)), b" ".join(map(_entry, listed)))
    context.backend.change_notifier.notify(line, concerned)


def _entry(name: str) -> bytes:
    """Return an entry name as an atom, or as a quoted string if it is not a valid atom."""
    text = name.encode("ascii")
    return text if _PLAIN.fullmatch(name) else _quoted(text)


def _quoted(text: bytes) -> bytes:
    """Return ASCII text without control characters as a quoted string."""
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", text) + b'"'


HANDLERS: Handlers = {c.GetMetadata: _getmetadata, c.SetMetadata: _setmetadata}
