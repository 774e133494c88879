"""After any operations in any order, the store on disk returns the same as the store in memory, also after restarts."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lemonade_imap.store.base import NewMessage, Scope, Store, StoredMailbox, StoreError
from lemonade_imap.store.sqlite import SqliteStore
from lemonade_imap.testing.memory_store import MemoryStore
from lemonade_imap.testing.messages import mailbox_of

AT = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
NAMES = st.sampled_from(["inbox", "a", "inbox", "a/b", "a", "d"])
UIDS = st.sets(st.integers(1, 4), min_size=1, max_size=3)
FLAGS = st.sets(st.sampled_from(["\\Seen", "\\Deleted", "work"]))
ENTRIES = st.dictionaries(st.sampled_from(["/x", "/X", "/y"]), st.none() | st.binary(max_size=3), max_size=2)


class TwoStores(RuleBasedStateMachine):
    """Carries out the same operations on both stores."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.disk = SqliteStore(self.folder, clock=lambda: 0.0)
        self.memory = MemoryStore()
        self.create("a")
        self.append("inbox", [b"1", b"2", b"3"], [])

    def teardown(self) -> None:
        self.disk.close()
        shutil.rmtree(self.folder)

    def both(self, work: Callable[[Store], object]) -> None:
        """Call a method of both stores and compare their results or exceptions."""
        results = []
        for store in (self.disk, self.memory):
            try:
                results.append(work(store))
            except StoreError as problem:
                results.append((type(problem), str(problem)))
        assert results[0] == results[1]

    def on(self, name: str, work: Callable[[Store, StoredMailbox], object]) -> None:
        """Call a method of both stores for a mailbox, which may not exist."""

        def run(store: Store) -> object:
            mailbox = store.mailbox("joe", name)
            return mailbox and work(store, mailbox)

        self.both(run)

    @rule(name=NAMES)
    def create(self, name: str) -> None:
        self.both(lambda store: store.create("joe", name).name)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        self.both(lambda store: store.delete("joe", name))

    @rule(old=NAMES, new=NAMES)
    def rename(self, old: str, new: str) -> None:
        self.both(lambda store: store.rename("joe", old, new))

    @rule(name=NAMES, octets=st.lists(st.binary(max_size=20), max_size=2), flags=FLAGS)
    def append(self, name: str, octets: list[bytes], flags: Collection[str]) -> None:
        def work(store: Store, mailbox: StoredMailbox) -> list[object]:
            arrivals = [store.arrive() for _ in octets]
            for arrival, chunk in zip(arrivals, octets, strict=True):
                arrival.write(chunk)
            made = store.append(mailbox, [NewMessage(arrival, flags, AT) for arrival in arrivals])
            return [(message.uid, message.modseq, message.root, message.size) for message in made]

        self.on(name, work)

    @rule(name=NAMES, uids=UIDS, mode=st.sampled_from(["+", "-", ""]), flags=FLAGS, since=st.none() | st.integers(0, 9))
    def change_flags(self, name: str, uids: set[int], mode: str, flags: set[str], since: int | None) -> None:
        self.on(name, lambda store, mailbox: store.change_flags(mailbox, uids, mode, flags, since))

    @rule(name=NAMES, to=NAMES, uids=UIDS, moves=st.booleans())
    def copy_or_move(self, name: str, to: str, uids: set[int], moves: bool) -> None:
        def work(store: Store, mailbox: StoredMailbox) -> object:
            other = store.mailbox("joe", to)
            return other and (store.move if moves else store.copy)(mailbox, uids, other)

        self.on(name, work)

    @rule(name=NAMES, uids=UIDS)
    def expunge(self, name: str, uids: set[int]) -> None:
        self.on(name, lambda store, mailbox: store.expunge(mailbox, uids))

    @rule(name=NAMES)
    def claim_recent(self, name: str) -> None:
        self.on(name, lambda store, mailbox: store.claim_recent(mailbox))

    @rule(name=NAMES, user=st.none() | st.just("joe"), entries=ENTRIES)
    def annotate(self, name: str, user: str | None, entries: dict[str, bytes | None]) -> None:
        self.on(name, lambda store, mailbox: store.set_entries(Scope(user, mailbox), entries))

    @rule(name=NAMES, subscribed=st.booleans())
    def subscribe(self, name: str, subscribed: bool) -> None:
        self.both(lambda store: (store.subscribe if subscribed else store.unsubscribe)("joe", name))

    @rule()
    def start_again(self) -> None:
        self.disk.close()
        self.disk = SqliteStore(self.folder, clock=lambda: 0.0)

    @invariant()
    def both_tell_the_same(self) -> None:
        self.both(seen)


def seen(store: Store) -> list[object]:
    """Return all data of a store without its internal numbers."""
    told: list[object] = [store.mailboxes("joe"), store.subscriptions("joe")]
    for name in store.mailboxes("joe"):
        mailbox = mailbox_of(store, name)
        told += [
            (name, mailbox.uid_next, mailbox.highest_modseq, mailbox.uid_validity),
            (store.uids(mailbox), store.summaries(mailbox), store.summaries(mailbox, 3)),
            (store.counts(mailbox), store.recent(mailbox)),
            [b"".join(store.read(message, 0, message.size)) for message in store.messages(mailbox)],
            [store.entries(Scope(user, mailbox)) for user in (None, "joe")],
        ]
    return told


TestTwoStores = TwoStores.TestCase
TestTwoStores.settings = settings(max_examples=60, stateful_step_count=30)
