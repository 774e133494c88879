"""Carries out COPY and MOVE (RFC 3501, 6.4.7; RFC 6851), with the response code COPYUID (RFC 4315, 3)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lemonade_imap.grammar import commands as c
from lemonade_imap.grammar.sequence import write_set
from lemonade_imap.reply import ReplyBatch
from lemonade_imap.serving.backend import Done, Refused
from lemonade_imap.serving.context import Context, Handlers, Replies, line
from lemonade_imap.serving.flags import require_write
from lemonade_imap.serving.mailbox_cache import CacheUpdate
from lemonade_imap.serving.selecting import chosen
from lemonade_imap.serving.untagged_updates import change
from lemonade_imap.store.base import MailboxMissing, Store, StoredMailbox

Pairs = list[tuple[int, int]]
Transfer = Callable[[StoredMailbox, list[int], StoredMailbox], Pairs]


async def _copy(context: Context, command: c.Copy) -> Replies:
    backend, view = context.backend, context.view
    uids = chosen(view, command.messages, by_uid=command.by_uid)
    target = await backend.mailbox(context.user, command.mailbox, code="TRYCREATE")
    work = partial(_transfer, backend.store, backend.store.copy, all_of_them=not command.by_uid)
    try:
        pairs = await backend.call(work, view.mailbox, uids, target) if backend.behaviour.carries_out("COPY") else []
    except MailboxMissing:
        raise _no_target() from None
    if pairs:
        backend.change_notifier.changed(target.ident)
    yield Done(f"{_copyuid(target, pairs)}{'UID ' * command.by_uid}COPY completed")


async def _move(context: Context, command: c.Move) -> Replies:
    backend, view = context.backend, context.view
    require_write(view)
    uids = chosen(view, command.messages, by_uid=command.by_uid)
    target = await backend.mailbox(context.user, command.mailbox, code="TRYCREATE")

    def work(_before: CacheUpdate) -> Pairs:
        store = backend.store
        return _transfer(store, store.move, view.mailbox, uids, target, all_of_them=not command.by_uid)

    try:
        told, pairs = await change(backend, view, work, removes=True)
    except MailboxMissing:
        raise _no_target() from None
    if told:
        yield ReplyBatch(told)
    if pairs:
        backend.change_notifier.changed(target.ident)
        # RFC 6851, 4.3: COPYUID of MOVE comes in an untagged OK before the EXPUNGE responses
        yield line(f"* OK {_copyuid(target, pairs)}moved")
    yield Done(f"{'UID ' * command.by_uid}MOVE completed")


def _transfer(
    store: Store,
    transfer: Transfer,
    mailbox: StoredMailbox,
    uids: list[int],
    target: StoredMailbox,
    *,
    all_of_them: bool,
) -> Pairs:
    """Copy or move messages in one call of the store.

    `all_of_them`: raise Refused if one of the messages was expunged; sequence numbers name all or nothing (RFC 3501,
    6.4.7).
    """
    if all_of_them and not frozenset(uids).issubset(store.uids(mailbox)):
        raise Refused("NO", "[EXPUNGEISSUED] some of the messages were expunged")
    return transfer(mailbox, uids, target)


def _no_target() -> Refused:
    return Refused("NO", "[TRYCREATE] there is no such mailbox")


def _copyuid(target: StoredMailbox, pairs: Pairs) -> str:
    """Return the response code COPYUID and a blank, or an empty text if no message was copied."""
    if not pairs:
        return ""
    old, new = (write_set(side) for side in zip(*pairs, strict=True))
    return f"[COPYUID {target.uid_validity} {old} {new}] "


HANDLERS: Handlers = {c.Copy: _copy, c.Move: _move}
