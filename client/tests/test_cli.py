"""The program `lemonade-client` in a process of its own, against servers of hand-written octets on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lemonade_client.cli import main

HOST = f"127.91.{os.getpid() % 250}.1"
CLIENT = f"127.91.{os.getpid() % 250}.3"
PROGRAM = [sys.executable, "-c", "from lemonade_client.cli import main; main()"]
TOKEN = "01" * 20
IMAP = {
    b"CAPABILITY": b"* CAPABILITY IMAP4rev1 URLAUTH\r\n",
    b"LOGIN": b"",
    b"SELECT": b"* 1 EXISTS\r\n* OK [UIDVALIDITY 5] x\r\n",
    b"UID SEARCH": b"* SEARCH 20\r\n",
    b"UID FETCH": b'* 1 FETCH (UID 20 BODYSTRUCTURE ("AUDIO" "BASIC" NIL NIL NIL "BASE64" 87256))\r\n',
    b"GENURLAUTH": b'* GENURLAUTH "%s:INTERNAL:' + TOKEN.encode() + b'"\r\n',
    b"LOGOUT": b"* BYE bye\r\n",
}
SDP = "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=sendonly\r\n"
PACKETS = 25


class ImapServer(threading.Thread):
    """An IMAP server that answers one connection from the table."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.socket = socket.create_server((HOST, 0))
        self.socket.settimeout(10)
        self.port = self.socket.getsockname()[1]
        self.commands: list[bytes] = []

    def run(self) -> None:
        connection, _ = self.socket.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"* OK ready\r\n")
            for line in lines:
                tag, _, command = line.strip().partition(b" ")
                self.commands.append(command)
                answer = next(value for key, value in IMAP.items() if command.startswith(key))
                if b"%s" in answer:
                    answer %= command.split(b'"')[1]
                connection.sendall(answer + tag + b" OK done\r\n")


class MediaServer(threading.Thread):
    """A media server that answers one INVITE, sends RTP from the ACK on, and hangs up if `hangs_up` is set."""

    def __init__(self, *, hangs_up: bool) -> None:
        super().__init__(daemon=True)
        self.sip = _udp()
        self.rtp = _udp()
        self.hangs_up = hangs_up
        self.seen: list[str] = []
        self.received: list[str] = []
        self.playing = threading.Event()

    def run(self) -> None:
        invite, client = self._receive()
        sdp = SDP.format(host=HOST, port=self.rtp.getsockname()[1])
        contact = f"Contact: <sip:annc@{HOST}:{self.sip.getsockname()[1]}>\r\nContent-Type: application/sdp\r\n"
        self._send(_answer(invite, "200 OK", contact, sdp), client)
        self._receive()
        port = int(invite.split("m=audio ")[1].split()[0])
        for number in range(PACKETS):
            head = bytes([0x80, 0x80 if number == 0 else 0, 0, number]) + (number * 160).to_bytes(4) + b"SSRC"
            self.rtp.sendto(head + bytes([0xFF if number % 2 else 0x00]) * 160, (CLIENT, port))
        self.playing.set()
        if self.hangs_up:
            time.sleep(0.05)
            self._send(_bye(invite, self.sip.getsockname()[1]), client)
            self._receive()
        else:
            bye, client = self._receive()
            self._send(_answer(bye, "200 OK"), client)

    def _receive(self) -> tuple[str, tuple[str, int]]:
        octets, source = self.sip.recvfrom(65535)
        text = octets.decode()
        self.received.append(text)
        self.seen.append(" ".join(text.split("\r\n")[0].split(" ")[:2]).partition(";")[0])
        return text, source

    def _send(self, text: str, to: tuple[str, int]) -> None:
        self.sip.sendto(text.encode(), to)


def _udp() -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind((HOST, 0))
    one.settimeout(10)
    return one


def _header(message: str, name: str) -> str:
    return next(line for line in message.split("\r\n") if line.startswith(f"{name}: "))


def _answer(request: str, status: str, more: str = "", body: str = "") -> str:
    to = _header(request, "To")
    copied = [_header(request, name) for name in ("Via", "From", "Call-ID", "CSeq")]
    lines = [f"SIP/2.0 {status}", *copied, to if "tag=" in to else f"{to};tag=ms"]
    return "\r\n".join(lines) + f"\r\n{more}Content-Length: {len(body)}\r\n\r\n{body}"


def _bye(invite: str, port: int) -> str:
    target = _header(invite, "Contact").split("<")[1].split(">")[0]
    me, peer = _header(invite, "To")[4:], _header(invite, "From")[6:]
    return (
        f"BYE {target} SIP/2.0\r\nVia: SIP/2.0/UDP {HOST}:{port};branch=z9hG4bKbye\r\nMax-Forwards: 70\r\n"
        f"From: {me};tag=ms\r\nTo: {peer}\r\n{_header(invite, 'Call-ID')}\r\nCSeq: 7 BYE\r\nContent-Length: 0\r\n\r\n"
    )


@pytest.fixture
def imap() -> Iterator[ImapServer]:
    server = ImapServer()
    server.start()
    with closing(server.socket):
        yield server


@pytest.fixture
def media() -> Iterator[Callable[..., MediaServer]]:
    servers: list[MediaServer] = []

    def make(*, hangs_up: bool = True) -> MediaServer:
        servers.append(MediaServer(hangs_up=hangs_up))
        servers[-1].start()
        return servers[-1]

    yield make
    for server in servers:
        server.sip.close()
        server.rtp.close()


