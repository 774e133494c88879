"""The requests and keys of one call: which one runs, which wait, what nobody has used yet."""

from __future__ import annotations

import math
from collections import deque
from pathlib import Path

from lemonade_media.failures import Failure
from lemonade_media.ivr.collect import CollectTask
from lemonade_media.ivr.digits import MAX_DIGITS
from lemonade_media.ivr.leg import Doing, Leg
from lemonade_media.ivr.phase import Phase
from lemonade_media.ivr.record import RecordTask
from lemonade_media.ivr.task import Buffer, Task
from lemonade_media.service import Accept, Action, RecordingEnd, Respond
from lemonade_wire.mscml.request import ConfigureLeg, Play, PlayCollect, PlayRecord, Request, Stop, Unsupported
from lemonade_wire.mscml.response import Command, Response

KEY_MS = 100.0
"""How long a key is held, where nobody says."""
_Running = Play | PlayCollect | PlayRecord


class IvrSession:
    """The requests, keys and prompts of one call. Each method returns what is to be done, in order.

    `recordings` is the folder of `<playrecord>`; None: nothing is recorded.
    """

    def __init__(self, recordings: Path | None = None) -> None:
        self._recordings = recordings
        self._task: Task | None = None
        self._queue: list[_Running | Stop] = []
        self._buffer: Buffer = deque(maxlen=MAX_DIGITS)
        self._leg = Leg()
        self._doing: Doing = ("idle", 0.0)
        self._closed = False

    @property
    def phase(self) -> Phase | None:
        """The phase of the running request; None: nothing runs."""
        return self._task.phase if self._task else None

    def start(self, now: float) -> list[Action]:
        """Answer the INVITE: it only agrees on codecs (LS-2.7-2)."""
        self._doing = "idle", now
        return [Accept()]

    def confirmed(self, now: float) -> list[Action]:
        """Wait for the first request."""
        return []

    def receive(self, request: Request, now: float) -> list[Action]:
        """Take a request whose INFO is already answered 200. A running one is stopped, its response first.

        What neither plays nor records disturbs nothing that does.
        """
        if self._closed:
            return []
        if isinstance(request, ConfigureLeg):
            return [Respond(self._leg.configure(request))]
        if isinstance(request, Unsupported):
            return [Respond(_refusal(request))]
        self._queue.append(request)
        return self._settle(self._task.finish("stopped", now) if self._task else [], now)

    def media_fetched(self, length_ms: float, now: float) -> list[Action]:
        """Take note that the URL last asked for is here and plays so long."""
        return self._settle(self._task.media_fetched(length_ms, now) if self._task else [], now)

    def fetch_failed(self, failure: Failure, now: float) -> list[Action]:
        """Take note that the URL last asked for is not to be had."""
        return self._settle(self._task.fetch_failed(failure, now) if self._task else [], now)

    def playing_ended(self, played_ms: float, offset_ms: float, now: float) -> list[Action]:
        """Take note that the player stopped, at its end or when told: how much was sent, and where it stands."""
        return self._settle(self._task.playing_ended(played_ms, offset_ms, now) if self._task else [], now)

    def recording_ended(self, recorded_ms: float, octets: int, why: RecordingEnd, now: float) -> list[Action]:
        """Take note that the recorder stopped: how long the recording is, how large its file, and what ended it."""
        return self._settle(self._task.recording_ended(recorded_ms, octets, why, now) if self._task else [], now)

    def key(self, digit: str, now: float, held_ms: float = KEY_MS) -> list[Action]:
        """Take a key press, from INFO or RFC 4733, and how long it was held, in milliseconds."""
        if self._closed:
            return []
        press = self._leg.press(digit, held_ms, now)
        told = self._leg.tell(press, press.methods, self._doing, now)
        if self._task is None:
            self._buffer.append(press)
            return told
        return self._settle(told + self._task.key(press, now), now)

    def key_released(self, digit: str, now: float) -> list[Action]:
        """Take note that a key is up again, of which `key` could not know how long it would be held (RFC 4733)."""
        press = self._leg.release(digit, now)
        if self._closed or press is None:
            return []
        told = self._leg.tell(press, ("long",), self._doing, now)
        return self._settle(told + (self._task.lengthened(press, now) if self._task else []), now)

    def stop(self, now: float) -> list[Action]:
        """Stop what runs as if `<stop>` had come, without its own response: a re-INVITE does (RFC 5022 section 6)."""
        return self._settle(self._task.finish("stopped", now) if self._task else [], now)

    def close(self) -> list[Action]:
        """The call is over: end everything, respond to nothing."""
        task, self._task, self._closed = self._task, None, True
        self._queue.clear()
        return task.close() if task else []

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is to be called; None: nothing to wait for."""
        due = self._task.next_timer() if self._task else math.inf
        return due if math.isfinite(due) else None

    def handle_timer(self, now: float) -> list[Action]:
        """Do what is due: the end of waiting for digits."""
        return self._settle(self._task.handle_timer(now) if self._task else [], now)

    def _settle(self, actions: list[Action], now: float) -> list[Action]:
        """Send the response of a request that is over, and begin the next."""
        while self._task is None or self._task.response is not None:
            if self._task is not None and self._task.response is not None:
                actions = [*actions, Respond(self._task.response)]
                self._task = None
            if not self._queue:
                break
            request = self._queue.pop(0)
            if isinstance(request, Stop):
                actions = [*actions, Respond(Response("stop", id=request.id))]
                continue
            self._task = self._task_for(request)
            # One that is stopped already, by those behind it, need not begin.
            actions = actions + (self._task.finish("stopped", now) if self._queue else self._task.begin(now))
        command: Command = self._task.phase.command if self._task else "idle"
        if command != self._doing[0]:
            self._doing = command, now
        return actions

    def _task_for(self, request: _Running) -> Task:
        match request:
            case PlayCollect():
                return CollectTask(request, self._buffer)
            case PlayRecord():
                return RecordTask(request, self._buffer, self._recordings)
            case _:
                return Task(request, self._buffer)


def _refusal(request: Unsupported) -> Response:
    if request.name == "managecontent":
        # RFC 5022 section 8: who cannot carry it out says 500, and why.
        why = "recordings are neither moved nor deleted by this server"
        return Response(request.name, 500, "Server Error", request.id, why)
    return Response(request.name, 501, "Not Implemented", request.id)
