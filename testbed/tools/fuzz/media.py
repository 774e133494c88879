"""Targets for what the media server reads besides SIP: MSCML, grammars of keys, RTP, RTCP, and containers of audio."""

from __future__ import annotations

import io
import json
import os
import select
import socket
import struct
import wave
from functools import cache

import av
import numpy as np

from fuzz.target import FuzzTarget, require
from lemonade_media.decoding.decode import RATE, FetchedPart, MediaError, decode, plan_reading
from lemonade_media.decoding.host import Host
from lemonade_media.decoding.process import MAX_MESSAGE, DecodeJob
from lemonade_wire.mscml.digitmap import MegacoDigitMap, MgcpDigitMap
from lemonade_wire.mscml.document import MscmlError, Tolerance, parse_document, write_document
from lemonade_wire.mscml.dregex import DRegex
from lemonade_wire.mscml.messages import Unsupported
from lemonade_wire.rtp.packet import RtpError, RtpPacket
from lemonade_wire.rtp.receiver import StreamReceiver
from lemonade_wire.rtp.rtcp import OtherRtcp, SourceDescription, parse_compound, write_compound
from lemonade_wire.rtp.telephone_event import KeyReceiver, read_reports

_KEYS = "0123456789*#ABCD"
_SECONDS = 60.0  # the length of sound that a container may have here
_DECODE_LIMITS = (128_000_000, 2)  # octets of memory, seconds of processor time
_WAIT = 20.0


def _document(octets: bytes) -> None:
    document = parse_document(octets, tolerance=Tolerance(close_audio=bool(len(octets) % 2)))
    if isinstance(document, Unsupported):
        return
    # The first time, attributes that were left out get the defaults of RFC 5022.
    whole = parse_document(write_document(document))
    require(
        not isinstance(whole, Unsupported) and parse_document(write_document(whole)) == whole,
        "a document changes when it is written and read",
    )


def _grammar(octets: bytes) -> None:
    text, _, keys = octets.decode("latin-1").partition("\n")
    for kind in (DRegex, MgcpDigitMap, MegacoDigitMap):
        try:
            grammar = kind.parse(text)
        except ValueError:
            continue
        walk = grammar.walk()
        for key in keys[:64]:
            if key in _KEYS:
                walk.press(key, long=ord(key) % 2 == 0)
            else:
                walk.expire()
            _ = walk.matches, walk.can_go_on, walk.critical


def _rtp(octets: bytes) -> None:
    receiver, keys, now = StreamReceiver(RATE), KeyReceiver(), 0.0
    for datagram in octets.split(b"\xff\xff\xff"):
        now += 0.02
        packet = RtpPacket.parse(datagram)
        require(RtpPacket.parse(bytes(packet)) == packet, "a packet changes when it is written and read")
        receiver.receive(packet, now)
        receiver.report_block(now)
        try:
            keys.receive(packet, now)
            reports = read_reports(packet.payload)
        except RtpError:
            continue
        require(read_reports(b"".join(map(bytes, reports))) == reports, "key events change when written and read")


def _rtcp(octets: bytes) -> None:
    packets = parse_compound(octets)
    kept = [packet for packet in packets if not isinstance(packet, OtherRtcp | SourceDescription)]
    if kept == list(packets):
        require(parse_compound(write_compound(packets)) == packets, "a report changes when it is written and read")


@cache
def _host() -> Host:
    return Host.spawn()


def _container(octets: bytes) -> None:
    """Decode a part as the media server does: in a process of a host, under limits."""
    part = FetchedPart("audio/x", {}, octets)
    reading = plan_reading(part)
    if reading is None:
        decode(part, _SECONDS)
        return
    source, sound = os.memfd_create("part"), os.memfd_create("sound")
    try:
        os.write(source, octets)
        os.lseek(source, 0, os.SEEK_SET)
        job = DecodeJob(reading.form, dict(reading.options), "PCMU", _SECONDS, *_DECODE_LIMITS)
        answer = _decoded(job, source, sound)
        size = os.fstat(sound).st_size
    finally:
        os.close(source)
        os.close(sound)
    # No answer: a limit ended the process, or FFmpeg crashed. Either fails the fetch, and nothing else.
    found = json.loads(answer) if answer else {"why": "it died"}
    require(("octets" in found) != ("why" in found), "the answer of a decoding process is neither sound nor a reason")
    require(size <= _SECONDS * RATE + 1_000_000, "the sound of a part is longer than allowed")
    require(not _host().ended(), "a part ended the host of the decoding processes")


