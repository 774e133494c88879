"""The lenient decoding of transfer encodings with errors in them."""

from __future__ import annotations

import base64
import io
import quopri
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_media.decoding.decode import (
    MAX_GAIN_DB,
    DecodedMedia,
    DecodingTally,
    EncodedMedia,
    FetchedPart,
    Law,
    MediaError,
    StoredBlock,
    decode,
    decode_blocks,
    decode_leniently,
    plan_reading,
)
from lemonade_wire.rtp import g711
from lemonade_wire.testing.messages import wav_file


@pytest.mark.parametrize(
    ("octets", "encoding", "decoded"),
    [
        (b"c291bmQ=", "BASE64", b"sound"),
        (b"c291\r\nbm\tQ", "base64", b"sound"),
        (b"c2!9*1b\xffmQ==\r\n", "base64", b"sound"),
        (b"c291bmQx1", "base64", b"sound1"),
        (b"A", "base64", b""),
        (b"", "base64", b""),
        (b"a=3Db=\r\nc=ZZ=", "Quoted-Printable", b"a=bc=ZZ"),
        (b"\0\xff", "binary", b"\0\xff"),
        (b"x", "7BIT", b"x"),
    ],
)
def test_broken_encodings_are_decoded_leniently(octets: bytes, encoding: str, decoded: bytes) -> None:
    assert decode_leniently(octets, encoding) == decoded


def test_an_unknown_encoding_raises_value_error() -> None:
    with pytest.raises(ValueError, match="not known"):
        decode_leniently(b"x", "x-uuencode")


@given(st.binary(max_size=200), st.sampled_from([b"\r\n", b" ", b"!\xff", b"=\r\n"]))
def test_octets_between_base64_digits_are_skipped(octets: bytes, between: bytes) -> None:
    written = base64.b64encode(octets).rstrip(b"=")
    broken = between.join(written[at : at + 7] for at in range(0, len(written), 7))
    assert decode_leniently(broken, "base64") == octets


@given(st.binary(max_size=200))
def test_correct_encodings_are_decoded_and_no_octets_raise(octets: bytes) -> None:
    assert decode_leniently(quopri.encodestring(octets), "quoted-printable") == octets
    for encoding in ("base64", "quoted-printable", "8bit"):
        decode_leniently(octets, encoding)


MULAW = bytes(range(256)) * 40


def wav(rate: int, channels: int, seconds: float = 1.0, pitch: float = 440.0) -> bytes:
    samples = (8000 * np.sin(2 * np.pi * pitch * np.arange(int(rate * seconds)) / rate)).astype("<i2")
    return wav_file(np.repeat(samples, channels).tobytes(), rate, channels=channels)


def au(encoding: int, octets: bytes, rate: int = 8000) -> bytes:
    return b".snd" + struct.pack(">IIIII", 28, len(octets), encoding, rate, 1) + b"note" + octets


def pitch_of(media: DecodedMedia) -> float:
    spectrum = np.abs(np.fft.rfft(media.samples.astype(float)))
    return float(spectrum.argmax()) * 8000 / len(media.samples)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_wav_of_any_rate_and_channels_keeps_length_pitch_and_level(rate: int, channels: int) -> None:
    media = decode(FetchedPart("audio/wav", {}, wav(rate, channels)))
    assert abs(media.seconds - 1) < 0.01
    assert abs(pitch_of(media) - 440) < 2
    assert 7000 < np.abs(media.samples).max() < 9000


def test_audio_basic_passes_through_octet_by_octet() -> None:
    media = decode(FetchedPart("audio/basic", {}, MULAW))
    assert media.encode("PCMU") == MULAW
    assert len(media.encode("PCMA")) == len(MULAW)
    assert media.seconds == len(MULAW) / 8000


@pytest.mark.parametrize("kind", ["audio/pcma", "audio/x-alaw-basic"])
def test_alaw_passes_through_octet_by_octet(kind: str) -> None:
    assert decode(FetchedPart(kind, {}, MULAW)).encode("PCMA") == MULAW


@pytest.mark.parametrize(("encoding", "law"), [(1, "PCMU"), (27, "PCMA")])
def test_au_header_is_recognised_under_any_label_and_left_out(encoding: int, law: str) -> None:
    media = decode(FetchedPart("audio/basic", {}, au(encoding, MULAW)))
    assert (media.stored_law, media.stored) == (law, MULAW)


def test_a_container_is_decoded_in_spite_of_a_wrong_content_type() -> None:
    for label in ("audio/basic", "application/octet-stream", "audio/mpeg"):
        assert abs(pitch_of(decode(FetchedPart(label, {}, wav(16000, 1)))) - 440) < 2


