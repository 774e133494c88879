"""Decodes a media part: its transfer encoding (RFC 2045 section 6), and its sound to samples and G.711.

A part that holds mono G.711 at 8 kHz already, raw (audio/basic) or in a container, is not converted: its octets become
the octets of the RTP payloads. FFmpeg (PyAV) decodes everything else to 16-bit samples at 8 kHz, which are encoded as
G.711. The functions block. The media server calls those that use FFmpeg in a process of their own
(`lemonade_media.decoding`), since FFmpeg's time and memory depend on the part, which a stranger may have written.
"""

from __future__ import annotations

import base64
import binascii
import io
import string
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Literal

import av
import numpy as np
from av import Packet
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from lemonade_wire.rtp import g711

_DIGITS = f"{string.ascii_letters}{string.digits}+/".encode()
_NO_BASE64 = bytes(set(range(256)) - set(_DIGITS))
_IDENTITY = {"7bit", "8bit", "binary"}


def decode_leniently(octets: bytes, encoding: str) -> bytes:
    """Decode octets in spite of errors in them; raises ValueError for an encoding that is not known.

    In base64, octets that are not digits of it are skipped, and a single digit at the end, which holds no complete
    octet, is left out.
    """
    match encoding.lower():
        case "base64":
            # One call for the whole part, which may be long: the reactor's thread must not be blocked for long.
            digits = octets.translate(None, _NO_BASE64)
            digits = digits[: len(digits) - (len(digits) % 4 == 1)]
            return base64.b64decode(digits + b"=" * (-len(digits) % 4))
        case "quoted-printable":
            return binascii.a2b_qp(octets)
        case name if name in _IDENTITY:
            return octets
    raise ValueError("the part's transfer encoding is not known here")


Law = Literal["PCMU", "PCMA"]
"""The two encodings this server sends: mu-law and A-law of G.711, 8 kHz, one octet per sample."""

RATE = 8000
"""Samples per second of all sound that is played."""
MAX_GAIN_DB = 30.0
"""The largest gain, and the largest attenuation, in dB."""
MIN_RATE, MAX_RATE = 4_000, 192_000
"""The lowest and the highest sample rate that is decoded, in Hz."""
MAX_CHANNELS = 8
"""The largest number of channels that is decoded."""
MAX_BLOCK = 32_768
"""The largest block of a WAV file that is decoded, in octets; eight channels of ADPCM need as much."""
_EXPAND = {"PCMU": g711.decode_ulaw, "PCMA": g711.decode_alaw}
_ENCODE = {"PCMU": g711.encode_ulaw, "PCMA": g711.encode_alaw}
_STORED: Mapping[str, Law] = {"pcm_mulaw": "PCMU", "pcm_alaw": "PCMA"}
_RAW: Mapping[str, Law] = {
    "audio/basic": "PCMU",  # RFC 2046 section 4.2
    "audio/pcmu": "PCMU",
    "audio/x-mulaw": "PCMU",
    "audio/pcma": "PCMA",
    "audio/x-alaw-basic": "PCMA",
    "audio/x-alaw": "PCMA",
}
# The FFmpeg formats that may be read. The list is closed because FFmpeg's readers for playlists and images open the
# files and hosts that their content names.
FORMATS = "wav,w64,aiff,au,caf,mp3,ogg,flac,amr,mov,mp4,m4a,3gp,3g2,matroska,webm,avi,mpeg,aac,asf"
# No protocol may be opened either, so that no file and no host can be named by content whose format is allowed.
_CLOSED = {"protocol_whitelist": "none"}
_MAGIC: tuple[tuple[int, bytes], ...] = (
    (0, b"RIFF"),
    (0, b".snd"),
    (0, b"FORM"),
    (0, b"OggS"),
    (0, b"fLaC"),
    (0, b"#!AMR"),
    (4, b"ftyp"),
    (0, b"\x1aE\xdf\xa3"),
    (0, b"ID3"),
    (0, b"caff"),
)
_MOST_UNREADABLE = 0.5
"""The share of a part that may be unreadable; a part of which less can be decoded is refused."""
_TELLS_DURATION = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "flac"})
"""The formats, as FFmpeg names them, whose header has the true length of the sound."""
_CUT_SECONDS = 0.5
"""Seconds by which the decoded sound may be shorter than the header says before a file counts as cut."""
_AMR_FRAME_SECONDS = 0.02
# The frame types of RFC 4867 section 5.3 without speech: SID, SPEECH_LOST and NO_DATA. FFmpeg decodes none of them.
_AMR_WITHOUT_SPEECH: Mapping[str, frozenset[int]] = {"amrnb": frozenset({8, 15}), "amrwb": frozenset({9, 14, 15})}
_NOT_STREAMABLE = ("text/", "image/", "multipart/", "message/", "model/", "font/")
_ENCRYPTED = {"application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted"}


