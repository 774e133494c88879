"""heard.wav: what was heard, 8 kHz mono 16-bit, gaps as silence."""

from __future__ import annotations

import os
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np

from lemonade_wire.rtp.g711 import Samples, decode_alaw, decode_ulaw
from lemonade_wire.rtp.packet import RtpPacket
from lemonade_wire.rtp.recording import Recording
from lemonade_wire.sdp.codec import PCMA, PCMU, Codec

RATE = 8000
_DECODERS = {PCMU: decode_ulaw, PCMA: decode_alaw}


def decodable(codec: Codec) -> bool:
    """Tell whether this client turns the codec into sound; others are received and measured only."""
    return codec in _DECODERS


class Recorder:
    """Collects the packets of every audio stream of a script, in the order of their calls."""

    def __init__(self) -> None:
        self._recordings: list[Recording] = []

    def begin(self) -> None:
        """Start another call: its timestamps have nothing to do with those before."""
        self._recordings.append(Recording(_samples, RATE))

    def add(self, packet: RtpPacket, codec: Codec) -> None:
        """Take one packet; a codec that is not decodable is passed over."""
        if codec in _DECODERS and self._recordings:
            # Decoded here, since the payload type, and so the decoder, may change from packet to packet.
            samples = _DECODERS[codec](packet.payload)
            self._recordings[-1].add(replace(packet, payload=samples.astype(np.int16).tobytes()))

    def samples(self) -> Samples:
        """Return everything heard so far."""
        parts = [recording.timeline() for recording in self._recordings]
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)

    def write(self, path: Path) -> None:
        """Write the file whole, under another name first: a reader, or a kill, never meets half a header."""
        part = path.with_name(path.name + ".part")
        with wave.open(str(part), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(self.samples().astype("<i2").tobytes())
        os.replace(part, path)


def _samples(octets: bytes) -> Samples:
    return np.frombuffer(octets, np.int16)
