"""The streamable part of a mail is found and decoded without the nodes' code."""

from __future__ import annotations

import io
import wave
from email.message import EmailMessage
from pathlib import Path

import numpy as np
import pytest

from lemonade_testbed.audio.part import (
    RATE,
    UnheardPartError,
    media_length,
    media_part,
    part_of_section,
    part_of_url,
)

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


def test_a_damaged_part_raises_and_has_no_length(tmp_path: Path) -> None:
    broken = media_part(mail(tmp_path / "broken.eml", b"RIFF but no more"))
    with pytest.raises(UnheardPartError, match="cannot be decoded"):
        _ = broken.samples
    assert media_length(tmp_path / "broken.eml") is None


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = mail(tmp_path / "a.eml", wav(np.ones(8000), 8000))
    assert media_length(path) == pytest.approx(1.0)
    mail(path, wav(np.ones(16000), 8000))
    assert media_length(path) == pytest.approx(2.0)


def nested() -> bytes:
    """Return a mail with a text, an attached message (a text and `sound`) and an attachment of ten octets."""
    inner = EmailMessage()
    inner.set_content("inner")
    inner.add_attachment(b"sound", maintype="audio", subtype="basic")
    outer = EmailMessage()
    outer.set_content("outer")
    outer.add_attachment(inner)
    outer.add_attachment(b"0123456789", maintype="audio", subtype="pcmu")
    return outer.as_bytes()


@pytest.mark.parametrize(
    ("section", "octets"), [("1", b"outer\n"), ("2.1", b"inner\n"), ("2.2", b"sound"), ("3", b"0123456789")]
)
def test_a_section_number_names_its_part(section: str, octets: bytes) -> None:
    assert part_of_section(nested(), section).octets == octets


def test_the_content_of_a_mail_without_parts_is_part_1() -> None:
    text = EmailMessage()
    text.set_content("only words")
    assert part_of_section(text.as_bytes(), "1").octets == b"only words\n"


@pytest.mark.parametrize("section", ["", "0", "4", "2", "1.1.1", "3.1", "3.MIME", "x"])
def test_a_section_that_names_no_leaf_part_is_refused(section: str) -> None:
    with pytest.raises(UnheardPartError):
        part_of_section(nested(), section)


@pytest.mark.parametrize(
    ("tail", "octets"),
    [
        ("/;SECTION=3;EXPIRE=2026-11-22T10:00:00Z;URLAUTH=anonymous", b"0123456789"),
        ("/;section=3/;partial=2.4;URLAUTH=anonymous:INTERNAL:fp-1", b"2345"),
        ("/;SECTION=3/;PARTIAL=7", b"789"),
        ("/;SECTION=2%2E2", b"sound"),
    ],
)
def test_a_url_names_a_part_and_its_range(tail: str, octets: bytes) -> None:
    assert part_of_url(nested(), f"imap://joe@imap.example.com/INBOX/;UID=20{tail}").octets == octets
