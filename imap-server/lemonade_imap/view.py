"""What one session was told of its selected mailbox, and what it is still to be told (RFC 3501, 2.3.1.2 and 7.4.1)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache

from lemonade_imap.grammar.flags import SYSTEM_FLAGS
from lemonade_imap.serving.mirror import Mirror
from lemonade_imap.store.base import Mailbox, Summary

RECENT = "\\Recent"


class View:
    r"""The messages of the selected mailbox as the client was told of them.

    `uids`: by sequence number. `seen`: the hub's count of changes at the last look. `recent`: the UIDs that are
    `\Recent` in this session. `modseqs`: whether the client knows mod-sequences and is told them (RFC 7162, 3.1).
    """

    def __init__(self, mailbox: Mailbox, uids: Sequence[int] = (), *, read_only: bool, modseqs: bool = False) -> None:
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

    def open(self, mirror: Mirror) -> list[bytes]:
        """Take what is there at SELECT and return its FLAGS, EXISTS and RECENT (RFC 3501, 6.3.1)."""
        self.uids = list(mirror.uids)
        self.newest = self.uids[-1] if self.uids else 0
        self._modseq = mirror.modseq
        self._learn(mirror.keywords())
        self._recent_told = self._recent_now()
        return [
            b"* FLAGS (%s)" % self._flags_known(),
            b"* %d EXISTS" % len(self.uids),
            b"* %d RECENT" % self._recent_told,
        ]

    def _recent_now(self) -> int:
        # one may be claimed before its EXISTS is told
        return sum(uid <= self.newest for uid in self.recent)

    @property
    def highest_modseq(self) -> int:
        """The mod-sequence up to which the client was told all that changed."""
        return max(self.mailbox.highest_modseq, self._modseq)

    def number(self, uid: int) -> int:
        """Return the sequence number of a UID that is in the view."""
        return bisect_left(self.uids, uid) + 1

    def spelling(self, flag: str) -> str:
        """Return a keyword as the mailbox spells it: keywords have no case (RFC 3501, 9)."""
        return self._keywords.get(flag.lower(), flag)

    @property
    def permanent_flags(self) -> bytes:
        """The code that says which flags stay: all, and new keywords may be made; none where nothing is changed."""
        return b"[PERMANENTFLAGS (%s)]" % (b"" if self.read_only else self._flags_known() + rb" \*")

    def _flags_known(self) -> bytes:
        return " ".join([*SYSTEM_FLAGS, *sorted(self._keywords.values())]).encode("ascii")

    def _learn(self, keywords: Iterable[str]) -> bool:
        new = {flag.lower(): flag for flag in keywords if flag.lower() not in self._keywords}
        self._keywords |= new
        return bool(new)

    def learn(self, flags: Iterable[str]) -> list[bytes]:
        """Tell of keywords that the mailbox did not have before (RFC 3501, 7.2.6)."""
        if not self._learn(flag for flag in flags if not flag.startswith("\\")):
            return []
        return [b"* FLAGS (%s)" % self._flags_known(), b"* OK %s flags that stay" % self.permanent_flags]

    def knows(self, messages: Iterable[Summary]) -> None:
        """The client knows what it did: these are not told as news (RFC 3501, 6.4.6, `.SILENT`)."""
        self._own.update((message.uid, message.modseq) for message in messages)

    def fetched(self, uid: int, flags: frozenset[str] | None, modseq: int, *, uid_too: bool = False) -> bytes:
        """Return the FETCH line of a message's flags (None: leave them out) and mod-sequence."""
        items = [b"UID %d" % uid] if uid_too else []
        if flags is not None:
            items.append(b"FLAGS " + flag_list(uid, flags, self.recent))
        if self.modseqs:
            items.append(b"MODSEQ (%d)" % modseq)
        return b"* %d FETCH (%s)" % (self.number(uid), b" ".join(items))

    def flag_news(self, mirror: Mirror) -> list[bytes]:
        """Return the FETCH of each message whose flags others changed; numbers stay as they are."""
        lines: list[bytes] = []
        words: set[str] = set()
        for at in mirror.changed_since(self._modseq):
            uid, flags, modseq = mirror.uids[at], mirror.flags[at], mirror.modseqs[at]
            if uid <= self.newest:
                # what the client marked as seen itself may have got keywords from others before
                words |= flags
                if self._own.get(uid) != modseq:
                    lines.append(self.fetched(uid, flags, modseq))
        self._modseq = max(self._modseq, mirror.modseq)
        self._own = {uid: modseq for uid, modseq in self._own.items() if modseq > self._modseq}
        return [*self.learn(words), *lines]

    def news(self, mirror: Mirror, recent: frozenset[int], *, numbers_stay: bool) -> list[bytes]:
        """Return all that is new: flags, EXPUNGE (unless `numbers_stay`), EXISTS and RECENT.

        `recent`: the UIDs claimed for this session among the new ones.
        """
        lines = self.flag_news(mirror)
        if not numbers_stay:
            lines += self._expunged(mirror)
        self.recent |= recent
        first = mirror.after(self.newest)
        if first < len(mirror.uids):
            lines += self.learn(frozenset().union(*set(mirror.flags[first:])))
            self.uids += mirror.uids[first:]
            self.newest = self.uids[-1]
            lines.append(b"* %d EXISTS" % len(self.uids))
        if self._recent_now() != self._recent_told:
            self._recent_told = self._recent_now()
            lines.append(b"* %d RECENT" % self._recent_told)
        return lines

    def _expunged(self, mirror: Mirror) -> list[bytes]:
        """Tell who is gone, from the end, so that the numbers told are those of before."""
        if mirror.after(self.newest) == len(self.uids):
            return []
        there = frozenset(mirror.uids)
        gone = [at for at, uid in enumerate(self.uids) if uid not in there]
        self.recent -= {self.uids[at] for at in gone}
        self.uids = [uid for uid in self.uids if uid in there]
        return [b"* %d EXPUNGE" % (at + 1) for at in reversed(gone)]


def flag_list(uid: int, flags: frozenset[str], recent: frozenset[int]) -> bytes:
    r"""Write a message's flags, sorted, with `\Recent` where the session has it so."""
    return _written(flags | {RECENT} if uid in recent else flags)


@lru_cache(maxsize=4096)
def _written(flags: frozenset[str]) -> bytes:
    return b"(%s)" % " ".join(sorted(flags)).encode("ascii")
