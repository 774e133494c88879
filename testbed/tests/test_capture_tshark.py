"""Reading tshark's output, as recorded from versions 4.0 and 4.4, and the errors of tshark."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest

from lemonade_testbed.capture.bodies import FIELDS
from lemonade_testbed.capture.tshark import (
    Chunk,
    TcpStream,
    Tshark,
    TsharkError,
    command_runner,
    installed_tshark,
    run_of,
)
from lemonade_testbed.containers.engine import LABEL, labels, reap

FOLLOWED = """\
peers:
  - peer: 0
    host: 127.64.2.2
    port: 48647
  - peer: 1
    host: 127.64.2.1
    port: 1143
packets:
  - packet: 358
    peer: 1
    timestamp: 1795321124.516289949
    data: !!binary |
      KiBPSyBbQ0FQQUJJTElUWSBJTUFQNHJldjEgQVVUSD1QTEFJTiBBVVRIPUFOT05ZTU9VUyBTQVNM
      LUlSIExJVEVSQUwrXSBpbWFwLmV4YW1wbGUuY29tIHJlYWR5DQo=
  - packet: 360
    peer: 0
    timestamp: 1795321124.517602921
    data: !!binary |
      YTEgTk9PUA0K
peers:
  - peer: 0
    host: 127.64.2.4
    port: 39139
  - peer: 1
    host: 127.64.2.1
    port: 1143
packets:
  - packet: 400
    peer: 1
    timestamp: 1795321125.000000000
    data: !!binary |
      WzMyIGJ5dGVzIG1pc3NpbmcgaW4gY2FwdHVyZSBmaWxlXQ==
"""
COLUMNS = 29
"""The number of columns before those of bodies."""


def tshark(output: str) -> Tshark:
    return Tshark(lambda _arguments, _capture: output.encode())


def line(**fields: str) -> str:
    names = [
        "number", "t", "protocols", "source", "target", "udp_from", "udp_to", "tcp_from", "tcp_to", "stream", "length",
        "tcp_seq", "payload", "method", "status", "cseq", "call", "ssrc", "seq", "ts", "pt", "marker", "sound", "rtcp",
        "hello", "random", "malformed", "severity", "message",
    ]  # fmt: skip
    assert len(names) == COLUMNS
    return "\t".join([*(fields.get(name, "") for name in names), *(fields.get(name, "") for name in FIELDS)]) + "\n"


UDP = {"number": "7", "t": "1795321124.5", "source": "10.0.0.1", "target": "10.0.0.2", "udp_from": "5060",
       "udp_to": "5061", "protocols": "eth:ethertype:ip:udp:sip"}  # fmt: skip


def test_a_frame_has_its_ends_and_fields() -> None:
    (frame,) = tshark(line(**UDP, method="BYE", payload="42:59:45", marker="True", ssrc="0x0000004d")).frames(Path())
    assert (frame.number, frame.t, frame.source, frame.target) == (7, 1795321124.5, "10.0.0.1:5060", "10.0.0.2:5061")
    assert frame.fields["sip.Method"] == "BYE"
    assert frame.octets("udp.payload") == b"BYE"
    assert (frame.number_of("rtp.marker"), frame.number_of("rtp.ssrc"), frame.number_of("rtp.seq")) == (1, 77, 0)
    assert frame.errors == ()


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"severity": "6291456", "message": "a warning"}, ()),
        (
            {"severity": "2097152\x1e8388608", "message": "a chat\x1ean error, with a comma"},
            ("an error, with a comma",),
        ),
        ({"malformed": "1", "severity": "8388608", "message": "Malformed Packet"}, ("Malformed Packet",)),
        ({"malformed": "1"}, ("malformed packet",)),
    ],
)
def test_errors_alone_are_errors(fields: dict[str, str], errors: tuple[str, ...]) -> None:
    (frame,) = tshark(line(**UDP, **fields)).frames(Path())
    assert frame.errors == errors


def test_an_icmp_message_is_no_frame() -> None:
    assert tshark(line(**UDP | {"protocols": "ip:icmp:ip:udp:sip"})).frames(Path()) == []


def test_ports_of_sip_are_told_to_the_dissector() -> None:
    asked: list[Sequence[str]] = []

    def run(arguments: Sequence[str], _capture: Path) -> bytes:
        asked.append(arguments)
        return b""

    Tshark(run).frames(Path(), [5080])
    assert "udp.port==5080,sip" in asked[0]


def test_connections_are_put_together() -> None:
    first, second = tshark(FOLLOWED).streams(Path(), [101, 102])
    client, server = "127.64.2.2:48647", "127.64.2.1:1143"
    greeting = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=ANONYMOUS SASL-IR LITERAL+] imap.example.com ready\r\n"
    assert first == TcpStream(
        (client, server),
        (
            Chunk(358, 1795321124.516289949, server, client, greeting),
            Chunk(360, 1795321124.517602921, client, server, b"a1 NOOP\r\n"),
        ),
    )
    assert not second.whole, "tshark says so in the place of what is missing"
    assert tshark("nonsense").streams(Path(), []) == []


INSIDE = """\
peers:
  - peer: 0
    host: 10.213.1.11
    port: 143
  - peer: 1
    host:%s
    port: %d
