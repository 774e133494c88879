"""Fixtures that run both servers as processes, and PJSIP as their caller in a process of its own."""

from __future__ import annotations

import io
import json
import os
import platform
import select
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lemonade_testbed.audio.part import part_of
from lemonade_testbed.ladder.siptext import SipText, read_sip
from lemonade_testbed.runtime.local import LocalRuntime
from lemonade_testbed.runtime.processes import ProcessTable
from lemonade_testbed.runtime.provision import ProvisionConnection, append
from lemonade_testbed.scenario.world import IMAP_NAME, SERVERS, Setup, World
from lemonade_wire.imap import command as commands
from lemonade_wire.imap.response import GenUrlAuthResponse
from lemonade_wire.sip.netann import AnnouncementUri

AGENT = Path(__file__).with_name("agent.py")
OWNER = ("joe", "secret")
IDENTITY = ("mediaserver", "secret")
PATIENCE = 20.0
RATE = 8000
SECONDS = 2.0
WAV_HEAD = 44

Samples = NDArray[np.int16]


def mail() -> bytes:
    """Return a mail with noise of changing loudness, in which every stretch differs from every other."""
    made = np.random.default_rng(5)
    times = np.arange(round(SECONDS * RATE)) / RATE
    rough = np.convolve(made.normal(0, 1, len(times)), np.hanning(6), "same")
    sound = (5000 * rough / np.abs(rough).max() * (2 + np.sin(4 * times))).astype("<i2")
    sink = io.BytesIO()
    with wave.open(sink, "wb") as writer:
        writer.setparams((1, 2, RATE, 0, "NONE", ""))
        writer.writeframes(sound.tobytes())
    message = EmailMessage()
    message["Subject"] = "Noise"
    message.set_content("listen")
    message.add_attachment(sink.getvalue(), maintype="audio", subtype="x-wav", filename="noise.wav")
    return message.as_bytes()


class Agent:
    """The running program `agent.py` (PJSIP): sends commands to it and reads its events."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        with (folder / "agent.log").open("wb") as log:
            command = [sys.executable, str(AGENT), address]
            self.process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        self.told: list[dict[str, Any]] = []
        self._left = b""
        self._calls = 0
        self.await_told("ready")

    def do(self, what: str, call: int | None = None, **fields: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": what, "call": call, **fields}).encode() + b"\n")
        self.process.stdin.flush()

    def call(self, uri: str, codecs: list[str]) -> int:
        """Place a call that offers `codecs`; returns its number."""
        self._calls += 1
        self.do("codecs", names=codecs)
        self.do("call", self._calls, uri=uri)
        return self._calls

    def until(self, find: Callable[[], Any]) -> Any:  # noqa: ANN401  what is found
        """Read events until `find` returns a true value, and return that."""
        deadline = time.monotonic() + PATIENCE
        while not (found := find()):
            self._read(deadline)
        return found

    def await_told(self, what: str, call: int | None = None, **fields: object) -> dict[str, Any]:
        """Wait for an event with these fields, remove it from the events and return it; events before it stay."""
        wanted = {"told": what, **({} if call is None else {"call": call}), **fields}
        found: dict[str, Any] = self.until(
            lambda: next((line for line in self.told if wanted.items() <= line.items()), None)
        )
        self.told.remove(found)
        return found

    def await_packets(self, call: int, packets: int) -> int:
        """Wait until a call has received at least `packets` RTP packets; returns the number received."""
        while True:
            self.do("count", call)
            came = int(self.await_told("count", call)["packets"])
            if came >= packets:
                return came

    def await_message(self, call: int, match: Callable[[SipText], bool]) -> SipText:
        """Wait for a SIP message that matches and return it; it and all events before it are removed."""

        def find() -> SipText | None:
            while self.told:
                line = self.told.pop(0)
                if line["told"] == "message" and line["call"] == call and match(text := read_sip(line["text"])):
                    return text
            return None

        found = self.until(find)
        assert isinstance(found, SipText)
        return found

    def heard(self, call: int) -> Samples:
        """Return the recording of a call that has ended; PJSIP closes the file some time after the end."""
        path = self.folder / f"heard-{call}.wav"
        octets = b""
        deadline = time.monotonic() + PATIENCE
        while len(octets) < WAV_HEAD or len(octets) != WAV_HEAD + int.from_bytes(octets[40:44], "little"):
            assert time.monotonic() < deadline, "the recording is not closed"
            octets = path.read_bytes()
        with wave.open(io.BytesIO(octets)) as reader:
            assert (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) == (RATE, 1, 2)
            return np.frombuffer(reader.readframes(reader.getnframes()), "<i2")

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            assert self.process.wait(PATIENCE) == 0
        finally:
            self.process.kill()

    def _read(self, deadline: float) -> None:
        assert self.process.stdout is not None
        assert time.monotonic() < deadline, f"too late; {self.told}"
        if not select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return
        octets = os.read(self.process.stdout.fileno(), 65536)
        assert octets, "the agent ended: " + (self.folder / "agent.log").read_text()
        *lines, self._left = (self._left + octets).split(b"\n")
        self.told += [json.loads(line) for line in lines]
        failed = [line for line in self.told if line["told"] == "failed"]
        assert not failed, failed


class Place:
    """Both servers with a mail in a mailbox, and PJSIP at the caller's address."""

    def __init__(self, agent: Agent, world: World, url: str, sound: Samples) -> None:
        self.agent = agent
        self.url = url
        self.sound = sound
        self._world = world

    def annc(self, transport: str, duration: int | None = None) -> str:
        """Return the target of an announcement; in angle brackets, or PJSIP takes its parameters for the header's."""
        media = self._world.roles["media"]
        return f"<{AnnouncementUri(self.url, duration=duration).uri(media.address, media.port)};transport={transport}>"

    def ivr(self) -> str:
        """Return the target of an interactive call."""
        media = self._world.roles["media"]
        return f"<sip:ivr@{media.address}:{media.port}>"


def needs_wheel() -> bool:
    """Tell whether requirements-dev.lock has a wheel of PJSIP for this Python and machine."""
    return sys.platform == "linux" and platform.machine() == "x86_64" and sys.version_info < (3, 13)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Return a world of its own for the tests of a module."""
    if find_spec("pjsua2") is None:
        assert not needs_wheel(), "pjsua2 is missing: make setup-dev"
        pytest.skip("pjsua2 is not there: PyPI has no wheel for this Python and machine")
    folder = tmp_path_factory.mktemp("pjsua2")
    table = ProcessTable(folder)
    runtime = LocalRuntime(table)
    try:
        setup = Setup(folder, dict([OWNER, IDENTITY]), identity=IDENTITY, submit_users=(IDENTITY[0],), salt="s")
        world = runtime.prepare(setup)
        runtime.start(SERVERS)
        append(world, runtime.trace, OWNER, "INBOX", mail())
        with ProvisionConnection(world, runtime.trace) as owner:
            owner.log_in(*OWNER)
            rump = f"imap://{OWNER[0]}@{IMAP_NAME}/INBOX/;UID=1/;SECTION=2;URLAUTH=submit+{OWNER[0]}"
            answered = owner.run(commands.genurlauth(rump)).untagged
        (url,) = (url for answer in answered if isinstance(answer, GenUrlAuthResponse) for url in answer.urls)
        agent = Agent(folder, world.roles["client"].address)
        try:
            yield Place(agent, world, url, part_of(mail(), "noise").samples)
        finally:
            agent.end()
    finally:
        runtime.stop()
        table.stop()
