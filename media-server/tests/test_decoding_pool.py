"""The decoding processes: limits, deaths, cancelling, sharing between callers, and the end of the media server."""

from __future__ import annotations

import io
import os
import signal
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor as installed
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from lemonade_media.decoding.decode import FetchedPart, MediaError, plan_reading
from lemonade_media.decoding.host import Host
from lemonade_media.decoding.pool import DecodedSound, DecoderPool, DecodersBusyError
from lemonade_media.decoding.settings import DecodeLimits
from lemonade_media.testing import long_flac

reactor: Any = installed


def short_wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes(bytes(32_000))
    return file.getvalue()


LONG, SHORT = long_flac(5000), short_wav()


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class DecoderPoolTests(TestCase):
    timeout = 60

    def pool(self, **limits: int) -> DecoderPool:
        self.host = Host.spawn()
        self.logged: list[str] = []
        pool = DecoderPool(reactor, DecodeLimits(**limits), self.host, self.logged.append)
        self.addCleanup(pool.close)
        return pool

    def decode(self, pool: DecoderPool, octets: bytes, caller: str = "a") -> Deferred[DecodedSound]:
        reading = plan_reading(FetchedPart("application/octet-stream", {}, octets))
        assert reading is not None
        with os.fdopen(os.memfd_create("part"), "w+b", buffering=0) as file:
            file.write(octets)
            file.seek(0)
            return pool.decode(file.fileno(), reading, "PCMU", 3600, caller)

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            await deferLater(reactor, 0.005)

    async def processes(self, count: int) -> list[int]:
        await self.until(lambda: len(children(self.host.pid)) == count)
        return children(self.host.pid)

    async def working(self, count: int = 1) -> list[int]:
        """Wait until so many processes have taken 0.05 s of processor time; return their ids."""

        def busy() -> list[int]:
            ticks = {pid: Path(f"/proc/{pid}/stat").read_text().split() for pid in children(self.host.pid)}
            return [pid for pid, fields in ticks.items() if int(fields[13]) + int(fields[14]) >= 5]

        await self.until(lambda: len(busy()) >= count)
        return busy()

    async def test_a_part_is_decoded_and_its_process_is_replaced(self) -> None:
        pool = self.pool(processes=2)
        pool.start()
        before = await self.processes(2)
        assert abs(len((await self.decode(pool, SHORT)).octets) - 8000) < 100
        await self.until(lambda: len(set(children(self.host.pid)) - set(before)) == 1)
        await self.processes(2)
        assert self.logged == []

    async def test_a_part_that_is_no_sound_fails(self) -> None:
        with pytest.raises(MediaError, match="no audio format"):
            await self.decode(self.pool(), b"no sound at all " * 50)

    async def test_processor_time_is_limited(self) -> None:
        began = time.monotonic()
        with pytest.raises(MediaError, match="takes more than this server allows"):
            await self.decode(self.pool(cpu_seconds=1), LONG)
        assert time.monotonic() - began < 20

    async def test_memory_is_limited(self) -> None:
        with pytest.raises(MediaError, match="cannot be decoded"):
            await self.decode(self.pool(memory=8_000_000), LONG)

    async def test_time_is_limited_and_the_process_is_ended(self) -> None:
        pool = self.pool(seconds=3, processes=1)  # a process needs more than a second to start on a busy machine
        failing = self.decode(pool, LONG)
        at_work = await self.working()
        with pytest.raises(MediaError, match="more time"):
            await failing
        await self.until(lambda: not set(at_work) & set(children(self.host.pid)))
        assert len((await self.decode(pool, SHORT)).octets) > 7000

    async def test_a_part_waits_for_a_process_no_longer_than_the_time(self) -> None:
        pool = self.pool(seconds=3, processes=2)
        both = [self.decode(pool, LONG), self.decode(pool, LONG)]
        await self.assertFailure(both[1], DecodersBusyError)
        await self.assertFailure(both[0], MediaError)

    async def test_the_death_of_a_process_fails_one_part(self) -> None:
        pool = self.pool(processes=3)
        failing = self.decode(pool, LONG)
        (at_work,) = await self.working()
        os.kill(at_work, signal.SIGKILL)
        with pytest.raises(MediaError, match="takes more than this server allows"):
            await failing
        assert len((await self.decode(pool, SHORT)).octets) > 7000
        await self.processes(3)

    async def test_cancelling_ends_the_process_of_a_part(self) -> None:
        pool = self.pool(processes=2)
        running, waiting = self.decode(pool, LONG), self.decode(pool, LONG)
        at_work = await self.working()
        waiting.cancel()
        running.cancel()
        await self.assertFailure(running, CancelledError)
        await self.assertFailure(waiting, CancelledError)
        await self.until(lambda: not set(at_work) & set(children(self.host.pid)))
        await self.processes(2)

    async def test_a_caller_with_twelve_parts_does_not_hold_up_another(self) -> None:
        pool = self.pool(processes=2)
        many = [self.decode(pool, LONG, "a") for _ in range(12)]
        await self.working()
        began = time.monotonic()
        assert len((await self.decode(pool, SHORT, "b")).octets) > 7000
        assert time.monotonic() - began < 5
        assert not any(one.called for one in many), "the one that is decoded takes longer than the other caller's"
        for one in many:
            one.cancel()
        await gatherResults([self.assertFailure(one, CancelledError) for one in many])

    async def test_the_host_is_started_again_after_its_death(self) -> None:
        pool = self.pool(processes=1)
        pool.start()
        await self.processes(1)
        os.kill(self.host.pid, signal.SIGKILL)
        await self.until(lambda: self.logged)
        assert self.logged == ["the decoding host died"]
        pool.start()
        assert len((await self.decode(pool, SHORT)).octets) > 7000

    async def test_closing_ends_everything_at_once_whatever_is_decoded(self) -> None:
        pool = self.pool(processes=2)
        stuck = self.decode(pool, LONG)
        at_work = await self.working()
        os.kill(at_work[0], signal.SIGSTOP)
        began = time.monotonic()
        pool.close()
        assert time.monotonic() - began < 0.5
        assert not stuck.called
        assert self.host.ended()
        await self.until(lambda: not Path(f"/proc/{at_work[0]}").exists() or _is_dead(at_work[0]))


def _is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
