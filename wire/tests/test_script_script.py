"""Steps: one verb each, `within` at either place, raw steps as one text."""

from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_wire.script.script import Script, ScriptStep, dump_script, dump_steps, load_script, parse_steps
from lemonade_wire.script.verbs import ImapVerb, PressVerb
from lemonade_wire.script.yamltext import ScriptError, load_yaml


def steps(text: str) -> list[ScriptStep]:
    return parse_steps(load_yaml(text, "a.yaml"))


def test_a_step_is_verb_arguments_deadline_and_line() -> None:
    first, second, third, fourth = steps(
        "- press: {key: '*', after: 3 s}\n  within: 9 s\n- listen: {until: bye, within: 500 ms}\n"
        "- hang-up\n- discover:\n"
    )
    assert (first.verb, first.args, first.within, first.line) == ("press", PressVerb(key="*", after=3.0), 9.0, 1)
    assert (second.within, second.line) == (0.5, 3)
    assert (third.verb, third.within, third.line) == ("hang-up", None, 4)
    assert (fourth.verb, fourth.line) == ("discover", 5)


def test_a_raw_imap_step_is_one_text_or_a_mapping() -> None:
    short, long = steps("- imap: NOOP\n- imap: {command: NOOP, expect: BAD}\n")
    assert short.args == ImapVerb(command="NOOP")
    assert long.args == ImapVerb(command="NOOP", expect="BAD")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("listen: {}\n", 1, "a list of steps"),
        ("- discover\n- x-anounce: {}\n", 2, "no extension 'x-anounce' is known here"),
        ("- discover\n- anounce: {}\n", 2, "unknown verb 'anounce'; did you mean 'announce'? allowed: announce, "),
        ("- listen: {}\n  press: {key: 6}\n", 1, "one verb, this one has 2"),
        ("- within: 3 s\n", 1, "one verb, this one has 0"),
        ("- [a]\n", 1, "a step is one verb"),
        ("- listen: {until: bye, within: 3 s}\n  within: 3 s\n", 1, "given twice"),
        ("- listen: {}\n  within: 0 s\n", 2, "more than 0"),
        ("- listen: {}\n  within: [3 s]\n", 2, "a duration is expected"),
        ("- listen: {}\n  within: soon\n", 2, "within: 'soon' is not a duration"),
        (
            "- listen:\n    untl: bye\n",
            2,
            "listen: unknown key 'untl'; did you mean 'until'? allowed: expect, until",
        ),
        ("- listen: bye\n", 1, "listen: a mapping is expected"),
        ("- press: {}\n", 1, "press: 'key' is missing"),
        ("- imap: ''\n", 1, "imap: 'command' is missing"),
    ],
)
def test_errors_name_line_and_nearest_word(text: str, line: int, message: str) -> None:
    with pytest.raises(ScriptError) as caught:
        steps(text)
    assert caught.value.line == line
    assert message in caught.value.message


def test_dumped_steps_leave_defaults_out() -> None:
    assert dump_steps(steps("- press: {key: 6}\n  within: 3 s\n")) == [{"press": {"key": "6"}, "within": "3 s"}]


ACCOUNT = "account: {host: imap.example.com, user: joe, password: '0123'}\n"
FULL = (
    ACCOUNT
    + """media: "sip:media.example.net"
media-length: 12.0
steps:
  - find-part: {type: audio/*, mailbox: INBOX}
  - discover: {}
  - authorise: {access: submit+, expire: none}
  - announce: {offer: [PCMU/8000], video: [H263/90000], url: "imap://$uid", expect: 4xx}
  - ivr: {skip: 2500 ms, ff: "6", rw: "4", escape: "*", offset: 0, expect: 200}
  - press: {key: "#", after: 3 s}
  - stop: {after: 1 s}
  - listen: {until: 5 s}
  - listen: {until: response}
    within: 90 s
  - hang-up: {}
  - stream: {expire: -1 min}
  - imap: 'UID FETCH $uid (BODY[$section])'
  - sip: {method: INFO, headers: {Content-Type: application/dtmf}, body: "6", expect: 415}
"""
)


def load(tmp_path: Path, text: str) -> Script:
    path = tmp_path / "script.yaml"
    path.write_text(text, encoding="utf-8")
    return load_script(path)


def test_a_full_script(tmp_path: Path) -> None:
    script = load(tmp_path, FULL)
    assert (script.account.host, script.account.port, script.account.password) == ("imap.example.com", 143, "0123")
    assert (script.media, script.media_length, script.step_deadline) == ("sip:media.example.net", 12.0, 17.0)
    assert [step.verb for step in script.steps][:3] == ["find-part", "discover", "authorise"]
    assert script.steps[0].line == 5
    assert "0123" not in repr(script)


def test_without_media_length_a_step_may_take_65_seconds(tmp_path: Path) -> None:
    script = load(tmp_path, ACCOUNT + "steps: []\n")
    assert (script.media, script.step_deadline) == (None, 65.0)


def test_dump_and_load_give_the_same_script(tmp_path: Path) -> None:
    script = load(tmp_path, FULL)
    assert load(tmp_path, dump_script(script)) == script


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("- a\n", 1, "account, media, media-length and steps"),
        (ACCOUNT, 1, "'steps' is missing"),
        ("steps: []\n", 1, "'account' is missing"),
        (ACCOUNT + "stesp: []\nsteps: []\n", 2, "did you mean 'steps'?"),
        (ACCOUNT + "media: http://x\nsteps: []\n", 2, "not a SIP URI"),
        (ACCOUNT + "media-length: long\nsteps: []\n", 2, "media-length"),
        (ACCOUNT + "media-length: nan\nsteps: []\n", 2, "media-length"),
        ("account: {host: h, user: u, pasword: p}\nsteps: []\n", 1, "unknown key 'pasword'; did you mean 'password'?"),
        ("account:\n  host: h\n  user: u\n  password: p\n  port: 0\nsteps: []\n", 5, "account.port"),
    ],
)
def test_an_invalid_script_names_line_and_reason(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(ScriptError) as caught:
        load(tmp_path, text)
    assert caught.value.line == line
    assert message in caught.value.message
