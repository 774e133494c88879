"""Writes the errors that a node's program does not handle to standard error, without the secrets in their texts."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType
from typing import Any

from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogBeginner
from twisted.python.failure import Failure

from lemonade_wire.redaction import Redactor


def report_failures(redactor: Redactor) -> None:
    """Redact from now on what Twisted logs of level `critical`, and the traceback with which the process ends.

    The texts of exceptions may repeat what a peer sent. To be called once in a process, before the reactor runs.
    """

    def observe(event: LogEvent) -> None:
        if event.get("log_level") is not LogLevel.critical:
            return
        failure = event.get("log_failure")
        told = failure.getTraceback() if isinstance(failure, Failure) else ""
        sys.stderr.write(redactor.text(f"{formatEvent(event)}\n{told}"))
        sys.stderr.flush()

    def end(kind: type[BaseException], problem: BaseException, place: TracebackType | None) -> None:
        sys.stderr.write(redactor.text("".join(traceback.format_exception(kind, problem, place))))

    observers: Any = [observe]  # Twisted's interfaces are zope's: a function is an observer, which mypy cannot know
    globalLogBeginner.beginLoggingTo(observers, redirectStandardIO=False, discardBuffer=True)
    sys.excepthook = end
