"""Complete MSCML documents, written by hand."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_wire.mscml.digitmap import MegacoDigitMap, MgcpDigitMap
from lemonade_wire.mscml.document import Document, MscmlError, Tolerance, parse_document, write_document
from lemonade_wire.mscml.dregex import DRegex
from lemonade_wire.mscml.grammar import Grammar
from lemonade_wire.mscml.messages import (
    KEYS,
    Audio,
    ConfigureLeg,
    ErrorInfo,
    Keypress,
    KeypressSubscription,
    MscmlResponse,
    PlayCollectRequest,
    PlayRecordRequest,
    PlayRequest,
    Prompt,
    StopRequest,
    Unsupported,
)
from lemonade_wire.testing.messages import mscml_request

URL = "imap://joe@example.com/INBOX/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:01ab"


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


def test_the_drafts_example_is_read_with_full_tolerance() -> None:
    read = parse_document(DRAFT, tolerance=Tolerance(close_audio=True, strip_url_spaces=True))
    url = (
        "imap://joe@example.com/INBOX/;uid=24356/;section=1.2;expire=2006-12-19T16:39:57-08:00;"
        "urlauth=anonymous:internal:238234982398239898a9898998798b987s87920"
    )
    assert read == PlayCollectRequest(
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
    assert caught.value.response() == MscmlResponse("playcollect", 400, f"Bad Request: {caught.value}", "332985001")
    with pytest.raises(MscmlError, match="blank"):
        parse_document(DRAFT, tolerance=Tolerance(close_audio=True))


UNREADABLE = {
    "empty": b"",
    "no XML": b"play please",
    "other root": b"<x version='1.0'><request><stop/></request></x>",
    "no version": b"<MediaServerControl><request/></MediaServerControl>",
    "nothing": b'<MediaServerControl version="1.0"/>',
    "no request": mscml_request(""),
    "unknown request": mscml_request("<dance id='1'/>"),
    "DTD": b"<!DOCTYPE MediaServerControl>" + mscml_request("<stop/>")[21:],
    "notification": b'<MediaServerControl version="1.0"><notification/></MediaServerControl>',
    "notification of a signal": (
        b'<MediaServerControl version="1.0"><notification><signal type="busy"/></notification></MediaServerControl>'
    ),
    "key that is none": (
        b'<MediaServerControl version="1.0"><notification><keypress digit="x"/></notification></MediaServerControl>'
    ),
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
        parse_document(mscml_request('<stop id="1"/><stop id="2"/>'))
    assert caught.value.response() == MscmlResponse("stop", 400, f"Bad Request: {caught.value}", "1")


def test_the_drafts_response_without_text_is_read() -> None:
    read = parse_document(
        b'<?xml version="1.0"?>\n<MediaServerControl version="1.0">\n<response id="332985001" request="playcollect" '
        b'code="200" reason="escapekey" playduration="34s"\nplayoffset="34s" digits=""/>\n</MediaServerControl>'
    )
    assert read == MscmlResponse("playcollect", 200, None, "332985001", "escapekey", 34000, 34000, "")


def test_an_error_is_written_in_these_words() -> None:
    response = MscmlResponse("playcollect", 404, "Not Found", "1", error_info=ErrorInfo(404, "Not Found", URL + "&x"))
    assert write_document(response).decode() == (
        '<?xml version="1.0" encoding="utf-8"?><MediaServerControl version="1.0">'
        '<response id="1" request="playcollect" code="404" text="Not Found" '
        'playduration="0ms" playoffset="0ms" digits="">'
        f'<error_info code="404" text="Not Found" context="{URL}&amp;x"/></response></MediaServerControl>'
    )


def test_a_request_is_written_in_these_words() -> None:
    playcollect = PlayCollectRequest(
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


def test_a_notification_is_written_in_these_words() -> None:
    keypress = Keypress("#", "long", 200, "idle", 4)
    assert write_document(keypress).decode() == (
        '<?xml version="1.0" encoding="utf-8"?><MediaServerControl version="1.0"><notification>'
        '<keypress digit="#" length="long" method="long" interdigittime="200ms">'
        '<status command="idle" duration="4ms"/></keypress></notification></MediaServerControl>'
    )


def test_the_rfcs_notification_is_read() -> None:
    read = parse_document(
        b'<?xml version="1.0"?>\n<MediaServerControl version="1.0"><notification>'
        b'<keypress digit="4" length="standard" method="standard"\ninterdigittime="0">'
        b'<status command="play" duration="10"/></keypress></notification></MediaServerControl>'
    )
    assert read == Keypress("4", "standard", 0, "play", 10)


def test_no_repr_shows_digits() -> None:
    assert "8765" not in repr(MscmlResponse("playcollect", digits="8765"))
    assert "8" not in repr(Keypress("8"))


IDS = st.none() | st.text("abc123", min_size=1, max_size=5)
TIMES = st.integers(0, 10**6).map(float)
KEY = st.sampled_from("0123ABD#*")
PROMPTS = st.none() | st.builds(
    Prompt,
    st.lists(
        st.builds(
            Audio,
            st.just(URL) | st.just("http://h/a?b&c=<>"),
            st.none() | st.just("alaw"),
            st.sampled_from([0, -3, 1.5]),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    TIMES,
    TIMES,
    TIMES | st.just(math.inf),
    st.none() | st.integers(1, 9),
    st.booleans(),
)
MAPS = [MgcpDigitMap.parse("(0T|[1-7]xxx)"), MegacoDigitMap.parse("(0|9011x.|EZF)")]
REQUESTS = st.one_of(
    st.builds(PlayRequest, PROMPTS, IDS),
    st.builds(StopRequest, IDS),
    st.builds(Unsupported, st.sampled_from(["configure_conference", "faxplay", "faxrecord"]), IDS),
    st.builds(
        ConfigureLeg,
        st.none()
        | st.builds(KeypressSubscription, st.sampled_from(["standard", "long", "both", "none"]), st.booleans()),
        st.dictionaries(st.sampled_from(["busy", "CED", "400"]), st.booleans()).map(lambda found: tuple(found.items())),
        IDS,
    ),
    st.builds(
        PlayRecordRequest,
        st.just("file:///a.wav"),
        PROMPTS,
        IDS,
        clear_digits=st.booleans(),
        escape_key=KEY,
        encoding=st.sampled_from([None, "ulaw", "alaw", "msgsm"]),
        append=st.booleans(),
        limit_ms=TIMES | st.just(math.inf),
        beep=st.booleans(),
        first_silence_ms=TIMES | st.just(math.inf),
        last_silence_ms=TIMES | st.just(math.inf),
        stop_keys=st.sets(KEY).map(lambda found: "".join(key for key in KEYS if key in found)),
    ),
    st.builds(
        PlayCollectRequest,
        prompt=PROMPTS,
        id=IDS,
        clear_digits=st.booleans(),
        escape_key=KEY,
        return_key=KEY,
        skip_interval_ms=TIMES,
        ff_key=st.none() | st.just("6"),
        rw_key=st.none() | st.just("4"),
        max_digits=st.none() | st.integers(1, 20),
        first_digit_ms=TIMES | st.just(math.inf),
        interdigit_critical_ms=st.none() | TIMES,
        mask_digits=st.booleans(),
    ),
    st.builds(
        PlayCollectRequest,
        patterns=st.lists(st.builds(Grammar, st.just(DRegex.parse("x{4}")), IDS), max_size=2).map(tuple)
        | st.tuples(st.builds(Grammar, st.sampled_from(MAPS), IDS)),
    ),
)
RESPONSES = st.builds(
    MscmlResponse,
    request=st.just("playrecord"),
    code=st.integers(200, 699),
    text=st.text("ab <&\"'", max_size=5),
    id=IDS,
    reason=st.none() | st.just("timeout"),
    play_duration_ms=TIMES,
    play_offset_ms=TIMES,
    digits=st.text("0123#*", max_size=4),
    name=IDS,
    record_octets=st.integers(0, 10**8),
    record_duration_ms=TIMES,
    error_info=st.none() | st.builds(ErrorInfo, st.integers(400, 599), st.just("Bad"), st.just(URL)),
)
KEYPRESSES = st.builds(
    Keypress,
    KEY,
    st.sampled_from(["standard", "long", "double"]),
    TIMES,
    st.sampled_from(["idle", "play", "collect", "record"]),
    TIMES,
)


@given(REQUESTS | RESPONSES | KEYPRESSES)
def test_what_is_written_is_read_again(content: Document) -> None:
    assert parse_document(write_document(content)) == content


WHOLE = [
    DRAFT,
    write_document(
        PlayRecordRequest("file:///a.wav", Prompt((Audio(URL, gain_db=3),), 1, 2, 3, 4), "1", stop_keys="#")
    ),
    write_document(PlayCollectRequest(patterns=(Grammar(DRegex.parse("L*[1-3]{2,}x{,4}"), "name"),))),
    write_document(ConfigureLeg(KeypressSubscription("both", True), (("busy", True),), "1")),
    mscml_request('<managecontent id="1" src="file:///x" dest="http://h/x" name="n" fetchtimeout="1s"/>'),
    write_document(
        MscmlResponse("playrecord", 200, "OK", "1", "digit", 1, 2, "3", None, 4, 5, ErrorInfo(404, "x", URL))
    ),
    write_document(Keypress("5", "long", 1, "record", 2)),
]


@given(st.sampled_from(WHOLE), st.binary(max_size=60) | st.sampled_from([b'"', b"", b"<", b"&", b"-"]), st.floats(0, 1))
def test_anything_raises_only_mscml_error(whole: bytes, octets: bytes, at: float) -> None:
    lenient = Tolerance(close_audio=True, strip_url_spaces=True)
    place = int(at * len(whole))
    for body in (octets, whole[:place] + octets + whole[place:], whole[:place] + octets + whole[place + len(octets) :]):
        with contextlib.suppress(MscmlError):
            parse_document(body, tolerance=lenient)