class MediaError(Exception):
    """A part cannot be played; the text gives the reason in one clause, and may be sent to the caller."""


@dataclass(frozen=True)
class FetchedPart:
    """A message part that was fetched: content type in lower case, its parameters, octets without transfer encoding."""

    content_type: str
    params: Mapping[str, str]
    octets: bytes


@dataclass(frozen=True)
class EncodedMedia:
    """Content that a call plays: G.711, 8,000 octets a second. `key` is the same for the same content.

    `unreadable` is the share of the stored content that could not be decoded, from 0 to 0.5.
    """

    law: Law
    octets: bytes
    key: str
    unreadable: float = 0.0

    @property
    def seconds(self) -> float:
        """The playing length in seconds."""
        return len(self.octets) / RATE

    def to(self, law: Law) -> EncodedMedia:
        """Return the same sound in the encoding `law`."""
        if law == self.law:
            return self
        octets = self.octets.translate(conversion_table(self.law, law))
        return EncodedMedia(law, octets, f"{self.key}>{law}", self.unreadable)

    def amplified(self, gain_db: float) -> EncodedMedia:
        """Return the sound with a gain in dB, limited to -30 to 30 dB; samples above full scale are clipped."""
        gain_db = max(-MAX_GAIN_DB, min(MAX_GAIN_DB, gain_db))
        if not gain_db:
            return self
        levels = _EXPAND[self.law](bytes(range(256))).astype(np.float64) * 10 ** (gain_db / 20)
        table = _ENCODE[self.law](np.clip(np.rint(levels), -32768, 32767).astype(np.int16))
        return EncodedMedia(self.law, self.octets.translate(table), f"{self.key}{gain_db:+g}dB", self.unreadable)


@dataclass(frozen=True)
class DecodedMedia:
    """A decoded part: mono samples at 8 kHz, and the stored G.711 octets where the part held them."""

    samples: NDArray[np.int16]
    stored_law: Law | None = None
    stored: bytes = b""

    @property
    def seconds(self) -> float:
        """The playing length in seconds."""
        return len(self.samples) / RATE

    def encode(self, law: Law) -> bytes:
        """Return the sound as G.711, one octet per sample; octets that the part stored in this law are not changed."""
        return self.stored if law == self.stored_law else _ENCODE[law](self.samples)


@dataclass(frozen=True)
class MediaReading:
    """How FFmpeg is to read a part: the name of its format (None: found by the content), and FFmpeg's options."""

    form: str | None
    options: Mapping[str, str]


@dataclass(frozen=True)
class StoredBlock:
    """A piece of G.711 that a part holds already: mono, 8 kHz, one octet per sample."""

    law: Law
    octets: bytes


@dataclass
class DecodingTally:
    """How much of a part was decoded, and how much could not be: in seconds of its sound, as its codec counts them."""

    read: float = 0.0
    unreadable: float = 0.0

    @property
    def share(self) -> float:
        """The share that could not be decoded, from 0 to 1."""
        whole = self.read + self.unreadable
        return self.unreadable / whole if whole else 0.0


Block = StoredBlock | NDArray[np.int16]
"""A piece of decoded sound: stored octets, or mono samples at 8 kHz."""


