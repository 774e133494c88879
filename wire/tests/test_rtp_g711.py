"""G.711 against values from the standard's tables."""

from __future__ import annotations

import numpy as np
import pytest

from lemonade_wire.rtp.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw

# G.711 tables 1 and 2: decoder output values, at 16 bits
ULAW = {
    0x00: -32124,
    0x0F: -16764,
    0x10: -15996,
    0x70: -120,
    0x7E: -8,
    0x7F: 0,
    0x80: 32124,
    0xEF: 132,
    0xFE: 8,
    0xFF: 0,
}
ALAW = {0x2A: -32256, 0xAA: 32256, 0x55: -8, 0xD5: 8, 0xD4: 24, 0x54: -24}


@pytest.mark.parametrize("code", ULAW)
def test_ulaw_values(code: int) -> None:
    assert decode_ulaw(bytes([code])).tolist() == [ULAW[code]]


@pytest.mark.parametrize("code", ALAW)
def test_alaw_values(code: int) -> None:
    assert decode_alaw(bytes([code])).tolist() == [ALAW[code]]


def test_every_code_comes_back_but_the_negative_zero() -> None:
    codes = bytes(range(256))
    assert encode_alaw(decode_alaw(codes)) == codes
    assert encode_ulaw(decode_ulaw(codes)) == codes.replace(b"\x7f", b"\xff")


def test_every_sample_goes_to_the_nearest_value() -> None:
    samples = np.arange(-32768, 32768).astype(np.int16)
    for encode, decode in ((encode_ulaw, decode_ulaw), (encode_alaw, decode_alaw)):
        values = np.unique(decode(bytes(range(256)))).astype(int)
        nearest = np.abs(samples.astype(int)[:, None] - values[None, :]).min(axis=1)
        assert np.array_equal(np.abs(decode(encode(samples)).astype(int) - samples), nearest)


def test_nothing_in_nothing_out() -> None:
    assert (encode_ulaw(decode_ulaw(b"")), len(decode_alaw(b""))) == (b"", 0)
