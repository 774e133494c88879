"""Fixtures for all tests: fake nodes, which are small programs that become ready and can misbehave, and tools."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from lemonade_testbed.capture.tshark import Tshark, installed_tshark
from lemonade_testbed.containers import engine as docker_engine
from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.runtime.docker_images import ensure_images

FAKE_NODE = """
import argparse, os, re, signal, socket, subprocess, sys, time

parser = argparse.ArgumentParser()
parser.add_argument("role"); parser.add_argument("mode")
for name in ("listen", "trace", "data", "script", "heard", "fault"):
    parser.add_argument("--" + name)
parser.add_argument("--faults", action="store_true")
options, _ = parser.parse_known_args()
if options.faults:
    print("no-bye  LS-2.9-1  never hangs up")
    sys.exit(0)
print(options.role, "says hello", file=sys.stderr)
if options.mode == "exits":
    print("cannot go on", file=sys.stderr)
    sys.exit(7)
if options.mode == "taken":
    print("Address already in use", file=sys.stderr)
    sys.exit(1)
if options.mode == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
if options.mode == "deaf":
    subprocess.Popen([sys.executable, "-c",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"])
if options.role == "client":
    if options.mode == "hangs":
        time.sleep(600)
    with open(options.trace, "a") as trace:
        trace.write('{"t": 1.0, "node": "client", "n": 1, "event": "node"}\\n{"t": 2.0, "nod')
    sys.exit(0)
host, port = options.listen.split(":")
if options.mode == "silent":
    time.sleep(600)
if options.role == "media":
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, int(port)))
    while True:
        data, peer = sock.recvfrom(65535)
        call = re.search(rb"Call-ID: [^\\r]*", data)[0]
        status = b"486 Busy Here" if options.mode == "busy" else b"200 OK"
        sock.sendto(b"SIP/2.0 " + status + b"\\r\\n" + call + b"\\r\\n\\r\\n", peer)
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((host, int(port)))
listener.listen()
while True:
    connection, peer = listener.accept()
    stream = connection.makefile("rwb")
    stream.write(b"* OK [CAPABILITY IMAP4rev1] ready\\r\\n"); stream.flush()
    try:
        while line := stream.readline():
            print("seen", line, file=sys.stderr)
            if options.mode == "dies-of-append" and b"APPEND" in line:
                sys.exit(9)
            if literal := re.search(rb"\\{([0-9]+)\\}\\r\\n$", line):
                stream.write(b"+ go on\\r\\n"); stream.flush()
                stream.read(int(literal[1])); stream.readline()
            tag = line.split()[0]
            if options.mode == "refuses" and b"APPEND" in line:
                stream.write(tag + b" NO [OVERQUOTA] full\\r\\n")
            else:
                stream.write(tag + b" OK done\\r\\n")
            stream.flush()
            if b"LOGOUT" in line:
                break
    except OSError:
        pass
    connection.close()
"""


@pytest.fixture
def fake_programs(tmp_path: Path) -> Callable[..., dict[str, list[str]]]:
    """Return a function that makes the commands of the three fake nodes; a keyword says how a node misbehaves."""
    script = tmp_path / "fake_node.py"
    script.write_text(FAKE_NODE, encoding="utf-8")

    def programs(**modes: str) -> dict[str, list[str]]:
        return {
            role: [sys.executable, str(script), role, modes.get(role, "normal")] for role in ("imap", "media", "client")
        }

    return programs


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """Return a client of this machine's container engine; without one the test is skipped, or fails if CI is set."""
    try:
        client = docker_engine.connect()
    except EnvironmentBroken as problem:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(problem))
    yield client
    client.close()


@pytest.fixture(scope="session")
def images(engine: docker.DockerClient) -> None:
    """Build the images of the nodes and of the capture if their sources have changed."""
    ensure_images(engine, print)


@pytest.fixture(scope="session")
def tshark() -> Tshark:
    """Return the installed tshark; without one the test is skipped, or fails if CI is set."""
    found = installed_tshark()
    why = "no tshark here: apt-get install tshark"
    if found is None and os.environ.get("CI"):
        raise RuntimeError(why)
    return found or pytest.skip(why)
