"""The RTP packets that the client sends: keys and sound with one timeline of timestamps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lemonade_client.behaviour import ClientBehaviour
from lemonade_client.faults.registry import FAULTS
from lemonade_client.rtp_sender import Voice, read_speech
from lemonade_wire.rtp.packet import RtpPacket
from lemonade_wire.sdp.codec import PCMU
from lemonade_wire.sdp.description import Direction
from lemonade_wire.sdp.offer import NegotiatedStream
from lemonade_wire.testing.messages import wav_file

STREAM = NegotiatedStream(
    index=0,
    media="audio",
    codec=PCMU,
    payload_type=0,
    fmtp=None,
    direction=Direction.SENDRECV,
    remote_address="192.0.2.2",
    remote_port=16384,
    remote_rtcp_port=16385,
    local_port=20000,
    telephone_event=101,
)


def voice(stream: NegotiatedStream = STREAM) -> Voice:
    return Voice(stream, 42, 0xFFFF, 2**32 - 80, 100.0)


def sent(one: Voice) -> list[tuple[float, RtpPacket]]:
    """Send everything, each packet when it is due."""
    packets = []
    while (due := one.next_timer()) is not None:
        packets += [(due, packet) for packet in one.take(due)]
    return packets


def test_a_key_has_one_timestamp_a_marker_and_three_ends() -> None:
    one = voice()
    assert one.press("6", 160, 101.0) == pytest.approx(101.3)
    packets = sent(one)
    assert [round(at - 101, 3) for at, _ in packets] == [0.05, 0.1, 0.15, 0.2, 0.25, 0.3]
    assert {packet.timestamp for _, packet in packets} == {8000 - 80}
    assert [packet.sequence for _, packet in packets] == [0xFFFF, 0, 1, 2, 3, 4]
    assert [packet.marker for _, packet in packets] == [True, *[False] * 5]
    assert {(packet.payload_type, packet.ssrc) for _, packet in packets} == {(101, 42)}
    assert [packet.payload.hex() for _, packet in packets][2:5] == ["060a04b0", "068a0500", "068a0500"]


def test_sound_continues_the_timeline_of_keys() -> None:
    one = voice()
    assert one.say(bytes(400), 100.0) == pytest.approx(100.05)
    one.press("1", 20, 100.1)
    packets = sent(one)
    assert [(round(at - 100, 3), len(packet.payload), packet.timestamp, packet.marker) for at, packet in packets] == [
        (0.0, 160, 2**32 - 80, True),
        (0.02, 160, 80, False),
        (0.04, 80, 240, False),
        *((round(0.1 + number * 0.05, 3), 4, 720, number == 1) for number in (1, 2, 3)),
    ]
    assert [packet.sequence for _, packet in packets] == [0xFFFF, 0, 1, 2, 3, 4]


def test_late_packets_are_sent_at_once() -> None:
    one = voice()
    one.say(bytes(480), 100.0)
    assert len(one.take(100.05)) == 3
    assert one.take(100.05) == []


def wav(path: Path, rate: int, width: int, channels: int, octets: bytes) -> Path:
    path.write_bytes(wav_file(octets, rate, channels=channels, width=width))
    return path


def test_read_speech_returns_the_samples_of_a_wav_file(tmp_path: Path) -> None:
    read = read_speech(wav(tmp_path / "a.wav", 8000, 2, 1, bytes.fromhex("0100ff7f0080")))
    assert read.tolist() == [1, 32767, -32768]


@pytest.mark.parametrize(
    ("form", "octets"), [((11025, 2, 1), b"1234"), ((8000, 1, 1), b"1234"), ((8000, 2, 2), b"1234")]
)
def test_read_speech_refuses_other_files(tmp_path: Path, form: tuple[int, int, int], octets: bytes) -> None:
    with pytest.raises(ValueError, match=r"a\.wav: .* are expected"):
        read_speech(wav(tmp_path / "a.wav", *form, octets))
    (tmp_path / "b.wav").write_bytes(octets)
    with pytest.raises(ValueError, match="no WAV file"):
        read_speech(tmp_path / "b.wav")
    with pytest.raises(ValueError, match="No such file"):
        read_speech(tmp_path / "c.wav")


def test_an_answer_without_telephone_event_or_direction_refuses_keys_or_sound() -> None:
    with pytest.raises(ValueError, match="telephone-event"):
        voice(replace(STREAM, telephone_event=None)).press("6", 160, 100.0)
    with pytest.raises(ValueError, match="does not let the client send"):
        voice(replace(STREAM, direction=Direction.RECVONLY)).say(bytes(160), 100.0)


def test_faults_change_type_number_and_pace() -> None:
    def packets(name: str) -> list[tuple[float, RtpPacket]]:
        fault = FAULTS.pick(name)
        assert isinstance(fault, ClientBehaviour)
        one = Voice(STREAM, 42, 7, 0, 100.0, behaviour=fault)
        one.say(b"x" * 480, 100.0)
        one.press("6", 160, 101.0)
        return sent(one)

    assert {packet.payload_type for _, packet in packets("key-type-not-agreed")} == {0, 102}
    assert {packet.sequence for _, packet in packets("sequence-stands")} == {7}
    assert [at for at, _ in packets("sound-too-fast")][:3] == pytest.approx([100.0, 100.01, 100.02])
