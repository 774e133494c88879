"""The player with a sender that records its calls: ports, contents shared by calls, reports passed on."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from typing import Any, cast

import pytest
from twisted.trial.unittest import TestCase

from lemonade_media.decoding.decode import EncodedMedia
from lemonade_media.model.commands import ModifyStream, PlayMedia, SeekMedia, StartStream
from lemonade_media.rtp.player import MediaPlayer
from lemonade_media.rtp.sender.protocol import (
    AddStream,
    ContentFinished,
    ContentSought,
    ContentStarted,
    ContentStopped,
    Event,
)
from lemonade_media.rtp.sender.supervisor import Supervisor
from lemonade_wire.address import Resolver
from lemonade_wire.redaction import Redactor
from lemonade_wire.rtp.endpoint import RtpPorts
from lemonade_wire.trace import Trace

# An address of this process's own, so that tests which run side by side do not take each other's ports.
HOST = f"127.{20 + os.getpid() % 200}.{os.getpid() // 200 % 250}.1"
SPEECH = EncodedMedia("PCMU", b"\x01" * 800, "speech")
MORE = EncodedMedia("PCMU", b"\x02" * 80, "more")


def ignore(octets: bytes, source: tuple[str, int], arrival: float) -> None:
    """Ignore a datagram."""


class Notes:
    """A stand-in for the Supervisor that records the calls of its methods."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.setups: list[AddStream] = []
        self.descriptors: list[tuple[int, int]] = []
        self.tell: dict[int, Callable[[Event], None]] = {}
        self.serial = 0

    def load(self, media: bytes, *, unit_octets: int = 8, unit_ms: int = 1) -> int:
        self.calls.append(("load", media))
        return len([call for call in self.calls if call[0] == "load"])

    def add(self, setup: AddStream, descriptors: tuple[int, int], on_event: Callable[[Event], None]) -> int:
        self.setups.append(setup)
        self.descriptors.append(descriptors)
        self.tell[len(self.setups)] = on_event
        return len(self.setups)

    def play(self, stream: int, content: int, **how: int | None) -> int:
        self.serial += 1
        self.calls.append(("play", stream, content, *how.values()))
        return self.serial

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments, **named: self.calls.append((name, *arguments, *named.values()))


