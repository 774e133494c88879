"""A mail that replaces a scenario's: it fits the scenario, or the reason is given before the run."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import pytest

from lemonade_testbed.ownmail import shortest, why_too_short, why_unheard
from lemonade_testbed.scenario_loader import load_scenario

SCENARIOS = Path(__file__).parents[2] / "scenarios"


@pytest.mark.parametrize(
    ("name", "seconds"),
    [("announcement-service", 0.1), ("ivr-service", 7.2), ("rewind", 3.8), ("negative/stranger", 0)],
)
def test_a_ladder_says_how_long_the_media_must_be(name: str, seconds: float) -> None:
    assert shortest(load_scenario(SCENARIOS / f"{name}.yaml")) == pytest.approx(seconds)


def test_a_mail_too_short_for_the_scenario_is_refused_with_both_lengths() -> None:
    scenario = load_scenario(SCENARIOS / "ivr-service.yaml")
    assert why_too_short(scenario, 12.2) is None
    assert why_too_short(scenario, None) is None
    assert why_too_short(scenario, 2.4) == "the mail's media play 2.4 s; the scenario needs more than 7.2 s"


def test_a_mail_without_an_audio_part_is_refused(tmp_path: Path) -> None:
    mail = EmailMessage()
    mail.set_content("words")
    (tmp_path / "words.eml").write_bytes(mail.as_bytes())
    assert why_unheard(tmp_path / "words.eml") == "words.eml has no audio or video part"
    assert why_unheard(SCENARIOS / "fixtures" / "voicemail.eml") is None
