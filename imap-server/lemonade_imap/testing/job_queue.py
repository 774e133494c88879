"""A runner for the store whose jobs wait until a test carries them out, so that a test decides what overlaps."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any


class StoreJob:
    """One call of the store. Awaiting it yields the job to the caller of the coroutine, which goes on when it is done.

    The await then returns the call's result, or raises its exception.
    """

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._result: Any = None
        self._problem: Exception | None = None

    def __await__(self) -> Generator[StoreJob, None, Any]:
        yield self
        if self._problem is not None:
            raise self._problem
        return self._result

    def do(self) -> None:
        """Carry out the call."""
        try:
            self._result = self._call()
        except Exception as problem:
            self._problem = problem


class JobQueue:
    """A `StoreRunner` that keeps its calls in `jobs`, in their order."""

    def __init__(self) -> None:
        self.jobs: list[StoreJob] = []

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> StoreJob:  # noqa: ANN401  a `StoreRunner`
        """Add a call to the queue."""
        self.jobs.append(StoreJob(partial(function, *args, **kwargs)))
        return self.jobs[-1]

    def call_in_turn(self, whose: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> StoreJob:  # noqa: ANN401  the same
        """Add a call to the queue, as `call` does."""
        del whose
        return self.call(function, *args, **kwargs)

    def work(self) -> StoreJob:
        """Carry out the oldest job and return it; raises IndexError if none waits."""
        job = self.jobs.pop(0)
        job.do()
        return job
