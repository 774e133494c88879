"""One timer for all connections: it looks at each when the first of them may be due."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime

_LEAST_WAIT = 1.0
"""Seconds between two looks, at least."""


class Watched(Protocol):
    """What ends when its time has come; times are the reactor's seconds."""

    def due(self) -> tuple[float, bytes]:
        """Return when it ends unless something happens, and its last words then."""
        ...

    def end(self, last_words: bytes) -> None:
        """Its time is over."""
        ...


class Watch:
    """Ends what is due among `watched`, which others add to and take from."""

    def __init__(self, reactor: IReactorTime, watched: Collection[Watched]) -> None:
        self._reactor: Any = reactor
        self._watched = watched
        self._look: Any = None

    def expect(self, due: float) -> None:
        """Something may be due at this time: look then, if not before. What is put off needs no word."""
        wait = max(due - self._reactor.seconds(), _LEAST_WAIT)
        if self._look is None:
            self._look = self._reactor.callLater(wait, self._look_at_all)
        elif self._look.getTime() > self._reactor.seconds() + wait:
            self._look.reset(wait)

    def stop(self) -> None:
        """Nothing is watched any more."""
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _look_at_all(self) -> None:
        self._look = None
        now = self._reactor.seconds()
        for one in list(self._watched):
            due, last_words = one.due()
            if due <= now:
                one.end(last_words)
        if self._watched:
            self.expect(min(one.due()[0] for one in self._watched))
