"""What the server remembers of a mailbox: UIDs, flags and mod-sequences of its messages, for all its sessions at once.

A mirror is brought up to date by what changed since its mod-sequence, which the store tells cheaply, and only when the
hub counted a change. Looks at the store come back in the order in which the store carried them out, and are taken in
that order; so none of them makes a mirror older.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from lemonade_imap.store.base import Mailbox, Store, Summary

KEPT = 64
"""How many mailboxes are remembered; the one not asked for longest goes first."""


@dataclass(frozen=True)
class Question:
    """What is to be looked up: changes after a mod-sequence, and (`all_uids`) who is still there."""

    mailbox: Mailbox
    since: int
    all_uids: bool


@dataclass(frozen=True)
class Look:
    """What the store said: the messages that changed, and all UIDs where they were asked for."""

    changed: list[Summary]
    uids: list[int] | None = None

    @property
    def modseq(self) -> int:
        """The highest mod-sequence among them, 0 where nothing changed."""
        return max((summary.modseq for summary in self.changed), default=0)


def look(store: Store, question: Question) -> Look:
    """Ask the store; runs where it lives."""
    uids = store.uids(question.mailbox) if question.all_uids else None
    return Look(store.summaries(question.mailbox, question.since), uids)


class Mirror:
    """The messages of one mailbox as three lists side by side, ascending by UID.

    `modseq` is the highest mod-sequence seen among messages; `count` and `removals` are the hub's at the last look.
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

    def question(self, mailbox: Mailbox, removals: int) -> Question:
        """Return what is to be asked where the hub counts so many removals."""
        return Question(mailbox, self.modseq, removals != self.removals)

    def take(self, seen: Look, count: int, removals: int) -> None:
        """Take what the store said, asked when the hub counted so many changes and removals."""
        if seen.uids is not None:
            self._keep(frozenset(seen.uids))
            self.removals = max(self.removals, removals)
        newest = self.uids[-1] if self.uids else 0
        for summary in seen.changed:
            if summary.uid > newest:
                self.uids.append(summary.uid)
                self.flags.append(summary.flags)
                self.modseqs.append(summary.modseq)
            elif (at := self.find(summary.uid)) is not None and summary.modseq > self.modseqs[at]:
                self.flags[at], self.modseqs[at] = summary.flags, summary.modseq
                self._log.append((summary.modseq, summary.uid))
        self.modseq = max(self.modseq, seen.modseq)
        if self.count < 0:
            # what changed before the first look is not in the log
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
        """Return the place of a UID in the lists, or None."""
        at = bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else None

    def after(self, uid: int) -> int:
        """Return the place of the first UID above one."""
        return bisect_right(self.uids, uid)

    def changed_since(self, modseq: int) -> list[int]:
        """Return the places of messages that were there before and changed after a mod-sequence, ascending."""
        if modseq < self._log_from:
            return [at for at, changed in enumerate(self.modseqs) if changed > modseq]
        uids = {uid for _, uid in self._log[bisect_right(self._log, (modseq, 1 << 32)) :]}
        return sorted(at for at in map(self.find, uids) if at is not None)

    def keywords(self) -> set[str]:
        """Return the keywords that messages have."""
        return {flag for flags in set(self.flags) for flag in flags if not flag.startswith("\\")}

    def with_flag(self, flag: str) -> Iterator[int]:
        """Return the UIDs of the messages with a flag."""
        return (uid for uid, flags in zip(self.uids, self.flags, strict=True) if flag in flags)

    def first_unseen(self) -> int | None:
        r"""Return the number of the first message without `\Seen`, or None."""
        return next((number for number, flags in enumerate(self.flags, 1) if "\\Seen" not in flags), None)


class Mirrors:
    """The mirrors of the mailboxes that are in use, or were lately."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, Mirror] = OrderedDict()

    def of(self, mailbox: int) -> Mirror:
        """Return the mirror of a mailbox (its `ident`), an empty one where nothing is remembered."""
        mirror = self._kept.setdefault(mailbox, Mirror())
        self._kept.move_to_end(mailbox)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return mirror

    def forget(self, mailbox: int) -> None:
        """The mailbox is gone."""
        self._kept.pop(mailbox, None)
