"""Turns the signals that stop a command into an exception, so that all processes are stopped before it ends."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal asks the command to stop; `number` is the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP raise Interrupted, once; the old handlers are restored when the block ends."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        ignore_signals()
        raise Interrupted(number)

    before = {number: signal.signal(number, interrupt) for number in _STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """Ignore the signals that stop a command, so that a second Ctrl-C does not interrupt the stopping of the nodes.

    Stopping them takes a few seconds at most.
    """
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)
