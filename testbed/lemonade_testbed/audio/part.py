"""The streamable part of a mail, as a second opinion: Python's `email` package and PyAV, none of the nodes' code."""

from __future__ import annotations

import io
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import Message
from functools import cached_property, lru_cache
from pathlib import Path

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
SUN_MAGIC = b".snd"


class UnheardPartError(ValueError):
    """The mail has no part that can be heard, or the part cannot be decoded."""


@dataclass(frozen=True)
class MediaPart:
    """One part of a mail: its type (lower case) and its octets, transfer encoding removed."""

    content_type: str
    octets: bytes

    @property
    def raw_format(self) -> str | None:
        """FFmpeg's name of the format where the octets are headerless G.711 at 8,000 Hz, else None."""
        return None if self.octets.startswith(SUN_MAGIC) else RAW_FORMATS.get(self.content_type)

    @cached_property
    def samples(self) -> NDArray[np.int16]:
        """The sound as mono samples at 8,000 Hz; raises UnheardPartError where it cannot be decoded."""
        return decode(self.octets, self.raw_format)

    @property
    def length(self) -> float:
        """Playing length in seconds."""
        return len(self.samples) / RATE


def decode(octets: bytes, raw_format: str | None = None) -> NDArray[np.int16]:
    """Decode the first audio stream of `octets` to mono 16-bit samples at 8,000 Hz.

    `raw_format` is FFmpeg's name for headerless data. Raises UnheardPartError.
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
    """Return the first audio or video part of the mail in `message`; raises UnheardPartError where there is none."""
    return part_of(message.read_bytes(), message.name)


@lru_cache(maxsize=8)
def part_of(mail: bytes, name: str) -> MediaPart:
    """Return the first audio or video part of a mail called `name`; raises UnheardPartError where there is none."""
    for part in message_from_bytes(mail, policy=policy.compat32).walk():
        if part.get_content_maintype() in {"audio", "video"}:
            return MediaPart(part.get_content_type().lower(), _content(part))
    raise UnheardPartError(f"{name} has no audio or video part")


def _content(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def media_length(message: Path) -> float | None:
    """Return the playing length in seconds of the part that is streamed, or None where nothing can be heard."""
    try:
        return media_part(message).length
    except UnheardPartError:
        return None
