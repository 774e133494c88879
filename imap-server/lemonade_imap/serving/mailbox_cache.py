"""A cache of the UIDs, flags and mod-sequences of a mailbox's messages, which all sessions share.

A cache is updated with the changes after its mod-sequence, which the store returns cheaply, and only if the notifier
has counted a change. The results of queries arrive in the order in which the store carried them out, so that no update
puts older values into a cache.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from lemonade_imap.store.base import Store, StoredMailbox, Summary

KEPT = 64
"""Number of mailboxes in the cache; if there are more, the one that was used least recently is removed."""


@dataclass(frozen=True)
class CacheQuery:
    """A query for an update: the changes after the mod-sequence `since`, and with `all_uids` the present UIDs."""

    mailbox: StoredMailbox
    since: int
    all_uids: bool


@dataclass(frozen=True)
class CacheUpdate:
    """The store's answer to a CacheQuery: the messages that changed, and all UIDs if they were asked for."""

    changed: list[Summary]
    uids: list[int] | None = None

    @property
    def modseq(self) -> int:
        """The highest mod-sequence of the changed messages, or 0 if there are none."""
        return max((summary.modseq for summary in self.changed), default=0)


def run_query(store: Store, query: CacheQuery) -> CacheUpdate:
    """Carry out a CacheQuery; must run by the store's runner."""
    uids = store.uids(query.mailbox) if query.all_uids else None
    return CacheUpdate(store.summaries(query.mailbox, query.since), uids)


class MailboxCache:
    """The messages of one mailbox in three parallel lists (`uids`, `flags`, `modseqs`), ascending by UID.

    `modseq`: the highest mod-sequence of all messages seen. `count`, `removals`: the notifier's counts at the last
    update; `count` is -1 before the first one.
    """

    def __init__(self) -> None:
        self.uids: list[int] = []
        self.flags: list[frozenset[str]] = []
        self.modseqs: list[int] = []
        self.modseq = 0
        self.count = -1
        self.removals = 0
        self._log: list[tuple[int, int]] = []
        self._log_from = 0

    def query(self, mailbox: StoredMailbox, removals: int) -> CacheQuery:
        """Return the query that brings the cache up to date; `removals` is the notifier's present count of removals."""
        return CacheQuery(mailbox, self.modseq, removals != self.removals)

    def apply(self, update: CacheUpdate, count: int, removals: int) -> None:
        """Put an update into the cache; `count` and `removals` are the notifier's counts before its query."""
        if update.uids is not None:
            self._keep(frozenset(update.uids))
            self.removals = max(self.removals, removals)
        newest = self.uids[-1] if self.uids else 0
        for summary in update.changed:
            if summary.uid > newest:
                self.uids.append(summary.uid)
                self.flags.append(summary.flags)
                self.modseqs.append(summary.modseq)
            elif (at := self.find(summary.uid)) is not None and summary.modseq > self.modseqs[at]:
                self.flags[at], self.modseqs[at] = summary.flags, summary.modseq
                self._log.append((summary.modseq, summary.uid))
        self.modseq = max(self.modseq, update.modseq)
        if self.count < 0:
            # The log does not contain the changes before the first update.
            self._log_from = self.modseq
        self.count = max(self.count, count)
        self._log.sort()
        if len(self._log) > 1000 + len(self.uids):
            half = len(self._log) // 2
            self._log_from = self._log[half - 1][0]
            self._log = [entry for entry in self._log[half:] if entry[0] > self._log_from]

    def _keep(self, present: Collection[int]) -> None:
        kept = [at for at, uid in enumerate(self.uids) if uid in present]
        if len(kept) < len(self.uids):
            self.uids = [self.uids[at] for at in kept]
            self.flags = [self.flags[at] for at in kept]
            self.modseqs = [self.modseqs[at] for at in kept]

    def find(self, uid: int) -> int | None:
        """Return the index of a UID in the lists, or None if the UID is not there."""
        at = bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else None

    def after(self, uid: int) -> int:
        """Return the index of the first UID that is greater than `uid`."""
        return bisect_right(self.uids, uid)

    def changed_since(self, modseq: int) -> list[int]:
        """Return the indexes, ascending, of messages that changed after a mod-sequence; new messages may be missing."""
        if modseq < self._log_from:
            return [at for at, changed in enumerate(self.modseqs) if changed > modseq]
        uids = {uid for _, uid in self._log[bisect_right(self._log, (modseq, 1 << 32)) :]}
        return sorted(at for at in map(self.find, uids) if at is not None)

    def keywords(self) -> set[str]:
        """Return all keywords that messages of the mailbox have."""
        return {flag for flags in set(self.flags) for flag in flags if not flag.startswith("\\")}

    def with_flag(self, flag: str) -> Iterator[int]:
        """Return the UIDs of the messages that have this flag."""
        return (uid for uid, flags in zip(self.uids, self.flags, strict=True) if flag in flags)

    def first_unseen(self) -> int | None:
        r"""Return the sequence number of the first message without `\Seen`, or None."""
        return next((number for number, flags in enumerate(self.flags, 1) if "\\Seen" not in flags), None)


class MailboxCaches:
    """The caches of the mailboxes that were used most recently, up to KEPT."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, MailboxCache] = OrderedDict()

    def of(self, mailbox: int) -> MailboxCache:
        """Return the cache of a mailbox (its `ident`); an empty one if there is none."""
        cache = self._kept.setdefault(mailbox, MailboxCache())
        self._kept.move_to_end(mailbox)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return cache

    def forget(self, mailbox: int) -> None:
        """Remove the cache of a mailbox that was deleted."""
        self._kept.pop(mailbox, None)