packets:
  - packet: 145
    peer: 1
    timestamp: 1795625667.021864891
    data: !!binary |
      YTIgQ0FQQUJJTElUWQ0K
"""


@pytest.mark.parametrize("end", [("", 0), (" 10.213.1.13", 56395)], ids=["4.0", "4.4"])
def test_what_is_inside_tls_has_its_ends_from_the_packets(end: tuple[str, int]) -> None:
    fields = UDP | {"udp_from": "", "udp_to": "", "source": "10.213.1.13", "target": "10.213.1.11"}
    (frame,) = tshark(line(**fields | {"number": "145", "tcp_from": "56395", "tcp_to": "143"})).frames(Path())
    followed = tshark(INSIDE % end)
    (chunk,) = followed.decrypted(Path(), {145: frame}, [38])
    assert chunk == Chunk(145, 1795625667.021864891, "10.213.1.13:56395", "10.213.1.11:143", b"a2 CAPABILITY\r\n")
    with pytest.raises(TsharkError, match="145"):
        followed.decrypted(Path(), {}, [38])
    assert tshark("nonsense").decrypted(Path(), {}, []) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [("KiBP", "!!!!"), ("timestamp", "time"), ("  - peer: 1\n    host: 127.64.2.1\n    port: 1143\n", "")],
)
def test_unknown_output_for_a_connection_is_an_error(old: str, new: str) -> None:
    with pytest.raises(TsharkError):
        tshark(FOLLOWED.replace(old, new)).streams(Path(), [101])


def test_a_line_with_other_fields_is_an_error() -> None:
    with pytest.raises(TsharkError, match="2 fields for"):
        tshark("1\t2\n").frames(Path())


def test_a_program_gets_the_capture_on_its_standard_input(tmp_path: Path) -> None:
    capture = tmp_path / "c"
    capture.write_bytes(b"octets")
    echo = "import sys; sys.stdout.write(sys.stdin.read() + sys.argv[1])"
    assert command_runner([sys.executable, "-c", echo])(["!"], capture) == b"octets!"
    fails = "import sys; sys.exit('first\\nlast word')"
    with pytest.raises(TsharkError, match="ended with 1: last word"):
        command_runner([sys.executable, "-c", fails])([], capture)
    with pytest.raises(TsharkError, match="no-such-program"):
        command_runner([str(tmp_path / "no-such-program")])([], capture)


@pytest.mark.usefixtures("images")
def test_in_a_container_it_carries_the_labels_of_its_run(
    engine: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = shutil.which("docker")
    monkeypatch.setattr(shutil, "which", lambda name: program if name == "docker" else None)
    found = installed_tshark()
    assert found is not None
    capture = tmp_path / "scenario/secret/capture.pcap"
    capture.parent.mkdir(parents=True)
    os.mkfifo(capture)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(found.run, ["-r", "-"], capture)
        with capture.open("wb"):  # it waits for the first octet as long as this is open
            deadline = time.monotonic() + 30
            while not (made := engine.containers.list(filters={"label": f"{LABEL}={tmp_path}", "status": "running"})):
                assert time.monotonic() < deadline
            assert labels(tmp_path).items() <= made[0].labels.items()
            assert str(tmp_path) not in reap(engine), "its owner lives"
        assert reading.result(60) == b""
    assert not engine.containers.list(all=True, filters={"label": f"{LABEL}={tmp_path}"})


def test_a_capture_belongs_to_the_run_that_it_lies_in(tmp_path: Path) -> None:
    assert run_of(tmp_path / "run/scenario/secret/capture.pcap") == tmp_path / "run"
    assert run_of(tmp_path / "mine.pcap") == tmp_path
