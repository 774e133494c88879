"""Finds and decodes the audio part of a mail, with which the received sound is compared.

It uses Python's `email` package and PyAV (FFmpeg) and no code of the nodes, so that it does not share their mistakes.
"""

from __future__ import annotations

import io
import re
import wave
from dataclasses import dataclass, replace
from email import message_from_bytes, policy
from email.message import Message
from functools import cached_property, lru_cache
from pathlib import Path
from urllib.parse import unquote

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

RATE = 8000
RAW_FORMATS = {
    "audio/basic": "mulaw",
    "audio/pcmu": "mulaw",
    "audio/x-mulaw": "mulaw",
    "audio/pcma": "alaw",
    "audio/x-alaw-basic": "alaw",
}
SILENCE = {"mulaw": 0xFF, "alaw": 0xD5}
"""The octet of silence in each headerless format."""
SUN_MAGIC = b".snd"
"""The first octets of a Sun audio file, which has a header."""
_URL_FIELD = re.compile(r"/?;(SECTION|PARTIAL)=([^/;?]+)", re.IGNORECASE)


class UnheardPartError(ValueError):
    """The mail has no audio or video part, or the part cannot be decoded."""


@dataclass(frozen=True)
class MediaPart:
    """One part of a mail: its content type in lower case, and its octets without the transfer encoding."""

    content_type: str
    octets: bytes

    @property
    def raw_format(self) -> str | None:
        """FFmpeg's name of the format if the octets are G.711 at 8,000 Hz without a header, else None."""
        return None if self.octets.startswith(SUN_MAGIC) else RAW_FORMATS.get(self.content_type)

    @cached_property
    def samples(self) -> NDArray[np.int16]:
        """The sound as mono samples at 8,000 Hz; raises UnheardPartError if it cannot be decoded."""
        return decode(self.octets, self.raw_format)

    @property
    def length(self) -> float:
        """Playing length in seconds."""
        return len(self.samples) / RATE

    def repeated(self, times: int, delay: float = 0.0) -> MediaPart:
        """Return a part with the sound of this one played `times` times, with `delay` seconds of silence between."""
        silence = round(delay * RATE)
        if self.raw_format is not None:
            between = bytes([SILENCE[self.raw_format]]) * silence
            return replace(self, octets=between.join([self.octets] * times))
        pieces = [np.concatenate([self.samples, np.zeros(silence, np.int16)])] * (times - 1) + [self.samples]
        return MediaPart("audio/wav", _wav(np.concatenate(pieces)))

    def cut(self, seconds: float) -> MediaPart:
        """Return a part with the first `seconds` of this one's sound."""
        samples = round(seconds * RATE)
        if self.raw_format is not None:
            return replace(self, octets=self.octets[:samples])
        return MediaPart("audio/wav", _wav(self.samples[:samples]))


def _wav(samples: NDArray[np.int16]) -> bytes:
    sink = io.BytesIO()
    with wave.open(sink, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(samples.astype("<i2").tobytes())
    return sink.getvalue()


def decode(octets: bytes, raw_format: str | None = None) -> NDArray[np.int16]:
    """Decode the first audio stream of `octets` to mono 16-bit samples at 8,000 Hz.

    `raw_format` is FFmpeg's name of the format if the data has no header. Raises UnheardPartError if there is no audio
    stream, if it cannot be decoded, or if it is empty.
    """
    options = {"sample_rate": str(RATE)} if raw_format else {}
    try:
        with av.open(io.BytesIO(octets), mode="r", format=raw_format, options=options) as container:
            if not container.streams.audio:
                raise UnheardPartError("the part has no audio stream")
            resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
            pieces = [
                resampled.to_ndarray().reshape(-1)
                for frame in container.decode(container.streams.audio[0])
                for resampled in resampler.resample(frame)
            ]
            pieces += [rest.to_ndarray().reshape(-1) for rest in resampler.resample(None)]
    except av.FFmpegError as problem:
        raise UnheardPartError(f"the part cannot be decoded: {problem.strerror}") from problem
    if not pieces:
        raise UnheardPartError("the part holds no sound")
    return np.concatenate(pieces).astype(np.int16)


def media_part(message: Path) -> MediaPart:
    """Return the first audio or video part of the mail in a file; raises UnheardPartError if it has none."""
    return part_of(message.read_bytes(), message.name)


@lru_cache(maxsize=8)
def part_of(mail: bytes, name: str) -> MediaPart:
    """Return the first audio or video part of a mail; raises UnheardPartError, which names `name`, if it has none."""
    for part in _parse(mail).walk():
        if part.get_content_maintype() in {"audio", "video"}:
            return MediaPart(part.get_content_type().lower(), _content(part))
    raise UnheardPartError(f"{name} has no audio or video part")


@lru_cache(maxsize=8)
def part_of_section(mail: bytes, section: str) -> MediaPart:
    """Return the part of a mail that an IMAP section number such as `2` or `3.1` names (RFC 3501 section 6.4.5).

    Raises UnheardPartError if the mail has no such part, or if the part is a multipart or a message.
    """
    part = _parse(mail)
    for number, level in enumerate(section.split(".")):
        parts = _parts_of(part) if number else _parts_of_message(part)
        if not level.isascii() or not level.isdigit() or not 1 <= int(level) <= len(parts):
            raise UnheardPartError(f"the mail has no part {section or 'without a section'}")
        part = parts[int(level) - 1]
    if part.is_multipart():
        raise UnheardPartError(f"part {section} holds other parts")
    return MediaPart(part.get_content_type().lower(), _content(part))


def part_of_url(mail: bytes, url: str) -> MediaPart:
    """Return the part of a mail that an IMAP URL names by `;SECTION=`, cut by `;PARTIAL=` (RFC 5092 section 11).

    Raises UnheardPartError if the mail has no such part, or if the part is a multipart or a message.
    """
    found = {name.upper(): unquote(value) for name, value in _URL_FIELD.findall(url)}
    part = part_of_section(mail, found.get("SECTION", ""))
    if "PARTIAL" not in found:
        return part
    first, _, length = found["PARTIAL"].partition(".")
    end = int(first) + int(length) if length else None
    return MediaPart(part.content_type, part.octets[int(first) : end])


def _parse(mail: bytes) -> Message:
    return message_from_bytes(mail, policy=policy.compat32)


def _parts_of_message(message: Message) -> list[Message]:
    """Return the parts of a message in the order of their numbers; a message that is no multipart is its own part 1."""
    return _parts_of(message) if message.get_content_maintype() == "multipart" else [message]


def _parts_of(part: Message) -> list[Message]:
    """Return the parts below a part in the order of their numbers; of a message/rfc822, those of its message."""
    payload = part.get_payload()
    inner = [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []
    return _parts_of_message(inner[0]) if inner and part.get_content_type() == "message/rfc822" else inner


def _content(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def media_length(message: Path) -> float | None:
    """Return the playing length in seconds of a mail's first audio or video part, or None if it cannot be decoded."""
    try:
        return media_part(message).length
    except UnheardPartError:
        return None