def _run(folder: Path, script: str, imap: int, sip: int, *more: str) -> subprocess.Popen[str]:
    path = folder / "script.yaml"
    path.write_text(script, encoding="utf-8")
    command = [*PROGRAM, "--script", str(path), "--listen", f"{CLIENT}:0", "--heard", str(folder / "heard.wav")]
    rules = [f"imap.example.com={HOST}:{imap}", f"ms.test={HOST}:{sip}"]
    command += [word for rule in rules for word in ("--resolve", rule)]
    command += ["--trace", str(folder / "trace.jsonl"), "--trace-salt", "s", *more]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def _heard(path: Path) -> bytes:
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        return file.readframes(file.getnframes())


# mu-law 0x00 is the lowest sample and 0xFF is zero (G.711, table 2a).
EXPECTED = b"".join((-32124 if number % 2 == 0 else 0).to_bytes(2, "little", signed=True) * 160 for number in range(25))
SCRIPT = """account: {host: imap.example.com, user: joe, password: geheim}
media: "sip:ms.test"
media-length: 0.5
steps:
  - find-part: {type: audio/*}
  - authorise: {access: anonymous, expire: 10 min}
  - announce: {offer: [PCMU/8000]}
  - listen: {until: bye}
"""


def test_a_script_runs_from_the_mailbox_to_the_recording(
    tmp_path: Path, imap: ImapServer, media: Callable[..., MediaServer]
) -> None:
    server = media()
    process = _run(tmp_path, SCRIPT, imap.port, server.sip.getsockname()[1])
    _, said = process.communicate(timeout=15)
    assert process.returncode == 0, said
    server.join(5)
    assert server.seen[0] == "INVITE sip:annc@ms.test"
    assert server.seen[1] == f"ACK sip:annc@{HOST}:{server.sip.getsockname()[1]}"
    assert server.seen[2] == "SIP/2.0 200"
    assert _heard(tmp_path / "heard.wav") == EXPECTED
    assert [line.split()[0] for line in imap.commands] == [
        *(b"CAPABILITY", b"LOGIN", b"CAPABILITY", b"SELECT", b"UID", b"UID", b"GENURLAUTH", b"LOGOUT")
    ]
    trace = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    assert [event["n"] for event in trace] == list(range(1, len(trace) + 1))
    steps = [(event["verb"], event["state"]) for event in trace if event["event"] == "step"]
    verbs = ["find-part", "authorise", "announce", "listen"]
    assert steps == [(verb, state) for verb in verbs for state in ("started", "done")]
    assert sum(event["event"] == "rtp" for event in trace) == PACKETS
    heard = [event for event in trace if event["event"] == "heard"]
    assert [(event["packets"], event["lost"]) for event in heard] == [(PACKETS, 0)]
    assert [event["state"] for event in trace if event["event"] == "node"] == [
        "started",
        "ready",
        "stopping",
        "stopped",
    ]
    for text in ((tmp_path / "trace.jsonl").read_text(), said):
        assert TOKEN not in text
        assert "geheim" not in text
    assert "step 4/4 listen: done" in said


def test_sigterm_hangs_up_and_writes_what_was_heard(
    tmp_path: Path, imap: ImapServer, media: Callable[..., MediaServer]
) -> None:
    server = media(hangs_up=False)
    process = _run(
        tmp_path, SCRIPT.replace("media-length: 0.5", "media-length: 60"), imap.port, server.sip.getsockname()[1]
    )
    assert server.playing.wait(10)
    trace = tmp_path / "trace.jsonl"
    limit = time.monotonic() + 10
    while trace.read_text().count('"rtp"') < PACKETS and time.monotonic() < limit:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=15)
    server.join(5)
    assert process.returncode == 1, said
    assert "listen: failed: interrupted" in said
    assert server.seen[2].startswith("BYE ")
    assert _heard(tmp_path / "heard.wav") == EXPECTED
    assert imap.commands[-1] == b"LOGOUT"


def test_a_failed_step_exits_1_and_still_writes_the_recording(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as nobody:
        port = nobody.getsockname()[1]
    process = _run(tmp_path, SCRIPT, port, 9)
    _, said = process.communicate(timeout=15)
    assert process.returncode == 1
    assert "step 1/4 find-part: failed: IMAP: no connection to the IMAP server" in said
    assert _heard(tmp_path / "heard.wav") == b""


def test_an_address_in_use_exits_2(tmp_path: Path) -> None:
    with socket.create_server((CLIENT, 0)) as taken:
        process = _run(tmp_path, SCRIPT, 1, 1, "--listen", f"{CLIENT}:{taken.getsockname()[1]}")
        _, said = process.communicate(timeout=15)
    assert process.returncode == 2
    assert "cannot listen on" in said


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        (SCRIPT.replace("listen:", "x-lisen:"), 127, "script.yaml:8: no extension 'x-lisen' is known here"),
        (SCRIPT.replace("listen:", "lisen:"), 2, "script.yaml:8: unknown verb 'lisen'; did you mean 'listen'?"),
        (SCRIPT.replace("until", "untl"), 2, "script.yaml:8: listen: unknown key 'untl'; did you mean 'until'?"),
        (SCRIPT.replace("sip:ms.test", "sips:ms.test"), 127, "no TLS"),
        (SCRIPT + "  - sip: {method: INVITE}\n", 127, "line 9: this client sends INVITE by its own verbs alone"),
    ],
)
def test_unusable_and_unsupported_scripts_exit_with_2_or_127(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], script: str, code: int, said: str
) -> None:
    path = tmp_path / "script.yaml"
    path.write_text(script, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["--script", str(path)])
    assert ended.value.code == code
    assert said in capsys.readouterr().err
