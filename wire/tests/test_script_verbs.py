"""The arguments of the verbs: valid values, invalid values, and their descriptions."""

from typing import Any

import pytest

from lemonade_wire.script.verbs import VERBS, substitute
from lemonade_wire.script.yamltext import ScriptError, bind, load_yaml


def arguments(verb: str, text: str) -> Any:  # noqa: ANN401  each verb has fields of its own
    return bind(load_yaml(text, "a.yaml"), VERBS[verb], what=verb)


def test_every_verb_and_argument_is_described_in_one_line() -> None:
    for model in VERBS.values():
        assert model.summary
        assert "\n" not in model.summary
        assert all(info.description and "\n" not in info.description for info in model.model_fields.values())


def test_defaults_are_as_the_draft_requires() -> None:
    assert arguments("authorise", "{}").expire == 600.0  # LS-2.3-4: EXPIRE should be present
    assert arguments("authorise", "{}").access is None  # the profile's, LS-2.3-8
    assert (arguments("stream", "{}").access, arguments("stream", "{}").expect) == (None, "played")
    ivr = arguments("ivr", "{}")
    assert (ivr.escape, ivr.skip, ivr.offset) == ("*", 6.0, 0.0)


@pytest.mark.parametrize("access", ["anonymous", "authuser", "stream", "submit+", "submit+joe", "user+ann", "x+a%20b"])
def test_access_identifiers(access: str) -> None:
    assert arguments("authorise", f"access: '{access}'").access == access


@pytest.mark.parametrize(
    ("text", "expire"), [("none", None), ("10 min", 600.0), ("-1 min", -60.0), ("1500 ms", 1.5), ("0", 0.0)]
)
def test_expire_accepts_durations_and_none(text: str, expire: float | None) -> None:
    assert arguments("authorise", f"expire: {text}").expire == expire


@pytest.mark.parametrize(("text", "until"), [("bye", "bye"), ("response", "response"), ("5 s", 5.0)])
def test_until_accepts_words_and_durations(text: str, until: str | float) -> None:
    assert arguments("listen", f"until: {text}").until == until


@pytest.mark.parametrize(("text", "offset"), [("playoffset", "playoffset"), ("5 s", 5.0), ("0", 0.0)])
def test_offset_accepts_playoffset_and_durations(text: str, offset: str | float) -> None:
    assert arguments("ivr", f"offset: {text}").offset == offset


@pytest.mark.parametrize("key", ["0", "9", "*", "#", "A", "d"])
def test_press_accepts_every_key(key: str) -> None:
    assert arguments("press", f"key: '{key}'").key == key


@pytest.mark.parametrize(
    ("verb", "text", "message"),
    [
        ("press", "key: E", "0-9, *, #, A-D"),
        ("press", "key: 66", "0-9, *, #, A-D"),
        ("press", "key: ٣", "0-9, *, #, A-D"),
        ("press", "{key: 6, after: soon}", "after: 'soon' is not a duration"),
        ("press", "{key: 6, after: -1 s}", "not a duration"),
        ("listen", "until: bay", "bye, response, keypress, or a duration"),
        ("listen", "until: -1 s", "bye, response, keypress, or a duration"),
        ("announce", "offer: [PCMU]", "PCMU/8000"),
        ("announce", "offer: []", "must not be empty"),
        ("announce", "offer: PCMU/8000", "a list is expected"),
        ("announce", "expect: 700", "200, 404 or 4xx"),
        ("announce", "expect: 100", "200, 404 or 4xx"),
        ("announce", 'url: "a\\r\\nb"', "one line of text"),
        ("ivr", "{ff: 4, rw: 4}", "different keys"),
        ("ivr", "skip: 0", "greater than 0"),
        ("ivr", "offset: later", "playoffset, or"),
        ("ivr", "sdp: 'm=audio $port RTP/AVP 0'", "$address, $audio, $video"),
        ("announce", "escape: none", "'needed' or 'semicolons'"),
        ("authorise", "access: 'user+'", "an access identifier is expected"),
        ("authorise", "access: 'submit+a;b'", "an access identifier is expected"),
        ("authorise", "expire: soon", "is not a duration"),
        ("find-part", "type: audio", "audio/*"),
        ("discover", "{entry: x}", "nothing is allowed here"),
        ("imap", "command: 'A $urll'", "$url, $token, $uid, $section"),
        ("imap", "{command: NOOP, expect: ok}", "'OK', 'NO' or 'BAD'"),
        ("imap", 'command: "NOOP\\r\\nx LOGOUT"', "one line of text"),
        ("reinvite", "service: conf", "'annc' or 'ivr'"),
        ("reinvite", "url: 'imap://x'", "url goes with service: annc"),
        ("reinvite", "{service: ivr, url: 'imap://x'}", "url goes with service: annc"),
        ("sip", "method: info", "capitals"),
        ("sip", "{method: INFO, headers: x}", "a mapping is expected"),
    ],
)
def test_refusals_say_what_is_allowed(verb: str, text: str, message: str) -> None:
    with pytest.raises(ScriptError) as caught:
        arguments(verb, text)
    assert message in str(caught.value)


def test_variables_are_replaced_and_unknown_ones_refused() -> None:
    assert substitute('URLFETCH "$url" $$5', {"url": "imap://x"}) == 'URLFETCH "imap://x" $5'
    with pytest.raises(ValueError, match="no value"):
        substitute("$url", {})
    with pytest.raises(ValueError, match="no value"):
        substitute("5 $", {})
