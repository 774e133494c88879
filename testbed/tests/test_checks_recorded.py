"""What was recorded against what was said: silence around it is free, nothing else."""

from __future__ import annotations

import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lemonade_testbed.checks.recorded import RECORDED
from lemonade_testbed.checks.registry import find_check
from lemonade_testbed.evidence import Evidence, World
from lemonade_testbed.scenario.loader import load_scenario
from lemonade_testbed.scenario.model import Scenario
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
    result = check.run(scenario, replace(Evidence(World({}), ()), folder=tmp_path), file)
    assert result.ok is ok, result.seen


def test_a_recording_that_is_not_there_or_none(tmp_path: Path, scenario: Scenario) -> None:
    check, file = find_check("recorded is spoken.wav")
    evidence = Evidence(World({}), (), folder=tmp_path)
    assert check.run(scenario, evidence, file).seen == "there is no recorded.wav"
    (tmp_path / RECORDED).write_bytes(b"no sound")
    assert not check.run(scenario, evidence, file).ok


def test_a_file_that_is_said_is_looked_for_when_the_scenario_is_read(tmp_path: Path, scenario: Scenario) -> None:
    assert scenario.spoken() == ["spoken.wav"]
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((SCENARIOS / "playrecord.yaml").read_text().replace("say: spoken.wav", "say: none.wav"))
    with pytest.raises(ScriptError, match=r"wrong\.yaml.*say: there is no file 'none\.wav'"):
        load_scenario(wrong)
