"""The selected mailbox as one client knows it, and the untagged responses that bring the client up to date.

A client numbers messages by the EXISTS and EXPUNGE responses that it received. While another session changes the
mailbox, each session must keep its own list of messages until it may send these responses (RFC 3501, 2.3.1.2 and
7.4.1).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache

from lemonade_imap.grammar.flags import SYSTEM_FLAGS
from lemonade_imap.serving.mailbox_cache import MailboxCache
from lemonade_imap.store.base import StoredMailbox, Summary

RECENT = "\\Recent"


class SelectedMailbox:
    r"""The messages of the selected mailbox that the client was informed of.

    `uids`: the UIDs in the order of the sequence numbers. `seen`: the notifier's count of changes at the last update.
    `newest`: the highest UID of which the client was informed. `recent`: the UIDs that are `\Recent` in this session.
    `modseqs`: whether the client receives mod-sequences (RFC 7162, 3.1).
    """

    def __init__(
        self, mailbox: StoredMailbox, uids: Sequence[int] = (), *, read_only: bool, modseqs: bool = False
    ) -> None:
        self.mailbox = mailbox
        self.uids = list(uids)
        self.read_only = read_only
        self.modseqs = modseqs
        self.seen = 0
        self.newest = self.uids[-1] if uids else 0
        self.recent: frozenset[int] = frozenset()
        self._keywords: dict[str, str] = {}
        self._recent_told = 0
        self._modseq = 0
        self._own: dict[int, int] = {}

    def open(self, cache: MailboxCache) -> list[bytes]:
        """Read the messages at SELECT and return the FLAGS, EXISTS and RECENT responses (RFC 3501, 6.3.1)."""
        self.uids = list(cache.uids)
        self.newest = self.uids[-1] if self.uids else 0
        self._modseq = cache.modseq
        self._learn(cache.keywords())
        self._recent_told = self._recent_now()
        return [
            b"* FLAGS (%s)" % self._flags_known(),
            b"* %d EXISTS" % len(self.uids),
            b"* %d RECENT" % self._recent_told,
        ]

    def _recent_now(self) -> int:
        # a message may be claimed as \Recent before its EXISTS is sent; it counts only from then on
        return sum(uid <= self.newest for uid in self.recent)

    @property
    def highest_modseq(self) -> int:
        """The mod-sequence up to which the client was informed of all changes."""
        return max(self.mailbox.highest_modseq, self._modseq)

    def number(self, uid: int) -> int:
        """Return the sequence number of a UID that is in `uids`."""
        return bisect_left(self.uids, uid) + 1

    def spelling(self, flag: str) -> str:
        """Return a keyword in the letter case that the mailbox first had: keywords ignore case (RFC 3501, 9)."""
        return self._keywords.get(flag.lower(), flag)

    @property
    def permanent_flags(self) -> bytes:
        r"""The PERMANENTFLAGS response code (RFC 3501, 7.1): all known flags and `\*`; no flags if it is read-only."""
        return b"[PERMANENTFLAGS (%s)]" % (b"" if self.read_only else self._flags_known() + rb" \*")

    def _flags_known(self) -> bytes:
        return " ".join([*SYSTEM_FLAGS, *sorted(self._keywords.values())]).encode("ascii")

    def _learn(self, keywords: Iterable[str]) -> bool:
        new = {flag.lower(): flag for flag in keywords if flag.lower() not in self._keywords}
        self._keywords |= new
        return bool(new)

    def learn(self, flags: Iterable[str]) -> list[bytes]:
        """Note the keywords in `flags`; return FLAGS and PERMANENTFLAGS if some are new (RFC 3501, 7.2.6)."""
        if not self._learn(flag for flag in flags if not flag.startswith("\\")):
            return []
        return [b"* FLAGS (%s)" % self._flags_known(), b"* OK %s flags that stay" % self.permanent_flags]

    def knows(self, messages: Iterable[Summary]) -> None:
        """Note flag changes of the client itself, which `flag_updates` must not send (RFC 3501, 6.4.6, `.SILENT`)."""
        self._own.update((message.uid, message.modseq) for message in messages)

    def fetched(self, uid: int, flags: frozenset[str] | None, modseq: int, *, uid_too: bool = False) -> bytes:
        """Return the FETCH response with a message's flags (None: without FLAGS) and mod-sequence.

        `uid_too`: the response also contains the UID.
        """
        items = [b"UID %d" % uid] if uid_too else []
        if flags is not None:
            items.append(b"FLAGS " + flag_list(uid, flags, self.recent))
        if self.modseqs:
            items.append(b"MODSEQ (%d)" % modseq)
        return b"* %d FETCH (%s)" % (self.number(uid), b" ".join(items))

    def flag_updates(self, cache: MailboxCache) -> list[bytes]:
        """Return a FETCH for each message whose flags another session changed; the sequence numbers do not change."""
        lines: list[bytes] = []
        words: set[str] = set()
        for at in cache.changed_since(self._modseq):
            uid, flags, modseq = cache.uids[at], cache.flags[at], cache.modseqs[at]
            if uid <= self.newest:
                # A message that the client changed last may also have keywords that another session added before.
                words |= flags
                if self._own.get(uid) != modseq:
                    lines.append(self.fetched(uid, flags, modseq))
        self._modseq = max(self._modseq, cache.modseq)
        self._own = {uid: modseq for uid, modseq in self._own.items() if modseq > self._modseq}
        return [*self.learn(words), *lines]

    def updates(self, cache: MailboxCache, recent: frozenset[int], *, numbers_stay: bool) -> list[bytes]:
        r"""Return the untagged responses for all changes: FETCH, EXPUNGE (not with `numbers_stay`), EXISTS and RECENT.

        `recent`: the UIDs of new messages that this session claimed as `\Recent`. `numbers_stay`: EXPUNGE may not be
        sent now (RFC 3501, 7.4.1).
        """
        lines = self.flag_updates(cache)
        if not numbers_stay:
            lines += self._expunged(cache)
        self.recent |= recent
        first = cache.after(self.newest)
        if first < len(cache.uids):
            lines += self.learn(frozenset().union(*set(cache.flags[first:])))
            self.uids += cache.uids[first:]
            self.newest = self.uids[-1]
            lines.append(b"* %d EXISTS" % len(self.uids))
        if self._recent_now() != self._recent_told:
            self._recent_told = self._recent_now()
            lines.append(b"* %d RECENT" % self._recent_told)
        return lines

    def _expunged(self, cache: MailboxCache) -> list[bytes]:
        """Return an EXPUNGE for each removed message, the last first: so each number is the one before the removals."""
        if cache.after(self.newest) == len(self.uids):
            return []
        there = frozenset(cache.uids)
        gone = [at for at, uid in enumerate(self.uids) if uid not in there]
        self.recent -= {self.uids[at] for at in gone}
        self.uids = [uid for uid in self.uids if uid in there]
        return [b"* %d EXPUNGE" % (at + 1) for at in reversed(gone)]


def flag_list(uid: int, flags: frozenset[str], recent: frozenset[int]) -> bytes:
    r"""Return a message's flags as a parenthesised list, sorted; with `\Recent` if `recent` contains the UID."""
    return _written(flags | {RECENT} if uid in recent else flags)


@lru_cache(maxsize=4096)
def _written(flags: frozenset[str]) -> bytes:
    return b"(%s)" % " ".join(sorted(flags)).encode("ascii")
