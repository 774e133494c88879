"""Carries out STORE, EXPUNGE, CLOSE and CHECK (RFC 3501, 6.4; RFC 4315; RFC 7162, 3.1.3)."""

from __future__ import annotations

from functools import partial

from lemonade_imap.grammar import commands as c
from lemonade_imap.grammar.sequence import write_set
from lemonade_imap.reply import ReplyBatch
from lemonade_imap.selected_mailbox import SelectedMailbox
from lemonade_imap.serving.backend import Backend, Done, Refused
from lemonade_imap.serving.context import Context, Handlers, Replies
from lemonade_imap.serving.mailbox_cache import CacheUpdate
from lemonade_imap.serving.selecting import chosen, enable_condstore
from lemonade_imap.serving.untagged_updates import change
from lemonade_imap.store.base import Store, StoredMailbox, Summary

DELETED = "\\Deleted"


async def _store_flags(context: Context, command: c.StoreFlags) -> Replies:
    view, store = context.view, context.backend.store
    require_write(view)
    if command.unchanged_since is not None:
        yield ReplyBatch(enable_condstore(context))
    uids = chosen(view, command.messages, by_uid=command.by_uid)
    flags = frozenset(map(view.spelling, command.flags))

    def work(_before: CacheUpdate) -> tuple[list[Summary], list[int]]:
        return store.change_flags(view.mailbox, uids, command.mode, flags, command.unchanged_since)

    told, (stored, failed) = await change(context.backend, view, work)
    view.knows(stored)
    lines = [*told, *view.learn(flags if stored and command.mode != "-" else ())]
    if not command.silent or view.modseqs:
        shown = [(message.uid, None if command.silent else message.flags, message.modseq) for message in stored]
        lines += [view.fetched(*message, uid_too=command.by_uid) for message in shown]
    if lines:
        yield ReplyBatch(lines)
    yield _stored(command, view, failed, gone=len(uids) - len(stored) - len(failed))


def _stored(command: c.StoreFlags, view: SelectedMailbox, failed: list[int], *, gone: int) -> Done:
    """Return the result of STORE.

    `failed`: UIDs that changed after UNCHANGEDSINCE. `gone`: number of messages that were expunged. Raises Refused.
    """
    word = f"{'UID ' * command.by_uid}STORE"
    if failed:
        listed = write_set(failed if command.by_uid else map(view.number, failed))
        return Done(f"[MODIFIED {listed}] {word} did not change the messages listed here")
    if gone and not command.by_uid:
        # RFC 2180, 4.2: a client that asked for FETCH responses must learn that some messages were not changed.
        if not command.silent:
            raise Refused("NO", "[EXPUNGEISSUED] some of the messages were expunged")
        return Done(f"[EXPUNGEISSUED] {word} completed for the messages that exist")
    return Done(f"{word} completed")


async def _expunge(context: Context, command: c.Expunge) -> Replies:
    view = context.view
    require_write(view)
    among = None if command.messages is None else frozenset(chosen(view, command.messages, by_uid=True))
    told = await _remove_deleted(context.backend, view, among)
    if told:
        yield ReplyBatch(told)
    yield Done(f"{'UID ' * (among is not None)}EXPUNGE completed")


async def _close(context: Context, command: c.Close) -> Replies:
    view = context.view
    context.session.select(None)
    if command.expunge and not view.read_only:
        await _remove_deleted(context.backend, view, None)
    yield Done("CLOSE completed" if command.expunge else "UNSELECT completed")


async def _remove_deleted(backend: Backend, view: SelectedMailbox, among: frozenset[int] | None) -> list[bytes]:
    marked = frozenset(backend.change_notifier.caches.of(view.mailbox.ident).with_flag(DELETED))
    work = partial(_expunge_marked, backend.store, view.mailbox, marked, among)
    told, _gone = await change(backend, view, work, removes=True)
    return told


def _expunge_marked(
    store: Store, mailbox: StoredMailbox, marked: frozenset[int], among: frozenset[int] | None, before: CacheUpdate
) -> list[int]:
    r"""Remove the messages that have `\Deleted` at this moment.

    `marked`: the UIDs with `\Deleted` in the cache. `before`: the changes since the cache's last update. `among`: the
    only UIDs that may be removed, or None.
    """
    changed = {summary.uid for summary in before.changed}
    present = (marked - changed) | {summary.uid for summary in before.changed if DELETED in summary.flags}
    return store.expunge(mailbox, present if among is None else present & among)


async def _check(_context: Context, _command: c.CheckCommand) -> Replies:
    # Every change is on the disk before it is answered, so that CHECK has nothing to do.
    yield Done("CHECK completed")


def require_write(view: SelectedMailbox) -> None:
    """Raise Refused if the mailbox was opened by EXAMINE."""
    if view.read_only:
        raise Refused("NO", "[READ-ONLY] the mailbox is selected read-only")


HANDLERS: Handlers = {c.StoreFlags: _store_flags, c.Expunge: _expunge, c.Close: _close, c.CheckCommand: _check}