def decode(part: FetchedPart, max_seconds: float = 3600.0) -> DecodedMedia:
    """Decode a part in this process; raises MediaError, and no other error.

    A container that describes itself is decoded by its content, whatever its content type says: a WAV file with the
    type audio/basic is decoded as WAV. Raw G.711 is decoded by its content type. The media server uses it for what
    `plan_reading` gives no plan for; all else is decoded in a process of its own (`lemonade_media.decoding`).
    """
    reading = plan_reading(part)
    if reading is None:
        law = _RAW[part.content_type]
        _limit(len(part.octets), max_seconds)
        return DecodedMedia(_EXPAND[law](part.octets), law, part.octets)
    blocks = list(decode_blocks(io.BytesIO(part.octets), reading, max_seconds))
    stored = [block for block in blocks if isinstance(block, StoredBlock)]
    if stored:
        octets = b"".join(block.octets for block in stored)
        return DecodedMedia(_EXPAND[stored[0].law](octets), stored[0].law, octets)
    return DecodedMedia(np.concatenate([block for block in blocks if not isinstance(block, StoredBlock)]))


def plan_reading(part: FetchedPart) -> MediaReading | None:
    """Return how a part is read; None for raw G.711 that is played as it is. Raises MediaError for what is refused.

    It looks at the content type and the first octets only, and takes a time that does not depend on the content.
    """
    if part.content_type.startswith(_NOT_STREAMABLE):
        raise MediaError(f"a part of type {part.content_type} cannot be streamed")
    if part.content_type in _ENCRYPTED:
        raise MediaError("an encrypted part cannot be streamed")  # E-38
    if not part.octets:
        raise MediaError("the part is empty")
    law = _RAW.get(part.content_type)
    if law is not None and not _self_describing(part.octets):
        rate, channels = _number(part, "rate", RATE), _number(part, "channels", 1)
        if (rate, channels) == (RATE, 1):
            return None
        _check_format(rate, channels)
        options = {"sample_rate": str(rate), "ch_layout": f"{channels}c"}
        return MediaReading("mulaw" if law == "PCMU" else "alaw", options | _CLOSED)
    check_header(part.octets)
    return MediaReading(None, {"format_whitelist": FORMATS} | _CLOSED)


def check_header(octets: bytes) -> None:
    """Refuse a WAV or FLAC file whose header has a sample rate, channels or a block that no mail carries.

    FFmpeg would take time and memory in proportion to these numbers before it reports them. Raises MediaError.
    """
    if octets.startswith(b"RIFF") and octets[8:16] == b"WAVEfmt " and len(octets) >= 36:
        channels, rate, _, block = struct.unpack_from("<HIIH", octets, 22)
        _check_format(rate, channels)
        if block > MAX_BLOCK:
            raise MediaError(f"the part has blocks of {block} octets")
    # RFC 9639 section 8.2: in STREAMINFO 20 bits are the sample rate, 3 bits the number of channels minus one.
    if octets.startswith(b"fLaC") and len(octets) >= 26 and octets[4] & 0x7F == 0:
        packed = int.from_bytes(octets[18:22], "big")
        _check_format(packed >> 12, (packed >> 9 & 7) + 1)


def _check_format(rate: int, channels: int) -> None:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise MediaError(f"the part has a sample rate of {rate} Hz")
    if not 1 <= channels <= MAX_CHANNELS:
        raise MediaError(f"the part has {channels} channels")


def _self_describing(octets: bytes) -> bool:
    return any(octets.startswith(magic, at) for at, magic in _MAGIC)


def _number(part: FetchedPart, name: str, default: int) -> int:
    text = part.params.get(name, str(default))
    limit = MAX_RATE if name == "rate" else MAX_CHANNELS
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) <= limit:
        raise MediaError(f"the part's {name} parameter is not a usable number")
    return int(text)


def _limit(samples: int, max_seconds: float) -> None:
    if samples > max_seconds * RATE:
        raise MediaError(f"the part plays longer than {max_seconds:g} s")


def decode_blocks(
    file: BinaryIO, reading: MediaReading, max_seconds: float, tally: DecodingTally | None = None
) -> Iterator[Block]:
    """Decode a file by FFmpeg piece by piece; the pieces are either all stored ones or all samples, and at least one.

    A packet that cannot be decoded is left out, and decoding goes on behind it, as players do; `tally` has how much was
    left out. Raises MediaError, and no other error, also if more than half is left out or memory runs out.
    """
    try:
        source = av.open(file, format=reading.form, options=dict(reading.options))
    except (av.FFmpegError, ValueError, OSError, MemoryError) as problem:
        raise MediaError("the part is in no audio format that this server knows") from problem
    with source:
        try:
            if not isinstance(source, InputContainer):
                raise MediaError("the part cannot be read")
            yield from _read(source, max_seconds, tally or DecodingTally())
        except (av.FFmpegError, ValueError, OSError, UnicodeError, MemoryError) as problem:
            raise MediaError("the part's audio cannot be decoded") from problem


