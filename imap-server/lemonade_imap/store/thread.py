"""The one thread on which SQLite and fsync live, so that the reactor never waits for a disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, ParamSpec, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

P = ParamSpec("P")
T = TypeVar("T")
_TOGETHER = 64
_Job = tuple[Deferred[Any], Callable[[], Any]]


class Commits(Protocol):
    """What lets changes wait for each other: `store.transactions.Transactions` does."""

    @property
    def pending(self) -> bool:
        """Whether a change waits for `release`."""
        ...

    def hold(self) -> None:
        """Let changes wait from now on."""
        ...

    def release(self) -> None:
        """Make all that wait durable; what it raises has happened to all of them."""
        ...


class StoreThread:
    """A `Runner` on a thread of its own: calls are carried out in the order they were made.

    With `commits`, calls that wait for the thread at the same time share a commit; none is answered before it.
    """

    def __init__(self, reactor: IReactorFromThreads, commits: Commits | None = None) -> None:
        self._reactor = reactor
        self._commits = commits
        self._waiting: SimpleQueue[_Job | None] = SimpleQueue()
        self._ended = False
        self._thread = Thread(target=self._work, name="store", daemon=True)
        self._thread.start()

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Run the function on the store's thread; the Deferred fires in the reactor's."""
        done: Deferred[T] = Deferred()
        self._waiting.put((done, partial(function, *args, **kwargs)))
        return done

    def stop(self) -> None:
        """Finish what was asked for and end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while not self._ended:
            self._work_together(self._batch())

    def _batch(self) -> Iterator[_Job]:
        """Yield the next job when it comes, and those that wait behind it."""
        try:
            job = self._waiting.get()
            for _ in range(_TOGETHER):
                if job is None:
                    self._ended = True
                    return
                yield job
                job = self._waiting.get_nowait()
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
    """Return what is being handled."""
    return Failure()  # type: ignore[no-untyped-call]  # Twisted types it not at all
