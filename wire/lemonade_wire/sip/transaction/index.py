"""The transactions of a layer, indexed by key, by matching values, by origin of the request, and by timer."""

from __future__ import annotations

import heapq
from collections.abc import ValuesView
from dataclasses import dataclass

from lemonade_wire.address import Address
from lemonade_wire.sip.message.message import SipRequest
from lemonade_wire.sip.transaction.matching import Match, Transport
from lemonade_wire.sip.transaction.state_machine import Transaction


@dataclass
class SipFlow:
    """The transport and the destination of a transaction's messages."""

    transport: Transport
    destination: Address
    stream: int | None = None
    udp_instead: bool = False
    """TCP was chosen only for the length of the request, so that UDP may be tried if TCP is refused."""


@dataclass
class TransactionEntry:
    """A transaction with its request, its matching values, and the destination of its messages."""

    key: str
    match: Match
    machine: Transaction
    flow: SipFlow
    request: SipRequest
    server: bool
    last: bytes = b""
    """The message that a retransmission sends again."""
    acked: bool = False
    """An ACK of a non-2xx was sent once, so that a further ACK is a retransmission."""
    due: float | None = None
    """The time in `TransactionIndex` at which its next timer fires."""

    @property
    def origin(self) -> tuple[object, ...]:
        """The values that copies of a request that arrive by different paths share (RFC 3261 section 8.2.2.2)."""
        return self.request.call_id, self.request.cseq, self.request.from_.tag


class TransactionIndex:
    """The transactions that are alive, with their timers in a heap.

    The cost of a look-up does not depend on the number of transactions; that of a timer grows with its logarithm.
    """

    def __init__(self) -> None:
        self._by_key: dict[str, TransactionEntry] = {}
        self._by_match: dict[Match, TransactionEntry] = {}
        self._by_origin: dict[tuple[object, ...], set[str]] = {}
        # A heap of (time, key). An item that is out of date stays until it reaches the top, and is dropped there.
        self._timers: list[tuple[float, str]] = []

    def __contains__(self, key: str) -> bool:
        return key in self._by_key

    def __getitem__(self, key: str) -> TransactionEntry:
        return self._by_key[key]

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: str) -> TransactionEntry | None:
        """Return the entry with that key; None if the transaction has ended."""
        return self._by_key.get(key)

    def values(self) -> ValuesView[TransactionEntry]:
        """Return all entries."""
        return self._by_key.values()

    def matching(self, match: Match) -> TransactionEntry | None:
        """Return the entry with those matching values; None if there is none."""
        return self._by_match.get(match)

    def add(self, entry: TransactionEntry) -> None:
        """Add a new entry, and schedule its timer."""
        self._by_key[entry.key] = self._by_match[entry.match] = entry
        if entry.server:
            self._by_origin.setdefault(entry.origin, set()).add(entry.key)
        self.schedule(entry)

    def drop(self, entry: TransactionEntry) -> None:
        """Remove an entry; does nothing if it is removed already."""
        self._by_key.pop(entry.key, None)
        if self._by_match.get(entry.match) is entry:
            del self._by_match[entry.match]
        if entry.server and (same := self._by_origin.get(entry.origin)):
            same.discard(entry.key)
            if not same:
                del self._by_origin[entry.origin]

    def merged(self, key: str) -> bool:
        """Return whether another server transaction has the same origin as this one."""
        return len(self._by_origin[self._by_key[key].origin]) > 1

    def schedule(self, entry: TransactionEntry) -> None:
        """Update the time of an entry's next timer; call it after each change of the transaction."""
        at = entry.machine.next_timer()
        if at is not None and at != entry.due:
            heapq.heappush(self._timers, (at, entry.key))
        entry.due = at

    def next_timer(self) -> float | None:
        """Return the time at which the next timer fires; None if no timer runs."""
        while self._timers:
            at, key = self._timers[0]
            entry = self._by_key.get(key)
            if entry is not None and entry.due == at:
                return at
            heapq.heappop(self._timers)
        return None

    def take_due(self, now: float) -> TransactionEntry | None:
        """Return the entry with the earliest timer that is due; None if none is due.

        The caller fires its timers and calls `schedule` again.
        """
        at = self.next_timer()
        if at is None or at > now:
            return None
        entry = self._by_key[heapq.heappop(self._timers)[1]]
        entry.due = None
        return entry