def _read(source: InputContainer, max_seconds: float, tally: DecodingTally) -> Iterator[Block]:
    if not source.streams.audio:
        raise MediaError("the part has no audio")
    stream = source.streams.audio[0]  # LS-2.6-4: of a video, its audio
    context = stream.codec_context
    if context is None:  # FFmpeg has no decoder for it; PyAV's types do not allow for that
        raise MediaError("the part's codec is not known")
    _check_format(context.rate, context.channels)
    context.thread_count = 1  # several threads would take several processors from others
    law = _STORED.get(context.name)
    length = 0
    if law is not None and context.rate == RATE and context.channels == 1:
        for packet in _packets(source, stream):
            length += packet.size
            _limit(length, max_seconds)
            yield StoredBlock(law, bytes(packet))
        tally.read = length / RATE
    else:
        for block in _samples(source, stream, tally):
            length += len(block)
            _limit(length, max_seconds)
            yield block
    # A file that was cut says in its header how long it was; other containers have an estimate there.
    if source.format.name in _TELLS_DURATION and stream.duration and stream.time_base:
        missing = float(stream.duration * stream.time_base) - tally.read
        if missing > _CUT_SECONDS:
            tally.unreadable = max(tally.unreadable, missing)
    if tally.share > _MOST_UNREADABLE:
        raise MediaError(f"{tally.share:.0%} of the part's audio cannot be decoded")
    if not length:
        raise MediaError("the part has no audio")


def _packets(source: InputContainer, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
    """Return the packets of a stream up to the end of the file, or to the place where the container cannot be read."""
    packets = source.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            return
        if packet is None:
            return
        yield packet


def _samples(source: InputContainer, stream: AudioStream, tally: DecodingTally) -> Iterator[NDArray[np.int16]]:
    """Decode a stream to mono samples at 8 kHz, and count into `tally` what was read and what could not be."""
    resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
    silent = _AMR_WITHOUT_SPEECH.get(stream.codec_context.name, frozenset())
    octets = lost = 0
    for packet in _packets(source, stream):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            frame_header = bytes(packet)[:1]
            if frame_header and frame_header[0] >> 3 & 0xF in silent:
                # RFC 4867 section 5.3: frames of comfort noise, and of nothing, last 20 ms as all others do.
                tally.read += _AMR_FRAME_SECONDS
                yield np.zeros(int(RATE * _AMR_FRAME_SECONDS), np.int16)
            else:
                lost += packet.size
            continue
        octets += packet.size
        for frame in frames:
            _check_format(frame.sample_rate, len(frame.layout.channels))  # a stream may change them
            tally.read += frame.samples / frame.sample_rate
            frame.pts = None  # without timestamps the resampler adds no silence for gaps in the file
            yield from map(_block, resampler.resample(frame))
    yield from map(_block, resampler.resample(None))
    # What a packet would have lasted is not known; its octets are taken for as long as those of the others.
    tally.unreadable = lost / octets * tally.read if octets else float(lost > 0)


def _block(frame: AudioFrame) -> NDArray[np.int16]:
    return frame.to_ndarray().reshape(-1).astype(np.int16, copy=False)


def encode_block(block: Block, law: Law) -> bytes:
    """Return a piece of sound as G.711; octets that are stored in this law are not changed."""
    if not isinstance(block, StoredBlock):
        return _ENCODE[law](block)
    return block.octets if block.law == law else block.octets.translate(conversion_table(block.law, law))


def conversion_table(stored: Law, wanted: Law) -> bytes:
    """Return the 256 octets in the law `wanted` that mean the same as each octet in the law `stored`."""
    return _ENCODE[wanted](_EXPAND[stored](bytes(range(256))))
