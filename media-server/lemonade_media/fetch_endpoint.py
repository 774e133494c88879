"""Fetches on Twisted: one connection per fetch, from the own address; decoding on a thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.threads import deferToThread

from lemonade_media.commands import StartFetch
from lemonade_media.config import MediaConfig
from lemonade_media.decode import EncodedMedia, MediaCache, MediaError, MediaPart
from lemonade_media.failures import Failure, FailureKind
from lemonade_media.fetch import FetchError, FetchPlan, fetch_url
from lemonade_media.provisioned import ProvisionedPlan, load
from lemonade_wire.faults import Fault
from lemonade_wire.imap.endpoint import ImapConnection, ImapConnectionError, ImapTimeoutError, connect
from lemonade_wire.trace import Trace

Outcome = EncodedMedia | Failure


@dataclass
class _Job:
    """A fetch under way; `dropped`: nobody waits for it any more."""

    connection: ImapConnection | None = None
    dropped: bool = False


class FetchEndpoint:
    """Carries out fetches; each outcome goes to `on_done` with the job's number, in the reactor's thread."""

    def __init__(
        self,
        reactor: Any,  # noqa: ANN401  a reactor is several interfaces at once
        config: MediaConfig,
        trace: Trace,
        on_done: Callable[[int, Outcome], None],
        *,
        bind: str | None = None,
        fault: Fault | None = None,
    ) -> None:
        self._reactor = reactor
        self._config = config
        self._trace = trace
        self._on_done = on_done
        self._bind = bind
        self._fault = fault
        self._cache = MediaCache(max_seconds=config.max_media_seconds)
        self._jobs: dict[int, _Job] = {}

    def start(self, command: StartFetch) -> Deferred[None]:
        """Begin a fetch; fires when it is reported."""
        job = self._jobs[command.job] = _Job()
        return ensureDeferred(self._run(command, job))

    def abort(self, number: int) -> None:
        """Give a fetch up: its connection is closed at once and nothing is reported."""
        if (job := self._jobs.pop(number, None)) is not None:
            job.dropped = True
            if job.connection is not None:
                job.connection.abort()

    def close(self) -> None:
        """Give all fetches up."""
        for number in list(self._jobs):
            self.abort(number)

    async def _run(self, command: StartFetch, job: _Job) -> None:
        outcome = await self._outcome(command, job)
        if not job.dropped:
            del self._jobs[command.job]
            self._on_done(command.job, outcome)

    async def _outcome(self, command: StartFetch, job: _Job) -> Outcome:
        try:
            kind = command.content_type.partition(";")[0].strip().lower()
            if isinstance(command.plan, ProvisionedPlan):
                octets = self._config.max_part_octets
                return await deferToThread(load, command.plan, kind, command.law, self._cache, octets)
            part = await self._part(command.plan, job)
            if kind:
                part = replace(part, content_type=kind)
            return await deferToThread(self._cache.encoded, part, command.law)
        except FetchError as problem:
            return problem.failure
        except MediaError as problem:
            return Failure(FailureKind.UNPLAYABLE, str(problem))
        except ImapTimeoutError as problem:
            return Failure(FailureKind.TIMED_OUT, str(problem))
        except ImapConnectionError as problem:
            lost = FailureKind.UNREACHABLE if job.connection is None else FailureKind.CONNECTION_LOST
            return Failure(lost, str(problem))

    async def _part(self, plan: FetchPlan, job: _Job) -> MediaPart:
        connection = job.connection = await connect(
            self._reactor,
            self._config.resolver.resolve(plan.host.strip("[]"), plan.port),
            self._trace,
            bind=self._bind,
            within=self._config.connect_seconds,
            max_literal=self._config.max_part_octets,
        )
        try:
            if job.dropped:
                raise ImapConnectionError("the fetch was given up")
            procedure = fetch_url(
                plan, connection.engine, self._config.identity, self._config.anonymous_trace, self._fault
            )
            command = next(procedure)
            while True:
                done = await connection.run(command, self._config.fetch_seconds)
                try:
                    command = procedure.send(done)
                except StopIteration as end:
                    part: MediaPart = end.value
                    return part
        finally:
            # LS-2.8-15: LOGOUT; the caller is not kept waiting for it.
            ensureDeferred(connection.close())
