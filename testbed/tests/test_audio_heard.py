"""Rebuilding a received stream: packets in order, each once, gaps as silence."""

from __future__ import annotations

import base64
import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lemonade_testbed.audio.heard import hear
from lemonade_testbed.evidence import Event


def packets(octets: bytes, *, ssrc: int = 7, pt: int = 0) -> list[Event]:
    """Cut octets into packets whose sequence numbers and timestamps both wrap on the way."""
    sequence, timestamp = 65530, (1 << 32) - 400
    return [
        Event(
            100 + index * 0.02,
            "client",
            index + 1,
            "rtp",
            {
                "way": "received",
                "ssrc": ssrc,
                "seq": (sequence + index) % (1 << 16),
                "ts": (timestamp + index * 160) % (1 << 32),
                "pt": pt,
                "marker": index == 0,
                "payload": base64.b64encode(octets[index * 160 : (index + 1) * 160]).decode(),
            },
        )
        for index in range((len(octets) + 159) // 160)
    ]


SOUND = random.Random(1).randbytes(160 * 20 + 37)


def test_a_whole_stream_gives_its_octets_over_both_wraps() -> None:
    heard = hear(packets(SOUND))
    assert heard is not None
    assert heard.octets.tobytes() == SOUND
    assert (heard.lost, heard.sent, bool(heard.missing.any())) == (0, 21, False)


@given(st.randoms(use_true_random=False))
def test_reordered_and_duplicate_packets_give_the_same_sound(shuffle: random.Random) -> None:
    events = packets(SOUND)
    rest = events[1:] + events[3:6]
    shuffle.shuffle(rest)
    heard = hear(events[:1] + rest)
    assert heard is not None
    assert heard.octets.tobytes() == SOUND


def test_missing_packets_are_silence_and_are_counted() -> None:
    events = packets(SOUND)
    del events[4:6]
    heard = hear(events)
    assert heard is not None
    assert heard.octets[640:960].tobytes() == b"\xff" * 320
    assert (heard.lost, int(heard.missing.sum())) == (2, 320)
    assert heard.octets[960:].tobytes() == SOUND[960:]


def test_the_ssrc_with_fewer_packets_is_ignored() -> None:
    heard = hear(packets(b"\x00" * 320, ssrc=9) + packets(SOUND))
    assert heard is not None
    assert heard.octets.tobytes() == SOUND


def test_a_law_is_decoded_as_a_law() -> None:
    heard = hear(packets(b"\xd5" * 160, pt=8))
    assert heard is not None
    assert np.abs(heard.samples).max() <= 8


def test_other_payload_types_and_events_are_not_sound() -> None:
    assert hear([Event(1.0, "media", 1, "sip", {}), *packets(SOUND, pt=101)]) is None


def test_position_at_is_the_sample_of_the_next_packet() -> None:
    heard = hear(packets(SOUND))
    assert heard is not None
    assert heard.position_at(100.0399) == 320
    assert heard.position_at(200) == len(SOUND)
