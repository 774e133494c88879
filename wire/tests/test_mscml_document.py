"""Whole documents of MSCML, hand-written."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_wire.mscml.document import MscmlError, Tolerance, parse_document, write_document
from lemonade_wire.mscml.request import (
    Audio,
    Play,
    PlayCollect,
    Prompt,
    Regex,
    Stop,
    Unsupported,
    Variable,
    request_name,
)
from lemonade_wire.mscml.response import ErrorInfo, Response

URL = "imap://joe@example.com/INBOX/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:01ab"


def request(body: str) -> bytes:
    head = '<?xml version="1.0"?><MediaServerControl version="1.0">'
    return f"{head}<request>{body}</request></MediaServerControl>".encode()


def collect(attributes: str = "", prompt: str = f'<prompt><audio url="{URL}"/></prompt>') -> PlayCollect:
    read = parse_document(request(f"<playcollect {attributes}>{prompt}</playcollect>"))
    assert isinstance(read, PlayCollect)
    return read


# draft-ietf-lemonade-streaming-07 section 2.7: `escape`, `repeat="0"`, <audio> not closed, the URL broken in lines
DRAFT = b"""<?xml version="1.0"?>
<MediaServerControl version="1.0">
<request>
<playcollect id="332985001"
firstdigittimer="0ms" interdigittimer="0ms" extradigittimer="0ms"
skipinterval="6s" ffkey="6" rwkey="4" escape="*">
<prompt stoponerror="yes"
locale="en_US" offset="0" gain="0" rate="0"
delay="0" duration="infinite" repeat="0">
<audio url="imap://joe@example.com/INBOX/;uid=24356/;section=1.2;
expire=2006-12-19T16:39:57-08:00;urlauth=anonymous:
internal:238234982398239898a9898998798b987s87920">
</prompt>
</playcollect>
</request>
</MediaServerControl>
"""


def test_the_drafts_example_is_read_by_who_tolerates_it() -> None:
    read = parse_document(DRAFT, tolerance=Tolerance(close_audio=True, strip_url_spaces=True))
    url = (
        "imap://joe@example.com/INBOX/;uid=24356/;section=1.2;expire=2006-12-19T16:39:57-08:00;"
        "urlauth=anonymous:internal:238234982398239898a9898998798b987s87920"
    )
    assert read == PlayCollect(
        Prompt((Audio(url),), stop_on_error=True, locale="en_US"),
        id="332985001",
        first_digit_ms=0,
        interdigit_ms=0,
        extra_digit_ms=0,
        skip_interval_ms=6000,
        ff_key="6",
        rw_key="4",
        escape_key="*",
    )


def test_the_drafts_example_gets_a_400_otherwise() -> None:
    with pytest.raises(MscmlError) as caught:
        parse_document(DRAFT)
    assert caught.value.response() == Response("playcollect", 400, "Bad Request", "332985001")
    with pytest.raises(MscmlError, match="blank"):
        parse_document(DRAFT, tolerance=Tolerance(close_audio=True))


def test_defaults_of_rfc_5022() -> None:
    read = parse_document(request("<playcollect/>"))
    assert read == PlayCollect(None, None, False, True, "*", "#", 6000, None, None, None, 5000, 2000, 1000, None, False)
    read = collect()
    assert read.prompt == Prompt((Audio(URL),), 0, 0, math.inf, 1, False, None)


def test_attributes_of_playcollect() -> None:
    read = collect(
        'id="x" cleardigits="yes" barge="1" escapekey="a" returnkey="9" skipinterval="4s" ffkey="6" rwkey="4" '
        'maxdigits="3" firstdigittimer="infinite" interdigittimer="immediate" extradigittimer="1.5s" '
        'interdigitcriticaltimer="7" maskdigits="true" unknown="1"',
        '<pattern><regex value="x{4}" name="pin"/></pattern>',
    )
    assert read == PlayCollect(
        None, "x", True, True, "A", "9", 4000, "6", "4", 3, math.inf, 0, 1500, 7, True, (Regex("x{4}", "pin"),)
    )


def test_without_barge_the_buffer_is_cleared() -> None:
    assert collect('barge="no"').clear_digits


@pytest.mark.parametrize("zero", ["0", "0ms", "0s", "immediate"])
def test_zero_timers_in_every_spelling(zero: str) -> None:
    assert collect(f'firstdigittimer="{zero}"').first_digit_ms == 0


def test_escapekey_goes_before_its_misspelling() -> None:
    assert collect('escapekey="1" escape="2"').escape_key == "1"
    assert collect('escape="2"').escape_key == "2"


def test_repeat_zero_means_once_only_for_one_imap_url_in_playcollect() -> None:
    zero = f'<prompt repeat="0"><audio url="{URL}"/></prompt>'
    assert collect("", zero).prompt == Prompt((Audio(URL),))
    two = zero.replace("</prompt>", '<audio url="http://h/x"/></prompt>')
    for body in (f"<playcollect>{two}</playcollect>", f"<play>{zero}</play>"):
        read = parse_document(request(body))
        assert isinstance(read, PlayCollect | Play)
        assert read.prompt is not None
        assert read.prompt.repeat == 0
    strict = parse_document(
        request(f"<playcollect>{zero}</playcollect>"), tolerance=Tolerance(repeat_zero_is_one=False)
    )
    assert isinstance(strict, PlayCollect)
    assert strict.prompt == Prompt((Audio(URL),), repeat=0)


def test_prompts() -> None:
    read = parse_document(
        request(
            '<play id="p"><prompt baseurl="file:////p/" locale="en_US" offset="2s" delay="100" duration="9s" '
            'repeat="infinite" stoponerror="yes" gain="3"><audio url="a.raw" encoding="alaw"/>'
            f'<variable type="dat" subtype="mdy" value="01022026"/><audio url="{URL}"/></prompt></play>'
        )
    )
    items = (Audio("file:////p/a.raw", "alaw"), Variable("dat", "mdy", "01022026"), Audio(URL))
    assert read == Play(Prompt(items, 2000, 100, 9000, None, True, "en_US"), "p")


def test_the_deprecated_prompturl() -> None:
    read = parse_document(request('<play prompturl="file:///x" promptencoding="ulaw" offset="500"/>'))
    assert read == Play(Prompt((Audio("file:///x", "ulaw"),), offset_ms=500))


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ('<playrecord id="1" recurl="file:///x"/>', "playrecord"),
        ('<managecontent id="1" src="x"/>', "managecontent"),
        ('<configure_leg id="1"/>', "configure_leg"),
        ('<playcollect id="1"><pattern><mgcpdigitmap value="x"/></pattern></playcollect>', "playcollect"),
    ],
)
def test_requests_that_are_known_and_not_carried_out(body: str, name: str) -> None:
    read = parse_document(request(body))
    assert read == Unsupported(name, "1")
    assert request_name(Unsupported(name, "1")) == name


def test_stop() -> None:
    assert parse_document(request("<stop/>")) == Stop()
    assert parse_document(request('<stop id="7"/>')) == Stop("7")


REFUSED = {
    "same keys": '<playcollect id="1" ffkey="6" rwkey="6"/>',
    "bad key": '<playcollect id="1" ffkey="66"/>',
    "bad time": '<playcollect id="1" skipinterval="6 s"/>',
    "endless skip": '<playcollect id="1" skipinterval="infinite"/>',
    "bad switch": '<playcollect id="1" barge="maybe"/>',
    "no digits wanted": '<playcollect id="1" maxdigits="0"/>',
    "empty prompt": '<playcollect id="1"><prompt/></playcollect>',
    "two prompts": f'<playcollect id="1" prompturl="x"><prompt><audio url="{URL}"/></prompt></playcollect>',
    "no url": '<playcollect id="1"><prompt><audio/></prompt></playcollect>',
    "blank in the url": '<playcollect id="1"><prompt><audio url="imap://h/x\n;y"/></prompt></playcollect>',
    "gain twice": f'<playcollect id="1"><prompt gain="1" gaindelta="1"><audio url="{URL}"/></prompt></playcollect>',
    "strange child": '<playcollect id="1"><video/></playcollect>',
    "strange child of the prompt": '<playcollect id="1"><prompt><video/></prompt></playcollect>',
    "bad repeat": f'<playcollect id="1"><prompt repeat="-1"><audio url="{URL}"/></prompt></playcollect>',
    "bad variable": '<playcollect id="1"><prompt><variable type="x"/></prompt></playcollect>',
    "not closed": '<playcollect id="1"><prompt>',
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_response_that_names_the_request(name: str) -> None:
    with pytest.raises(MscmlError) as caught:
        parse_document(request(REFUSED[name]))
    assert caught.value.response() == Response("playcollect", 400, "Bad Request", "1")


UNREADABLE = {
    "empty": b"",
    "no XML": b"play please",
    "other root": b"<x version='1.0'><request><stop/></request></x>",
    "no version": b"<MediaServerControl><request/></MediaServerControl>",
    "nothing": b'<MediaServerControl version="1.0"/>',
    "no request": request(""),
    "unknown request": request("<dance id='1'/>"),
    "DTD": b"<!DOCTYPE MediaServerControl>" + request("<stop/>")[21:],
    "notification": b'<MediaServerControl version="1.0"><notification/></MediaServerControl>',
    "response without code": b'<MediaServerControl version="1.0"><response request="play"/></MediaServerControl>',
    "response without request": b'<MediaServerControl version="1.0"><response code="200"/></MediaServerControl>',
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_refused_without_a_response(name: str) -> None:
    with pytest.raises(MscmlError) as caught:
        parse_document(UNREADABLE[name])
    assert caught.value.response() is None


def test_two_requests_are_answered_for_the_first() -> None:
    with pytest.raises(MscmlError) as caught:
        parse_document(request('<stop id="1"/><stop id="2"/>'))
    assert caught.value.response() == Response("stop", 400, "Bad Request", "1")


def test_the_drafts_response_without_text_is_read() -> None:
    read = parse_document(
        b'<?xml version="1.0"?>\n<MediaServerControl version="1.0">\n<response id="332985001" request="playcollect" '
        b'code="200" reason="escapekey" playduration="34s"\nplayoffset="34s" digits=""/>\n</MediaServerControl>'
    )
    assert read == Response("playcollect", 200, None, "332985001", "escapekey", 34000, 34000, "")


def test_an_error_is_written_in_these_words() -> None:
    response = Response("playcollect", 404, "Not Found", "1", error_info=ErrorInfo(404, "Not Found", URL + "&x"))
    assert write_document(response).decode() == (
        '<?xml version="1.0" encoding="utf-8"?><MediaServerControl version="1.0">'
        '<response id="1" request="playcollect" code="404" text="Not Found" '
        'playduration="0ms" playoffset="0ms" digits="">'
        f'<error_info code="404" text="Not Found" context="{URL}&amp;x"/></response></MediaServerControl>'
    )


def test_a_request_is_written_in_these_words() -> None:
    playcollect = PlayCollect(
        Prompt((Audio(URL),), stop_on_error=True),
        "332985001",
        clear_digits=True,
        first_digit_ms=0,
        interdigit_ms=0,
        extra_digit_ms=0,
        skip_interval_ms=4000,
        ff_key="6",
        rw_key="4",
    )
    assert write_document(playcollect).decode() == (
        '<?xml version="1.0" encoding="utf-8"?><MediaServerControl version="1.0"><request>'
        '<playcollect id="332985001" skipinterval="4000ms" firstdigittimer="0ms" interdigittimer="0ms" '
        'extradigittimer="0ms" cleardigits="yes" escapekey="*" ffkey="6" rwkey="4">'
        f'<prompt stoponerror="yes"><audio url="{URL}"/></prompt></playcollect></request></MediaServerControl>'
    )


IDS = st.none() | st.text("abc123", min_size=1, max_size=5)
TIMES = st.integers(0, 10**6).map(float)
KEYS = st.sampled_from("0123ABD#*")
PROMPTS = st.none() | st.builds(
    Prompt,
    st.lists(st.builds(Audio, st.just(URL) | st.just("http://h/a?b&c=<>")), min_size=1, max_size=3).map(tuple),
    TIMES,
    TIMES,
    TIMES | st.just(math.inf),
    st.none() | st.integers(1, 9),
    st.booleans(),
)
REQUESTS = st.one_of(
    st.builds(Play, PROMPTS, IDS),
    st.builds(Stop, IDS),
    st.builds(Unsupported, st.sampled_from(["playrecord", "faxplay"]), IDS),
    st.builds(
        PlayCollect,
        prompt=PROMPTS,
        id=IDS,
        clear_digits=st.booleans(),
        escape_key=KEYS,
        return_key=KEYS,
        skip_interval_ms=TIMES,
        ff_key=st.none() | st.just("6"),
        rw_key=st.none() | KEYS,
        max_digits=st.none() | st.integers(1, 20),
        first_digit_ms=TIMES | st.just(math.inf),
        interdigit_critical_ms=st.none() | TIMES,
        mask_digits=st.booleans(),
        patterns=st.lists(st.builds(Regex, st.just("x{4}")), max_size=2).map(tuple),
    ),
)
RESPONSES = st.builds(
    Response,
    request=st.just("playcollect"),
    code=st.integers(200, 699),
    text=st.text("ab <&\"'", max_size=5),
    id=IDS,
    reason=st.none() | st.just("timeout"),
    play_duration_ms=TIMES,
    play_offset_ms=TIMES,
    digits=st.text("0123#*", max_size=4),
    error_info=st.none() | st.builds(ErrorInfo, st.integers(400, 599), st.just("Bad"), st.just(URL)),
)


@given(REQUESTS | RESPONSES)
def test_what_is_written_is_read_again(content: PlayCollect | Response) -> None:
    assert parse_document(write_document(content)) == content


@given(st.binary(max_size=60), st.integers(0, len(DRAFT)))
def test_nothing_else_is_raised(octets: bytes, place: int) -> None:
    lenient = Tolerance(close_audio=True, strip_url_spaces=True)
    for body in (octets, DRAFT[:place] + octets + DRAFT[place:], DRAFT[:place] + octets + DRAFT[place + len(octets) :]):
        with contextlib.suppress(MscmlError):
            parse_document(body, tolerance=lenient)
