"""The relay as a program between real sockets: fronts on loopback, datagrams, streams, its trace."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from lemonade_testbed.relay import READY
from lemonade_testbed.relay.config import End, RelayConfig
from lemonade_testbed.relay.rules import Plan, parse_rule

# A network of this process's own, so that tests which run side by side do not take each other's ports.
NET = f"127.{100 + os.getpid() % 120}.{os.getpid() // 120 % 250}"
IMAP, MEDIA, CLIENT = (f"{NET}.{number}" for number in (1, 2, 3))
IMAP_FRONT, MEDIA_FRONT, CLIENT_FRONT = (f"{NET}.{number}" for number in (11, 12, 13))
ENDS = {
    "imap": End(IMAP, IMAP_FRONT, (), ("1143",)),
    "media": End(MEDIA, MEDIA_FRONT, ("5060", "16384-16387"), ("5060",)),
    "client": End(CLIENT, CLIENT_FRONT, ("5060", "20000"), ("5060",)),
}
INVITE = b"INVITE sip:annc@media.example.net SIP/2.0\r\n\r\n"
MAIL = {"leg": "media-imap", "from": "imap"}


class Running:
    """A running relay."""

    def __init__(self, folder: Path, *rules: Mapping[str, str], options: tuple[str, ...] = ()) -> None:
        config = folder / "relay.json"
        self._trace = folder / "trace-relay.jsonl"
        self.log = folder / "relay.log"
        RelayConfig(Plan(7, tuple(parse_rule(words, n) for n, words in enumerate(rules, 1))), ENDS).write(config)
        command = [sys.executable, "-m", "lemonade_testbed.relay", "--config", str(config), *options]
        with self.log.open("w") as sink:
            self.process = subprocess.Popen([*command, "--trace", str(self._trace)], stderr=sink)
        deadline = time.monotonic() + 20
        while READY not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def stop(self) -> list[dict[str, Any]]:
        """End the relay, and return its trace."""
        self.process.terminate()
        assert self.process.wait(10) == 0
        return [json.loads(line) for line in self._trace.read_text().splitlines()]


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Running] = []

    def run(*rules: Mapping[str, str], options: tuple[str, ...] = ()) -> Running:
        started.append(Running(tmp_path, *rules, options=options))
        return started[-1]

    yield run
    for one in started:
        one.process.kill()
        one.process.wait(10)


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def udp(stack: ExitStack, host: str, port: int) -> socket.socket:
    one = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    one.bind((host, port))
    one.settimeout(10)
    return one


def listening(stack: ExitStack, host: str, port: int) -> socket.socket:
    one = stack.enter_context(socket.create_server((host, port)))
    one.settimeout(10)
    return one


def connection(stack: ExitStack, source: str, to: tuple[str, int]) -> socket.socket:
    one = stack.enter_context(socket.create_connection(to, 10, source_address=(source, 0)))
    one.settimeout(10)
    return one


def read_all(one: socket.socket) -> bytes:
    octets = b""
    while data := one.recv(65536):
        octets += data
    return octets


def test_each_side_sees_the_front_of_the_other_by_the_same_port(start: Start, opened: ExitStack) -> None:
    relay = start({"leg": "client-media", "delay": "1 ms"})
    client, media = udp(opened, CLIENT, 5060), udp(opened, MEDIA, 5060)
    client.sendto(INVITE, (MEDIA_FRONT, 5060))
    assert media.recvfrom(2000) == (INVITE, (CLIENT_FRONT, 5060))
    media.sendto(b"answer", (CLIENT_FRONT, 5060))
    assert client.recvfrom(2000) == (b"answer", (MEDIA_FRONT, 5060))
    # port 17000 is not in the relay's configuration
    heard, sender = udp(opened, CLIENT, 20000), udp(opened, MEDIA, 17000)
    sender.sendto(b"\x80" + bytes(20), (CLIENT_FRONT, 20000))
    assert heard.recvfrom(2000) == (b"\x80" + bytes(20), (MEDIA_FRONT, 17000))
    heard.sendto(b"report", (MEDIA_FRONT, 17000))
    assert sender.recvfrom(2000) == (b"report", (CLIENT_FRONT, 20000))
    told = relay.stop()
    assert told[0] | {"t": 0} == {
        "t": 0, "node": "relay", "n": 1, "event": "relay", "state": "started", "seed": 7,
        "rules": ["leg: client-media, delay: 1 ms"],
    }  # fmt: skip
    assert told[-1]["decided"] == {
        "client-media from client: SIP INVITE 1": [[1, 1]],
        "client-media from client: UDP": [[1, 1]],
        "client-media from media: RTP 0 stream 1 start 1": [[1, 1]],
        "client-media from media: UDP": [[1, 1]],
    }
    assert told[-1]["struck"] == {"1": 4}


def test_the_first_invite_is_lost_and_told(start: Start, opened: ExitStack) -> None:
    relay = start({"leg": "client-media", "from": "client", "lose": "SIP INVITE", "times": "1"})
    client, media = udp(opened, CLIENT, 5060), udp(opened, MEDIA, 5060)
    for data in (INVITE + b"1", b"x", INVITE + b"2"):
        client.sendto(data, (MEDIA_FRONT, 5060))
    assert [media.recv(2000) for _ in range(2)] == [b"x", INVITE + b"2"]
    _, lost, _ = relay.stop()
    told = {name: lost[name] for name in ("state", "rule", "leg", "source", "message", "of", "nth", "octets")}
    assert told == {
        "state": "lost", "rule": 1, "leg": "client-media", "source": "client", "message": "SIP INVITE",
        "of": "SIP INVITE 1", "nth": 1, "octets": len(INVITE) + 1,
    }  # fmt: skip


def test_a_sip_message_over_tcp_is_lost_whole(start: Start, opened: ExitStack) -> None:
    relay = start({"leg": "client-media", "from": "client", "lose": "SIP INFO", "times": "1"})
    info, bye = (
        b"%s sip:x SIP/2.0\r\nCSeq: 2 %s\r\nContent-Length: 4\r\n\r\nbody" % (one, one) for one in (b"INFO", b"BYE")
    )
    media = listening(opened, MEDIA, 5060)
    client = connection(opened, CLIENT, (MEDIA_FRONT, 5060))
    client.sendall(info[:20])
    client.sendall(info[20:] + bye + info)
    client.shutdown(socket.SHUT_WR)
    server = opened.enter_context(media.accept()[0])
    server.settimeout(10)
    assert read_all(server) == bye + info
    _, lost, stopped = relay.stop()
    assert (lost["state"], lost["message"], lost["octets"]) == ("lost", "SIP INFO", len(info))
    assert stopped["decided"] == {
        "client-media from client: SIP BYE 1": [[1, 1]],
        "client-media from client: SIP INFO 1": [[1, 2]],
    }


def test_traffic_from_an_unknown_address_is_not_passed_on(start: Start, opened: ExitStack) -> None:
    relay = start()
    client, media, stranger = udp(opened, CLIENT, 5060), udp(opened, MEDIA, 5060), udp(opened, f"{NET}.99", 5060)
    stranger.sendto(b"from nobody", (MEDIA_FRONT, 5060))
    client.sendto(b"from the client", (MEDIA_FRONT, 5060))
    assert media.recv(2000) == b"from the client"
    with pytest.raises(ConnectionResetError):  # on connecting already, where the relay is fast
        connection(opened, f"{NET}.99", (IMAP_FRONT, 1143)).recv(1)
    assert f"{NET}.99:5060 is no role's address" in relay.log.read_text()


def test_a_stream_passes_both_ways_under_back_pressure_and_ends(start: Start, opened: ExitStack) -> None:
    start({"leg": "media-imap", "jitter": "2 ms"})
    imap = listening(opened, IMAP, 1143)
    media = connection(opened, MEDIA, (IMAP_FRONT, 1143))
    server, peer = imap.accept()
    server.settimeout(10)
    assert peer == (MEDIA_FRONT, media.getsockname()[1])
    media.sendall(b"a URLFETCH\r\n")
    assert server.recv(100) == b"a URLFETCH\r\n"
    part = os.urandom(3_000_000)
    pid = os.fork()
    if pid == 0:
        server.sendall(part)
        server.shutdown(socket.SHUT_WR)
        os._exit(0)
    assert read_all(media) == part
    os.waitpid(pid, 0)
    media.sendall(b"thanks")
    media.shutdown(socket.SHUT_WR)
    assert read_all(server) == b"thanks"
    server.close()


def test_a_stream_is_cut_at_the_octet_and_heals(start: Start, opened: ExitStack) -> None:
    relay = start(MAIL | {"cut": "after 1000 octets", "heal": "300 ms"})
    imap = listening(opened, IMAP, 1143)
    media = connection(opened, MEDIA, (IMAP_FRONT, 1143))
    server, _ = imap.accept()
    server.settimeout(10)
    server.sendall(b"x" * 5000)
    assert read_all(media) == b"x" * 1000
    with suppress(ConnectionResetError):  # where the relay had not read all of it
        assert server.recv(1) == b""
    with pytest.raises(ConnectionResetError):
        connection(opened, MEDIA, (IMAP_FRONT, 1143)).recv(1)  # the reset may come while it still connects
    time.sleep(0.3)
    again = connection(opened, MEDIA, (IMAP_FRONT, 1143))
    second, _ = imap.accept()
    second.sendall(b"y" * 2000)
    second.close()
    assert read_all(again) == b"y" * 2000
    told = [event for event in relay.stop() if event["state"] in {"cut", "refused", "healed"}]
    assert [(event["state"], event["octets"]) for event in told] == [("cut", 1000), ("refused", 0), ("healed", 1000)]


def test_a_connection_to_a_node_that_does_not_listen_is_reset(start: Start, opened: ExitStack) -> None:
    relay = start()
    with pytest.raises(ConnectionResetError):
        connection(opened, MEDIA, (IMAP_FRONT, 1143)).recv(1)  # the reset may come while it still connects
    assert "no connection to the imap node for the media node" in relay.log.read_text()


def test_faults_change_what_is_obeyed(start: Start, opened: ExitStack) -> None:
    rule = {"leg": "client-media", "lose": "SIP INVITE", "times": "1"}
    client, media = udp(opened, CLIENT, 5060), udp(opened, MEDIA, 5060)
    relay = start(rule, options=("--fault", "passes-all"))
    client.sendto(INVITE, (MEDIA_FRONT, 5060))
    assert media.recv(2000) == INVITE
    assert [event["state"] for event in relay.stop()] == ["started", "stopped"]
    relay = start(rule, options=("--fault", "loses-every-copy"))
    for data in (INVITE, INVITE, b"x"):
        client.sendto(data, (MEDIA_FRONT, 5060))
    assert media.recv(2000) == b"x"


def test_an_invalid_configuration_and_a_front_in_use_are_errors(tmp_path: Path, opened: ExitStack) -> None:
    config = tmp_path / "relay.json"
    config.write_text('{"seed": "7", "rules": [{"leg": "client-media", "loose": "5 %"}], "ends": {}}')
    command = [sys.executable, "-m", "lemonade_testbed.relay", "--config", str(config)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert told.returncode == 2
    assert "relay.json: not the relay's configuration (RuleError: unknown key 'loose'; did you mean" in told.stderr
    RelayConfig(Plan(7, ()), ENDS).write(config)
    udp(opened, MEDIA_FRONT, 5060)
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert told.returncode == 1
    assert re.search(r"cannot start: .*in use", told.stderr)
