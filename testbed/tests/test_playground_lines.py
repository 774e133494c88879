"""The commands that the playground prints: each works in a shell, in both runtimes, while a run goes on."""

from __future__ import annotations

import imaplib
import os
import re
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from lemonade_testbed.containers.engine import LABEL
from lemonade_testbed.playground import FOLDER, LINES
from lemonade_testbed.runtime.processes import marked

LEMONADE = Path(sys.executable).parent / "lemonade"
OTHER = {"docker": "local", "local": "docker"}
READY = ("imap: ready on", "listening for SIP on")
IN = {"docker": "in containers", "local": "as local processes"}

pytestmark = pytest.mark.xdist_group("end-to-end")


def command(runs: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LEMONADE, *words, "--runs", runs],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=180,
    )


def paste(line: str) -> str:
    """Run a line in a shell without this project's environment; returns its output."""
    done = subprocess.run(
        ["/bin/bash", "-c", line],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
        cwd="/",
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def first_line(line: str) -> str:
    """Run a line that does not end by itself in a shell; returns the first line of its output."""
    with subprocess.Popen(
        ["/bin/bash", "-c", f"exec {line}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/"
    ) as shell:
        assert shell.stdout is not None
        said = shell.stdout.readline()
        shell.kill()
    return said


@pytest.fixture(params=["docker", "local"])
def runtime(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "docker":
        request.getfixturevalue("images")
    return name


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "all runs"
    yield made
    command(made, "down")


def test_what_the_playground_prints_works_as_pasted_beside_a_run(runtime: str, runs: Path) -> None:
    started = command(runs, "up", "--runtime", runtime)
    assert started.returncode == 0, started.stdout
    folder = runs / FOLDER
    text = (folder / LINES).read_text()
    assert text in started.stdout
    netcat, in_python, in_sip, client, *logs = (line.strip() for line in text.splitlines() if line.startswith("  "))

    again = command(runs, "up")
    assert again.stdout == f"The playground is up already, {IN[runtime]}.\n{text}"
    other = command(runs, "up", "--runtime", OTHER[runtime])
    assert other.returncode == 2
    assert f"up already, {IN[runtime]}, not {IN[OTHER[runtime]]}: `lemonade down` stops it" in other.stdout

    beside = command(runs, "run", "expired-ticket", "--runtime", runtime)
    assert beside.returncode == 0, beside.stdout

    address, port = netcat.split()[-2:]
    accounts = re.findall(r"(\S+):(\S+)", next(line for line in text.splitlines() if line.startswith("accounts")))
    assert [name for name, _ in accounts] == ["joe", "mediaserver", "admin"]
    for name, password in accounts:
        with imaplib.IMAP4(address, int(port)) as box:
            assert box.login(name, password)[0] == "OK"
    assert '"AUDIO" "WAV"' in paste(in_python)
    assert paste(in_sip).startswith("SIP/2.0 200 ")
    assert paste(in_sip).startswith("SIP/2.0 200 "), "once more"
    assert "step 7/7 hang-up: done" in paste(client)
    with wave.open(str(folder / "heard.wav")) as heard:
        assert heard.getnframes() / heard.getframerate() == pytest.approx(8.2, abs=0.4)
    for words, line in zip(READY, logs, strict=True):
        assert words in first_line(line)
    assert {path.lstat().st_uid for path in runs.rglob("*")} == {os.getuid()}


def test_down_leaves_logs_and_traces_and_nothing_else(runtime: str, runs: Path, request: pytest.FixtureRequest) -> None:
    folder = runs / FOLDER
    assert command(runs, "up", "--runtime", runtime).returncode == 0
    if runtime == "docker":
        (client,) = (line for line in (folder / LINES).read_text().splitlines() if "--script" in line)
        assert "step 1/7" in first_line(client)  # it is killed before it could stop its container
    assert command(runs, "down").stdout == "The playground is down.\n"
    assert marked(folder) == []
    if runtime == "docker":
        engine: docker.DockerClient = request.getfixturevalue("engine")
        filters = {"label": f"{LABEL}={folder}"}
        assert not engine.containers.list(all=True, filters=filters)
        assert not engine.networks.list(filters=filters)
        assert not engine.volumes.list(filters=filters)
    for role, words in zip(("imap", "media"), READY, strict=True):
        assert words in (folder / f"{role}.log").read_text()
        assert (folder / f"trace-{role}.jsonl").stat().st_size
    assert not {"store", "secret", LINES} & {path.name for path in folder.iterdir()}
    assert command(runs, "down").stdout == "The playground was not up.\n"
