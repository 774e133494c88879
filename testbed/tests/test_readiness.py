from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lemonade_testbed.runtime.readiness import greeting_seen, options_answered, options_request
from lemonade_testbed.scenario.world import HostAddress, Setup, World
from lemonade_wire.redaction import Redactor
from lemonade_wire.trace import Trace


@pytest.fixture
def sink() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def trace(sink: io.StringIO) -> Trace:
    return Trace("testbed", sink, Redactor("00"))


def world(port: int) -> World:
    places = {role: HostAddress("127.0.0.1", port, "media.example.net") for role in ("imap", "media")}
    return World(Setup(Path(), {}), places | {"testbed": HostAddress("127.0.0.4", 0, "testbed")})


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def greet(listener: socket.socket, line: bytes) -> threading.Thread:
    def serve() -> None:
        connection, _ = listener.accept()
        connection.sendall(line)
        connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("line", "ready"),
    [(b"* OK hello\r\n", True), (b"* preauth in\r\n", True), (b"* BYE full\r\n", False), (b"220 mail\r\n", False)],
)
def test_an_imap_server_is_ready_when_it_greets(
    server: socket.socket, trace: Trace, sink: io.StringIO, line: bytes, ready: bool
) -> None:
    thread = greet(server, line)
    assert greeting_seen(world(server.getsockname()[1]), trace) is ready
    thread.join()
    event = json.loads(sink.getvalue())
    assert (event["event"], event["text"]) == ("imap", line.decode().strip())


def test_a_closed_port_is_not_ready(trace: Trace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert not greeting_seen(world(port), trace)
    assert not options_answered(world(port), trace)


@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        ("SIP/2.0 200 OK\r\nCall-ID: {call}\r\n\r\n", True),
        ("SIP/2.0 200 OK\r\nCall-ID: other\r\n\r\n", False),
        ("SIP/2.0 503 Busy\r\nCall-ID: {call}\r\n\r\n", False),
    ],
)
def test_a_media_server_is_ready_when_it_answers_options_with_200(
    trace: Trace, sink: io.StringIO, answer: str, ready: bool
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
        media.bind(("127.0.0.1", 0))

        def serve() -> None:
            for _ in range(3 if ready else 1):
                data, peer = media.recvfrom(65535)
                call = next(line for line in data.decode().split("\r\n") if line.startswith("Call-ID"))
                media.sendto(answer.format(call=call[9:]).encode(), peer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert options_answered(world(media.getsockname()[1]), trace) is ready
        thread.join()
    events = [json.loads(line) for line in sink.getvalue().splitlines()]
    asked = [event["text"].partition(" SIP/2.0")[0] for event in events if event["way"] == "sent"]
    services = ["OPTIONS sip:annc@media.example.net", "OPTIONS sip:ivr@media.example.net"]
    assert asked == ["OPTIONS sip:media.example.net", *(services if ready else [])]
    assert len(events) == 2 * len(asked)
    assert all(event["local"].startswith("127.0.0.4:") for event in events)


def test_the_request_has_what_rfc_3261_demands() -> None:
    text = options_request("media.example.net", "127.9.9.4:40000", "abc")
    head = text.split("\r\n")
    assert head[0] == "OPTIONS sip:media.example.net SIP/2.0"
    assert head[-2:] == ["", ""]
    names = [line.partition(":")[0] for line in head[1:-2]]
    assert {"Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Contact"} <= set(names)
    assert "branch=z9hG4bKabc" in head[1]
