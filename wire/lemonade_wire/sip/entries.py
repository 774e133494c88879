"""The transactions of a layer: by key, by what matches them, by where their request began, by their timers."""

from __future__ import annotations

import heapq
from collections.abc import ValuesView
from dataclasses import dataclass

from lemonade_wire.address import Address
from lemonade_wire.sip.matching import Match, Transport
from lemonade_wire.sip.message import Request
from lemonade_wire.sip.transaction import Transaction


@dataclass
class Flow:
    """Where a transaction's messages go."""

    transport: Transport
    destination: Address
    stream: int | None = None
    udp_instead: bool = False
    """Went over TCP for its length alone, so that UDP may be tried where TCP is refused."""


@dataclass
class Entry:
    """A transaction with all that the layer knows of it."""

    key: str
    match: Match
    machine: Transaction
    flow: Flow
    request: Request
    server: bool
    last: bytes = b""
    """The message that a retransmission sends again."""
    acked: bool = False
    """A non-2xx was acknowledged once, so that a further ACK is a retransmission."""
    due: float | None = None
    """When its next timer fires, as `Entries` has it."""

    @property
    def origin(self) -> tuple[object, ...]:
        """What a request has in common with itself come by another way (RFC 3261 section 8.2.2.2)."""
        return self.request.call_id, self.request.cseq, self.request.from_.tag


class Entries:
    """What each look-up and each timer costs does not grow with the number of transactions."""

    def __init__(self) -> None:
        self._by_key: dict[str, Entry] = {}
        self._by_match: dict[Match, Entry] = {}
        self._by_origin: dict[tuple[object, ...], set[str]] = {}
        # When timers fire and whose they are; what is out of date is passed over when it comes to the top.
        self._timers: list[tuple[float, str]] = []

    def __contains__(self, key: str) -> bool:
        return key in self._by_key

    def __getitem__(self, key: str) -> Entry:
        return self._by_key[key]

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: str) -> Entry | None:
        """Return the entry with that key; None where it is over."""
        return self._by_key.get(key)

    def values(self) -> ValuesView[Entry]:
        """Return all of them."""
        return self._by_key.values()

    def matching(self, match: Match) -> Entry | None:
        """Return the entry that a message belongs to."""
        return self._by_match.get(match)

    def add(self, entry: Entry) -> None:
        """Take a new entry, and its timer."""
        self._by_key[entry.key] = self._by_match[entry.match] = entry
        if entry.server:
            self._by_origin.setdefault(entry.origin, set()).add(entry.key)
        self.schedule(entry)

    def drop(self, entry: Entry) -> None:
        """Forget an entry, if it is not forgotten yet."""
        self._by_key.pop(entry.key, None)
        if self._by_match.get(entry.match) is entry:
            del self._by_match[entry.match]
        if entry.server and (same := self._by_origin.get(entry.origin)):
            same.discard(entry.key)
            if not same:
                del self._by_origin[entry.origin]

    def merged(self, key: str) -> bool:
        """Return whether another request began where this one did."""
        return len(self._by_origin[self._by_key[key].origin]) > 1

    def schedule(self, entry: Entry) -> None:
        """Take note of when an entry's next timer fires, after anything that may have changed it."""
        at = entry.machine.next_timer()
        if at is not None and at != entry.due:
            heapq.heappush(self._timers, (at, entry.key))
        entry.due = at

    def next_timer(self) -> float | None:
        """Return when the next timer fires."""
        while self._timers:
            at, key = self._timers[0]
            entry = self._by_key.get(key)
            if entry is not None and entry.due == at:
                return at
            heapq.heappop(self._timers)
        return None

    def take_due(self, now: float) -> Entry | None:
        """Return an entry whose timer is due, the earliest first, to be scheduled again; None where none is."""
        at = self.next_timer()
        if at is None or at > now:
            return None
        entry = self._by_key[heapq.heappop(self._timers)[1]]
        entry.due = None
        return entry
