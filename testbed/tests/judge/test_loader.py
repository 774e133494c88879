"""Scenario files: those of the project can be loaded; an error names file, line and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.scenario.world import ServerSetup
from lemonade_testbed.scenario_loader import ScenarioError, find_scenarios, load_scenario
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
    assert scenario.profile is None


def test_a_scenario_may_name_the_profile_that_it_is_run_in(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD.replace("needs:", "profile: rfc5616\nneeds:"))
    assert load_scenario(path).profile == "rfc5616"


def test_a_fault_breaks_what_all_arrows_of_its_label_observe_or_what_stands_in_brackets(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    again = "  client->>media: SIP INVITE annc $url   %% LS-2.5-2 LS-2.5-3\ncheck:"
    fault = '  - media burst: "arrow client->>media: SIP INVITE annc $url [LS-2.5-3]"\n'
    path.write_text(GOOD.replace("check:", again).replace("LS-2.5-2,", "LS-2.5-2, LS-2.5-3,") + fault)
    first, *_, last = load_scenario(path).faults
    place = Place("arrow", "client->>media: SIP INVITE annc $url")
    assert (first.clauses[place], last.clauses[place]) == (("LS-2.5-2",), ("LS-2.5-3",))


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
    "unknown profile": ("needs:", "profile: rfc-5616\nneeds:", 5, "'draft-07' or 'rfc5616'"),
    "unknown service": ("submit-users: [media]", "services: [conf]", 10, "'annc' or 'ivr'"),
    "unknown wrong": ("submit-users: [media]", "wrong: {imap: short}", 10, "did you mean 'short-part'?"),
    "life that is no duration": ("submit-users: [media]", "anonymous-life: long", 10, "'long' is not a duration"),
    "trust that is neither": ("submit-users: [media]", "trusted-caller: perhaps", 10, "'yes' or 'no'"),
    "bad name": ("scenario: mine", "scenario: My own", 1, "is not a name"),
    "unknown clause": ("LS-2.5-2,", "LS-2.5-22,", 4, "did you mean 'LS-2.5-2'?"),
    "clause that nothing observes": ("[LS-2.5-2,", "[LS-2.2-13, LS-2.5-2,", 4, "no arrow (`%% LS-2.2-13` behind it)"),
    "clause of an arrow that is not named": ("%% LS-2.5-2", "%% LS-2.5-2 LS-2.5-3", 17, "`clauses` does not name"),
    "unknown clause of an arrow": ("%% LS-2.5-2", "%% LS-2.5-2 LS-8-3", 17, "unknown clause 'LS-8-3'"),
    "unknown message": ("voicemail.eml", "nothing.eml", 7, "there is no file 'nothing.eml'"),
    "unknown verb": ("- announce:", "- anounce:", 13, "did you mean 'announce'?"),
    "unknown argument": ("{offer:", "{ofer:", 13, "did you mean 'offer'?"),
    "bad arrow": ("SIP INVITE annc", "SIP INVIT annc", 17, "did you mean 'INVITE'?"),
    "unknown check": ("  - part is decoded", "  - part is decodd", 19, "did you mean 'part is decoded'?"),
    "unknown node of a fault": ("- media no-bye", "- meda no-bye", 21, "did you mean 'media'?"),
    "unknown fault": ("no-bye", "no-by", 21, "did you mean 'no-bye'?"),
    "unknown place": ('"arrow client', '"arow client', 21, "did you mean 'arrow'?"),
    "place that is not in the ladder": ('annc $url"', 'ivr $url"', 21, "the scenario has no arrow"),
    "step that is not in the script": ("step announce", "step listen", 22, "the scenario has no step 'listen'"),
    "key written twice": ("title:", "scenario: mine\ntitle:", 2, "given twice"),
    "no YAML": ("title: A", "title: [A", 3, ""),
}


@pytest.mark.parametrize(("old", "new", "line", "says"), BAD.values(), ids=BAD)
def test_an_error_names_file_and_line(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    assert old in GOOD
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert str(caught.value).startswith(f"{tmp_path / 'mine.yaml'}:{line}: ")
    assert says in str(caught.value)
    assert "a secret" not in str(caught.value)


NODES = """
  nodes:
    imap: [imap1, imap2]
    media:
      - {name: ms1, wrong: burst, trusted-caller: no}
      - {name: ms2, identity: "other:yes", services: [annc], imap-idle: 3 s}
      - {name: ms3, state: dead}
  account: imap2
