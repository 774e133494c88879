"""Carries out recordings (Twisted): a timer for each recording that runs, and one thread that writes all files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from lemonade_media.faults.rtp import LOSES_SPEECH
from lemonade_media.model.actions import RecordingEnd
from lemonade_media.model.commands import RecordMedia
from lemonade_media.recording.file import RecordingFile
from lemonade_media.recording.recorder import RATE, CallRecorder
from lemonade_media.rtp.receiver import RtpReceiver
from lemonade_wire.faults import Fault
from lemonade_wire.trace import Trace

STUCK_SECONDS = 10.0
"""If a write takes longer, the disk is taken as stuck: recordings fail, and the end of the server does not wait."""
OnRecorded = Callable[[str, float, int, RecordingEnd], None]


class _Threads(ThreadPool):
    """A pool of daemon threads: the process can end while a thread waits for a stuck disk and cannot be joined."""

    def threadFactory(  # type: ignore[override]  # noqa: N802  Twisted's name, of a class there
        self,
        *words: Any,  # noqa: ANN401  what a thread takes
        **options: Any,  # noqa: ANN401
    ) -> Thread:
        return Thread(*words, daemon=True, **options)


@dataclass
class _Job:
    """A recording that runs. Only the thread uses `file`. `silent`: the end of the recording is not reported."""

    call: str
    caller: RtpReceiver
    recorder: CallRecorder
    file: RecordingFile | None = None
    timer: Any = None
    silent: bool = False


class RecordingEndpoint:
    """Records callers, and calls `on_recorded(call, recorded_ms, octets, why)` once at the end of each recording.

    If a call ends during a recording, the recording is kept, as if it was stopped: a caller may hang up after the
    message. A recording that ends for `first_silence_ms` leaves the file as it was. While the disk is stuck, recordings
    fail, so that at most `STUCK_SECONDS` of each wait in memory.
    """

    def __init__(
        self,
        reactor: Any,  # noqa: ANN401  a reactor is several interfaces at once
        trace: Trace,
        on_recorded: OnRecorded,
        fault: Fault | None = None,
    ) -> None:
        self._reactor = reactor
        self._lost_every = 10 if fault is LOSES_SPEECH else 0
        self._trace = trace
        self._on_recorded = on_recorded
        # The pool has one thread, so that the writes to a file are carried out in order.
        self._pool = _Threads(0, 1, "recordings")
        self._jobs: dict[str, _Job] = {}
        self._writing: dict[Deferred[Any], float] = {}  # the oldest first, and since when

    def start(self, command: RecordMedia, caller: RtpReceiver) -> None:
        """Start a recording of the sound that `caller` receives."""
        self.close(command.call)
        if not self._pool.started:
            self._pool.start()
        recorder = CallRecorder(
            self._reactor.seconds(),
            limit_ms=command.limit_ms,
            first_silence_ms=command.first_silence_ms,
            last_silence_ms=command.last_silence_ms,
            lost_every=self._lost_every,
        )
        job = self._jobs[command.call] = _Job(command.call, caller, recorder)
        self._trace.emit("media", state="recording", call=caller.label)
        if self._stuck:
            self._give_up(job)
            return
        caller.recorder = recorder

        def open_file() -> None:
            job.file = RecordingFile(command.path, append=command.append)

        self._write(job, open_file)
        self._look(job)

    def stop(self, call: str) -> None:
        """End a call's recording now; `on_recorded` is called once its file is written."""
        if (job := self._jobs.get(call)) is not None:
            job.recorder.stop(self._reactor.seconds())
            self._look(job)

    def close(self, call: str) -> None:
        """End a call's recording now, and write its file, without a call of `on_recorded`."""
        if (job := self._jobs.get(call)) is not None:
            job.silent = True
            self.stop(call)

    @property
    def busy(self) -> bool:
        """Whether a write is not finished yet."""
        return bool(self._writing)

    async def finish(self) -> None:
        """End all recordings and wait until they are written, for at most `STUCK_SECONDS`."""
        for call in list(self._jobs):
            self.close(call)
        over: Deferred[None] = Deferred()
        late = self._reactor.callLater(STUCK_SECONDS, over.callback, None)
        DeferredList(list(self._writing)).addBoth(lambda _: None if over.called else over.callback(None))
        await over
        if late.active():
            late.cancel()
        if self._pool.started and not self._writing:
            self._pool.stop()

    def _look(self, job: _Job) -> None:
        """Write the sound that is settled; then set the next timer, or end the recording."""
        if self._jobs.get(job.call) is not job:
            return
        if job.timer is not None and job.timer.active():
            job.timer.cancel()
        if self._stuck:
            self._give_up(job)
            self._write(job, lambda: job.file.discard() if job.file else None)
            return
        now, recorder = self._reactor.seconds(), job.recorder
        recorder.handle_timer(now)
        if octets := recorder.take():
            self._write(job, lambda: job.file.write(octets) if job.file else None)
        due = recorder.next_timer()
        if due is not None:
            job.timer = self._reactor.callLater(max(0.0, due - now), self._look, job)
        elif recorder.ended is not None:
            self._end(job, recorder.ended)

    @property
    def _stuck(self) -> bool:
        since = next(iter(self._writing.values()), None)
        return since is not None and self._reactor.seconds() - since > STUCK_SECONDS

    def _give_up(self, job: _Job) -> None:
        self._forget(job)
        # Reported by a later call: the core is still in the call that starts or stops this recording.
        self._reactor.callLater(0, self._tell, job, 0.0, 0, "error")

    def _end(self, job: _Job, why: RecordingEnd) -> None:
        self._forget(job)
        length = job.recorder.length

        def finish() -> int:
            if job.file is None:
                raise OSError("what was recorded could not be written")
            if why == "first-silence":
                job.file.discard()
                return 0
            return job.file.finish(length)

        self._write(job, finish, lambda octets: self._tell(job, length * 1000 / RATE, octets, why))

    def _write(self, job: _Job, action: Callable[[], Any], done: Callable[[Any], None] | None = None) -> None:
        """Run an action on the thread; if it raises OSError, the recording ends with the reason `error`."""

        def act() -> Any:  # noqa: ANN401  what the action returns
            try:
                return action()
            except OSError:
                job.file = None
                raise

        writing: Deferred[Any] = deferToThreadPool(self._reactor, self._pool, act)
        self._writing[writing] = self._reactor.seconds()

        def failed(failure: Failure) -> None:
            if not isinstance(failure.value, OSError):
                failure.raiseException()
            if self._jobs.get(job.call) is job or done is not None:
                self._forget(job)
                self._tell(job, 0.0, 0, "error")

        def over(result: Any) -> Any:  # noqa: ANN401  passed on as it is
            del self._writing[writing]
            return result

        writing.addCallbacks(done or (lambda _: None), failed)
        writing.addBoth(over)

    def _forget(self, job: _Job) -> None:
        self._jobs.pop(job.call, None)
        if job.caller.recorder is job.recorder:
            job.caller.recorder = None
        if job.timer is not None and job.timer.active():
            job.timer.cancel()

    def _tell(self, job: _Job, recorded_ms: float, octets: int, why: RecordingEnd) -> None:
        self._trace.emit(
            "media", state="recorded", call=job.caller.label, recorded_ms=round(recorded_ms), octets=octets, why=why
        )
        if not job.silent:
            self._on_recorded(job.call, recorded_ms, octets, why)
