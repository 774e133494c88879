"""Where the store's work is done: `Runner` is what the service asks for, `InlineRunner` does it at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Runner(Protocol):
    """Runs synchronous work of the store, one piece at a time and in the order it was asked for."""

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Return an awaitable of the function's result; what it raises is raised where it is awaited."""
        ...


class InlineRunner:
    """Runs the work in the caller's thread before the awaitable is returned to: no reactor is needed."""

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function now."""
        return function(*args, **kwargs)
