"""The MSCML requests and keys of one call: the running request, the waiting ones, the keys that none has used yet."""

from __future__ import annotations

import math
from collections import deque
from pathlib import Path

from lemonade_media.model.actions import Accept, Action, RecordingEnd, Respond
from lemonade_media.model.failures import Failure
from lemonade_media.services.ivr.collect import MAX_DIGITS, CollectTask
from lemonade_media.services.ivr.leg import Doing, Leg
from lemonade_media.services.ivr.prompt import Phase
from lemonade_media.services.ivr.record import RecordTask
from lemonade_media.services.ivr.task import Buffer, Task
from lemonade_wire.mscml.messages import (
    Command,
    ConfigureLeg,
    MscmlResponse,
    PlayCollectRequest,
    PlayRecordRequest,
    PlayRequest,
    Request,
    StopRequest,
    Unsupported,
)

KEY_MS = 100.0
"""The duration of a key press, in ms, if the key's report does not give it."""
_Running = PlayRequest | PlayCollectRequest | PlayRecordRequest


class IvrSession:
    """The IVR service of one call. Its methods return actions, in the order in which to carry them out.

    `recordings` is the folder below which `<playrecord>` writes; None: recording is refused. Requests run one at a time
    (RFC 5022 section 6): a new one stops the running one.
    """

    def __init__(self, recordings: Path | None = None) -> None:
        self._recordings = recordings
        self._task: Task | None = None
        self._queue: list[_Running | StopRequest] = []
        self._buffer: Buffer = deque(maxlen=MAX_DIGITS)
        self._leg = Leg()
        self._doing: Doing = ("idle", 0.0)
        self._closed = False

    @property
    def phase(self) -> Phase | None:
        """The phase of the running request; None if no request runs."""
        return self._task.phase if self._task else None

    def start(self, now: float) -> list[Action]:
        """Answer the INVITE at once: it negotiates codecs, and plays nothing (LS-2.7-2)."""
        self._doing = "idle", now
        return [Accept()]

    def confirmed(self, now: float) -> list[Action]:
        """Do nothing at the ACK: the service waits for the first request."""
        return []

    def receive(self, request: Request, now: float) -> list[Action]:
        """Handle an MSCML request, whose INFO is already answered with 200.

        The running request is stopped, and its response is sent before. `<configure_leg>` and requests that are not
        supported are answered at once, and do not stop it.
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
        """Handle that the content of the last FetchMedia was fetched; it plays for `length_ms`."""
        return self._settle(self._task.media_fetched(length_ms, now) if self._task else [], now)

    def fetch_failed(self, failure: Failure, now: float) -> list[Action]:
        """Handle that the last FetchMedia failed."""
        return self._settle(self._task.fetch_failed(failure, now) if self._task else [], now)

    def playing_ended(self, played_ms: float, offset_ms: float, now: float) -> list[Action]:
        """Handle that the playing ended: it sent `played_ms` of sound, and stopped at `offset_ms` in the content."""
        return self._settle(self._task.playing_ended(played_ms, offset_ms, now) if self._task else [], now)

    def recording_ended(self, recorded_ms: float, octets: int, why: RecordingEnd, now: float) -> list[Action]:
        """Handle that the recording ended: its length in ms, the size of its file in octets, and the reason."""
        return self._settle(self._task.recording_ended(recorded_ms, octets, why, now) if self._task else [], now)

    def key(self, digit: str, now: float, held_ms: float = KEY_MS) -> list[Action]:
        """Handle a key press that came by INFO or by RTP (RFC 4733), held for `held_ms`."""
        if self._closed:
            return []
        press = self._leg.press(digit, held_ms, now)
        told = self._leg.tell(press, press.methods, self._doing, now)
        if self._task is None:
            self._buffer.append(press)
            return told
        return self._settle(told + self._task.key(press, now), now)

    def key_released(self, digit: str, now: float) -> list[Action]:
        """Handle the release of a key whose press came by RTP (RFC 4733): only now is it known how long it was held."""
        press = self._leg.release(digit, now)
        if self._closed or press is None:
            return []
        told = self._leg.tell(press, ("long",), self._doing, now)
        return self._settle(told + (self._task.lengthened(press, now) if self._task else []), now)

    def stop(self, now: float) -> list[Action]:
        """Stop the running request as `<stop>` does, but without a response to a `<stop>`.

        A re-INVITE that changes the session has this effect (RFC 5022 section 6).
        """
        return self._settle(self._task.finish("stopped", now) if self._task else [], now)

    def close(self) -> list[Action]:
        """Handle the end of the call: stop what runs; no response is sent any more."""
        task, self._task, self._closed = self._task, None, True
        self._queue.clear()
        return task.close() if task else []

    def next_timer(self) -> float | None:
        """Return the time at which `handle_timer` must be called; None if no timer runs."""
        due = self._task.next_timer() if self._task else math.inf
        return due if math.isfinite(due) else None

    def handle_timer(self, now: float) -> list[Action]:
        """Handle an expired timer of the collection of digits."""
        return self._settle(self._task.handle_timer(now) if self._task else [], now)

    def _settle(self, actions: list[Action], now: float) -> list[Action]:
        """Add the response of a request that is over to the actions, and start the next request."""
        while self._task is None or self._task.response is not None:
            if self._task is not None and self._task.response is not None:
                actions = [*actions, Respond(self._task.response)]
                self._task = None
            if not self._queue:
                break
            request = self._queue.pop(0)
            if isinstance(request, StopRequest):
                actions = [*actions, Respond(MscmlResponse("stop", id=request.id))]
                continue
            self._task = self._task_for(request)
            # A request with others waiting behind it is stopped by them already, and is not started.
            actions = actions + (self._task.finish("stopped", now) if self._queue else self._task.begin(now))
        command: Command = self._task.phase.command if self._task else "idle"
        if command != self._doing[0]:
            self._doing = command, now
        return actions

    def _task_for(self, request: _Running) -> Task:
        match request:
            case PlayCollectRequest():
                return CollectTask(request, self._buffer)
            case PlayRecordRequest():
                return RecordTask(request, self._buffer, self._recordings)
            case _:
                return Task(request, self._buffer)


def _refusal(request: Unsupported) -> MscmlResponse:
    if request.name == "managecontent":
        # RFC 5022 section 8: a server that cannot carry it out responds 500, with the reason in error_info.
        why = "recordings are neither moved nor deleted by this server"
        return MscmlResponse(request.name, 500, "Server Error", request.id, why)
    return MscmlResponse(request.name, 501, "Not Implemented", request.id)
