"""Comparing a call's sound with what its signalling asks for: whole, with jumps, or cut short."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lemonade_testbed.audio.heard import Heard, HeardPacket
from lemonade_testbed.audio.part import media_part
from lemonade_testbed.audio.played import ExpectedSound, Jump, listen
from lemonade_wire.rtp.g711 import encode_ulaw

FIXTURES = Path(__file__).parents[2] / "scenarios" / "fixtures"
BASIC = media_part(FIXTURES / "voicemail-basic.eml")
WAV = media_part(FIXTURES / "voicemail.eml")
SKIP = ExpectedSound(jumps=(Jump(103.0, 103.01, 4.0),))


def heard(octets: bytes) -> Heard:
    """Packets of 20 ms, the first at 100 s; the last one is filled up with silence."""
    octets += b"\xff" * (-len(octets) % 160)
    packets = tuple(
        HeardPacket(100 + index * 0.02, index, index * 160, 0, octets[index * 160 : (index + 1) * 160])
        for index in range(len(octets) // 160)
    )
    return Heard(0, packets, np.frombuffer(octets, np.uint8), np.zeros(len(octets), np.bool_), 0)


def seconds(start: float, end: float | None = None) -> bytes:
    return BASIC.octets[round(start * 8000) : None if end is None else round(end * 8000)]


def test_mu_law_is_compared_octet_by_octet() -> None:
    assert listen(BASIC, heard(BASIC.octets), ExpectedSound()).problems == ()
    changed = bytearray(BASIC.octets)
    changed[40000] ^= 1
    assert listen(BASIC, heard(bytes(changed)), ExpectedSound()).problems == (
        f"1 of {len(BASIC.octets)} octets differ, the first at 40000 (5.000 s)",
    )


def test_a_wav_part_is_compared_by_correlation() -> None:
    assert listen(WAV, heard(encode_ulaw(WAV.samples)), ExpectedSound()).problems == ()
    assert listen(WAV, heard(encode_ulaw(WAV.samples[::-1])), ExpectedSound()).problems


@pytest.mark.parametrize("cut", [2.84, 3.0, 3.2])
def test_a_skip_is_found_at_its_position(cut: float) -> None:
    played = listen(BASIC, heard(seconds(0, cut) + seconds(cut + 4)), SKIP)
    assert played.problems == ()
    assert str(played).startswith(f"0.00 s to {cut:.2f} s, then {cut + 4:.2f} s to 12.2")


@pytest.mark.parametrize("gone", [2.0, 3.8, 4.2, 8.0])
def test_a_skip_of_a_wrong_length_is_reported(gone: float) -> None:
    problems = listen(BASIC, heard(seconds(0, 3) + seconds(3 + gone)), SKIP).problems
    assert problems[0] == f"after key 1 the playing goes on at {3 + gone:.2f} s of the part instead of 7.00 s"


def test_a_missing_skip_is_reported() -> None:
    assert "after key 1" in listen(BASIC, heard(BASIC.octets), SKIP).problems[0]


def test_a_rewind_before_the_start_is_heard_from_the_start() -> None:
    call = ExpectedSound(jumps=(Jump(103.0, 103.01, -4.0),))
    assert listen(BASIC, heard(seconds(0, 3) + seconds(0)), call).problems == ()


def test_a_call_cut_short_need_not_be_whole() -> None:
    assert listen(BASIC, heard(seconds(0, 5)), ExpectedSound(cut_short=True)).problems == ()
    assert listen(BASIC, heard(seconds(0, 5)), ExpectedSound()).problems == ("the playing ends at 5.00 s of 12.23 s",)


def test_an_offset_is_heard() -> None:
    assert listen(BASIC, heard(seconds(5)), ExpectedSound(offset=5.0)).problems == ()
    assert "at its start" in listen(BASIC, heard(seconds(5)), ExpectedSound()).problems[0]


def test_missing_packets_are_counted() -> None:
    lossy = replace(heard(BASIC.octets), lost=40)
    assert listen(BASIC, lossy, ExpectedSound()).problems == ("40 of 652 packets are missing (6.1 %)",)
