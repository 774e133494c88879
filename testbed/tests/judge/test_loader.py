"""Scenario files: the project's own load; whatever is wrong is named with file, line and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.scenario.loader import ScenarioError, find_scenarios, load_scenario
from lemonade_testbed.verdict import Place

GOOD = """scenario: mine
title: A call of one's own
from: nowhere
clauses: [LS-2.5-2, LS-2.8-10]
needs: {imap: [URLAUTH], media: [annc]}
given:
  message: voicemail.eml
  users: {joe: "0123"}
  identity: media:yes
  submit-users: [media]
client:
  - find-part: {type: audio/*}
  - announce: {offer: [PCMU/8000]}
ladder: |
  client->>imap: IMAP FETCH BODYSTRUCTURE

  client->>media: SIP INVITE annc $url   %% LS-2.5-2
check:
  - part is decoded
faults:
  - media no-bye: "arrow client ->> media :SIP INVITE annc $url"
  - imap short-part: [check part is decoded, step announce, needs imap URLAUTH, arrow end]
"""
FAULTS = {"media": ("no-bye", "burst"), "imap": ("short-part",), "client": ()}


def load(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    load_scenario(path, known_faults=FAULTS)


def test_a_scenario_says_what_its_file_says(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    scenario = load_scenario(path, known_faults=FAULTS)
    assert scenario.name == "mine"
    assert scenario.needs == {"imap": ("URLAUTH",), "media": ("annc",)}
    assert scenario.given.owner == ("joe", "0123")
    assert scenario.given.identity == ("media", "yes")
    assert scenario.client == ({"find-part": {"type": "audio/*"}}, {"announce": {"offer": ["PCMU/8000"]}})
    assert [arrow.line for arrow in scenario.ladder.arrows] == [15, 17]
    assert scenario.checks == ("part is decoded",)
    assert scenario.faults[0].places == (Place("arrow", "client->>media: SIP INVITE annc $url"),)
    assert [place.kind for place in scenario.faults[1].places] == ["check", "step", "needs", "arrow"]
    assert scenario.message_path() == SCENARIOS / "fixtures" / "voicemail.eml"


def test_a_message_beside_the_scenario_comes_first(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD)
    (tmp_path / "voicemail.eml").write_text("Subject: mine\n\n")
    assert load_scenario(tmp_path / "mine.yaml").message_path() == tmp_path / "voicemail.eml"


@pytest.mark.parametrize("path", find_scenarios(SCENARIOS), ids=lambda path: path.stem)
def test_the_projects_scenarios_load_and_name_faults(path: Path) -> None:
    assert load_scenario(path).faults


BAD = {
    "unknown key": ("title:", "titel:", 2, "did you mean 'title'?"),
    "missing key": ("title: A call of one's own\n", "", 1, "'title' is missing"),
    "unknown given": ("identity:", "identiy:", 9, "did you mean 'identity'?"),
    "bad account": ("media:yes", "media", 9, "NAME:PASSWORD or none"),
    "blank in a password": ('joe: "0123"', "joe: a secret", 8, "joe: a password is one word"),
    "blank in a user": ('{joe: "0123"}', '{"joe doe": "0123"}', 8, "'joe doe' is not a name"),
    "no password": ('"0123"', '""', 8, "a password is one word"),
    "colon in a user": ('{joe: "0123"}', '{"joe:doe": "0123"}', 8, "'joe:doe' is not a name"),
    "blank in a submit user": ("[media]", "[media server]", 10, "'media server' is not a name"),
    "comma in an application": ("submit-users: [media]", 'applications: {stream: ["a,b"]}', 10, "'a,b' is not a name"),
    "contact that is none": ("submit-users: [media]", "imap-contact: postmaster", 10, "imap-contact"),
    "fetch time that is none": ("submit-users: [media]", "imap-fetch-time: 5", 10, "'5' is not a duration"),
    "fetch time that is too short": ("submit-users: [media]", "imap-fetch-time: 50 ms", 10, "0.1"),
    "part of no octets": ("submit-users: [media]", "imap-max-part: 16 kB", 10, "'16 kB' is no number of octets"),
    "unknown service": ("submit-users: [media]", "services: [conf]", 10, "'annc' or 'ivr'"),
    "unknown wrong": ("submit-users: [media]", "wrong: {imap: short}", 6, "did you mean 'short-part'?"),
    "life that is no duration": ("submit-users: [media]", "anonymous-life: long", 10, "'long' is not a duration"),
    "trust that is neither": ("submit-users: [media]", "trusted-caller: perhaps", 10, "'yes' or 'no'"),
    "bad name": ("scenario: mine", "scenario: My own", 1, "is not a name"),
    "unknown clause": ("LS-2.5-2,", "LS-2.5-22,", 4, "did you mean 'LS-2.5-2'?"),
    "clause that nothing observes": ("[LS-2.5-2,", "[LS-1-1, LS-2.5-2,", 4, "no arrow (`%% LS-1-1` behind it)"),
    "clause of an arrow that is not named": ("%% LS-2.5-2", "%% LS-2.5-2 LS-2.5-3", 17, "`clauses` does not name"),
    "unknown clause of an arrow": ("%% LS-2.5-2", "%% LS-2.5-2 LS-8-3", 17, "unknown clause 'LS-8-3'"),
    "unknown message": ("voicemail.eml", "nothing.eml", 7, "there is no file 'nothing.eml'"),
    "unknown verb": ("- announce:", "- anounce:", 13, "did you mean 'announce'?"),
    "unknown argument": ("{offer:", "{ofer:", 13, "did you mean 'offer'?"),
    "bad arrow": ("SIP INVITE annc", "SIP INVIT annc", 17, "did you mean 'INVITE'?"),
    "unknown check": ("  - part is decoded", "  - part is decodd", 19, "did you mean 'part is decoded'?"),
    "unknown role of a fault": ("- media no-bye", "- meda no-bye", 21, "did you mean 'media'?"),
    "unknown fault": ("no-bye", "no-by", 21, "did you mean 'no-bye'?"),
    "unknown place": ('"arrow client', '"arow client', 21, "did you mean 'arrow'?"),
    "place that is not in the ladder": ('annc $url"', 'ivr $url"', 21, "the scenario has no arrow"),
    "step that is not in the script": ("step announce", "step listen", 22, "the scenario has no step 'listen'"),
    "key written twice": ("title:", "scenario: mine\ntitle:", 2, "given twice"),
    "no YAML": ("title: A", "title: [A", 3, ""),
}


@pytest.mark.parametrize(("old", "new", "line", "says"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_named_with_file_and_line(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    assert old in GOOD
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert str(caught.value).startswith(f"{tmp_path / 'mine.yaml'}:{line}: ")
    assert says in str(caught.value)
    assert "a secret" not in str(caught.value)
