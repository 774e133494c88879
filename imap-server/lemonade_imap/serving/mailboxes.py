"""Commands on mailboxes as a whole: CREATE, DELETE, RENAME, STATUS (RFC 3501, 6.3)."""

from __future__ import annotations

from lemonade_imap.grammar import commands as c
from lemonade_imap.grammar.arguments import INBOX
from lemonade_imap.reply import Batch, Reply
from lemonade_imap.serving.backend import Done, Refused
from lemonade_imap.serving.context import Context, Handlers, Replies
from lemonade_imap.serving.enabling import enable_condstore
from lemonade_imap.serving.listing import is_known
from lemonade_imap.store.base import SEPARATOR, Mailbox, MailboxExists, MailboxMissing, Store
from lemonade_wire.imap import mutf7
from lemonade_wire.imap.lexer import quote

LONGEST_NAME = 1000
"""Octets of a mailbox's name on the wire."""


async def _create(context: Context, command: c.Create) -> Replies:
    """Make a mailbox; its superiors show as names that cannot be selected until they are made."""
    _require_name(command.mailbox)
    try:
        await context.backend.call(context.backend.store.create, context.user, command.mailbox)
    except MailboxExists:
        raise Refused("NO", "[ALREADYEXISTS] there is such a mailbox") from None
    yield Done("CREATE completed")


def _require_name(name: str) -> None:
    if not name.isprintable() or "" in name.split(SEPARATOR):
        raise Refused("NO", f"[CANNOT] a mailbox has a printable name, none of its levels between {SEPARATOR} empty")
    if len(mutf7.encode(name)) > LONGEST_NAME:
        raise Refused("NO", f"[LIMIT] a mailbox's name has at most {LONGEST_NAME} octets")


async def _delete(context: Context, command: c.Delete) -> Replies:
    """Remove a mailbox; where it has inferiors its name stays, and cannot be selected (RFC 3501, 6.3.4)."""
    backend, session = context.backend, context.session
    mailbox = await backend.call(backend.store.mailbox, context.user, command.mailbox)
    if mailbox is None:
        if is_known(await backend.call(backend.store.mailboxes, context.user), command.mailbox):
            raise Refused("NO", "[HASCHILDREN] the name has inferiors, and no mailbox")
        raise _missing()
    if mailbox.name == INBOX:
        raise Refused("NO", "[CANNOT] INBOX stays")
    try:
        await backend.call(backend.store.delete, context.user, mailbox.name)
    except MailboxMissing:
        raise _missing() from None
    if session.view is not None and session.view.mailbox.ident == mailbox.ident:
        session.select(None)
    backend.hub.gone(mailbox.ident)
    yield Done("DELETE completed")


def _missing() -> Refused:
    return Refused("NO", "[NONEXISTENT] there is no such mailbox")


async def _rename(context: Context, command: c.Rename) -> Replies:
    r"""Rename a mailbox with its inferiors; INBOX gives its messages away and stays (RFC 3501, 6.3.5)."""
    backend = context.backend
    _require_name(command.new_name)
    if command.mailbox != INBOX and command.new_name.startswith(command.mailbox + SEPARATOR):
        raise Refused("NO", "[CANNOT] a mailbox does not become its own inferior")
    try:
        revalued = await backend.call(_renamed, backend.store, context.user, command)
    except MailboxMissing:
        raise _missing() from None
    except MailboxExists:
        raise Refused("NO", "[ALREADYEXISTS] there is such a mailbox") from None
    if command.mailbox == INBOX:
        inbox = await backend.mailbox(context.user, INBOX)
        backend.hub.changed(inbox.ident, removed=True)
    for ident in revalued:
        backend.hub.gone(ident)
    yield Done("RENAME completed")


def _renamed(store: Store, user: str, command: c.Rename) -> list[int]:
    """Rename, and return the mailboxes whose UIDVALIDITY is another one now: who has them selected knows nothing."""
    before = _by_ident(store, user)
    store.rename(user, command.mailbox, command.new_name)
    after = _by_ident(store, user)
    return [ident for ident, box in before.items() if ident in after and after[ident].uid_validity != box.uid_validity]


def _by_ident(store: Store, user: str) -> dict[int, Mailbox]:
    found = [store.mailbox(user, name) for name in store.mailboxes(user)]
    return {mailbox.ident: mailbox for mailbox in found if mailbox is not None}


async def _status(context: Context, command: c.Status) -> Replies:
    backend = context.backend
    if "HIGHESTMODSEQ" in command.items:
        yield Batch(enable_condstore(context))
    mailbox = await backend.mailbox(context.user, command.mailbox)
    counts = await backend.call(backend.store.counts, mailbox)
    values = {
        "MESSAGES": counts.messages,
        "RECENT": counts.recent,
        "UIDNEXT": mailbox.uid_next,
        "UIDVALIDITY": mailbox.uid_validity,
        "UNSEEN": counts.unseen,
        "HIGHESTMODSEQ": mailbox.highest_modseq,
    }
    listed = " ".join(f"{item} {values[item]}" for item in dict.fromkeys(command.items))
    yield Reply.of(b"* STATUS ", quote(mutf7.encode(mailbox.name)), f" ({listed})".encode("ascii"))


HANDLERS: Handlers = {c.Create: _create, c.Delete: _delete, c.Rename: _rename, c.Status: _status}
