"""Commands that change the selected mailbox: STORE, EXPUNGE, CLOSE (RFC 3501, 6.4; RFC 4315; RFC 7162, 3.1.3)."""

from __future__ import annotations

from functools import partial

from lemonade_imap.grammar import commands as c
from lemonade_imap.grammar.sequence import write_set
from lemonade_imap.reply import Batch
from lemonade_imap.serving.backend import Backend, Done, Refused
from lemonade_imap.serving.context import Context, Handlers, Replies
from lemonade_imap.serving.enabling import enable_condstore
from lemonade_imap.serving.mirror import Look
from lemonade_imap.serving.news import change
from lemonade_imap.serving.selection import chosen
from lemonade_imap.store.base import Mailbox, Store, Summary
from lemonade_imap.view import View

DELETED = "\\Deleted"


async def _store_flags(context: Context, command: c.StoreFlags) -> Replies:
    view, store = context.view, context.backend.store
    require_write(view)
    if command.unchanged_since is not None:
        yield Batch(enable_condstore(context))
    uids = chosen(view, command.messages, by_uid=command.by_uid)
    flags = frozenset(map(view.spelling, command.flags))

    def work(_before: Look) -> tuple[list[Summary], list[int]]:
        return store.change_flags(view.mailbox, uids, command.mode, flags, command.unchanged_since)

    told, (stored, failed) = await change(context.backend, view, work)
    view.knows(stored)
    lines = [*told, *view.learn(flags if stored and command.mode != "-" else ())]
    if not command.silent or view.modseqs:
        shown = [(message.uid, None if command.silent else message.flags, message.modseq) for message in stored]
        lines += [view.fetched(*message, uid_too=command.by_uid) for message in shown]
    if lines:
        yield Batch(lines)
    yield _stored(command, view, failed, gone=len(uids) - len(stored) - len(failed))


def _stored(command: c.StoreFlags, view: View, failed: list[int], *, gone: int) -> Done:
    """Return the answer: which messages were changed meanwhile, and whether some are there no more."""
    word = f"{'UID ' * command.by_uid}STORE"
    if failed:
        listed = write_set(failed if command.by_uid else map(view.number, failed))
        return Done(f"[MODIFIED {listed}] {word} left out what changed")
    if gone and not command.by_uid:
        # RFC 2180, 4.2: a client that was to be told hears that not all is done
        if not command.silent:
            raise Refused("NO", "[EXPUNGEISSUED] some of the messages are there no more")
        return Done(f"[EXPUNGEISSUED] {word} completed for those that are there")
    return Done(f"{word} completed")


async def _expunge(context: Context, command: c.Expunge) -> Replies:
    view = context.view
    require_write(view)
    among = None if command.messages is None else frozenset(chosen(view, command.messages, by_uid=True))
    told = await _remove_deleted(context.backend, view, among)
    if told:
        yield Batch(told)
    yield Done(f"{'UID ' * (among is not None)}EXPUNGE completed")


async def _close(context: Context, command: c.Close) -> Replies:
    view = context.view
    context.session.select(None)
    if command.expunge and not view.read_only:
        await _remove_deleted(context.backend, view, None)
    yield Done("CLOSE completed" if command.expunge else "UNSELECT completed")


async def _remove_deleted(backend: Backend, view: View, among: frozenset[int] | None) -> list[bytes]:
    marked = frozenset(backend.hub.mirrors.of(view.mailbox.ident).with_flag(DELETED))
    work = partial(_expunge_marked, backend.store, view.mailbox, marked, among)
    told, _gone = await change(backend, view, work, removes=True)
    return told


def _expunge_marked(
    store: Store, mailbox: Mailbox, marked: frozenset[int], among: frozenset[int] | None, before: Look
) -> list[int]:
    r"""Remove what is marked `\Deleted` at this very moment: what the mirror knew, and what changed since."""
    changed = {summary.uid for summary in before.changed}
    present = (marked - changed) | {summary.uid for summary in before.changed if DELETED in summary.flags}
    return store.expunge(mailbox, present if among is None else present & among)


async def _check(_context: Context, _command: c.Check) -> Replies:
    # what was answered is on the disk already
    yield Done("CHECK completed")


def require_write(view: View) -> None:
    """Raise Refused where the mailbox was opened by EXAMINE."""
    if view.read_only:
        raise Refused("NO", "[READ-ONLY] the mailbox is selected read-only")


HANDLERS: Handlers = {c.StoreFlags: _store_flags, c.Expunge: _expunge, c.Close: _close, c.Check: _check}
