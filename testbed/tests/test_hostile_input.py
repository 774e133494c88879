"""Invalid input to the nodes: they answer by their protocol or ignore it, and go on serving.

The programs run as they are; every datagram and line below is sent to them, then mutations of valid ones, and in the
end each node still greets, answers and stops by itself, without a traceback in its log.
"""

from __future__ import annotations

import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
PATIENCE = 10.0
MUTATIONS = 150

pytestmark = pytest.mark.xdist_group("hostile-input")


@dataclass
class Node:
    """A running node: where it listens, and where it logs."""

    address: tuple[str, int]
    log: Path
    process: subprocess.Popen[bytes]

    def end(self) -> str:
        """Stop the node as a service manager does, and return its log."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == 0, self.log.read_text()
        return self.log.read_text()


def start(folder: Path, program: str, *options: str) -> Node:
    """Start a node on a free port of an address of its own."""
    host = f"127.97.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
    with closing(socket.socket()) as probe:
        probe.bind((host, 0))
        port = probe.getsockname()[1]
    log = folder / f"{program}.log"
    with log.open("wb") as sink:
        process = subprocess.Popen([BIN / program, "--listen", f"{host}:{port}", *options], stdout=sink, stderr=sink)
    return Node((host, port), log, process)


@pytest.fixture
def imap(tmp_path: Path) -> Iterator[Node]:
    options = ("--name", "h", "--user", "joe:secret", "--unlimited", "127.0.0.0/8")
    node = start(tmp_path, "lemonade-imap", "--data", str(tmp_path / "data"), *options)
    yield node
    node.process.kill()
    node.process.wait()


@pytest.fixture
def media(tmp_path: Path) -> Iterator[Node]:
    node = start(tmp_path, "lemonade-media", "--rtp-ports", "16384-16484", "--allow-imap", "h")
    yield node
    node.process.kill()
    node.process.wait()


def mutated(valid: bytes, chance: random.Random) -> bytes:
    """Return octets with a few of them changed, left out, doubled or cut off."""
    octets = bytearray(valid)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(octets))
        match chance.randrange(4):
            case 0:
                octets[at] = chance.randrange(256)
            case 1:
                del octets[at : at + chance.randrange(1, 9)]
            case 2:
                octets[at:at] = octets[at : at + chance.randrange(1, 40)]
            case _:
                del octets[max(at, 1) :]
    return bytes(octets)


# IMAP

LOGIN = b"a1 LOGIN joe secret\r\n"
GARBAGE = (
    b"\r\n",
    b"\x00\xff\xfe\r\n",
    b"a\r\n",
    b"a NOSUCH\r\n",
    b"+ LOGIN joe secret\r\n",
    b'a LOGIN "joe secret\r\n',
    b"a LOGIN {3}\r\n",
    b"a SELECT {99999999999999}\r\n",
    b"a FETCH 1:* (BODY[1.2.3.MIME.4]<9999999999999999999.1>)\r\n",
    b'a URLFETCH "imap://' + b"%" * 5000 + b'"\r\n',
    b"a GENURLAUTH imap:// INTERNAL\r\n",
    b"a AUTHENTICATE PLAIN !!!!\r\n",
    b"a " + b"(" * 3000 + b"\r\n",
    b"a SEARCH " + b"OR " * 3000 + b"\r\n",
    b"x" * 100_000 + b"\r\n",
)
VALID = (
    b"b1 SELECT INBOX\r\nb2 UID FETCH 1:* (UID FLAGS BODYSTRUCTURE BODY.PEEK[2.MIME]<0.10>)\r\n",
    b"b3 SEARCH OR SUBJECT {4}\r\nhorn NOT (SEEN UID 1:9)\r\n",
    b'b4 GENURLAUTH "imap://joe@h/INBOX/;UID=1/;SECTION=2;EXPIRE=2030-01-01T00:00:00Z;URLAUTH=anonymous" INTERNAL\r\n',
    b'b5 URLFETCH ("imap://joe@h/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL:' + b"01" * 33 + b'" BINARY)\r\n',
    b'b6 APPEND INBOX (\\Seen) "17-Nov-2026 08:12:44 +0100" {12+}\r\nSubject: x\r\n\r\n',
)


ANSWER = re.compile(rb"^(\S+ (BAD|NO|OK URLFETCH)|\* BAD|\* BYE|\+ |z OK)", re.MULTILINE)


def converse(node: Node, octets: bytes, until: re.Pattern[bytes] = ANSWER) -> bytes:
    """Send octets to the IMAP server, and return what it sends until it has answered or closes the connection."""
    with socket.create_connection(node.address, PATIENCE) as connection:
        heard = b""
        connection.sendall(octets)
        while not until.search(heard) and (piece := connection.recv(65536)):
            heard += piece
        return heard


def wait_for_greeting(node: Node) -> None:
    while True:
        try:
            assert converse(node, b"z LOGOUT\r\n").startswith(b"* OK")
        except ConnectionRefusedError:
            assert node.process.poll() is None, node.log.read_text()
        else:
            return


def test_the_imap_server_answers_nonsense_and_goes_on(imap: Node) -> None:
    wait_for_greeting(imap)
    chance = random.Random(2467)
    for octets in (*GARBAGE, *(LOGIN + garbage for garbage in GARBAGE)):
        heard = converse(imap, octets)
        assert heard.startswith(b"* OK")
        assert ANSWER.search(heard), (octets[:60], heard[:200])
    for _ in range(MUTATIONS):
        with socket.create_connection(imap.address, PATIENCE) as connection:
            connection.sendall(LOGIN + mutated(chance.choice(VALID), chance))
    assert b"z OK" in converse(imap, LOGIN + b"z NOOP\r\n")
    assert "Traceback" not in imap.end()


# SIP, SDP, MSCML, RTP

SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 9 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=recvonly\r\n"
)


def request(method: str, uri: str, body: bytes = b"", kind: str = "application/sdp", extra: str = "") -> bytes:
    branch, call, to = f"{random.getrandbits(60):x}", f"{random.getrandbits(60):x}", uri.partition(";")[0]
    head = (
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{branch};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:x@h>;tag=1\r\nTo: <{to}>\r\nCall-ID: {call}\r\n"
        f"CSeq: 1 {method}\r\nContact: <sip:x@127.0.0.1:9>\r\n{extra}"
    )
    if body:
        head += f"Content-Type: {kind}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


PLAY = "sip:annc@h;play=imap://joe%40h/INBOX/%3BUID%3D1%3BURLAUTH%3Danonymous:INTERNAL:" + "01" * 33
CALLS = {
    "no play": (request("INVITE", "sip:annc@h", SDP), "400"),
    "an unknown service": (request("INVITE", "sip:conf=1@h", SDP), "488"),
    "an unknown method": (request("FETCH", "sip:annc@h"), "501"),
    "an unknown option": (request("INVITE", PLAY, SDP, extra="Require: nonsense\r\n"), "420"),
    "no SDP but words": (request("INVITE", PLAY, b"words"), "4.."),
    "a body of another kind": (request("INVITE", PLAY, b"<x/>", "text/xml"), "415"),
    "no codec in common": (request("INVITE", PLAY, SDP.replace(b"AVP 0 101", b"AVP 18")), "488"),
    "a broken header": (request("INVITE", PLAY, SDP).replace(b"CSeq: 1", b"CSeq: one"), "400"),
    "INFO without a call": (request("INFO", "sip:ivr@h"), "481"),
    "BYE without a call": (request("BYE", "sip:ivr@h"), "481"),
    "another version": (request("OPTIONS", "sip:h").replace(b"SIP/2.0\r\nVia", b"SIP/3.0\r\nVia"), "505"),
    "another scheme": (request("OPTIONS", "tel:+1234"), "416"),
}
NOISE = (b"", b"\r\n\r\n", b"\x00" * 60, b"SIP/2.0 200 OK\r\n\r\n", b"INVITE", b"\x80\x00\x00\x01" * 43, b"a" * 65000)


def ask(node: Node, sock: socket.socket, octets: bytes) -> bytes:
    """Send a datagram and return the first final answer."""
    sock.sendto(octets, node.address)
    while (answer := sock.recv(65536)).startswith(b"SIP/2.0 1"):
        pass
    return answer


def wait_for_options(node: Node, sock: socket.socket) -> None:
    sock.settimeout(0.2)
    for _ in range(round(PATIENCE / 0.2)):
        try:
            assert ask(node, sock, request("OPTIONS", "sip:h")).startswith(b"SIP/2.0 200 ")
        except (TimeoutError, ConnectionRefusedError):
            assert node.process.poll() is None, node.log.read_text()
        else:
            sock.settimeout(PATIENCE)
            return
    raise AssertionError("no answer to OPTIONS: " + node.log.read_text())


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as made:
        made.bind(("127.0.0.1", 0))
        yield made


def test_the_media_server_answers_what_it_cannot_do_and_goes_on(media: Node, sock: socket.socket) -> None:
    wait_for_options(media, sock)
    for what, (octets, status) in CALLS.items():
        answer = ask(media, sock, octets)
        assert re.match(rb"SIP/2.0 " + status.encode(), answer), (what, answer[:200])
    assert "Traceback" not in media.end()


def test_the_media_server_survives_noise(media: Node, sock: socket.socket) -> None:
    wait_for_options(media, sock)
    chance = random.Random(3261)
    valid = [octets for octets, _ in CALLS.values()]
    for noise in (*NOISE, *(mutated(chance.choice(valid), chance) for _ in range(MUTATIONS))):
        sock.sendto(noise, media.address)
    for noise in (*NOISE, *(mutated(chance.choice(valid), chance) for _ in range(20))):
        with socket.create_connection(media.address, PATIENCE) as stream:
            stream.sendall(noise)
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as fresh:
        fresh.bind(("127.0.0.1", 0))
        wait_for_options(media, fresh)
    assert "Traceback" not in media.end()


def test_mscml_that_is_none_is_answered_inside_a_call(media: Node, sock: socket.socket) -> None:
    wait_for_options(media, sock)
    invite = request("INVITE", "sip:ivr@h", SDP.replace(b"recvonly", b"sendrecv"))
    accepted = ask(media, sock, invite).decode()
    assert accepted.startswith("SIP/2.0 200 ")
    to_line = next(line for line in accepted.split("\r\n") if line.startswith("To:"))
    same = dict(line.split(": ", 1) for line in invite.decode().split("\r\n\r\n")[0].split("\r\n")[1:])

    def inside(method: str, number: int, body: bytes = b"", kind: str = "") -> bytes:
        octets = request(method, "sip:ivr@h", body, kind).decode("latin-1")
        octets = re.sub(r"Call-ID: .*", f"Call-ID: {same['Call-ID']}", octets)
        octets = re.sub(r"To: .*", to_line.replace("\\", r"\\"), octets)
        return re.sub(r"CSeq: 1 ", f"CSeq: {number} ", octets).encode("latin-1")

    sock.sendto(inside("ACK", 1), media.address)
    mscml = "application/mediaservercontrol+xml"
    bodies = (
        (b"", "200"),  # RFC 2976 section 2.2: without a body there is nothing to refuse
        (b"not xml at all", "400"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><MediaServerControl version="1.0"/>', "400"),
        (b'<MediaServerControl version="1.0">', "400"),
        (b"<a>" * 3000, "400"),
    )
    for number, (body, status) in enumerate(bodies, 2):
        answer = ask(media, sock, inside("INFO", number, body, mscml))
        assert re.match(rf"SIP/2.0 ({status})".encode(), answer), (body[:40], answer[:120])
    assert ask(media, sock, inside("INFO", 20, b"Signal=99\r\n", "application/dtmf-relay"))[:11] == b"SIP/2.0 400"
    assert ask(media, sock, inside("INFO", 21, b"x", "text/plain"))[:11] == b"SIP/2.0 415"
    assert ask(media, sock, inside("BYE", 22))[:11] == b"SIP/2.0 200"
    assert "Traceback" not in media.end()
