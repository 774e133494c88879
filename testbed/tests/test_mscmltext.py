"""MSCML bodies as the judge reads them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_testbed.ladder.mscmltext import (
    AudioText,
    ErrorInfoText,
    KeypressText,
    PlayCollectText,
    PromptText,
    RequestText,
    ResponseText,
    Unreadable,
    VariableText,
    read_mscml,
)
from lemonade_wire.mscml.document import parse_document

COLLECT = (
    '<playcollect id="7" ffkey="6" rwkey="a" escapekey="4" skipinterval="1.5s" firstdigittimer="0ms" '
    'interdigittimer="immediate" extradigittimer="infinite" barge="no" maxdigits="3" maskdigits="yes">'
    '<prompt offset="500" stoponerror="yes" repeat="0" baseurl="imap://h/"><audio url="a;x&amp;y"/>'
    '<variable type="dat" value="1"/><audio url="file:///b"/></prompt></playcollect>'
)


def document(body: str) -> str:
    return f'<?xml version="1.0" encoding="utf-16"?>\n<MediaServerControl version="1.0">{body}</MediaServerControl>'


def request(body: str) -> str:
    return document(f"<request>{body}</request>")


def test_a_request_is_read_with_its_prompt() -> None:
    read = read_mscml(request(COLLECT))
    assert isinstance(read, PlayCollectText)
    assert (read.name, read.id, read.problems) == ("playcollect", "7", ())
    assert (read.ff_key, read.rw_key, read.escape_key, read.return_key) == ("6", "A", "4", "#")
    assert (read.skip_interval_ms, read.first_digit_ms, read.interdigit_ms) == (1500, 0, 0)
    assert (read.extra_digit_ms, read.barge, read.max_digits, read.mask_digits) == (math.inf, False, "3", True)
    items = (AudioText("imap://h/a;x&y"), VariableText("dat", "1"), AudioText("file:///b"))
    assert read.prompt == PromptText(items, offset_ms=500, repeat="0", stop_on_error=True)


def test_what_is_absent_has_the_defaults_of_the_rfc() -> None:
    read = read_mscml(request("<playcollect/>"))
    assert read == PlayCollectText("playcollect")
    assert isinstance(read, PlayCollectText)
    nodes = parse_document(request("<playcollect/>").replace("utf-16", "utf-8").encode())
    for name in ("escape_key", "return_key", "ff_key", "rw_key", "skip_interval_ms", "first_digit_ms", "interdigit_ms",
                 "extra_digit_ms", "barge", "mask_digits", "id", "prompt"):  # fmt: skip
        assert getattr(read, name) == getattr(nodes, name)


def test_the_drafts_own_forms_are_read() -> None:
    draft = '<playcollect escape="#"><prompt><audio url="imap://h/a"></prompt></playcollect>'
    read = read_mscml(request(draft))
    assert isinstance(read, PlayCollectText)
    assert (read.escape_key, read.prompt, read.problems) == ("#", PromptText((AudioText("imap://h/a"),)), ())
    by_url = read_mscml(request('<play prompturl="file:///a" offset="2s"/>'))
    assert by_url == RequestText("play", None, PromptText((AudioText("file:///a"),), offset_ms=2000))


def test_a_response_is_read() -> None:
    attributes = 'id="1" request="playcollect" code="404" text="x" reason="stopped" playduration="1.5s" digits="12"'
    body = f'<response {attributes} playoffset="x"><error_info code="500" text="No" context="u"/></response>'
    read = read_mscml(document(body))
    assert isinstance(read, ResponseText)
    assert (read.request, read.code, read.text, read.id, read.reason) == ("playcollect", 404, "x", "1", "stopped")
    assert (read.play_duration_ms, read.digits, read.error_info) == (1500, "12", ErrorInfoText(500, "No", "u"))
    assert read.play_offset_ms is not None
    assert math.isnan(read.play_offset_ms)
    assert "12" not in repr(read).replace("1500", "")
    damaged = read_mscml(document('<response code="abc"/>'))
    assert isinstance(damaged, ResponseText)
    assert (damaged.code, damaged.problems) == (0, ("<response> without request",))


def test_a_notification_is_read() -> None:
    pressed = '<keypress digit="b" length="long" method="double" interdigittime="80ms"/>'
    assert read_mscml(document(f"<notification>{pressed}</notification>")) == KeypressText("B", "double", "long", 80)
    assert read_mscml(document('<notification><keypress digit="5" length="long"/></notification>')) == KeypressText(
        "5", "long", "long"
    )


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<stop now="yes"/>', "<stop> has no attribute now"),
        ("<playrecord/>", "<playrecord> without recurl"),
        ("<dance/>", "<dance> is not known here"),
        ("<play>la</play>", "text within <play>"),
        ('<playcollect ffkey="66"/>', "ffkey='66' in <playcollect>"),
        ('<playcollect firstdigittimer="soon"/>', "firstdigittimer='soon' in <playcollect>"),
        ('<playcollect barge="maybe"/>', "barge='maybe' in <playcollect>"),
        ("<play><prompt/><prompt/></play>", "more than one <prompt> in <play>"),
        ('<play><prompt><audio url="imap://h/ a"/></prompt></play>', "url='imap://h/ a' in <audio>"),
    ],
)
def test_what_is_not_valid_is_told(body: str, problem: str) -> None:
    read = read_mscml(request(body))
    assert isinstance(read, RequestText)
    assert read.problems == (problem,)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", ""),
        ("nonsense", ""),
        (request("<play>"), "play"),
        ("<MediaServerControl/>", ""),
        (document("<request/>"), ""),
        (document("<notification/>"), ""),
        ('<!DOCTYPE a [<!ENTITY b "c">]>' + request("<stop/>"), "stop"),
    ],
)
def test_what_is_no_document_is_unreadable(text: str, name: str) -> None:
    read = read_mscml(text)
    assert isinstance(read, Unreadable)
    assert read.name == name


@given(st.text(max_size=60), st.sampled_from(["<play", "<response ", "<request><playcollect ffkey='", ""]))
def test_anything_is_read(text: str, start: str) -> None:
    read_mscml(text)
    read_mscml(document(start + text))
