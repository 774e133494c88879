"""Recordings with real files and the real thread: each is reported once and kept when its call ends; disk errors."""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import TestCase

from lemonade_media.faults.rtp import LOSES_SPEECH
from lemonade_media.model.actions import RecordingEnd
from lemonade_media.model.commands import RecordMedia
from lemonade_media.recording.endpoint import RecordingEndpoint
from lemonade_media.rtp.receiver import RtpReceiver
from lemonade_wire.redaction import Redactor
from lemonade_wire.sdp.codec import PCMU, Codec
from lemonade_wire.trace import Trace

CODECS: dict[int, Codec] = {0: PCMU}
PEER = ("192.0.2.3", 20000)
LOUD = b"\x10" * 160
HEAD = 58


def packet(number: int) -> bytes:
    """Return one packet of mu-law octet by octet (RFC 3550 section 5.1)."""
    return bytes([0x80, 0, 0, number]) + (number * 160).to_bytes(4, "big") + b"\0\0\0\x2a" + LOUD


class Timed(Clock):
    """A clock that the test moves, with the threads of the real reactor."""

    def callFromThread(self, *call: Any, **more: Any) -> None:  # noqa: N802, ANN401  Twisted's name
        reactor.callFromThread(*call, **more)


class TestRecordingEndpoint(TestCase):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        self.path = self.folder / "a.wav"

    def setUp(self) -> None:
        self.sink = io.StringIO()
        self.told: Deferred[tuple[Any, ...]] = Deferred()
        self.caller = RtpReceiver("a@caller", PEER[0], CODECS)
        self.clock = Timed()
        self.endpoint = RecordingEndpoint(self.clock, Trace("media", self.sink, Redactor("s")), self.note)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.endpoint.finish()))

    def note(self, call: str, recorded_ms: float, octets: int, why: RecordingEnd) -> None:
        self.told.callback((call, recorded_ms, octets, why))

    def start(self, **more: Any) -> None:  # noqa: ANN401  each field has a type of its own
        limits = {"append": False, "limit_ms": None, "first_silence_ms": None, "last_silence_ms": None}
        self.endpoint.start(RecordMedia("a", **{"path": self.path, **limits, **more}), self.caller)

    def say(self, count: int) -> None:
        for number in range(count):
            assert self.caller.receive(packet(number), PEER, self.clock.seconds()) == []

    @property
    def states(self) -> list[tuple[Any, ...]]:
        events = [json.loads(line) for line in self.sink.getvalue().splitlines()]
        return [(event["state"], event["call"], event.get("why")) for event in events]

    async def test_a_limit_ends_a_recording_and_keeps_it(self) -> None:
        self.start(limit_ms=60)
        self.say(2)
        self.clock.advance(0.4)
        assert await self.told == ("a", 60.0, HEAD + 480, "limit")
        assert self.path.read_bytes()[HEAD:] == LOUD * 2 + b"\xff" * 160
        assert self.caller.recorder is None
        assert self.states == [("recording", "a@caller", None), ("recorded", "a@caller", "limit")]

    async def test_a_stop_ends_a_recording_at_once(self) -> None:
        self.start()
        self.say(3)
        self.clock.advance(1)
        self.endpoint.stop("a")
        assert self.caller.recorder is None
        assert not self.clock.getDelayedCalls()
        assert await self.told == ("a", 1000.0, HEAD + 8000, "stopped")
        assert self.path.read_bytes()[HEAD:] == LOUD * 3 + b"\xff" * 7520
        self.endpoint.stop("a")  # nothing runs

    async def test_speech_that_a_fault_loses_is_silence(self) -> None:
        self.endpoint = RecordingEndpoint(self.clock, Trace("media", None, Redactor("s")), self.note, LOSES_SPEECH)
        self.start(limit_ms=240)
        self.say(12)
        self.clock.advance(0.6)
        assert await self.told == ("a", 240.0, HEAD + 1920, "limit")
        lost = b"\xff" * 160
        assert self.path.read_bytes()[HEAD:] == LOUD * 9 + lost + LOUD + lost

    async def test_a_silent_caller_leaves_the_file_as_it_was(self) -> None:
        self.path.write_bytes(b"old")
        self.start(first_silence_ms=100)
        self.clock.advance(0.4)
        assert await self.told == ("a", 0.0, 0, "first-silence")
        assert os.listdir(self.folder) == ["a.wav"]
        assert self.path.read_bytes() == b"old"

    async def test_an_immediate_end_is_reported_too(self) -> None:
        self.start(limit_ms=0)
        assert await self.told == ("a", 0.0, HEAD, "limit")

    async def test_a_recording_at_the_end_of_a_call_is_kept_and_not_reported(self) -> None:
        self.start()
        self.say(3)
        self.endpoint.close("a")
        await self.endpoint.finish()
        assert LOUD * 3 in self.path.read_bytes()
        assert not self.told.called
        assert self.states[-1] == ("recorded", "a@caller", "stopped")

    async def test_the_end_of_the_server_waits_for_unfinished_writes(self) -> None:
        self.start()
        self.say(3)
        await self.endpoint.finish()
        assert LOUD * 3 in self.path.read_bytes()

    async def test_a_file_that_cannot_be_created_ends_the_recording_with_an_error(self) -> None:
        self.start(path=self.folder / "none" / "a.wav")
        assert await self.told == ("a", 0.0, 0, "error")
        assert self.caller.recorder is None

    async def test_an_end_that_overtakes_the_error_is_an_error_too(self) -> None:
        self.start(path=self.folder / "none" / "a.wav")
        self.endpoint.stop("a")
        assert await self.told == ("a", 0.0, 0, "error")

    async def test_a_recording_is_appended_to_an_existing_file(self) -> None:
        for size in (HEAD + 480, HEAD + 960):
            self.told = Deferred()
            self.start(limit_ms=60, append=True)
            self.say(3)
            self.clock.advance(0.4)
            assert await self.told == ("a", 60.0, size, "limit")

    async def test_a_stuck_disk_ends_recordings_and_fails_new_ones(self) -> None:
        os.mkfifo(self.path)  # appending reads the file first, which blocks for a pipe until it is written to
        self.start(append=True)
        for _ in range(100):
            self.clock.advance(0.1)
        assert not self.told.called
        self.clock.advance(0.2)
        self.clock.advance(0)
        assert await self.told == ("a", 0.0, 0, "error")
        assert self.caller.recorder is None
        self.told = Deferred()
        self.start(path=self.folder / "b.wav")
        assert not self.told.called  # the error is reported after `start` has returned
        self.clock.advance(0)
        assert await self.told == ("a", 0.0, 0, "error")
        assert not self.clock.getDelayedCalls()
        self.path.open("wb").close()  # the disk goes on
        await self.endpoint.finish()
        assert os.listdir(self.folder) == ["a.wav"]
        assert self.caller.recorder is None

    async def test_the_end_of_the_server_does_not_wait_for_a_stuck_disk(self) -> None:
        os.mkfifo(self.path)
        self.start(append=True)
        ending = Deferred.fromCoroutine(self.endpoint.finish())
        self.clock.advance(9.9)
        assert not ending.called
        self.clock.advance(0.2)
        await ending
        assert [thread.daemon for thread in threading.enumerate() if "recordings" in thread.name] == [True]
        self.path.open("wb").close()  # the disk goes on

    async def test_recordings_work_again_when_the_disk_does(self) -> None:
        os.mkfifo(self.path)
        self.start(append=True)
        self.clock.advance(20)
        self.clock.advance(0)
        assert (await self.told)[3] == "error"
        self.path.open("wb").close()
        while self.endpoint.busy:
            await deferLater(reactor, 0.01)
        self.told = Deferred()
        self.start(path=self.folder / "b.wav", limit_ms=0)
        assert await self.told == ("a", 0.0, HEAD, "limit")
