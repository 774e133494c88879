"""The checks of recordings: the file must have what the client sent; only the silence around it may differ."""

from __future__ import annotations

import base64
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lemonade_testbed.checks.recorded import RECORDED
from lemonade_testbed.checks.registry import find_check
from lemonade_testbed.evidence import Event, Evidence, NodeAddress, RecordedWorld
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_wire.rtp.g711 import encode_ulaw
from lemonade_wire.script import ScriptError

SCENARIOS = Path(__file__).parents[2] / "scenarios"
SPOKEN = SCENARIOS / "fixtures" / "spoken.wav"


def spoken() -> np.ndarray:
    with wave.open(str(SPOKEN)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def write(path: Path, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(samples.astype("<i2").tobytes())


@pytest.fixture
def scenario() -> Scenario:
    return load_scenario(SCENARIOS / "playrecord.yaml")


SILENCE = np.zeros(4000, np.int16)
RESPONSE = (
    "INFO sip:127.9.9.3:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.9.9.2;branch=z9hG4bKa\r\nCall-ID: c\r\nCSeq: 1 INFO\r\n"
    "Content-Type: application/mediaservercontrol+xml\r\n\r\n"
    '<MediaServerControl version="1.0"><response request="playrecord" code="200" text="OK"/></MediaServerControl>'
)


def evidence(folder: Path) -> Evidence:
    """Return a run in which the media server says, at 7 s, that it has recorded."""
    world = RecordedWorld({"media": NodeAddress("127.9.9.2", 5060), "client": NodeAddress("127.9.9.3", 5060)})
    told = {"way": "sent", "transport": "udp", "local": "127.9.9.2:5060", "remote": "127.9.9.3:5060", "text": RESPONSE}
    return Evidence(world, (Event(7.0, "media", 1, "sip", told),), folder=folder)


@pytest.mark.parametrize(
    ("recorded", "ok"),
    [
        (spoken(), True),
        (np.concatenate([SILENCE, spoken(), SILENCE]), True),
        (spoken()[4000:], False),
        (spoken()[::-1], False),
        (np.where(np.arange(24000) // 160 % 10 == 0, 0, spoken()), False),  # every tenth packet is lost
        (np.concatenate([spoken()[:12000], SILENCE, spoken()[12000:]]), False),
        (SILENCE, False),
        (SILENCE[:0], False),
    ],
)
def test_recordings(tmp_path: Path, scenario: Scenario, recorded: np.ndarray, ok: bool) -> None:
    write(tmp_path / RECORDED, recorded)
    check, file = find_check("recorded is spoken.wav")
    result = check.run(scenario, evidence(tmp_path), file)
    charged = [(one.node, one.clauses, one.t) for one in result.breaches]
    assert charged == ([] if ok else [("media", ("RFC5022-6.5.2",), 7.0)]), result.seen
    assert result.ok is ok


@pytest.mark.parametrize(("payload_type", "node"), [(0, ""), (8, "client")])
def test_the_client_is_charged_for_sound_in_another_encoding(
    tmp_path: Path, scenario: Scenario, payload_type: int, node: str
) -> None:
    write(tmp_path / RECORDED, spoken() if not node else spoken()[::-1])
    run, octets = evidence(tmp_path), encode_ulaw(spoken())
    ends = {"way": "sent", "local": "127.9.9.3:20000", "remote": "127.9.9.2:16384", "ssrc": 5, "pt": payload_type}
    packets = [
        Event(
            2 + place / 8000,
            "client",
            2 + place,
            "rtp",
            {
                **ends,
                "seq": place // 160,
                "ts": place,
                "payload": base64.b64encode(octets[place : place + 160]).decode(),
            },
        )
        for place in range(0, len(octets), 160)
    ]
    check, file = find_check("recorded is spoken.wav")
    result = check.run(scenario, replace(run, events=(*packets, *run.events)), file)
    assert [(one.node, one.clauses) for one in result.breaches] == ([(node, ("RFC3551-6",))] if node else [])


def test_a_recording_that_is_not_there_or_none(tmp_path: Path, scenario: Scenario) -> None:
    check, file = find_check("recorded is spoken.wav")
    (breach,) = check.run(scenario, evidence(tmp_path), file).breaches
    assert breach.seen == "there is no recorded.wav"
    (tmp_path / RECORDED).write_bytes(b"no sound")
    (breach,) = check.run(scenario, evidence(tmp_path), file).breaches
    assert breach.node == "media"
    assert check.run(scenario, Evidence(RecordedWorld({}), (), folder=tmp_path), file).reached == ()


def test_a_file_that_is_said_is_looked_for_when_the_scenario_is_read(tmp_path: Path, scenario: Scenario) -> None:
    assert scenario.spoken() == ["spoken.wav"]
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((SCENARIOS / "playrecord.yaml").read_text().replace("say: spoken.wav", "say: none.wav"))
    with pytest.raises(ScriptError, match=r"wrong\.yaml.*say: there is no file 'none\.wav'"):
        load_scenario(wrong)


def packet(number: int, *, loud: bool) -> Event:
    octets = base64.b64encode(bytes([0x11 if loud else 0xFF] * 160)).decode()
    ends = {"local": "127.9.9.2:16384", "remote": "127.9.9.3:20000", "way": "received"}
    said = {"ssrc": 7, "seq": number, "ts": 160 * number, "pt": 0, "payload": octets}
    return Event(1.0 + number / 50, "media", number, "rtp", ends | said)


def told(folder: Path, response: str, seconds: float = 3.0, silence: float = 2.0) -> Evidence:
    """Return a run in which the client speaks for some seconds, and gets a response after some seconds of silence."""
    world = RecordedWorld(
        {"media": NodeAddress("127.9.9.2", 5060), "client": NodeAddress("127.9.9.3", 5060)}, ended=99.0
    )
    ends = {"transport": "udp", "local": "127.9.9.3:5060", "remote": "127.9.9.2:5060", "way": "sent"}
    head = RESPONSE.partition("<")[0]
    asked = head.replace("9.9.3:5060 SIP", "9.9.2:5060 SIP").replace("CSeq: 1", "CSeq: 2").replace("bKa", "bKb")
    asked += (
        '<MediaServerControl version="1.0"><request><playrecord id="1" recurl="file:///recorded.wav" '
        'endsilence="2s"/></request></MediaServerControl>'
    )
    loud = round(seconds * 50)
    packets = tuple(packet(number, loud=number < loud) for number in range(loud + round(silence * 50)))
    said = f'{head}<MediaServerControl version="1.0"><response id="1" {response}/></MediaServerControl>'
    media = {"transport": "udp", "local": "127.9.9.2:5060", "remote": "127.9.9.3:5060", "way": "sent"}
    ending = Event(1.0 + seconds + silence, "media", 9999, "sip", media | {"text": said})
    return Evidence(world, (Event(0.9, "client", 1, "sip", ends | {"text": asked}), *packets, ending), folder=folder)


BASE = 'request="playrecord" code="200" text="OK" reason="end_silence" '


@pytest.mark.parametrize(
    ("response", "clauses"),
    [
        ('recduration="3000ms" reclength="48044"', []),
        ('recduration="3s" reclength="48000"', []),
        ('recduration="0ms" reclength="48044"', ["RFC5022-10.6-2"]),
        ('recduration="9s" reclength="48044"', ["RFC5022-10.6-2"]),
        ('recduration="3s" reclength="96088"', ["RFC5022-10.6-3"]),
        ('recduration="3s" reclength="48044 octets"', ["RFC5022-10.6-3"]),
    ],
)
def test_a_response_tells_what_was_recorded(
    tmp_path: Path, scenario: Scenario, response: str, clauses: list[str]
) -> None:
    write(tmp_path / RECORDED, spoken())
    check, file = find_check("recording lasts as told")
    breaches = check.run(scenario, told(tmp_path, BASE + response), file).breaches
    assert [(one.node, one.clauses[0]) for one in breaches] == [("media", clause) for clause in clauses]


@pytest.mark.parametrize(("silence", "ok"), [(2.0, True), (2.9, True), (0.5, False), (6.0, False)])
def test_a_recording_ends_when_endsilence_has_passed(
    tmp_path: Path, scenario: Scenario, silence: float, ok: bool
) -> None:
    check, file = find_check("recording ends with silence")
    result = check.run(scenario, told(tmp_path, BASE, silence=silence), file)
    assert [one.clauses for one in result.breaches] == ([] if ok else [("RFC5022-6.5.2-2",)])
    assert result.ok is ok