def _decoded(job: DecodeJob, source: int, sound: int) -> bytes:
    """Return the answer of a decoding process; raises PropertyBrokenError if there is none in time."""
    with _host().ask() as process:
        process.settimeout(_WAIT)
        _, descriptors, _, _ = socket.recv_fds(process, MAX_MESSAGE, 1)
        ended = select.poll()
        ended.register(descriptors[0], select.POLLIN)
        try:
            socket.send_fds(process, [job.encode()], [source, sound])
            answer = process.recv(MAX_MESSAGE)
            require(bool(ended.poll(_WAIT * 1000)), "a decoding process does not end")
        except TimeoutError:
            require(False, "a part is decoded without an end")
        except ConnectionError:
            return b""
        finally:
            os.close(descriptors[0])
        return answer


def _encoded(form: str, codec: str, rate: int = 8000) -> bytes:
    """Return a tenth of a second of a tone in this container, as FFmpeg writes it."""
    file = io.BytesIO()
    tone = (8000 * np.sin(np.arange(rate // 10) / 5)).astype(np.int16).reshape(1, -1)
    with av.open(file, "w", format=form) as target:
        stream = target.add_stream(codec, rate=rate, layout="mono")
        if not isinstance(stream, av.AudioStream):
            raise TypeError(f"{codec} is no codec of audio")
        frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
        frame.sample_rate = rate
        for packet in (*stream.encode(frame), *stream.encode(None)):
            target.mux(packet)
    return file.getvalue()


def _containers() -> list[bytes]:
    wav = io.BytesIO()
    with wave.open(wav, "wb") as writer:
        writer.setparams((1, 2, 8000, 0, "NONE", ""))
        writer.writeframes(b"\1\0\2\0" * 200)
    amr = b"#!AMR\n" + b"\x04" + bytes(12)
    made = [
        ("flac", "flac", 8000),
        ("ogg", "libopus", 48000),
        ("mp3", "libmp3lame", 8000),
        ("3gp", "aac", 8000),
        ("mp4", "aac", 8000),
        ("au", "pcm_mulaw", 8000),
        ("wav", "pcm_alaw", 8000),
        ("wav", "adpcm_ima_wav", 8000),
    ]
    return [wav.getvalue(), amr, *(_encoded(*one) for one in made)]


def _mscml(body: bytes) -> bytes:
    return b'<?xml version="1.0"?><MediaServerControl version="1.0">' + body + b"</MediaServerControl>"


TARGETS = (
    FuzzTarget(
        "mscml",
        _document,
        [
            _mscml(
                b'<request><playcollect id="1" firstdigittimer="5s" barge="yes"><prompt baseurl="http://h/"'
                b' repeat="2" delay="100ms"><audio url="imap://h/%3bUID=1"/><variable type="dur" value="3"/></prompt>'
                b'<pattern><regex value="[1-3]x."/><regex value="9*" name="n"/></pattern></playcollect></request>'
            ),
            _mscml(b'<request><play id="2"><prompt><audio url="file:///a"/></prompt></play></request>'),
            _mscml(b'<request><playrecord recurl="http://h/x" escapekey="*" duration="5s" beep="no"/></request>'),
            _mscml(
                b"<request><configure_leg><subscribe><events><keypress "
                b'report="both"/></events></subscribe></configure_leg></request>'
            ),
            _mscml(b'<response request="playcollect" id="1" code="200" text="OK" digits="12" reason="match"/>'),
            _mscml(
                b'<notification><keypress digit="1" length="long"><status command="play" '
                b'duration="3s"/></keypress></notification>'
            ),
        ],
        (MscmlError,),
    ),
    FuzzTarget("mscml-grammar", _grammar, [b"[1-4]x{2,3}#\n12#", b"(12x.T|[0-9]xx)\n12\n", b"T:5,S:2,(1L2|Z3x.)\n13"]),
    FuzzTarget(
        "rtp",
        _rtp,
        [
            struct.pack("!BBHII", 0x80, 0, 1, 160, 7) + bytes(20),
            struct.pack("!BBHII", 0xB1, 0xE0, 2, 320, 7) + bytes(4) + b"\0\1\0\1abcd\5\x8a\0\xa0\0\0\0\4",
        ],
        (RtpError,),
    ),
    FuzzTarget(
        "rtcp",
        _rtcp,
        [
            struct.pack("!BBHIQIII", 0x80, 200, 6, 7, 1, 2, 3, 4) + struct.pack("!BBHI", 0x81, 203, 1, 7),
            struct.pack("!BBHI", 0x81, 201, 7, 7) + bytes(24) + b"\x81\xca\0\3\0\0\0\7\1\4abcd\0\0",
        ],
        (RtpError,),
    ),
    FuzzTarget("container", _container, _containers(), (MediaError,), most=16384, memory=2048),
)
