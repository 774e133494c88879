"""Untagged updates for a session: changes of its selected mailbox by other sessions, and lines that wait for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from lemonade_imap.reply import Reply, ReplyBatch
from lemonade_imap.selected_mailbox import SelectedMailbox
from lemonade_imap.serving.backend import Backend
from lemonade_imap.serving.cache_refresh import refresh_cache
from lemonade_imap.serving.mailbox_cache import CacheQuery, CacheUpdate, run_query
from lemonade_imap.session import ImapSession
from lemonade_imap.store.base import Store, StoredMailbox

T = TypeVar("T")


def has_updates(backend: Backend, session: ImapSession) -> bool:
    """Tell whether there may be updates for a session."""
    view = session.view
    return bool(session.unsolicited) or (
        view is not None and view.seen != backend.change_notifier.count(view.mailbox.ident)
    )


async def updates(
    backend: Backend, session: ImapSession, *, numbers_stay: bool = False
) -> AsyncIterator[Reply | ReplyBatch]:
    """Yield the untagged updates for a session; with `numbers_stay` without EXPUNGE (RFC 3501, 7.4.1).

    If the selected mailbox was deleted or got a new UIDVALIDITY, the session ends with BYE.
    """
    if session.unsolicited:
        waiting, session.unsolicited = session.unsolicited, []
        yield ReplyBatch(waiting)
    view = session.view
    if view is None or not has_updates(backend, session):
        return
    ident = view.mailbox.ident
    if backend.change_notifier.is_invalid(ident):
        session.select(None)
        session.log_out()
        yield Reply.of(b"* BYE the selected mailbox was deleted")
        return
    count, cache = backend.change_notifier.count(ident), backend.change_notifier.caches.of(ident)
    recent: frozenset[int] = frozenset()
    arrived = cache.after(view.newest) < len(cache.uids)
    if cache.count != count or arrived:
        refreshed = await refresh_cache(backend, view.mailbox, partial(_claim_arrived, backend.store, view, arrived))
        count, cache, recent = refreshed.count, refreshed.cache, refreshed.result
    lines = view.updates(cache, recent, numbers_stay=numbers_stay)
    if not numbers_stay:
        view.seen = count
    if lines:
        yield ReplyBatch(lines)


def _claim_arrived(store: Store, view: SelectedMailbox, arrived: bool, update: CacheUpdate) -> frozenset[int]:
    r"""Claim the messages that are new to the session as `\Recent`, and return their UIDs.

    `arrived`: the cache contains new messages. `update`: the update that may contain more.
    """
    newest = max((summary.uid for summary in update.changed), default=0)
    if not arrived and newest <= view.newest:
        return frozenset()
    return claim(store, view.mailbox, read_only=view.read_only)


def claim(store: Store, mailbox: StoredMailbox, *, read_only: bool) -> frozenset[int]:
    r"""Return the UIDs that are `\Recent` for a session, and claim them unless it is `read_only` (EXAMINE)."""
    return store.recent(mailbox) if read_only else store.claim_recent(mailbox)


async def change(
    backend: Backend, view: SelectedMailbox, work: Callable[[CacheUpdate], T], *, removes: bool = False
) -> tuple[list[bytes], T]:
    """Change the selected mailbox by `work`, which gets the changes since the cache's last update.

    `work` runs by the store's runner; `removes`: it may remove messages. Returns the FETCH responses for flags that
    other sessions changed before, which must be sent first, and the result of `work`.
    """
    ident = view.mailbox.ident
    since = backend.change_notifier.caches.of(ident).modseq
    changing = partial(_change, backend.store, CacheQuery(view.mailbox, since, removes), work)
    refreshed = await refresh_cache(backend, view.mailbox, changing, always_query=True)
    made, after = refreshed.result
    lines = view.flag_updates(refreshed.cache)
    backend.change_notifier.changed(ident, removed=removes)
    refreshed.cache.apply(after, backend.change_notifier.count(ident), backend.change_notifier.removals(ident))
    return lines, made


def _change(
    store: Store, after: CacheQuery, work: Callable[[CacheUpdate], T], before: CacheUpdate
) -> tuple[T, CacheUpdate]:
    made = work(before)
    return made, run_query(store, replace(after, since=max(after.since, before.modseq)))