"""
NAMED = (
    GOOD.replace("\n  submit-users: [media]\n", "\n  submit-users: [media]" + NODES)
    .replace("client->>media", "client->>ms2")
    .replace("client->>imap:", "client->>imap2:")
    .replace("client ->> media", "client ->> ms2")
    .replace("- media no-bye", "- ms2 no-bye")
)


def test_nodes_have_names_and_options_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(NAMED)
    given = load_scenario(path, known_faults=FAULTS).given
    assert given.servers == (
        ServerSetup("imap1", "imap"),
        ServerSetup("imap2", "imap"),
        ServerSetup("ms1", "media", options={"trusted_caller": False}),
        ServerSetup("ms2", "media", options={"identity": ("other", "yes"), "services": ("annc",), "imap_idle": 3}),
        ServerSetup("ms3", "media", "dead"),
    )
    assert (given.first("imap").host, given.first("media").host) == ("imap2.example.com", "ms1.example.net")
    assert given.wrong == {"ms1": "burst"}
    assert given.named("media") == ["ms1", "ms2"]
    assert given.named("ms2") == ["ms2"]
    assert given.named("ms3") == []


def test_a_fault_names_a_node_and_is_one_of_its_role(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(NAMED)
    faults = load_scenario(path, known_faults=FAULTS).faults
    assert [(fault.role, fault.kind) for fault in faults] == [("ms2", "media"), ("imap", "imap")]


BAD_NODES = {
    "unknown node in the ladder": ("client->>ms2", "client->>media", "unknown node 'media'"),
    "unknown node of a fault": ("- ms2 no-bye", "- ms4 no-bye", "unknown node 'ms4'"),
    "fault of a node that does not run": ("- ms2 no-bye", "- ms3 no-bye", "unknown node 'ms3'"),
    "fault of another role": ("- ms2 no-bye", "- ms2 short-part", "the ms2 node has no fault 'short-part'"),
    "two of one name": ("[imap1, imap2]", "[imap2, imap2]", "two nodes cannot have the name 'imap2'"),
    "name of the other role": ("[imap1, imap2]", "[media, imap2]", "two nodes cannot have the name 'media'"),
    "name that is taken": ("[imap1, imap2]", "[client, imap2]", "'client' is not a name of a server"),
    "name that no ladder can have": ("[imap1, imap2]", "[imap-1, imap2]", "'imap-1' is not a name of a server"),
    "unknown option": ("imap-idle: 3 s", "imap-idl: 3 s", "did you mean 'imap-idle'?"),
    "option of the other role": ("imap-idle: 3 s", "users: {joe: x}", "unknown key 'users'"),
    "unknown state": ("state: dead", "state: ill", "'up', 'dead' or 'refuses'"),
    "unknown wrong": ("wrong: burst", "wrong: bursts", "did you mean 'burst'?"),
    "account that is no IMAP server": ("account: imap2", "account: ms2", "is the name of no IMAP server"),
    "no server that runs": ("[imap1, imap2]", "[{name: imap2, state: dead}]", "no imap node runs"),
    "too many": ("[imap1, imap2]", "[imap1, imap2, a, b, c, d]", "8 are the most"),
    "relay": ("client:\n", "relay: {seed: 7, rules: [{leg: client-media, lose: 5 %}]}\nclient:\n", "one node of each"),
}


@pytest.mark.parametrize(("old", "new", "says"), BAD_NODES.values(), ids=BAD_NODES)
def test_an_error_in_nodes_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in NAMED
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path, NAMED.replace(old, new, 1))
    assert says in str(caught.value)
