"""MSCML between the real client and the real media server: a recording on the disk, notifications, masked digits."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from lemonade_wire.rtp.g711 import encode_ulaw

NODE = "from lemonade_{0}.cli import main; main()"
HEAD = """\
account: {host: imap.example.com, user: joe, password: secret}
media: 'sip:media.example.net'
media-length: 12.0
steps:
"""


class Pair:
    """A running media server, and a client that runs scripts with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.net = f"127.{90 + os.getpid() % 100}.{os.getpid() // 100 % 250}"

    @contextmanager
    def media(self, *options: str) -> Iterator[None]:
        where = ["--listen", f"{self.net}.2:5060", "--rtp-ports", "24100-24198", "--trace", self.path("media.jsonl")]
        with (self.folder / "media.log").open("wb") as log:
            command = [sys.executable, "-c", NODE.format("media"), *where, *options]
            with subprocess.Popen(command, stderr=log) as run:
                try:
                    deadline = time.monotonic() + 20
                    while '"ready"' not in self.read("media.jsonl"):
                        assert time.monotonic() < deadline
                        time.sleep(0.02)
                    yield
                finally:
                    run.terminate()

    def run(self, steps: str) -> list[str]:
        """Run a script to its end; returns the results of its steps."""
        (self.folder / "script.yaml").write_text(HEAD + steps)
        where = ["--listen", f"{self.net}.3:5060", "--rtp-ports", "24200-24298", "--trace", self.path("client.jsonl")]
        rule = ["--resolve", f"media.example.net={self.net}.2:5060", "--script", self.path("script.yaml")]
        command = [sys.executable, "-c", NODE.format("client"), *where, *rule]
        ended = subprocess.run(command, capture_output=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stderr.decode()
        told = [json.loads(line) for line in self.read("client.jsonl").splitlines()]
        return [event["why"] for event in told if event["event"] == "step" and event["state"] == "done"]

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def test_a_recording_is_made_below_the_folder_and_nowhere_else(pair: Pair) -> None:
    folder = pair.folder / "recordings"
    folder.mkdir()
    with pair.media("--recordings", str(folder)):
        said = pair.run(
            '  - mscml: \'<playrecord id="1" recurl="file:///a.wav" initsilence="infinite"/>\'\n'
            "  - listen: {until: 1500 ms}\n"
            '  - press: {key: "5", by: rtp}\n'
            "  - listen: {until: response}\n"
            '  - mscml: \'<playrecord id="2" recurl="file:///../b.wav"/>\'\n'
            "  - listen: {until: response, expect: 403}\n"
            '  - mscml: \'<playrecord id="3" recurl="file:///none/b.wav" beep="no"/>\'\n'
            "  - listen: {until: response, expect: 500}\n"
            "  - hang-up: {}\n"
        )
    assert [words for words in said if words.startswith("response")] == [
        "response 200 digit",
        "response 403 Forbidden",
        "response 500 error",
    ]
    assert [path.name for path in folder.iterdir()] == ["a.wav"]
    octets = (folder / "a.wav").read_bytes()
    assert octets[:4] == b"RIFF"
    length = len(octets) / 8000
    assert 0.5 < length < 5
    assert f'reclength=\\"{len(octets)}\\"' in pair.read("media.jsonl")


def test_the_recording_equals_the_sound_that_was_sent(pair: Pair) -> None:
    folder = pair.folder / "recordings"
    folder.mkdir()
    said = np.random.default_rng(3).normal(0, 3000, 8000).clip(-32000, 32000).astype("<i2")
    with wave.open(pair.path("said.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(said.tobytes())
    with pair.media("--recordings", str(folder)):
        told = pair.run(
            '  - mscml: \'<playrecord id="1" recurl="file:///a.wav" beep="no" endsilence="1s"/>\'\n'
            "  - say: said.wav\n"
            "  - listen: {until: response}\n"
            "  - hang-up: {}\n"
        )
    assert "response 200 end_silence" in told
    recorded, octets = (folder / "a.wav").read_bytes(), encode_ulaw(said)
    # as it stands: mu-law passes through unchanged, and the silence behind it is cut off, to 20 ms
    assert octets in recorded
    assert len(recorded) - recorded.index(octets) - len(octets) < 160


def test_digits_of_a_masked_call_are_in_no_trace_and_no_log(pair: Pair) -> None:
    with pair.media():
        said = pair.run(
            '  - mscml: \'<configure_leg><subscribe><events><keypress report="both" maskdigits="yes"/></events>'
            "</subscribe></configure_leg>'\n"
            "  - listen: {until: response}\n"
            '  - mscml: \'<playcollect id="1" cleardigits="yes"/>\'\n'
            '  - press: {key: "7", by: rtp}\n'
            '  - press: {key: "9", by: info}\n'
            '  - press: {key: "#", by: both}\n'
            "  - listen: {until: response}\n"
            "  - listen: {until: keypress}\n"
            "  - hang-up: {}\n"
        )
    assert "response 200 returnkey" in said
    assert "keypress standard" in said
    for name in ("client.jsonl", "media.jsonl", "media.log"):
        text = pair.read(name)
        for secret in ('digits=\\"79', 'digit=\\"7', 'digit=\\"9', 'digit=\\"#', "Signal=9", "Signal=#"):
            assert secret not in text, (name, secret)
    traced = pair.read("media.jsonl")
    assert traced.count("Signal=-") == 2
    assert 'digits=\\"--\\"' in traced
    packets = [json.loads(line) for line in pair.read("client.jsonl").splitlines() if '"rtp"' in line]
    events = [base64.b64decode(packet["payload"]) for packet in packets if packet.get("pt") == 101]
    assert {payload[0] for payload in events} == {255}
