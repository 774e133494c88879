"""The recording of what the client hears: samples, gaps, several calls, and a file that is always complete."""

from __future__ import annotations

import wave
from pathlib import Path

from lemonade_client.rtp_receiver import HeardRecorder, decodable
from lemonade_wire.rtp.packet import RtpPacket
from lemonade_wire.sdp.codec import PCMA, PCMU, Codec


def packet(number: int, octet: int = 0x00) -> RtpPacket:
    return RtpPacket(0, number, number * 160, 1, bytes([octet]) * 160)


def read(path: Path) -> list[int]:
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        octets = file.readframes(file.getnframes())
    return [int.from_bytes(octets[at : at + 2], "little", signed=True) for at in range(0, len(octets), 2)]


def test_gaps_are_silence_and_calls_follow_each_other(tmp_path: Path) -> None:
    recorder = HeardRecorder()
    recorder.begin()
    recorder.add(packet(1), PCMU)
    recorder.add(packet(3), PCMU)
    recorder.begin()
    recorder.add(packet(900), PCMU)
    recorder.write(tmp_path / "heard.wav")
    # mu-law 0x00 is the lowest sample (G.711, table 2a)
    assert read(tmp_path / "heard.wav") == [-32124] * 160 + [0] * 160 + [-32124] * 320


def test_each_packet_is_decoded_by_its_own_codec(tmp_path: Path) -> None:
    recorder = HeardRecorder()
    recorder.begin()
    recorder.add(packet(1, 0xFF), PCMU)
    recorder.add(packet(2, 0xD5), PCMA)  # A-law's smallest positive sample, 8 of 32768
    recorder.add(packet(3), Codec("GSM", 8000))
    recorder.write(tmp_path / "heard.wav")
    assert read(tmp_path / "heard.wav") == [0] * 160 + [8] * 160


def test_a_file_is_written_even_if_nothing_was_heard(tmp_path: Path) -> None:
    HeardRecorder().write(tmp_path / "heard.wav")
    assert read(tmp_path / "heard.wav") == []
    assert [path.name for path in tmp_path.iterdir()] == ["heard.wav"]


def test_a_second_write_replaces_the_first_whole(tmp_path: Path) -> None:
    recorder = HeardRecorder()
    recorder.begin()
    recorder.add(packet(1), PCMU)
    recorder.write(tmp_path / "heard.wav")
    recorder.add(packet(2), PCMU)
    recorder.write(tmp_path / "heard.wav")
    assert len(read(tmp_path / "heard.wav")) == 320


def test_only_g711_is_decodable() -> None:
    assert decodable(Codec("pcmu", 8000))
    assert not decodable(Codec("PCMU", 16000))