def test_rate_and_channels_of_a_raw_part_are_used() -> None:
    assert decode(FetchedPart("audio/pcmu", {"rate": "16000", "channels": "2"}, MULAW)).seconds == pytest.approx(
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
    media = decode(FetchedPart("application/octet-stream", {}, file.getvalue()))
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
def test_an_unplayable_part_raises_media_error_with_the_reason(kind: str, octets: bytes, why: str) -> None:
    with pytest.raises(MediaError, match=why):
        decode(FetchedPart(kind, {}, octets))


@pytest.mark.parametrize("params", [{"rate": "fast"}, {"rate": "0"}, {"channels": "99"}, {"rate": "9" * 40}])
def test_bad_parameters_of_a_raw_part_are_refused(params: dict[str, str]) -> None:
    with pytest.raises(MediaError, match="parameter"):
        decode(FetchedPart("audio/pcmu", params, MULAW))


def test_a_part_that_plays_too_long_is_refused() -> None:
    for part in (FetchedPart("audio/basic", {}, MULAW), FetchedPart("audio/wav", {}, wav(44100, 2))):
        with pytest.raises(MediaError, match=r"longer than 0\.5 s"):
            decode(part, max_seconds=0.5)


@settings(max_examples=60, deadline=None)
@given(st.booleans(), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_files_raise_no_error_but_media_error(riff: bool, damage: list[tuple[int, int]]) -> None:
    octets = bytearray(wav(16000, 2, 0.05) if riff else au(1, MULAW[:800]))
    for place, value in damage:
        octets[place] = value
    try:
        media = decode(FetchedPart("audio/wav", {}, bytes(octets)), max_seconds=10)
    except MediaError:
        return
    assert 0 < len(media.encode("PCMU")) <= 80000


def flac_head(rate: int, channels: int) -> bytes:
    """Return the beginning of a FLAC file (RFC 9639 section 8.2): STREAMINFO with this rate and these channels."""
    packed = rate << 12 | (channels - 1) << 9 | 15 << 4
    return b"fLaC\x80\0\0\x22" + struct.pack(">HH6x", 4096, 4096) + packed.to_bytes(4, "big") + bytes(20)


def wav_head(rate: int, channels: int, block: int) -> bytes:
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * block, block, 16)
    return b"RIFF\xff\xff\0\0WAVEfmt \x10\0\0\0" + form + b"data\xff\xff\0\0" + bytes(2000)


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (flac_head(1, 1), "rate of 1 Hz"),
        (flac_head(655_350, 8), "rate of 655350 Hz"),
        (flac_head(3_999, 1), "rate of 3999 Hz"),
        (wav_head(1, 1, 60_000), "rate of 1 Hz"),
        (wav_head(192_001, 1, 2), "rate of 192001 Hz"),
        (wav_head(8000, 0, 2), "0 channels"),
        (wav_head(8000, 9, 18), "9 channels"),
        (wav_head(8000, 1, 60_000), "blocks of 60000 octets"),
    ],
)
def test_what_no_mail_carries_is_refused_by_its_header(octets: bytes, why: str) -> None:
    """FFmpeg takes 1.0 GB for a FLAC file of 1 Hz, and 5.6 GB for a WAV file of 1 Hz with blocks of 60,000 octets."""
    with pytest.raises(MediaError, match=why):
        plan_reading(FetchedPart("application/octet-stream", {}, octets))


@pytest.mark.parametrize("octets", [flac_head(4000, 1), flac_head(192_000, 8), wav_head(192_000, 8, 32)])
def test_what_mail_may_carry_is_not_refused_by_its_header(octets: bytes) -> None:
    assert plan_reading(FetchedPart("application/octet-stream", {}, octets)) is not None


def test_a_rate_that_only_ffmpeg_finds_is_refused_before_the_sound_is_decoded() -> None:
    with pytest.raises(MediaError, match="rate of 1 Hz"):
        decode(FetchedPart("audio/basic", {}, au(3, bytes(100), rate=1)))


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


