"""Runs the store's synchronous methods on a thread of their own, or in the caller's thread for tests."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import chain
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, ParamSpec, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

P = ParamSpec("P")
T = TypeVar("T")
_TOGETHER = 64
_Job = tuple[Deferred[Any], Callable[[], Any]]


class StoreRunner(Protocol):
    """Runs synchronous functions one after another, in the order of the calls."""

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Return an awaitable of the function's result; an exception of the function is raised where it is awaited."""
        ...

    def call_in_turn(self, whose: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Do as `call` for a function that takes milliseconds: calls for other names in `whose` get turns between."""
        ...


class InlineRunner:
    """Runs each function in the caller's thread, so that no reactor is needed."""

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function as soon as the result is awaited."""
        return function(*args, **kwargs)

    def call_in_turn(self, whose: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Do as `call`."""
        del whose
        return self.call(function, *args, **kwargs)


class _Turn:
    """Stands in the queue of a StoreThread for the next call of `call_in_turn`."""


_TURN = _Turn()


class Commits(Protocol):
    """Delays commits so that several changes share one; `store.transactions.Transactions` implements it."""

    @property
    def pending(self) -> bool:
        """Whether a change waits for `release`."""
        ...

    def hold(self) -> None:
        """Delay the commits of changes from now on."""
        ...

    def release(self) -> None:
        """Commit all waiting changes; if it raises, none of them was made."""
        ...


class StoreThread:
    """A `StoreRunner` with its own thread, which carries out the calls in their order.

    Calls of `call_in_turn` wait beside that order: one of them is carried out each time that the calls in front of it
    are done, and the names in `whose` take turns. A call therefore waits for one of them at most, however many an
    account or an address has. With `commits`, calls that wait for the thread at the same time share one commit, and
    their Deferreds fire after it.
    """

    def __init__(self, reactor: IReactorFromThreads, commits: Commits | None = None) -> None:
        self._reactor = reactor
        self._commits = commits
        self._waiting: SimpleQueue[_Job | _Turn | None] = SimpleQueue()
        self._turns: OrderedDict[str, deque[_Job]] = OrderedDict()
        self._lock = Lock()
        self._ended = False
        self._thread = Thread(target=self._work, name="store", daemon=True)
        self._thread.start()

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Run the function on the store's thread; the Deferred fires in the reactor's thread."""
        done: Deferred[T] = Deferred()
        self._waiting.put((done, partial(function, *args, **kwargs)))
        return done

    def call_in_turn(self, whose: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Do as `call`, but wait for the turn of `whose`, an account or an address."""
        done: Deferred[T] = Deferred()
        with self._lock:
            alone = not self._turns
            self._turns.setdefault(whose, deque()).append((done, partial(function, *args, **kwargs)))
        if alone:
            self._waiting.put(_TURN)
        return done

    def _next_turn(self) -> _Job:
        """Take a call of the name whose turn it is; one more turn is put into the queue while calls are left."""
        with self._lock:
            whose, jobs = self._turns.popitem(last=False)
            job = jobs.popleft()
            if jobs:
                self._turns[whose] = jobs
            left = bool(self._turns)
        if left:
            self._waiting.put(_TURN)
        return job

    def stop(self) -> None:
        """Carry out the calls that wait, except those that wait for a turn, then end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while not self._ended:
            self._work_together(self._batch())

    def _batch(self) -> Iterator[_Job]:
        """Wait for the next job and yield it, then those that wait behind it, up to _TOGETHER more."""
        try:
            job = self._waiting.get()
            for _ in range(_TOGETHER):
                if job is None:
                    self._ended = True
                    return
                if isinstance(job, _Turn):
                    # The batch ends here: the changes of other sessions must not wait for a second long call.
                    yield self._next_turn()
                    return
                yield job
                job = self._waiting.get_nowait()
            if isinstance(job, _Turn):
                job = self._next_turn()
            self._ended = job is None
            if job is not None:
                yield job
        except Empty:
            return

    def _work_together(self, jobs: Iterator[_Job]) -> None:
        held: list[tuple[Deferred[Any], Any]] = []
        if self._commits is None:
            for done, function in jobs:
                self._answer(done, _result(function))
            return
        first = next(jobs, None)
        if first is None:
            return
        self._commits.hold()
        for done, function in chain([first], jobs):
            result = _result(function)
            if self._commits.pending:
                held.append((done, result))
            else:
                self._answer(done, result)
        try:
            self._commits.release()
        except Exception:
            failure = _failure()
            held = [(done, result if isinstance(result, Failure) else failure) for done, result in held]
        for done, result in held:
            self._answer(done, result)

    def _answer(self, done: Deferred[Any], result: Any) -> None:  # noqa: ANN401  whatever a call returns
        fire = done.errback if isinstance(result, Failure) else done.callback
        self._reactor.callFromThread(fire, result)


def _result(function: Callable[[], Any]) -> Any:  # noqa: ANN401  the same
    try:
        return function()
    except BaseException:
        return _failure()


def _failure() -> Failure:
    """Return the exception that is being handled as a Twisted Failure."""
    return Failure()  # type: ignore[no-untyped-call]  # Twisted types it not at all
