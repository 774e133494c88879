"""From a message part to what a call plays: demultiplexed, decoded, mixed to one channel, resampled, encoded once.

A part that already holds mono G.711 at 8 kHz, raw (audio/basic) or in a container, is passed through: its octets are
the octets of the RTP payloads. Everything else goes through FFmpeg (PyAV) to 8 kHz int16 and from there to G.711.
Nothing here knows a reactor: the caller runs it on a thread.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer
from numpy.typing import NDArray

from lemonade_wire.rtp import g711

Law = Literal["PCMU", "PCMA"]
"""The two encodings this server sends: mu-law and A-law of G.711, 8 kHz, one octet per sample."""

RATE = 8000
MAX_GAIN_DB = 30.0
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
# Containers that are recognised by their content. A closed list: FFmpeg's playlist and image readers would follow
# references to other files and hosts.
_FORMATS = "wav,w64,aiff,au,caf,mp3,ogg,flac,amr,mov,mp4,m4a,3gp,3g2,matroska,webm,avi,mpeg,aac,asf"
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
_NOT_STREAMABLE = ("text/", "image/", "multipart/", "message/", "model/", "font/")
_ENCRYPTED = {"application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted"}


class MediaError(Exception):
    """A part cannot be played; the text says why, in one clause, and may be shown to the caller."""


@dataclass(frozen=True)
class MediaPart:
    """A message part as URLFETCH gave it: type in lower case, parameters, and its octets without transfer encoding."""

    content_type: str
    params: Mapping[str, str]
    octets: bytes


@dataclass(frozen=True)
class EncodedMedia:
    """What a call plays: G.711 octets at 8,000 a second. `key` is equal for equal content."""

    law: Law
    octets: bytes
    key: str

    @property
    def seconds(self) -> float:
        """Playing length."""
        return len(self.octets) / RATE

    def to(self, law: Law) -> EncodedMedia:
        """Return the same sound in that encoding."""
        if law == self.law:
            return self
        table = _ENCODE[law](_EXPAND[self.law](bytes(range(256))))
        return EncodedMedia(law, self.octets.translate(table), f"{self.key}>{law}")

    def amplified(self, gain_db: float) -> EncodedMedia:
        """Return it louder or softer by so many dB, at most 30 of them; what grows too loud is clipped."""
        gain_db = max(-MAX_GAIN_DB, min(MAX_GAIN_DB, gain_db))
        if not gain_db:
            return self
        levels = _EXPAND[self.law](bytes(range(256))).astype(np.float64) * 10 ** (gain_db / 20)
        table = _ENCODE[self.law](np.clip(np.rint(levels), -32768, 32767).astype(np.int16))
        return EncodedMedia(self.law, self.octets.translate(table), f"{self.key}{gain_db:+g}dB")


@dataclass(frozen=True)
class DecodedMedia:
    """A decoded part: mono samples at 8 kHz, and the stored G.711 octets where the part held them."""

    samples: NDArray[np.int16]
    stored_law: Law | None = None
    stored: bytes = b""

    @property
    def seconds(self) -> float:
        """Playing length."""
        return len(self.samples) / RATE

    def encode(self, law: Law) -> bytes:
        """Return one octet per sample; stored octets of the same law as they were."""
        return self.stored if law == self.stored_law else _ENCODE[law](self.samples)


def decode(part: MediaPart, max_seconds: float = 3600.0) -> DecodedMedia:
    """Decode a part; raises MediaError with a reason, and nothing else.

    Content wins over the label for self-describing containers only (a WAV labelled audio/basic is a WAV).
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
            return _stored(law, part.octets, max_seconds)
        options = {"sample_rate": str(rate), "ch_layout": f"{channels}c"}
        return _demultiplex(part.octets, max_seconds, "mulaw" if law == "PCMU" else "alaw", options)
    return _demultiplex(part.octets, max_seconds, None, {"format_whitelist": _FORMATS})


def _self_describing(octets: bytes) -> bool:
    return any(octets.startswith(magic, at) for at, magic in _MAGIC)


def _number(part: MediaPart, name: str, default: int) -> int:
    text = part.params.get(name, str(default))
    limit = 192_000 if name == "rate" else 8
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) <= limit:
        raise MediaError(f"the part's {name} parameter is not a usable number")
    return int(text)


def _stored(law: Law, octets: bytes, max_seconds: float) -> DecodedMedia:
    if len(octets) > max_seconds * RATE:
        raise MediaError(f"the part plays longer than {max_seconds:g} s")
    return DecodedMedia(_EXPAND[law](octets), law, octets)


def _demultiplex(octets: bytes, max_seconds: float, form: str | None, options: dict[str, str]) -> DecodedMedia:
    try:
        source = av.open(io.BytesIO(octets), format=form, options=options | {"protocol_whitelist": "none"})
    except (av.FFmpegError, ValueError, OSError) as problem:
        raise MediaError("the part is in no audio format that this server knows") from problem
    with source:
        try:
            if not isinstance(source, InputContainer):
                raise MediaError("the part cannot be read")
            return _read(source, max_seconds)
        except (av.FFmpegError, ValueError, OSError, UnicodeError) as problem:
            raise MediaError("the part's audio cannot be decoded") from problem


def _read(source: InputContainer, max_seconds: float) -> DecodedMedia:
    if not source.streams.audio:
        raise MediaError("the part has no audio")
    stream = source.streams.audio[0]  # LS-2.6-4: of a video, its audio
    context = stream.codec_context
    if context is None:  # FFmpeg has no decoder for it, whatever PyAV's types say
        raise MediaError("the part's codec is not known")
    law = _STORED.get(context.name)
    if law is not None and context.rate == RATE and context.channels == 1:
        return _stored(law, b"".join(bytes(packet) for packet in source.demux(stream)), max_seconds)
    resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
    blocks: list[NDArray[np.int16]] = []
    length = 0
    for frame in _resampled(source, resampler):
        block: NDArray[np.int16] = frame.to_ndarray().reshape(-1).astype(np.int16, copy=False)
        blocks.append(block)
        length += len(block)
        if length > max_seconds * RATE:
            raise MediaError(f"the part plays longer than {max_seconds:g} s")
    if not length:
        raise MediaError("the part has no audio")
    return DecodedMedia(np.concatenate(blocks))


def _resampled(source: InputContainer, resampler: AudioResampler) -> Iterator[AudioFrame]:
    for frame in source.decode(source.streams.audio[0]):
        frame.pts = None  # the file's own gaps and offsets are not played
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


class MediaCache:
    """Decodes and encodes each content once and shares the result between calls; safe to use from several threads.

    The least recently played is forgotten first, when `limit` octets are exceeded.
    """

    def __init__(self, limit: int = 64_000_000, max_seconds: float = 3600.0) -> None:
        self._limit = limit
        self._max_seconds = max_seconds
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[str, Law], EncodedMedia] = OrderedDict()

    def encoded(self, part: MediaPart, law: Law) -> EncodedMedia:
        """Return what a call with this codec plays for the part; raises MediaError."""
        label = f"{part.content_type}|{sorted(part.params.items())}".encode()
        key = hashlib.sha256(hashlib.sha256(label).digest() + part.octets).hexdigest()
        with self._lock:
            if (known := self._entries.get((key, law))) is not None:
                self._entries.move_to_end((key, law))
                return known
        media = EncodedMedia(law, decode(part, self._max_seconds).encode(law), f"{key}/{law}")
        with self._lock:
            self._entries[key, law] = media
            while len(self._entries) > 1 and sum(len(entry.octets) for entry in self._entries.values()) > self._limit:
                self._entries.popitem(last=False)
        return media
