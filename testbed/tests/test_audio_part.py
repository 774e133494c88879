"""The streamable part of a mail is found and decoded without the nodes' code."""

from __future__ import annotations

import io
import wave
from email.message import EmailMessage
from pathlib import Path

import numpy as np
import pytest

from lemonade_testbed.audio.part import RATE, UnheardPartError, media_length, media_part

FIXTURES = Path(__file__).parents[2] / "scenarios" / "fixtures"


def wav(samples: np.ndarray, rate: int, channels: int = 1) -> bytes:
    sink = io.BytesIO()
    with wave.open(sink, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(np.repeat(samples.astype("<i2"), channels).tobytes())
    return sink.getvalue()


def mail(path: Path, octets: bytes, maintype: str = "audio", subtype: str = "wav") -> Path:
    message = EmailMessage()
    message.set_content("see attachment")
    message.add_attachment(octets, maintype=maintype, subtype=subtype)
    path.write_bytes(message.as_bytes())
    return path


@pytest.mark.parametrize("name", ["voicemail.eml", "voicemail-basic.eml"])
def test_the_fixtures_hold_twelve_seconds_of_speech(name: str) -> None:
    assert media_part(FIXTURES / name).length == pytest.approx(12, abs=0.5)


def test_the_wav_part_is_the_wav_file() -> None:
    part = media_part(FIXTURES / "voicemail.eml")
    assert part.octets == (FIXTURES / "voicemail.wav").read_bytes()
    assert (part.content_type, part.raw_format) == ("audio/wav", None)


def test_audio_basic_is_headerless_mu_law() -> None:
    part = media_part(FIXTURES / "voicemail-basic.eml")
    assert part.raw_format == "mulaw"
    assert len(part.samples) == len(part.octets)


def test_any_rate_and_channels_become_mono_8000(tmp_path: Path) -> None:
    tone = 8000 * np.sin(2 * np.pi * 440 * np.arange(44100) / 44100)
    part = media_part(mail(tmp_path / "tone.eml", wav(tone, 44100, channels=2)))
    assert len(part.samples) == pytest.approx(RATE, abs=8)
    spectrum = np.abs(np.fft.rfft(part.samples[:RATE]))
    assert int(np.argmax(spectrum)) == pytest.approx(440, abs=1)


def test_a_mail_without_sound_has_no_length(tmp_path: Path) -> None:
    text = EmailMessage()
    text.set_content("only words")
    (tmp_path / "text.eml").write_bytes(text.as_bytes())
    assert media_length(tmp_path / "text.eml") is None
    with pytest.raises(UnheardPartError, match="no audio or video part"):
        media_part(tmp_path / "text.eml")


def test_a_broken_part_says_that_it_cannot_be_decoded(tmp_path: Path) -> None:
    broken = media_part(mail(tmp_path / "broken.eml", b"RIFF but no more"))
    with pytest.raises(UnheardPartError, match="cannot be decoded"):
        _ = broken.samples
    assert media_length(tmp_path / "broken.eml") is None


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = mail(tmp_path / "a.eml", wav(np.ones(8000), 8000))
    assert media_length(path) == pytest.approx(1.0)
    mail(path, wav(np.ones(16000), 8000))
    assert media_length(path) == pytest.approx(2.0)
