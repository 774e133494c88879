"""Fetches on Twisted: connections as the pool orders them, from the own address; decoding on a thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.internet.threads import deferToThread

from lemonade_media.commands import StartFetch
from lemonade_media.config import MediaConfig
from lemonade_media.decode import EncodedMedia, MediaCache, MediaError, MediaPart
from lemonade_media.dialling import Dialler
from lemonade_media.entering import Steps, enter
from lemonade_media.failures import Failure, FailureKind, FetchError
from lemonade_media.faults import ConnectionPerFetch, NoLogout, VideoRefused
from lemonade_media.fetch import FetchPlan, fetch_part
from lemonade_media.pool import Entrance, Leave, Open, Order, Pool, TurnAway, Use
from lemonade_media.provisioned import ProvisionedPlan, load
from lemonade_wire.faults import Fault
from lemonade_wire.imap import command as commands
from lemonade_wire.imap.endpoint import (
    ImapConnection,
    ImapConnectionError,
    ImapTimeoutError,
    ImapTlsError,
    ImapTooLargeError,
)
from lemonade_wire.trace import Trace

T = TypeVar("T")
Outcome = EncodedMedia | Failure
_PARTING_SECONDS = 2.0


@dataclass
class _Job:
    """A fetch that somebody waits for, and the connection that carries it."""

    command: StartFetch
    reported: Deferred[None] = field(default_factory=Deferred)
    connection: int | None = None


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
        self._settings = config.imap
        self._on_done = on_done
        self._fault = fault
        self._dialler = Dialler(reactor, config.imap, config.resolver, trace, bind)
        self._cache = MediaCache(max_seconds=config.max_media_seconds)
        keeps = not isinstance(fault, ConnectionPerFetch)
        self._pool = Pool(config.imap.pool if keeps else replace(config.imap.pool, idle_seconds=0))
        self._jobs: dict[int, _Job] = {}
        self._connections: dict[int, ImapConnection] = {}
        self._timer: DelayedCall | None = None

    def start(self, command: StartFetch) -> Deferred[None]:
        """Begin a fetch; fires when it is reported."""
        job = self._jobs[command.job] = _Job(command)
        if isinstance(command.plan, ProvisionedPlan):
            ensureDeferred(self._load(job, command.plan))
        else:
            self._obey(self._pool.ask(command.job, _entrance(command.plan), self._reactor.seconds()))
        return job.reported

    def abort(self, number: int) -> None:
        """Give a fetch up: its connection is closed at once and nothing is reported."""
        if (job := self._jobs.pop(number, None)) is not None:
            self._pool.forget(number)
            if job.connection in self._connections:
                self._connections[job.connection].abort()
            job.reported.callback(None)

    async def close(self, within: float) -> None:
        """Give all fetches up and leave all servers, in so many seconds."""
        for number in list(self._jobs):
            self.abort(number)
        self._obey(self._pool.leave_all())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gone = [connection.gone() for connection in self._connections.values()]
        give_up = self._reactor.callLater(within, self._abort_all)
        await DeferredList(gone)
        if give_up.active():
            give_up.cancel()

    def _abort_all(self) -> None:
        for connection in list(self._connections.values()):
            connection.abort()

    # -- what the pool wants ---------------------------------------------------------------------------------------

    def _obey(self, orders: list[Order]) -> None:
        for order in orders:
            match order:
                case Open() | Use():
                    self._begin(order)
                case Leave(number):
                    self._leave(self._connections[number])
                case TurnAway(job) if job in self._jobs:
                    self._report(self._jobs[job], Failure(FailureKind.BUSY, "too many fetches are under way"))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (due := self._pool.next_timer()) is not None:
            self._timer = self._reactor.callLater(max(0.0, due - self._reactor.seconds()), self._ring)

    def _begin(self, order: Open | Use) -> None:
        now = self._reactor.seconds()
        match self._jobs.get(order.job):
            case _Job(command=StartFetch(plan=FetchPlan() as plan)) as job:
                ensureDeferred(self._carry(job, plan, order))
            case _ if isinstance(order, Open):  # given up since it was ordered
                self._obey(self._pool.gone(order.connection, now))
            case _:
                self._obey(self._pool.done(order.connection, now))

    def _ring(self) -> None:
        self._timer = None
        self._obey(self._pool.handle_timer(self._reactor.seconds()))

    def _gone(self, number: int) -> None:
        self._connections.pop(number, None)
        self._obey(self._pool.gone(number, self._reactor.seconds()))

    # -- one fetch -------------------------------------------------------------------------------------------------

    async def _load(self, job: _Job, plan: ProvisionedPlan) -> None:
        """Read and decode what is this server's own."""
        command, octets = job.command, self._settings.max_part_octets
        try:
            outcome: Outcome = await deferToThread(load, plan, _kind(command), command.law, self._cache, octets)
        except FetchError as problem:
            outcome = problem.failure
        except MediaError as problem:
            outcome = Failure(FailureKind.UNPLAYABLE, str(problem))
        self._report(job, outcome)

    async def _carry(self, job: _Job, plan: FetchPlan, order: Open | Use) -> None:
        """Carry a job out on a connection, which is made first or was kept."""
        lost = FailureKind.CONNECTION_LOST
        try:
            if isinstance(order, Open):
                lost = FailureKind.UNREACHABLE
                await self._open(order)
                lost = FailureKind.CONNECTION_LOST
            outcome: Outcome = await self._encoded(job, await self._part(job, plan.url, order))
        except FetchError as problem:
            outcome = problem.failure
        except MediaError as problem:
            outcome = Failure(FailureKind.UNPLAYABLE, str(problem))
        except ImapTlsError as problem:
            outcome = Failure(FailureKind.TLS_FAILED, str(problem))
        except ImapTooLargeError as problem:
            outcome = Failure(FailureKind.TOO_LARGE, str(problem))
        except ImapTimeoutError as problem:
            outcome = Failure(FailureKind.TIMED_OUT, str(problem))
        except ImapConnectionError as problem:
            if isinstance(order, Use) and self._wanted(job):
                # It was kept, and died meanwhile: servers restart, and lose patience.
                now = self._reactor.seconds()
                self._obey(self._pool.ask(job.command.job, _entrance(plan), now, fresh=True))
                return
            outcome = Failure(lost, str(problem))
        self._report(job, outcome)

    async def _open(self, order: Open) -> None:
        try:
            connection = await self._dialler.dial(order.entrance.host, order.entrance.port)
        except (FetchError, ImapConnectionError):
            self._obey(self._pool.gone(order.connection, self._reactor.seconds()))
            raise
        self._connections[order.connection] = connection
        connection.gone().addCallback(lambda _: self._gone(order.connection))

    async def _part(self, job: _Job, url: str, order: Open | Use) -> MediaPart:
        """Fetch the part; a connection that cannot be entered, or that nobody waits for any more, is left."""
        connection = self._connections.get(order.connection)
        if connection is None:
            raise ImapConnectionError("the IMAP connection ended at once")
        job.connection = order.connection
        deadline = self._reactor.seconds() + self._settings.fetch_seconds
        entered = isinstance(order, Use)
        try:
            if isinstance(order, Open) and self._wanted(job):
                identity = self._settings.identity if order.entrance.privileged else None
                steps = enter(connection.engine, self._settings, identity, self._fault)
                await self._run(connection, steps, deadline)
                entered = True
            if isinstance(order, Use) and order.doubtful:
                await self._probe(connection)
            if not self._wanted(job):
                raise ImapConnectionError("the fetch was given up")
            return await self._run(connection, fetch_part(url, self._settings, self._fault), deadline)
        finally:
            # LS-2.8-15: where it is LOGOUT that comes now, the caller is not kept waiting for it.
            job.connection = None
            if entered and not connection.closed:
                self._obey(self._pool.done(order.connection, self._reactor.seconds()))
            if not entered:
                self._leave(connection)

    async def _probe(self, connection: ImapConnection) -> None:
        """See that somebody is at the other end, whatever is answered; raises ImapConnectionError."""
        try:
            await connection.run(commands.noop(), self._settings.probe_seconds)
        except ImapTimeoutError as problem:
            raise ImapConnectionError(str(problem)) from problem

    def _leave(self, connection: ImapConnection) -> None:
        """End a connection as RFC 3501 wants it: with LOGOUT (LS-2.8-15)."""
        if isinstance(self._fault, NoLogout):
            connection.abort()
        else:
            ensureDeferred(connection.close(_PARTING_SECONDS))

    async def _run(self, connection: ImapConnection, steps: Steps[T], deadline: float) -> T:
        try:
            command = next(steps)
            while True:
                left = max(0.001, deadline - self._reactor.seconds())
                command = steps.send(await connection.run(command, left))
        except StopIteration as end:
            result: T = end.value
            return result

    async def _encoded(self, job: _Job, part: MediaPart) -> EncodedMedia:
        kind = _kind(job.command)
        if isinstance(self._fault, VideoRefused) and part.content_type.lower().startswith("video/"):
            raise MediaError("a video is not played")
        wanted = replace(part, content_type=kind) if kind else part
        return await deferToThread(self._cache.encoded, wanted, job.command.law)

    def _wanted(self, job: _Job) -> bool:
        return self._jobs.get(job.command.job) is job

    def _report(self, job: _Job, outcome: Outcome) -> None:
        if self._wanted(job):
            del self._jobs[job.command.job]
            self._on_done(job.command.job, outcome)
            job.reported.callback(None)


def _entrance(plan: FetchPlan) -> Entrance:
    return Entrance(plan.host, plan.port, plan.privileged)


def _kind(command: StartFetch) -> str:
    """Return the content type that overrides the part's own, or nothing."""
    return command.content_type.partition(";")[0].strip().lower()
