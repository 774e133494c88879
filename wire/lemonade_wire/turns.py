"""Shares the time of a reactor between peers: work goes on in turns, which are bounded and which the peers take fairly.

Work is counted in octets that are read: one stands for about half a microsecond. No clock is read.
"""

from __future__ import annotations

import gc
import sys
from collections import OrderedDict, deque
from collections.abc import Callable
from heapq import heappop, heappush

TURN = 16_384
"""Work of one turn of the reactor, after which other descriptors and timers are served: about 10 ms."""
_MOST_REMEMBERED = 1000
_SWITCH = 0.001
Job = Callable[[], None]


def prepare_thread() -> None:
    """Let the reactor's thread wait less for the other threads of its process.

    A thread that runs Python gives way after 1 ms instead of 5, and the garbage collector, which stops all threads, no
    longer looks at the objects that exist already.
    """
    sys.setswitchinterval(_SWITCH)
    gc.collect()
    gc.freeze()


class TurnQueue:
    """Jobs that wait for a turn. `later` calls a function in the next turn of the reactor.

    A job belongs to a group, such as an account, and within it to a name, such as an address. The group that has had
    the least work done is next, as in start-time fair queueing: one that was idle waits for the job that is being done,
    however many jobs the others have. The names of a group take turns. Beyond `most` jobs of a group that wait, and
    beyond `most_in_all`, new ones are refused; the first job of a group is refused beyond twice `most_in_all`.
    """

    def __init__(
        self,
        later: Callable[[Job], object],
        *,
        turn: int = TURN,
        most: int | None = None,
        most_in_all: int | None = None,
    ) -> None:
        self._later = later
        self._turn = turn
        self._most = most
        self._most_in_all = most_in_all
        self._waiting = 0
        self._left = turn
        self._asked = False
        self._groups: dict[str, OrderedDict[str, deque[Job]]] = {}
        self._counts: dict[str, int] = {}
        self._order: list[tuple[int, int, str]] = []
        self._ordered: set[str] = set()
        self._serial = 0
        # The virtual time is the work of the group that has had least; a group that was idle begins at it.
        self._time = 0
        self._done: dict[str, int] = {}

    @property
    def free(self) -> bool:
        """Whether more work may be done in this turn, and no job waits."""
        return self._left > 0 and not self._order

    def spend(self, group: str, work: int) -> None:
        """Count work that was done in this turn for a group."""
        self._left -= work
        self._done[group] = self._start_of(group) + work
        if len(self._done) > _MOST_REMEMBERED:
            self._done = {group: done for group, done in self._done.items() if done > self._time}
        self._ask()

    def wait(self, group: str, name: str, job: Job) -> bool:
        """Have a job done when its turn comes; returns False, and forgets the job, if too many wait."""
        count = self._counts.get(group, 0)
        if self._most is not None and count >= self._most:
            return False
        if self._most_in_all is not None and self._waiting >= self._most_in_all * (1 if count else 2):
            return False
        self._waiting += 1
        self._counts[group] = count + 1
        self._groups.setdefault(group, OrderedDict()).setdefault(name, deque()).append(job)
        self._put_in_order(group)
        self._ask()
        return True

    def _start_of(self, group: str) -> int:
        return max(self._time, self._done.get(group, 0))

    def _put_in_order(self, group: str) -> None:
        if group in self._groups and group not in self._ordered:
            self._serial += 1
            self._ordered.add(group)
            heappush(self._order, (self._start_of(group), self._serial, group))

    def _ask(self) -> None:
        if not self._asked:
            self._asked = True
            self._later(self._begin)

    def _begin(self) -> None:
        """Begin a turn of the reactor: do waiting jobs until the work of the turn is done."""
        self._asked = False
        self._left = self._turn
        while self._order and self._left > 0:
            start, _, group = heappop(self._order)
            self._ordered.discard(group)
            self._time = max(self._time, start)
            job = self._take(group)
            self.spend(group, 1)
            try:
                job()
            finally:
                self._put_in_order(group)
        if self._order:
            self._ask()
        else:
            self._done.clear()  # nothing waited, so that no group has had work done at the cost of another

    def _take(self, group: str) -> Job:
        """Remove a job of the name in the group whose turn it is."""
        names = self._groups[group]
        name, jobs = names.popitem(last=False)
        job = jobs.popleft()
        self._counts[group] -= 1
        self._waiting -= 1
        if jobs:
            names[name] = jobs
        if not names:
            del self._groups[group], self._counts[group]
        return job
