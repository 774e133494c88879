"""G.711 mu-law and A-law, to and from 16-bit linear samples, by tables."""

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
    """Return mu-law octets; each sample goes to the nearest value."""
    return _TO_ULAW[samples.astype(np.int32) + 32768].tobytes()


def encode_alaw(samples: Samples) -> bytes:
    """Return A-law octets; each sample goes to the nearest value."""
    return _TO_ALAW[samples.astype(np.int32) + 32768].tobytes()


def _ulaw_values() -> Samples:
    """G.711 table 2: all bits inverted; sign, three bits of segment, four of step; a bias of 33 at 14 bits."""
    code = ~np.arange(256, dtype=np.uint8)
    segment, step = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    size = ((step * 2 + 33 << segment) - 33) * 4
    return np.where(code & 0x80, -size, size).astype(np.int16)


def _alaw_values() -> Samples:
    """G.711 table 1: even bits inverted; sign set means positive; segment 0 is linear; 13 bits."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    segment, step = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    size = np.where(segment == 0, step * 2 + 1, step * 2 + 33 << np.maximum(segment - 1, 0)) * 8
    return np.where(code & 0x80, size, -size).astype(np.int16)


def _nearest(values: Samples, codes: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Return for every sample from -32768 up the code whose value is nearest; `codes` lists each value once."""
    order = codes[np.argsort(values[codes], kind="stable")]
    steps = values[order].astype(np.int32)
    bounds = steps[:-1] + np.diff(steps) / 2
    return order[np.searchsorted(bounds, np.arange(-32768, 32768), side="right")].astype(np.uint8)


_ULAW = _ulaw_values()
_ALAW = _alaw_values()
# mu-law has two zeros; silence is written as the positive one, 0xFF
_TO_ULAW = _nearest(_ULAW, np.delete(np.arange(256), 0x7F))
_TO_ALAW = _nearest(_ALAW, np.arange(256))