class PlayerTests(TestCase):
    def setUp(self) -> None:
        self.sender = Notes()
        self.traced = io.StringIO()
        self.ended: list[tuple[str, float, float]] = []
        self.player = MediaPlayer(
            RtpPorts(HOST, 23000, 23009),
            cast("Supervisor", self.sender),
            Trace("media", self.traced, Redactor("salt")),
            lambda *report: self.ended.append(report),
            "127.0.0.1",
            resolver=Resolver.parse(["127.0.0.66=127.0.0.67"]),
        )
        self.addCleanup(self.player.close_all)

    def call(self, name: str) -> int:
        port = self.player.open(name, f"{name}@caller", ignore)
        self.player.add(StartStream(name, "127.0.0.1", 30000, 30001, 8, 20, burst=5, reset_on_seek=True))
        return port

    def states(self) -> list[tuple[Any, ...]]:
        events = [json.loads(line) for line in self.traced.getvalue().splitlines()]
        return [(event["state"], event["call"], event["played_ms"], event["offset_ms"]) for event in events]

    def test_stream_gets_the_ports_and_the_negotiated_format(self) -> None:
        port = self.call("a")
        assert port % 2 == 0
        setup = self.sender.setups[0]
        assert (setup.destination, setup.rtcp_destination) == (("127.0.0.1", 30000), ("127.0.0.1", 30001))
        assert (setup.payload_type, setup.ptime_ms, setup.burst, setup.reset_on_seek) == (8, 20, 5, True)
        rtp, rtcp = self.sender.descriptors[0]
        assert rtp != rtcp

    def test_the_address_of_a_stream_is_mapped_by_the_resolver(self) -> None:
        self.player.open("a", "a@caller", ignore)
        self.player.add(StartStream("a", "127.0.0.66", 30000, 30001, 8, 20, burst=1, reset_on_seek=False))
        setup = self.sender.setups[0]
        assert (setup.destination, setup.rtcp_destination) == (("127.0.0.67", 30000), ("127.0.0.67", 30001))

    def test_a_changed_stream_has_another_address_and_content(self) -> None:
        self.call("a")
        self.player.play(PlayMedia("a", (SPEECH,), 0, None))
        self.player.change(ModifyStream("a", "127.0.0.66", 31000, 31001, 0, 40, held=False))
        self.player.change(ModifyStream("a", "127.0.0.1", 31000, None, 8, 20, held=True, media=(MORE,)))
        assert self.sender.calls[2:] == [
            ("change", 1, ("127.0.0.67", 31000), ("127.0.0.67", 31001), 0, 40, False, None),
            ("drop", 1),
            ("load", MORE.octets),
            ("change", 1, ("127.0.0.1", 31000), None, 8, 20, True, 2),
        ]
        self.player.close("a")
        assert ("drop", 2) in self.sender.calls

    def test_closed_calls_free_their_ports(self) -> None:
        for _ in range(3):
            ports = [self.player.open(name, name, ignore) for name in "abcde"]
            assert len(set(ports)) == 5
            with pytest.raises(OSError, match="port"):
                self.player.open("f", "f", ignore)
            self.player.close_all()

    def test_content_is_loaded_once_for_all_calls_and_dropped_after_the_last(self) -> None:
        self.call("a")
        self.call("b")
        self.player.play(PlayMedia("a", (SPEECH,), 0, None))
        self.player.play(PlayMedia("b", (SPEECH,), 40, 60, None, 500))
        self.player.play(PlayMedia("a", (SPEECH,), 10, None))
        assert self.sender.calls == [
            ("load", SPEECH.octets),
            ("play", 1, 1, 0, None, 1, 0),
            ("play", 2, 1, 40, 60, None, 500),
            ("play", 1, 1, 10, None, 1, 0),
        ]
        self.sender.calls.clear()
        self.player.close("a")
        assert self.sender.calls == [("remove", 1)]
        self.player.close("b")
        assert self.sender.calls[1:] == [("remove", 2), ("drop", 1)]

    def test_several_media_are_one_content(self) -> None:
        self.call("a")
        self.player.play(PlayMedia("a", (SPEECH, MORE), 0, None))
        self.player.play(PlayMedia("a", (MORE,), 0, None))
        assert [call for call in self.sender.calls if call[0] != "play"] == [
            ("load", SPEECH.octets + MORE.octets),
            ("drop", 1),
            ("load", MORE.octets),
        ]

    def test_reports_are_traced_and_passed_on_once(self) -> None:
        self.call("a")
        self.player.play(PlayMedia("a", (SPEECH,), 20, None))
        tell = self.sender.tell[1]
        for event in (
            ContentStarted(1, 1),
            ContentSought(1, 1, 40, 80),
            ContentFinished(1, 1, 60, 100),
            ContentStopped(1, 1, 60, 100),
        ):
            tell(event)
        self.player.seek(SeekMedia("a", 4000))
        self.player.stop("a")
        assert self.sender.calls[-2:] == [("seek", 1, 4000), ("stop_playing", 1)]
        assert self.ended == [("a", 60, 100)]
        assert self.states() == [
            ("playing", "a@caller", 0, 20),
            ("seek", "a@caller", None, 80),
            ("finished", "a@caller", 60, 100),
        ]

    def test_reports_of_an_earlier_playing_or_call_are_ignored(self) -> None:
        self.call("a")
        self.player.play(PlayMedia("a", (SPEECH,), 0, None))
        self.player.play(PlayMedia("a", (SPEECH,), 0, None))
        self.sender.tell[1](ContentStopped(1, 1, 0, 0))
        self.player.close("a")
        self.sender.tell[1](ContentFinished(1, 2, 100, 100))
        assert self.ended == []
