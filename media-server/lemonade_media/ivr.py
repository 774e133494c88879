"""The IVR requests of one call (RFC 5022 section 6), sans-IO: requests, keys, media and time in, actions out.

One request runs at a time. A prompt is fetched, then played; the player is asked to seek or stop and says itself what
it played and where it stands, so that a response reports what was sent and not what was meant. Times are seconds for
`now` and milliseconds in MSCML. The phases of a request:

    fetching -> playing -> (pausing -> playing)* -> collecting -> response
    any phase -> (stopping: the player is asked to stop and has not yet said so) -> response
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from lemonade_media.digits import Collector
from lemonade_media.failures import Failure, FailureKind
from lemonade_media.service import (
    Accept,
    Action,
    CancelFetch,
    FetchMedia,
    RecordingEnd,
    Respond,
    SkipBy,
    StartPlaying,
    StopPlaying,
)
from lemonade_wire.mscml.request import Audio, Play, PlayCollect, Prompt, Request, Unsupported, request_name
from lemonade_wire.mscml.response import ErrorInfo, Response


class Phase(Enum):
    """Where the running request stands."""

    FETCHING = "fetching"
    PLAYING = "playing"
    PAUSING = "pausing"
    STOPPING = "stopping"
    COLLECTING = "collecting"


@dataclass
class _Run:
    """The running request."""

    request: Play | PlayCollect
    phase: Phase
    urls: list[str]  # still to be fetched; the first one is on its way
    collector: Collector
    fetched: list[str] = field(default_factory=list)
    length_ms: float = 0
    plays: int = 0
    played_ms: float = 0
    position_ms: float = 0
    resume_at: float = math.inf
    error_info: ErrorInfo | None = None
    then: Callable[[float], list[Action]] | None = field(default=None, repr=False)

    @property
    def prompt(self) -> Prompt:
        return self.request.prompt or Prompt(())


class IvrSession:
    """The requests, keys and prompts of one call. Each method returns what is to be done, in order."""

    def __init__(self) -> None:
        self._run: _Run | None = None
        self._queue: list[Request] = []
        self._buffer: list[str] = []
        self._closed = False

    @property
    def phase(self) -> Phase | None:
        """The phase of the running request; None: nothing runs."""
        return self._run.phase if self._run else None

    def start(self, now: float) -> list[Action]:
        """Answer the INVITE: it only agrees on codecs (LS-2.7-2)."""
        return [Accept()]

    def confirmed(self, now: float) -> list[Action]:
        """Wait for the first request."""
        return []

    def receive(self, request: Request, now: float) -> list[Action]:
        """Take a request whose INFO is already answered 200. A running one is stopped, its response first."""
        if self._closed:
            return []
        if isinstance(request, Unsupported):
            return [Respond(Response(request.name, 501, "Not Implemented", request.id))]
        self._queue.append(request)
        if self._run is None:
            return self._next(now)
        return [] if self._run.phase is Phase.STOPPING else self._finish("stopped", now)

    def media_fetched(self, length_ms: float, now: float) -> list[Action]:
        """Take note that the URL last asked for is here and plays so long."""
        run = self._run
        if run is None or run.phase is not Phase.FETCHING:
            return []
        run.length_ms += length_ms
        run.fetched.append(run.urls.pop(0))
        return self._fetch_or_play(run, now)

    def fetch_failed(self, failure: Failure, now: float) -> list[Action]:
        """Take note that the URL last asked for is not to be had."""
        run = self._run
        if run is None or run.phase is not Phase.FETCHING:
            return []
        run.error_info = failure.error_info(run.urls.pop(0))
        if run.prompt.stop_on_error or failure.kind in _NEVER_SILENT:
            return self._respond(run, failure.code, failure.text, None, now)
        return self._fetch_or_play(run, now)

    def playing_ended(self, played_ms: float, offset_ms: float, now: float) -> list[Action]:
        """Take note that the player stopped, at its end or when told: how much was sent, and where it stands."""
        run = self._run
        if run is None or run.phase not in {Phase.PLAYING, Phase.STOPPING}:
            return []
        run.played_ms += played_ms
        run.position_ms = offset_ms
        if run.then is not None:
            then, run.then = run.then, None
            return then(now)
        run.plays += 1
        if self._plays_left(run) and run.played_ms < run.prompt.duration_ms:
            run.phase, run.resume_at = Phase.PAUSING, now + run.prompt.delay_ms / 1000
            return self.handle_timer(now)
        return self._prompt_over(run, now)

    def key(self, digit: str, now: float) -> list[Action]:
        """Take a key press, from INFO or RFC 4733."""
        run = self._run
        if self._closed:
            return []
        if run is None or isinstance(run.request, Play) or run.phase is Phase.STOPPING:
            self._buffer.append(digit)
            return []
        request = run.request
        if run.phase is Phase.COLLECTING:
            return self._collect(run, digit, now)
        # The order of the tests is this project's reading: a seek key neither ends the prompt nor counts as a digit.
        if digit == request.ff_key:
            return self._skip(run, request.skip_interval_ms)
        if digit == request.rw_key:
            return self._skip(run, -request.skip_interval_ms)
        if digit == request.escape_key:
            return self._finish("escapekey", now)
        if digit == request.return_key:
            return self._finish("returnkey", now)
        self._buffer.append(digit)
        return self._end_prompt(run, lambda then: self._prompt_over(run, then), now) if request.barge else []

    def stop(self, now: float) -> list[Action]:
        """Stop what runs as if `<stop>` had come, without its own response: a re-INVITE does (RFC 5022 section 4.2)."""
        if self._run is None or self._run.phase is Phase.STOPPING:
            return []
        return self._finish("stopped", now)

    def recording_ended(self, recorded_ms: float, octets: int, why: RecordingEnd, now: float) -> list[Action]:
        """Do nothing: nothing is recorded."""
        return []

    def close(self) -> list[Action]:
        """The call is over: end everything, respond to nothing."""
        phase, self._run, self._closed = self.phase, None, True
        self._queue.clear()
        if phase is Phase.FETCHING:
            return [CancelFetch()]
        return [StopPlaying()] if phase in {Phase.PLAYING, Phase.STOPPING} else []

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is to be called; None: nothing to wait for."""
        run = self._run
        if run is None:
            return None
        due = {Phase.PAUSING: run.resume_at, Phase.COLLECTING: run.collector.deadline}.get(run.phase, math.inf)
        return due if math.isfinite(due) else None

    def handle_timer(self, now: float) -> list[Action]:
        """Do what is due: the next repetition of a prompt, or the end of waiting for digits."""
        run = self._run
        if run is None:
            return []
        if run.phase is Phase.PAUSING and now >= run.resume_at:
            return self._play(run, 0)
        if run.phase is Phase.COLLECTING and now >= run.collector.deadline:
            return self._finish(run.collector.on_deadline(), now)
        return []

    # -- from one phase to the next --------------------------------------------------------------------------------

    def _next(self, now: float) -> list[Action]:
        actions: list[Action] = []
        while self._run is None and self._queue:
            request = self._queue.pop(0)
            if isinstance(request, (Play, PlayCollect)):
                actions += self._start(request, now)
                if self._queue and self._run is not None and self._run.phase is not Phase.STOPPING:
                    actions += self._finish("stopped", now)
            else:
                actions.append(Respond(Response(request_name(request), id=request.id)))
        return actions

    def _start(self, request: Play | PlayCollect, now: float) -> list[Action]:
        prompt = request.prompt or Prompt(())
        collect = request if isinstance(request, PlayCollect) else PlayCollect()
        urls = [item.url for item in prompt.items if isinstance(item, Audio)]
        run = self._run = _Run(request, Phase.FETCHING, urls, Collector(collect))
        if len(urls) != len(prompt.items):
            refusal = Failure(FailureKind.NOT_IMPLEMENTED, "a prompt with variables is not played")
            return self._respond(run, refusal.code, refusal.text, None, now)
        if isinstance(request, PlayCollect) and (request.clear_digits or not request.barge):
            self._buffer.clear()
        if isinstance(request, PlayCollect) and self._buffer:
            return self._prompt_over(run, now)  # type-ahead ends the prompt before it begins
        return self._fetch_or_play(run, now)

    def _fetch_or_play(self, run: _Run, now: float) -> list[Action]:
        prompt = run.prompt
        if run.urls and prompt.repeat != 0 and prompt.duration_ms > 0:
            return [FetchMedia(run.urls[0])]
        if not run.length_ms:
            return self._prompt_over(run, now)
        return self._play(run, prompt.offset_ms % run.length_ms)  # an offset past the end wraps

    def _play(self, run: _Run, offset_ms: float) -> list[Action]:
        run.phase = Phase.PLAYING
        left = run.prompt.duration_ms - run.played_ms
        limit_ms = round(left) if math.isfinite(left) else None
        return [StartPlaying(tuple(run.fetched), round(offset_ms), limit_ms)]

    def _plays_left(self, run: _Run) -> bool:
        return run.prompt.repeat is None or run.plays < run.prompt.repeat

    def _skip(self, run: _Run, by_ms: float) -> list[Action]:
        return [SkipBy(round(by_ms))] if run.phase is Phase.PLAYING else []

    def _prompt_over(self, run: _Run, now: float) -> list[Action]:
        if isinstance(run.request, Play):
            return self._respond(run, 200, "OK", "EOF", now)
        run.phase = Phase.COLLECTING
        run.collector.begin(now)
        actions: list[Action] = []
        while self._buffer and self._run is run:
            actions += self._collect(run, self._buffer.pop(0), now)
        return actions + (self.handle_timer(now) if self._run is run else [])

    def _collect(self, run: _Run, digit: str, now: float) -> list[Action]:
        reason = run.collector.digit(digit, now)
        return self._finish(reason, now) if reason else self.handle_timer(now)

    def _end_prompt(self, run: _Run, then: Callable[[float], list[Action]], now: float) -> list[Action]:
        """Leave the prompt phase: at once, or when the player has said what it played."""
        if run.phase is Phase.PLAYING:
            run.phase, run.then = Phase.STOPPING, then
            return [StopPlaying()]
        fetching: Sequence[Action] = [CancelFetch()] if run.phase is Phase.FETCHING else []
        return [*fetching, *then(now)]

    def _finish(self, reason: str, now: float) -> list[Action]:
        run = self._run
        if run is None:
            return []
        return self._end_prompt(run, lambda then: self._respond(run, 200, "OK", reason, then), now)

    def _respond(self, run: _Run, code: int, text: str, reason: str | None, now: float) -> list[Action]:
        self._run = None
        collects = isinstance(run.request, PlayCollect)
        response = Response(
            request=request_name(run.request),
            code=code,
            text=text,
            id=run.request.id,
            reason=reason,
            play_duration_ms=run.played_ms,
            play_offset_ms=run.position_ms,
            # An escape discards the digits (RFC 5022 section 6.2).
            digits=("" if reason == "escapekey" else run.collector.digits) if collects else None,
            name=run.collector.pattern_name if reason == "match" else None,
            error_info=run.error_info,
        )
        return [Respond(response), *self._next(now)]


# No codec or no support is told in any case (LS-2.6-6): without an answer a caller would wait for sound.
_NEVER_SILENT = frozenset({FailureKind.NO_COMMON_CODEC, FailureKind.NOT_IMPLEMENTED})
