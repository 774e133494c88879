"""Table-driven conversion between G.711 mu-law or A-law and 16-bit linear samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]


def decode_ulaw(octets: bytes) -> Samples:
    """Return the samples of mu-law octets."""
    return _ULAW[np.frombuffer(octets, np.uint8)]


def decode_alaw(octets: bytes) -> Samples:
    """Return the samples of A-law octets."""
    return _ALAW[np.frombuffer(octets, np.uint8)]


def encode_ulaw(samples: Samples) -> bytes:
    """Return mu-law octets; each sample is encoded as the nearest value."""
    return _TO_ULAW[samples.astype(np.int32) + 32768].tobytes()


def encode_alaw(samples: Samples) -> bytes:
    """Return A-law octets; each sample is encoded as the nearest value."""
    return _TO_ALAW[samples.astype(np.int32) + 32768].tobytes()


def _ulaw_values() -> Samples:
    """Return the sample of each mu-law code (G.711 table 2), scaled from 14 to 16 bits.

    All bits of a code are inverted: one bit of sign, three of segment, four of step; the bias is 33 at 14 bits.
    """
    code = ~np.arange(256, dtype=np.uint8)
    segment, step = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    size = ((step * 2 + 33 << segment) - 33) * 4
    return np.where(code & 0x80, -size, size).astype(np.int16)


def _alaw_values() -> Samples:
    """Return the sample of each A-law code (G.711 table 1), scaled from 13 to 16 bits.

    The even bits of a code are inverted. A set sign bit means a positive value; segment 0 is linear.
    """
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    segment, step = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    size = np.where(segment == 0, step * 2 + 1, step * 2 + 33 << np.maximum(segment - 1, 0)) * 8
    return np.where(code & 0x80, size, -size).astype(np.int16)


def _nearest(values: Samples, codes: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Return the code of the nearest value for each sample from -32768 up; `codes` has one code for each value."""
    order = codes[np.argsort(values[codes], kind="stable")]
    steps = values[order].astype(np.int32)
    bounds = steps[:-1] + np.diff(steps) / 2
    return order[np.searchsorted(bounds, np.arange(-32768, 32768), side="right")].astype(np.uint8)


_ULAW = _ulaw_values()
_ALAW = _alaw_values()
# mu-law has two codes for zero. 0x7F is left out, so that silence is encoded as 0xFF.
_TO_ULAW = _nearest(_ULAW, np.delete(np.arange(256), 0x7F))
_TO_ALAW = _nearest(_ALAW, np.arange(256))
