"""Carries out fetches (Twisted): it uses IMAP connections as the pool decides, and decodes by the decoding processes.

What takes time in proportion to a part, besides decoding, is done on a thread: reading files, hashing, writing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Protocol, TypeVar

from twisted.internet.base import DelayedCall
from twisted.internet.defer import CancelledError, Deferred, DeferredList, ensureDeferred
from twisted.internet.threads import deferToThread

from lemonade_media.decoding.decode import EncodedMedia, FetchedPart, Law, MediaError, decode, plan_reading
from lemonade_media.decoding.host import Host
from lemonade_media.decoding.pool import DecodedSound, DecoderPool, DecodersBusyError
from lemonade_media.decoding.settings import DecodeLimits
from lemonade_media.faults.imap import CONNECTION_PER_FETCH, NO_LOGOUT, TAGS_ALIKE, VIDEO_REFUSED
from lemonade_media.fetch.budget import PartBudget
from lemonade_media.fetch.cache import MediaCache, content_key
from lemonade_media.fetch.connector import ImapConnector
from lemonade_media.fetch.login import Steps, enter
from lemonade_media.fetch.pool import Entrance, Leave, Open, Order, Pool, TurnAway, Use
from lemonade_media.fetch.provisioned import find_pieces, join_pieces, read_piece
from lemonade_media.fetch.settings import ImapSettings
from lemonade_media.fetch.urlfetch import fetch_part
from lemonade_media.model.commands import StartFetch
from lemonade_media.model.failures import Failure, FailureKind, FetchError
from lemonade_media.model.plans import FetchPlan, ProvisionedPlan
from lemonade_wire.address import Resolver
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
_PARTING_SECONDS = 2.0  # how long a connection waits for the response to LOGOUT before it is closed


@dataclass
class _Job:
    """A fetch that is not reported yet: the number of its present connection, and its decoding (None: it has none)."""

    command: StartFetch
    reported: Deferred[None] = field(default_factory=Deferred)
    connection: int | None = None
    decoding: Deferred[DecodedSound] | None = None
    crowded: bool = False  # the parts of other fetches leave no memory for its part


class FetchSettings(Protocol):
    """The settings of the media server that fetches follow; `MediaConfig` describes them."""

    @property
    def imap(self) -> ImapSettings:
        """The IMAP servers that are allowed, and the limits of fetches."""
        ...

    @property
    def resolver(self) -> Resolver:
        """The addresses of host names."""
        ...

    @property
    def decoding(self) -> DecodeLimits:
        """The limits of the decoding processes."""
        ...

    @property
    def max_media_seconds(self) -> float:
        """The longest playing length of a part, in seconds."""
        ...


class FetchEndpoint:
    """Carries out fetches, and calls `on_done(job, outcome)` for each in the reactor's thread.

    The outcome is the encoded content or the failure. `bind` is the local address of IMAP connections (None: any).
    `host` is the host of the decoding processes (None: it is started when it is needed).
    """

    def __init__(
        self,
        reactor: Any,  # noqa: ANN401  a reactor is several interfaces at once
        config: FetchSettings,
        trace: Trace,
        on_done: Callable[[int, Outcome], None],
        *,
        bind: str | None = None,
        fault: Fault | None = None,
        host: Host | None = None,
    ) -> None:
        self._reactor = reactor
        self._settings = config.imap
        self._on_done = on_done
        self._fault = fault
        self._dialler = ImapConnector(reactor, config.imap, config.resolver, trace, bind)
        self._budget = PartBudget(config.imap.max_octets)
        self._cache = MediaCache()
        self._max_seconds = config.max_media_seconds
        self._decoders = DecoderPool(
            reactor, config.decoding, host, lambda text: trace.emit("log", level="warning", text=text)
        )
        keeps = fault is not CONNECTION_PER_FETCH
        self._pool = Pool(config.imap.pool if keeps else replace(config.imap.pool, idle_seconds=0))
        self._jobs: dict[int, _Job] = {}
        self._connections: dict[int, ImapConnection] = {}
        self._timer: DelayedCall | None = None

    def prepare(self) -> None:
        """Start the decoding processes, so that no fetch waits for their start."""
        self._decoders.start()

    def start(self, command: StartFetch) -> Deferred[None]:
        """Start a fetch; the Deferred fires once it is reported or aborted."""
        job = self._jobs[command.job] = _Job(command)
        if isinstance(command.plan, ProvisionedPlan):
            ensureDeferred(self._load(job, command.plan))
        else:
            self._obey(self._pool.ask(command.job, _entrance(command.plan), self._reactor.seconds()))
        return job.reported

    def abort(self, number: int) -> None:
        """Abort a fetch: its connection and its decoding end at once, and `on_done` is not called."""
        if (job := self._jobs.pop(number, None)) is not None:
            self._budget.release(number)
            self._pool.forget(number)
            if job.decoding is not None:
                job.decoding.cancel()
            if job.connection in self._connections:
                self._connections[job.connection].abort()
            job.reported.callback(None)

    async def close(self, within: float) -> None:
        """Abort all fetches and log out from all servers; after `within` seconds connections are closed at once."""
        for number in list(self._jobs):
            self.abort(number)
        self._decoders.close()
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

    # -- orders of the pool ----------------------------------------------------------------------------------------

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
            case _ if isinstance(order, Open):  # the fetch was aborted after the pool gave this order
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
        """Read, decode and report provisioned content."""
        command, octets = job.command, self._settings.max_part_octets
        try:
            media = []
            for path, suffix in await deferToThread(find_pieces, plan):
                part = await deferToThread(read_piece, path, suffix, _kind(command), octets)
                if not self._reserve(job, len(part.octets)):
                    raise FetchError(FailureKind.BUSY, "too many parts are in memory")
                media.append(await self._decoded(job, part))
                self._budget.release(command.job)
            outcome: Outcome = join_pieces(media, command.law, octets) if len(media) > 1 else media[0]
        except (FetchError, MediaError, DecodersBusyError) as problem:
            outcome = _failure_of(problem)
        except CancelledError:
            return
        self._report(job, outcome)

    async def _carry(self, job: _Job, plan: FetchPlan, order: Open | Use) -> None:
        """Carry out a fetch on a new connection (Open) or a kept one (Use), and report its outcome."""
        lost = FailureKind.CONNECTION_LOST
        try:
            if isinstance(order, Open):
                lost = FailureKind.UNREACHABLE
                await self._open(order)
                lost = FailureKind.CONNECTION_LOST
            outcome: Outcome = await self._decoded(job, self._labelled(job, await self._part(job, plan.url, order)))
        except (FetchError, MediaError, DecodersBusyError) as problem:
            outcome = _failure_of(problem)
        except CancelledError:
            return  # the fetch was aborted during its decoding
        except ImapTlsError as problem:
            outcome = Failure(FailureKind.TLS_FAILED, str(problem))
        except ImapTooLargeError as problem:
            outcome = Failure(FailureKind.TOO_LARGE, str(problem))
        except ImapTimeoutError as problem:
            outcome = Failure(FailureKind.TIMED_OUT, str(problem))
        except ImapConnectionError as problem:
            if isinstance(order, Use) and self._wanted(job):
                # A kept connection can be closed while it is idle, by a restart or a timeout of the server: the fetch
                # is tried once more, on a new connection.
                self._budget.release(job.command.job)
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

    async def _part(self, job: _Job, url: str, order: Open | Use) -> FetchedPart:
        """Log in on a new connection and fetch the part; raises FetchError or ImapConnectionError.

        A connection whose login fails is closed. One that is logged in goes back to the pool.
        """
        connection = self._connections.get(order.connection)
        if connection is None:
            raise ImapConnectionError("the IMAP connection ended at once")
        job.connection = order.connection
        deadline = self._reactor.seconds() + self._settings.fetch_seconds
        entered = isinstance(order, Use)
        connection.engine.reserve = lambda octets: self._reserve(job, octets)
        connection.engine.reuses_tags = self._fault is TAGS_ALIKE
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
            # LS-2.8-15: the pool may order LOGOUT now; the outcome is reported without a wait for its response.
            job.connection = None
            connection.engine.reserve = None
            if entered and not connection.closed:
                self._obey(self._pool.done(order.connection, self._reactor.seconds()))
            if not entered:
                self._leave(connection)

    async def _probe(self, connection: ImapConnection) -> None:
        """Send NOOP and wait for any response, to find out that the server is there; raises ImapConnectionError."""
        try:
            await connection.run(commands.noop(), self._settings.probe_seconds)
        except ImapTimeoutError as problem:
            raise ImapConnectionError(str(problem)) from problem

    def _leave(self, connection: ImapConnection) -> None:
        """End a connection with LOGOUT (RFC 3501 section 6.1.3, LS-2.8-15)."""
        if self._fault is NO_LOGOUT:
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

    def _labelled(self, job: _Job, part: FetchedPart) -> FetchedPart:
        """Return the part with the content type that the request gives, if any; raises MediaError for a fault."""
        kind = _kind(job.command)
        if self._fault is VIDEO_REFUSED and part.content_type.lower().startswith("video/"):
            raise MediaError("a video is not played")
        return replace(part, content_type=kind) if kind else part

    def _reserve(self, job: _Job, octets: int) -> bool:
        """Reserve memory for a part of a fetch; if there is too little, the fetch fails as one that comes too early."""
        if self._wanted(job) and not self._budget.reserve(job.command.job, octets):
            job.crowded = True
        return self._wanted(job) and not job.crowded

    async def _decoded(self, job: _Job, part: FetchedPart) -> EncodedMedia:
        """Return a part's sound; raises MediaError, DecodersBusyError, or CancelledError if the fetch was aborted."""
        law = job.command.law
        key = await deferToThread(content_key, part, law)
        if (known := self._cache.find(key)) is not None:
            return known
        reading = plan_reading(part)
        if reading is None:
            octets = await deferToThread(_encode_raw, part, law, self._max_seconds)
            return self._cache.keep(EncodedMedia(law, octets, key))
        with await deferToThread(_stored, part) as file:
            del part  # the file holds the octets from now on
            if not self._wanted(job):
                raise CancelledError
            job.decoding = self._decoders.decode(file.fileno(), reading, law, self._max_seconds, job.command.caller)
            try:
                sound = await job.decoding
            finally:
                job.decoding = None
        return self._cache.keep(EncodedMedia(law, sound.octets, key, sound.unreadable))

    def _wanted(self, job: _Job) -> bool:
        return self._jobs.get(job.command.job) is job

    def _report(self, job: _Job, outcome: Outcome) -> None:
        if self._wanted(job):
            del self._jobs[job.command.job]
            self._budget.release(job.command.job)
            if job.crowded:
                outcome = Failure(FailureKind.BUSY, "too many parts are in memory")
            self._on_done(job.command.job, outcome)
            job.reported.callback(None)


def _failure_of(problem: FetchError | MediaError | DecodersBusyError) -> Failure:
    """Return the failure that an error of a fetch or of its decoding is for the caller."""
    if isinstance(problem, FetchError):
        return problem.failure
    kind = FailureKind.UNPLAYABLE if isinstance(problem, MediaError) else FailureKind.BUSY
    return Failure(kind, str(problem))


def _encode_raw(part: FetchedPart, law: Law, max_seconds: float) -> bytes:
    return decode(part, max_seconds).encode(law)


def _stored(part: FetchedPart) -> BinaryIO:
    """Return a file in memory with the octets of a part, for a decoding process."""
    try:
        file = os.fdopen(os.memfd_create("part"), "w+b", buffering=0)
    except OSError as problem:
        raise DecodersBusyError(f"a part cannot be given to a decoding process: {problem}") from problem
    left = memoryview(part.octets)
    while left:
        left = left[file.write(left) :]
    file.seek(0)
    return file


def _entrance(plan: FetchPlan) -> Entrance:
    return Entrance(plan.host, plan.port, plan.privileged)


def _kind(command: StartFetch) -> str:
    """Return the content type that overrides the part's own, in lower case; empty if none does."""
    return command.content_type.partition(";")[0].strip().lower()