def encoded(codec: str, form: str, rate: int, seconds: float = 2.0) -> bytes:
    """Return a tone in a codec and container, as FFmpeg writes it."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as target:
        stream = target.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(stream, av.AudioStream)
        tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)).astype(np.int16)
        size = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=rate)
        for at in range(0, len(tone), size):
            frame = av.AudioFrame.from_ndarray(tone[at : at + size].reshape(1, -1), format="s16", layout="mono")
            frame.rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            for resampled in resampler.resample(frame):
                target.mux(stream.encode(resampled))
        target.mux(stream.encode(None))
    return file.getvalue()


def tallied(kind: str, octets: bytes) -> tuple[float, float]:
    """Return the seconds that a part plays, and the share of it that could not be decoded."""
    reading = plan_reading(FetchedPart(kind, {}, octets))
    assert reading is not None
    tally = DecodingTally()
    blocks = list(decode_blocks(io.BytesIO(octets), reading, 3600, tally))
    return sum(len(block) for block in blocks if not isinstance(block, StoredBlock)) / 8000, tally.share


AMR = encoded("libopencore_amrnb", "amr", 8000)
AMR_SPEECH = AMR[6:]
AMR_FRAME = len(AMR_SPEECH) // 100


def amr(*others: bytes) -> bytes:
    """Return an AMR file with these frames among those of speech: one after each ten."""
    frames = [AMR_SPEECH[at : at + AMR_FRAME] for at in range(0, len(AMR_SPEECH), AMR_FRAME)]
    for number, other in enumerate(others):
        frames.insert((number + 1) * 11, other)
    return AMR[:6] + b"".join(frames)


SID, NO_DATA, RESERVED = b"\x44" + b"\xaa" * 5, b"\x7c", b"\x64"


@pytest.mark.parametrize("frames", [(SID,), (NO_DATA,), (SID, NO_DATA, NO_DATA, SID)])
def test_amr_frames_without_speech_are_silence_of_20_ms(frames: tuple[bytes, ...]) -> None:
    """RFC 4867 section 5.3: a coder with discontinuous transmission writes them."""
    plain, none = tallied("audio/amr", AMR)
    seconds, unreadable = tallied("audio/amr", amr(*frames))
    assert (none, unreadable) == (0, 0)
    assert seconds == pytest.approx(plain + 0.02 * len(frames), abs=0.001)


def test_wide_band_amr_with_a_lost_frame_plays() -> None:
    """The storage format of RFC 4867 section 5: mode 0 has 17 octets after its header; type 14 is SPEECH_LOST."""
    speech = b"\x04" + bytes(17)
    octets = b"#!AMR-WB\n" + speech * 20 + b"\x74" + speech * 20 + b"\x7c"
    seconds, unreadable = tallied("audio/amr-wb", octets)
    assert unreadable == 0
    assert seconds == pytest.approx(42 * 0.02, abs=0.01)


@pytest.mark.parametrize("damage", [1, 4])
def test_packets_that_cannot_be_decoded_are_left_out_and_told(damage: int) -> None:
    seconds, unreadable = tallied("audio/amr", amr(*[RESERVED] * damage))
    assert seconds == pytest.approx(2.0, abs=0.05)
    assert unreadable == pytest.approx(damage / (damage + len(AMR_SPEECH)), rel=0.3)


CUT = {
    "aac": ("aac", "adts", 44100, "audio/aac"),
    "mp3": ("libmp3lame", "mp3", 44100, "audio/mpeg"),
    "flac": ("flac", "flac", 44100, "audio/flac"),
    "opus": ("libopus", "ogg", 48000, "audio/ogg"),
    "adpcm": ("adpcm_ima_wav", "wav", 8000, "audio/wav"),
}


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("share", [0.7, 0.9])
def test_a_file_that_was_cut_plays_up_to_its_end(name: str, share: float) -> None:
    codec, form, rate, kind = CUT[name]
    octets = encoded(codec, form, rate, 4.0)
    seconds, unreadable = tallied(kind, octets[: int(len(octets) * share)])
    # Ogg has pages of one second, and a page that was cut cannot be read.
    assert seconds == pytest.approx(4.0 * share, abs=1.0 if form == "ogg" else 0.4)
    assert unreadable <= 0.5


def movie(path: Path, seconds: float = 4.0) -> bytes:
    """Write an M4A file whose index comes before its sound, so that a part of the sound can be read; returns it."""
    with av.open(path, "w", format="mp4", options={"movflags": "faststart"}) as target:
        stream = target.add_stream("aac", rate=8000, layout="mono")
        for at in range(0, int(8000 * seconds), 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.rate, frame.pts, frame.time_base = 8000, at, Fraction(1, 8000)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path.read_bytes()


def test_what_is_missing_in_a_cut_movie_is_told_and_less_than_half_is_refused(tmp_path: Path) -> None:
    octets = movie(tmp_path / "sound.m4a")
    start = octets.index(b"mdat")
    seconds, unreadable = tallied("audio/mp4", octets[: start + (len(octets) - start) * 3 // 4])
    assert seconds == pytest.approx(3.0, abs=0.3)
    assert unreadable == pytest.approx(0.25, abs=0.08)
    with pytest.raises(MediaError, match=r"[0-9]+% of the part's audio cannot be decoded"):
        tallied("audio/mp4", octets[: start + (len(octets) - start) // 4])


def test_the_unreadable_share_goes_with_the_media() -> None:
    media = EncodedMedia("PCMU", b"\xff" * 8, "x", 0.25)
    assert (media.to("PCMA").unreadable, media.amplified(6).unreadable) == (0.25, 0.25)
