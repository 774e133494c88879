"""What comes out of parts: octets passed through, or 8 kHz speech of the right length and pitch."""

from __future__ import annotations

import io
import struct
import wave
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_media.decode import (
    MAX_GAIN_DB,
    DecodedMedia,
    EncodedMedia,
    Law,
    MediaCache,
    MediaError,
    MediaPart,
    decode,
)
from lemonade_wire.rtp import g711

MULAW = bytes(range(256)) * 40


def wav(rate: int, channels: int, seconds: float = 1.0, pitch: float = 440.0) -> bytes:
    samples = (8000 * np.sin(2 * np.pi * pitch * np.arange(int(rate * seconds)) / rate)).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(np.repeat(samples, channels).tobytes())
    return file.getvalue()


def au(encoding: int, octets: bytes, rate: int = 8000) -> bytes:
    return b".snd" + struct.pack(">IIIII", 28, len(octets), encoding, rate, 1) + b"note" + octets


def pitch_of(media: DecodedMedia) -> float:
    spectrum = np.abs(np.fft.rfft(media.samples.astype(float)))
    return float(spectrum.argmax()) * 8000 / len(media.samples)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_wav_of_any_rate_and_channels_keeps_length_pitch_and_level(rate: int, channels: int) -> None:
    media = decode(MediaPart("audio/wav", {}, wav(rate, channels)))
    assert abs(media.seconds - 1) < 0.01
    assert abs(pitch_of(media) - 440) < 2
    assert 7000 < np.abs(media.samples).max() < 9000


def test_audio_basic_passes_through_octet_by_octet() -> None:
    media = decode(MediaPart("audio/basic", {}, MULAW))
    assert media.encode("PCMU") == MULAW
    assert len(media.encode("PCMA")) == len(MULAW)
    assert media.seconds == len(MULAW) / 8000


@pytest.mark.parametrize("kind", ["audio/pcma", "audio/x-alaw-basic"])
def test_alaw_passes_through_octet_by_octet(kind: str) -> None:
    assert decode(MediaPart(kind, {}, MULAW)).encode("PCMA") == MULAW


@pytest.mark.parametrize(("encoding", "law"), [(1, "PCMU"), (27, "PCMA")])
def test_au_header_is_recognised_under_any_label_and_left_out(encoding: int, law: str) -> None:
    media = decode(MediaPart("audio/basic", {}, au(encoding, MULAW)))
    assert (media.stored_law, media.stored) == (law, MULAW)


def test_content_wins_over_a_wrong_label() -> None:
    for label in ("audio/basic", "application/octet-stream", "audio/mpeg"):
        assert abs(pitch_of(decode(MediaPart(label, {}, wav(16000, 1)))) - 440) < 2


def test_rate_and_channels_of_a_raw_part_are_heeded() -> None:
    assert decode(MediaPart("audio/pcmu", {"rate": "16000", "channels": "2"}, MULAW)).seconds == pytest.approx(
        len(MULAW) / 32000, abs=0.01
    )


@pytest.mark.parametrize("codec", ["libmp3lame", "aac", "flac"])
def test_other_containers_are_decoded(codec: str) -> None:
    form = {"libmp3lame": "mp3", "aac": "mp4", "flac": "flac"}[codec]
    file = io.BytesIO()
    with av.open(file, "w", format=form) as sink:
        stream = sink.add_stream(codec, rate=48000)
        assert isinstance(stream, av.AudioStream)
        for number, chunk in enumerate(np.split(np.frombuffer(wav(48000, 1)[44:], "<i2"), 10)):
            frame = av.AudioFrame.from_ndarray(chunk.reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, number * 4800, Fraction(1, 48000)
            sink.mux(stream.encode(frame))
        sink.mux(stream.encode(None))
    media = decode(MediaPart("application/octet-stream", {}, file.getvalue()))
    assert abs(media.seconds - 1) < 0.1
    assert abs(pitch_of(media) - 440) < 5


@pytest.mark.parametrize(
    ("kind", "octets", "why"),
    [
        ("text/plain", b"hello", "text/plain cannot be streamed"),
        ("image/png", b"\x89PNG", "image/png cannot be streamed"),
        ("multipart/mixed", b"--x", "multipart/mixed cannot be streamed"),
        ("application/pkcs7-mime", b"0", "encrypted"),
        ("audio/wav", b"", "empty"),
        ("audio/wav", b"not a sound at all " * 50, "no audio format"),
        ("audio/wav", wav(8000, 1)[:30], "no audio format"),
        ("audio/mpeg", b"#EXTM3U\nfile:///etc/hostname\n" * 20, "no audio format"),
        ("application/octet-stream", b"ffconcat version 1.0\nfile /etc/hostname\n", "no audio format"),
    ],
)
def test_what_cannot_be_played_says_why(kind: str, octets: bytes, why: str) -> None:
    with pytest.raises(MediaError, match=why):
        decode(MediaPart(kind, {}, octets))


@pytest.mark.parametrize("params", [{"rate": "fast"}, {"rate": "0"}, {"channels": "99"}, {"rate": "9" * 40}])
def test_bad_parameters_of_a_raw_part_are_refused(params: dict[str, str]) -> None:
    with pytest.raises(MediaError, match="parameter"):
        decode(MediaPart("audio/pcmu", params, MULAW))


def test_length_is_bounded() -> None:
    for part in (MediaPart("audio/basic", {}, MULAW), MediaPart("audio/wav", {}, wav(44100, 2))):
        with pytest.raises(MediaError, match=r"longer than 0\.5 s"):
            decode(part, max_seconds=0.5)


@settings(max_examples=60, deadline=None)
@given(st.booleans(), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_files_raise_media_errors_alone(riff: bool, damage: list[tuple[int, int]]) -> None:
    octets = bytearray(wav(16000, 2, 0.05) if riff else au(1, MULAW[:800]))
    for place, value in damage:
        octets[place] = value
    try:
        media = decode(MediaPart("audio/wav", {}, bytes(octets)), max_seconds=10)
    except MediaError:
        return
    assert 0 < len(media.encode("PCMU")) <= 80000


def test_cache_shares_equal_content_and_forgets_the_oldest() -> None:
    cache = MediaCache(limit=25000)
    first = cache.encoded(MediaPart("audio/basic", {}, MULAW), "PCMU")
    assert cache.encoded(MediaPart("audio/basic", {}, bytes(MULAW)), "PCMU") is first
    assert cache.encoded(MediaPart("audio/basic", {}, MULAW), "PCMA").key != first.key
    cache.encoded(MediaPart("audio/basic", {}, MULAW[1:]), "PCMU")
    assert cache.encoded(MediaPart("audio/basic", {}, MULAW), "PCMU") is not first


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_gain_changes_the_level_and_nothing_else(law: Law) -> None:
    samples = (4000 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)).astype(np.int16)
    media = EncodedMedia(law, DecodedMedia(samples).encode(law), "tone")
    expand = g711.decode_ulaw if law == "PCMU" else g711.decode_alaw
    for gain_db in (-12.0, -1.5, 6.0):
        louder = media.amplified(gain_db)
        level = np.sqrt(np.mean(expand(louder.octets).astype(float) ** 2)) / np.sqrt(
            np.mean(samples.astype(float) ** 2)
        )
        assert abs(20 * np.log10(level) - gain_db) < 0.2
        assert (louder.law, louder.seconds) == (law, 1)
        assert louder.key != media.key
    assert media.amplified(0) is media
    assert media.amplified(1000) == media.amplified(MAX_GAIN_DB)
    assert np.abs(expand(media.amplified(1000).octets).astype(int)).max() > 31000
