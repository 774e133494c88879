"""The recorder: reordered and lost packets, stalls, silence, limits."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_media.recording.recorder import DELAY_SECONDS, CallRecorder
from lemonade_wire.rtp.g711 import Samples, decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from lemonade_wire.rtp.packet import RtpPacket
from lemonade_wire.sdp.codec import PCMA, PCMU

PACKET = 160
SILENCE = b"\xff"
Arriving = list[tuple[float, RtpPacket]]


def tone(ms: int, dbm0: float = -10.0) -> Samples:
    """Return a tone of 1 kHz at a level (G.711: a full-scale sine is +3.17 dBm0)."""
    amplitude = 32124 * 10 ** ((dbm0 - 3.17) / 20)
    return (amplitude * np.sin(2 * np.pi * np.arange(8 * ms) / 8)).astype(np.int16)


def voice(ms: int) -> bytes:
    """Return mu-law octets in which no two packets are the same."""
    noise = np.random.default_rng(7).normal(0, 3000, 8 * ms).clip(-32000, 32000).astype(np.int16)
    return encode_ulaw(noise)


def packets(octets: bytes, at: float = 0.0, *, sequence: int = 65000, stamp: int = 2**32 - 800) -> Arriving:
    """Return packets of 20 ms with their arrival times, each at the start of its sound."""
    return [
        (
            at + start / 8000,
            RtpPacket(0, (sequence + number) % 65536, (stamp + start) % 2**32, 42, octets[start : start + PACKET]),
        )
        for number, start in enumerate(range(0, len(octets), PACKET))
    ]


def record(arriving: Arriving, until: float, *, recorder: CallRecorder | None = None) -> tuple[CallRecorder, bytes]:
    """Record from 0 s on, and stop; packets and timers come in the order of time."""
    recorder = recorder or CallRecorder(0.0)
    octets = b""
    for now, packet in [*sorted(arriving, key=lambda one: one[0]), (until, None)]:
        while (due := recorder.next_timer()) is not None and due <= now:
            recorder.handle_timer(due)
            octets += recorder.take()
        if packet is not None:
            recorder.receive(packet, PCMU, now)
    recorder.stop(until)
    return recorder, (octets + recorder.take())[: recorder.length]


def test_packets_in_order_are_recorded_unchanged() -> None:
    said = voice(1000)
    recorder, octets = record(packets(said), 1.0)
    assert (octets, recorder.length, recorder.ended) == (said, 8000, "stopped")


def test_silence_before_and_after_counts() -> None:
    said = voice(500)
    recorder, octets = record(packets(said, at=0.5), 2.0)
    assert octets == SILENCE * 4000 + said + SILENCE * 8000
    assert recorder.length == 16000


def test_a_lost_packet_is_silence_of_its_length() -> None:
    said = voice(1000)
    arriving = packets(said)
    del arriving[20]
    _, octets = record(arriving, 1.0)
    assert octets == said[:3200] + SILENCE * 160 + said[3360:]


def test_a_pause_of_the_sender_is_silence_by_its_timestamps() -> None:
    said = voice(400)
    arriving = packets(said[:1600])
    # 0.5 s later by the clock and by the timestamp, the next sequence number (silence suppression)
    arriving += packets(said[1600:], at=0.2 + 0.5, sequence=65010, stamp=2**32 - 800 + 1600 + 4000)
    _, octets = record(arriving, 0.9)
    assert octets == said[:1600] + SILENCE * 4000 + said[1600:]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.floats(0, DELAY_SECONDS - 0.03), st.integers(1, 3))
def test_reordered_and_repeated_packets_give_the_same_recording(seed: int, jitter: float, copies: int) -> None:
    said, rng = voice(600), random.Random(seed)
    first, *rest = packets(said)
    late = [(now + rng.uniform(0, jitter), packet) for now, packet in rest for _ in range(copies)]
    assert record([first, *late], 0.9)[1].rstrip(SILENCE) == said.rstrip(SILENCE)


def test_a_copy_that_comes_much_too_late_changes_nothing() -> None:
    said = voice(1000)
    arriving = packets(said)
    assert record([*arriving, (0.9, arriving[3][1])], 1.0)[1] == said


def test_after_a_stall_the_rest_has_its_place_by_arrival() -> None:
    said = voice(1000)
    arriving = packets(said)
    stalled = [(now + (0.5 if now >= 0.4 else 0), packet) for now, packet in arriving]
    _, octets = record(stalled, 1.5)
    assert octets == said[:3200] + SILENCE * 4000 + said[3200:]


def test_a_new_source_and_a_timestamp_that_jumps_have_their_place_by_arrival() -> None:
    one, other, third = voice(600)[:1600], voice(600)[1600:3200], voice(600)[3200:]
    arriving = packets(one) + packets(third, at=0.4, sequence=65020, stamp=5_000_000)
    arriving += [
        (now, RtpPacket(0, packet.sequence, packet.timestamp, 43, packet.payload))
        for now, packet in packets(other, at=0.2, sequence=9, stamp=77)
    ]
    assert record(arriving, 0.6)[1] == one + other + third


def test_a_law_is_recorded_as_mu_law() -> None:
    recorder = CallRecorder(0.0)
    sound = encode_alaw(tone(20))
    recorder.receive(RtpPacket(8, 1, 0, 42, sound), PCMA, 0.0)
    recorder.stop(0.02)
    assert recorder.take() == encode_ulaw(decode_alaw(sound))


def test_only_unsettled_sound_is_kept_in_memory() -> None:
    recorder = CallRecorder(0.0)
    for now, packet in packets(voice(10_000)):
        recorder.receive(packet, PCMU, now)
        if (due := recorder.next_timer()) is not None and due <= now:
            recorder.handle_timer(now)
            recorder.take()
        assert len(recorder._ahead) <= 8000 * (DELAY_SECONDS + 0.12)
    # packets whose timestamps run ahead do not fill the memory
    for number in range(3000):
        recorder.receive(RtpPacket(0, number, number * 160, 44, voice(20)), PCMU, 10.0)
    assert len(recorder._ahead) <= 8000 * 2


# -- ends --------------------------------------------------------------------------------------------------------------


def test_the_limit_is_exact_and_what_comes_after_it_is_not_recorded() -> None:
    said = voice(1000)
    recorder, octets = record(packets(said), 1.5, recorder=CallRecorder(0.0, limit_ms=505))
    assert (recorder.ended, recorder.length) == ("limit", 4040)
    assert octets == said[:4040]


def test_a_stop_after_the_limit_keeps_the_limit() -> None:
    recorder, octets = record(packets(voice(600)), 0.6, recorder=CallRecorder(0.0, limit_ms=500))
    assert (recorder.ended, len(octets)) == ("stopped", 4000)


def test_without_a_voice_it_ends_and_holds_nothing() -> None:
    quiet = encode_ulaw(tone(4000, -45))
    recorder = CallRecorder(0.0, first_silence_ms=3000, last_silence_ms=1000)
    for now, packet in packets(quiet):
        recorder.receive(packet, PCMU, now)
        recorder.handle_timer(now)
        if recorder.ended:
            break
    assert (recorder.ended, recorder.length, recorder.next_timer()) == ("first-silence", 0, None)
    assert now == pytest.approx(3.2)


def test_silence_behind_a_voice_ends_it_where_the_voice_ended() -> None:
    said = encode_ulaw(tone(1000))
    recorder, octets = record(packets(said, at=0.2), 9.0, recorder=CallRecorder(0.0, last_silence_ms=2000))
    assert (recorder.ended, recorder.length) == ("last-silence", 9600)
    assert octets == SILENCE * 1600 + said


def test_a_pause_that_is_short_enough_does_not_end_it() -> None:
    word = encode_ulaw(tone(500))
    arriving = packets(word) + packets(word, at=1.5, sequence=5, stamp=12_000 + 2**32 - 800)
    recorder, _ = record(arriving, 9.0, recorder=CallRecorder(0.0, last_silence_ms=1200))
    assert (recorder.ended, recorder.length) == ("last-silence", 16_000)


@pytest.mark.parametrize(("sound", "is_voice"), [((200, -35), True), ((200, -45), False), ((40, -10), False)])
def test_loud_sound_of_60_ms_is_a_voice(sound: tuple[int, float], is_voice: bool) -> None:
    ms, level = sound
    recorder, _ = record(packets(encode_ulaw(tone(ms, level))), 1.0, recorder=CallRecorder(0.0, first_silence_ms=500))
    assert (recorder.ended == "stopped") is is_voice


@pytest.mark.parametrize(
    ("recorder", "why"),
    [(CallRecorder(5.0, limit_ms=0.0), "limit"), (CallRecorder(5.0, first_silence_ms=0.0), "first-silence")],
)
def test_immediate_ends_are_immediate(recorder: CallRecorder, why: str) -> None:
    assert (recorder.ended, recorder.length, recorder.next_timer(), recorder.take()) == (why, 0, None, b"")
    recorder.receive(packets(voice(20))[0][1], PCMU, 5.0)
    recorder.stop(6.0)
    assert (recorder.ended, recorder.take()) == (why, b"")


def test_every_octet_value_is_recorded_unchanged() -> None:
    every = bytes(range(256)) * 5
    assert record(packets(every), 0.16)[1] == every
    assert len(decode_ulaw(every)) == len(every)
