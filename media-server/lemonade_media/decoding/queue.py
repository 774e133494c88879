"""Decides which part is decoded next, so that no caller keeps the others from the decoding processes. No I/O.

Of the callers with parts that wait, the one with the fewest parts in processes is next; of several such callers, the
one that was served the longest time ago. Where there are two processes or more, one caller never has all of them.
"""

from __future__ import annotations

from collections import Counter, deque


class DecodeQueue:
    """The parts that wait for a process and those that are decoded, by the numbers of their jobs."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._share = max(1, processes - 1)  # processes that one caller may have
        self._waiting: dict[str, deque[int]] = {}  # by caller, in the order in which the callers were served
        self._running: dict[int, str] = {}
        self._counts: Counter[str] = Counter()

    def add(self, job: int, caller: str) -> None:
        """Add a part to those that wait."""
        self._waiting.setdefault(caller, deque()).append(job)

    def remove(self, job: int) -> None:
        """Remove a part, whether it waits or is decoded; a number that is not known is ignored."""
        caller = self._running.pop(job, None)
        if caller is not None:
            self._counts[caller] -= 1
            if not self._counts[caller]:
                del self._counts[caller]
            return
        for caller, jobs in self._waiting.items():
            if job in jobs:
                jobs.remove(job)
                if not jobs:
                    del self._waiting[caller]
                return

    def next(self) -> int | None:
        """Return the part that is decoded next, which counts as decoded from now on; None if there is none.

        None also if all processes are in use, or if all callers with parts that wait have their share of them.
        """
        if len(self._running) >= self._processes:
            return None
        caller = min(self._waiting, key=lambda caller: self._counts[caller], default=None)
        if caller is None or self._counts[caller] >= self._share:
            return None
        jobs = self._waiting.pop(caller)
        job = jobs.popleft()
        if jobs:
            self._waiting[caller] = jobs  # behind the other callers
        self._running[job] = caller
        self._counts[caller] += 1
        return job

    def __len__(self) -> int:
        return len(self._running) + sum(map(len, self._waiting.values()))
