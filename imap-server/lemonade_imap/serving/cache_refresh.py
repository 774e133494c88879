"""Runs work on the store and brings the cache of a mailbox up to date in the same call of the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from lemonade_imap.serving.backend import Backend
from lemonade_imap.serving.mailbox_cache import CacheQuery, CacheUpdate, MailboxCache, run_query
from lemonade_imap.store.base import Store, StoredMailbox

T = TypeVar("T")


@dataclass(frozen=True)
class RefreshedCache(Generic[T]):
    """The result of `refresh_cache`.

    `cache`: the mailbox's cache, which contains all changes up to `count`. `count`: the notifier's count of changes
    before the call. `result`: what the work returned.
    """

    cache: MailboxCache
    count: int
    result: T


async def refresh_cache(
    backend: Backend, mailbox: StoredMailbox, work: Callable[[CacheUpdate], T], *, always_query: bool = False
) -> RefreshedCache[T]:
    """Run `work` by the store's runner with the changes since the cache's last update, and update the cache with them.

    If the notifier has counted no change since then, the store is not asked, and `work` gets an empty update. With
    `always_query` it is always asked: the notifier counts another session's change only after the store has made it.
    """
    notifier, ident = backend.change_notifier, mailbox.ident
    count, removals = notifier.count(ident), notifier.removals(ident)
    cache = notifier.caches.of(ident)
    query = cache.query(mailbox, removals) if always_query or cache.count != count else None
    update, result = await backend.call(_query_and_work, backend.store, query, work)
    if query is not None:
        cache.apply(update, count, removals)
    return RefreshedCache(cache, count, result)


def _query_and_work(store: Store, query: CacheQuery | None, work: Callable[[CacheUpdate], T]) -> tuple[CacheUpdate, T]:
    update = CacheUpdate([]) if query is None else run_query(store, query)
    return update, work(update)


async def current(backend: Backend, mailbox: StoredMailbox) -> MailboxCache:
    """Return the cache of a mailbox after an update, without a message to any session."""
    cache = backend.change_notifier.caches.of(mailbox.ident)
    if cache.count == backend.change_notifier.count(mailbox.ident):
        return cache
    return (await refresh_cache(backend, mailbox, lambda _update: None)).cache
