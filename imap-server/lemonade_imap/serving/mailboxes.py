"""Carries out CREATE, DELETE, RENAME and STATUS (RFC 3501, 6.3)."""

from __future__ import annotations

from lemonade_imap.grammar import commands as c
from lemonade_imap.grammar.base import INBOX
from lemonade_imap.reply import Reply, ReplyBatch
from lemonade_imap.serving.backend import Done, Refused
from lemonade_imap.serving.context import Context, Handlers, Replies
from lemonade_imap.serving.listing import LONGEST_NAME, MOST_LEVELS, MOST_NAMES, is_known
from lemonade_imap.serving.selecting import enable_condstore
from lemonade_imap.store.base import (
    SEPARATOR,
    MailboxExists,
    MailboxMissing,
    Store,
    StoredMailbox,
    is_inferior,
)
from lemonade_wire.imap import mutf7
from lemonade_wire.imap.lexer import quote


async def _create(context: Context, command: c.Create) -> Replies:
    r"""Make a mailbox. LIST shows the names above it as `\Noselect` until they are made."""
    _require_name(command.mailbox)
    if command.mailbox == INBOX:
        # RFC 3501, 6.3.3: an error always, even before INBOX was first used
        raise Refused("NO", "[ALREADYEXISTS] INBOX exists always")
    _require_room(len(await context.backend.call(context.backend.store.mailboxes, context.user)))
    try:
        if context.backend.behaviour.carries_out("CREATE"):
            await context.backend.call(context.backend.store.create, context.user, command.mailbox)
    except MailboxExists:
        raise Refused("NO", "[ALREADYEXISTS] the mailbox exists already") from None
    yield Done("CREATE completed")


def _require_room(mailboxes: int) -> None:
    if mailboxes >= MOST_NAMES:
        raise Refused("NO", f"[LIMIT] an account has at most {MOST_NAMES} mailboxes")


def _require_name(name: str) -> None:
    if not name.isprintable() or "" in name.split(SEPARATOR):
        raise Refused("NO", f"[CANNOT] a mailbox has a printable name, none of its levels between {SEPARATOR} empty")
    if len(mutf7.encode(name)) > LONGEST_NAME:
        raise Refused("NO", f"[LIMIT] a mailbox's name has at most {LONGEST_NAME} octets")
    if name.count(SEPARATOR) >= MOST_LEVELS:
        raise Refused("NO", f"[LIMIT] a mailbox's name has at most {MOST_LEVELS} levels")


async def _delete(context: Context, command: c.Delete) -> Replies:
    r"""Remove a mailbox. If there are mailboxes below it, LIST shows its name as `\Noselect` (RFC 3501, 6.3.4)."""
    backend, session = context.backend, context.session
    mailbox = await backend.call(backend.store.mailbox, context.user, command.mailbox)
    if mailbox is None:
        if is_known(await backend.call(backend.store.mailboxes, context.user), command.mailbox):
            raise Refused("NO", "[HASCHILDREN] there is no such mailbox, but the name has inferiors")
        raise _missing()
    if mailbox.name == INBOX:
        raise Refused("NO", "[CANNOT] INBOX cannot be deleted")
    try:
        await backend.call(backend.store.delete, context.user, mailbox.name)
    except MailboxMissing:
        raise _missing() from None
    if session.view is not None and session.view.mailbox.ident == mailbox.ident:
        session.select(None)
    backend.change_notifier.invalidate(mailbox.ident)
    yield Done("DELETE completed")


def _missing() -> Refused:
    return Refused("NO", "[NONEXISTENT] there is no such mailbox")


async def _rename(context: Context, command: c.Rename) -> Replies:
    r"""Rename a mailbox and those below it. INBOX stays, and its messages move (RFC 3501, 6.3.5)."""
    backend = context.backend
    _require_name(command.new_name)
    if command.mailbox != INBOX and command.new_name.startswith(command.mailbox + SEPARATOR):
        raise Refused("NO", "[CANNOT] a mailbox cannot become its own inferior")
    try:
        revalued = await backend.call(_renamed, backend.store, context.user, command)
    except MailboxMissing:
        raise _missing() from None
    except MailboxExists:
        raise Refused("NO", "[ALREADYEXISTS] the mailbox exists already") from None
    if command.mailbox == INBOX:
        inbox = await backend.mailbox(context.user, INBOX)
        backend.change_notifier.changed(inbox.ident, removed=True)
    for ident in revalued:
        backend.change_notifier.invalidate(ident)
    yield Done("RENAME completed")


def _renamed(store: Store, user: str, command: c.Rename) -> list[int]:
    """Rename, and return the mailboxes that got a new UIDVALIDITY: sessions that have them selected must end.

    Raises Refused if the name of an inferior would be too long, or if there would be too many mailboxes.
    """
    before = _by_ident(store, user)
    if command.mailbox == INBOX:
        _require_room(len(before))
    else:
        for mailbox in before.values():
            if is_inferior(mailbox.name, command.mailbox):
                _require_name(command.new_name + mailbox.name[len(command.mailbox) :])
    store.rename(user, command.mailbox, command.new_name)
    after = _by_ident(store, user)
    return [ident for ident, box in before.items() if ident in after and after[ident].uid_validity != box.uid_validity]


def _by_ident(store: Store, user: str) -> dict[int, StoredMailbox]:
    found = [store.mailbox(user, name) for name in store.mailboxes(user)]
    return {mailbox.ident: mailbox for mailbox in found if mailbox is not None}


async def _status(context: Context, command: c.Status) -> Replies:
    backend = context.backend
    if "HIGHESTMODSEQ" in command.items:
        yield ReplyBatch(enable_condstore(context))
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
