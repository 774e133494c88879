"""Codecs by name and number."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_wire.sdp.codec import PCMU, STATIC, Codec, SdpError, static_payload_type


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("PCMU/8000", Codec("PCMU", 8000)),
        ("L16/44100/2", Codec("L16", 44100, 2)),
        ("H263-2000/90000", Codec("H263-2000", 90000)),
    ],
)
def test_read_and_written(text: str, codec: Codec) -> None:
    assert Codec.parse(text) == codec
    assert str(codec) == text


def test_names_are_compared_without_case_and_kept_as_they_are() -> None:
    assert Codec.parse("ilbc/8000") == Codec("iLBC", 8000)
    assert len({Codec.parse("pcmu/8000"), PCMU}) == 1
    assert str(Codec.parse("pcmu/8000")) == "pcmu/8000"
    assert Codec("PCMU", 16000) != PCMU


@pytest.mark.parametrize(
    "text", ["", "PCMU", "/8000", "PCMU/", "PCMU/8k", "PCMU/8000/1/2", "PCMU/0", "PC MU/8000", "x/²"]
)
def test_malformed_codecs_are_refused(text: str) -> None:
    with pytest.raises(SdpError):
        Codec.parse(text)


def test_static_payload_types_of_rfc_3551() -> None:
    assert STATIC[9] == Codec("G722", 8000), "the clock is 8000 by an old mistake that stays"
    assert [static_payload_type(Codec.parse(text)) for text in ("pcmu/8000", "PCMA/8000", "H263/90000")] == [0, 8, 34]
    assert [static_payload_type(Codec("L16", 44100, 2)), static_payload_type(Codec("L16", 44100))] == [10, 11]
    assert static_payload_type(Codec("iLBC", 8000)) is None


@given(st.text())
def test_anything_raises_only_sdp_error(text: str) -> None:
    with contextlib.suppress(SdpError):
        Codec.parse(text)
