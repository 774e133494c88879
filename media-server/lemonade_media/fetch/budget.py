"""Bounds the octets of the parts that all fetches together hold in memory. No I/O."""

from __future__ import annotations

from collections import Counter


class PartBudget:
    """The octets that each fetch has reserved; the sum is at most `limit` octets."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._reserved: Counter[int] = Counter()

    @property
    def used(self) -> int:
        """The octets that are reserved now."""
        return self._reserved.total()

    def reserve(self, job: int, octets: int) -> bool:
        """Reserve octets for a fetch, in addition to those that it has; returns False if that is too much."""
        if self.used + octets > self._limit:
            return False
        self._reserved[job] += octets
        return True

    def release(self, job: int) -> None:
        """Release all that a fetch has reserved; a fetch that has nothing is ignored."""
        self._reserved.pop(job, None)
