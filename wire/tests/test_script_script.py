"""The script file as a whole."""

from pathlib import Path

import pytest

from lemonade_wire.script.script import Script, dump_script, load_script
from lemonade_wire.script.yamltext import ScriptError

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
def test_errors(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(ScriptError) as caught:
        load(tmp_path, text)
    assert caught.value.line == line
    assert message in caught.value.message
