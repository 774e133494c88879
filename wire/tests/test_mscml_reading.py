"""MSCML requests: the attributes, defaults and errors of each element (RFC 5022 sections 6 to 9)."""

from __future__ import annotations

import math

import pytest

from lemonade_wire.mscml.digitmap import MegacoDigitMap, MgcpDigitMap
from lemonade_wire.mscml.document import Document, MscmlError, Tolerance, parse_document
from lemonade_wire.mscml.dregex import DRegex
from lemonade_wire.mscml.grammar import Grammar
from lemonade_wire.mscml.messages import (
    Audio,
    ConfigureLeg,
    KeypressSubscription,
    MscmlResponse,
    PlayCollectRequest,
    PlayRecordRequest,
    PlayRequest,
    Prompt,
    StopRequest,
    Unsupported,
    Variable,
    request_name,
)
from lemonade_wire.testing.messages import mscml_request

URL = "imap://joe@example.com/INBOX/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:01ab"


def collect(attributes: str = "", prompt: str = f'<prompt><audio url="{URL}"/></prompt>') -> PlayCollectRequest:
    read = parse_document(mscml_request(f"<playcollect {attributes}>{prompt}</playcollect>"))
    assert isinstance(read, PlayCollectRequest)
    return read


def pattern(content: str, attributes: str = "") -> str:
    return f'<playcollect id="1" {attributes}><pattern>{content}</pattern></playcollect>'


def leg(events: str) -> str:
    gain = '<inputgain><fixed level="1"/></inputgain>'
    return f'<configure_leg id="1">{gain}<subscribe><events>{events}</events></subscribe></configure_leg>'


def test_defaults_of_rfc_5022() -> None:
    read = parse_document(mscml_request("<playcollect/>"))
    assert read == PlayCollectRequest(
        None, None, False, True, "*", "#", 6000, None, None, None, 5000, 2000, 1000, None, False
    )
    read = collect()
    assert read.prompt == Prompt((Audio(URL),), 0, 0, math.inf, 1, False, None)


def test_attributes_of_playcollect() -> None:
    read = collect(
        'id="x" cleardigits="yes" barge="1" escapekey="a" returnkey="9" skipinterval="4s" ffkey="6" rwkey="4" '
        'firstdigittimer="infinite" interdigittimer="immediate" extradigittimer="1.5s" '
        'interdigitcriticaltimer="7" maskdigits="true"',
        '<pattern><regex value="x{4}" name="pin"/><regex value="*L0"/></pattern>',
    )
    patterns = (Grammar(DRegex.parse("x{4}"), "pin"), Grammar(DRegex.parse("*L0")))
    assert read == PlayCollectRequest(
        None, "x", True, True, "A", "9", 4000, "6", "4", None, math.inf, 0, 1500, 7, True, patterns
    )
    assert collect('maxdigits="3"').max_digits == 3


def test_digit_maps_in_a_pattern_are_read() -> None:
    read = collect("", '<pattern><mgcpdigitmap value="(0T|[1-7]xxx)" name="office"/></pattern>')
    assert read.patterns == (Grammar(MgcpDigitMap.parse("(0T|[1-7]xxx)"), "office"),)
    read = collect("", '<pattern><megacodigitmap value="(0|9011x.)"/></pattern>')
    assert read == PlayCollectRequest(patterns=(Grammar(MegacoDigitMap.parse("(0|9011x.)")),))


def test_timers_in_a_digit_map_go_before_those_of_the_request() -> None:
    timers = 'firstdigittimer="1s" interdigittimer="2s" interdigitcriticaltimer="3s"'

    def times(text: str) -> tuple[float, float, float | None]:
        read = collect(timers, f'<pattern><megacodigitmap value="{text}"/></pattern>')
        return read.first_digit_ms, read.interdigit_ms, read.interdigit_critical_ms

    assert times("T:0,S:7,L:9,(1|2)") == (math.inf, 9000, 7000)
    assert times("L:9,(1|2)") == (1000, 9000, 3000)
    assert times("(1|2)") == (1000, 2000, 3000)


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
        read = parse_document(mscml_request(body))
        assert isinstance(read, PlayCollectRequest | PlayRequest)
        assert read.prompt is not None
        assert read.prompt.repeat == 0
    strict = parse_document(
        mscml_request(f"<playcollect>{zero}</playcollect>"), tolerance=Tolerance(repeat_zero_is_one=False)
    )
    assert isinstance(strict, PlayCollectRequest)
    assert strict.prompt == Prompt((Audio(URL),), repeat=0)


def test_a_prompt_is_read_with_all_its_attributes() -> None:
    read = parse_document(
        mscml_request(
            '<play id="p"><prompt baseurl="file:////p/" locale="en_US" offset="2s" delay="100" duration="9s" '
            'repeat="infinite" stoponerror="yes" gain="3" rate="+10%">'
            '<audio url="a.raw" encoding="alaw" gaindelta="-1.5dB"/>'
            f'<variable type="dat" subtype="mdy" value="01022026"/><audio url="{URL}" gain="-6"/></prompt></play>'
        )
    )
    items = (Audio("file:////p/a.raw", "alaw", 1.5), Variable("dat", "mdy", "01022026"), Audio(URL, None, -6))
    assert read == PlayRequest(Prompt(items, 2000, 100, 9000, None, True, "en_US"), "p")


def test_the_deprecated_prompturl() -> None:
    read = parse_document(mscml_request('<play prompturl="file:///x" promptencoding="ulaw" offset="500"/>'))
    assert read == PlayRequest(Prompt((Audio("file:///x", "ulaw"),), offset_ms=500))


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ('<managecontent id="1" src="file:///x" action="delete"/>', "managecontent"),
        ('<managecontent id="1" src="file:///x" dest="http://h/x" httpmethod="put"/>', "managecontent"),
        ('<managecontent id="1" src="file:///x" dest="http://h/x" name="field"/>', "managecontent"),
        ('<configure_conference id="1" reservedtalkers="3"/>', "configure_conference"),
        ('<faxplay id="1" lclid="x"/>', "faxplay"),
        ('<faxrecord id="1" recurl="file:///x"/>', "faxrecord"),
    ],
)
def test_requests_that_are_known_and_not_carried_out(body: str, name: str) -> None:
    read = parse_document(mscml_request(body))
    assert read == Unsupported(name, "1")
    assert request_name(Unsupported(name, "1")) == name


def test_a_recording_and_its_defaults() -> None:
    read = parse_document(mscml_request('<playrecord recurl="file:///x.wav"/>'))
    assert read == PlayRecordRequest(
        "file:///x.wav", None, None, False, True, "*", None, False, math.inf, True, 3000, 4000, "0123456789ABCD#*"
    )
    read = parse_document(
        mscml_request(
            '<playrecord id="r" recurl="file:///x" barge="no" escapekey="9" recencoding="alaw" mode="append" '
            'duration="30s" beep="0" initsilence="infinite" endsilence="immediate" recstopmask="#a1">'
            f'<prompt><audio url="{URL}"/></prompt></playrecord>'
        )
    )
    prompt = Prompt((Audio(URL),))
    assert read == PlayRecordRequest(
        "file:///x", prompt, "r", True, False, "9", "alaw", True, 30000, False, math.inf, 0, "1A#"
    )


def test_subscriptions_of_a_leg_are_read() -> None:
    def read(events: str) -> Document:
        return parse_document(mscml_request(leg(events)))

    muted = mscml_request('<configure_leg id="1" type="listener" mixmode="mute"/>')
    assert parse_document(muted) == ConfigureLeg(id="1")
    assert read('<keypress report="standard"/>') == ConfigureLeg(KeypressSubscription("standard"), id="1")
    assert read('<keypress report="both" maskdigits="1"/>') == ConfigureLeg(KeypressSubscription("both", True), id="1")
    twice = '<signal type="busy" report="yes"/><signal type="CNG" report="no"/><signal type="busy" report="no"/>'
    assert read(twice) == ConfigureLeg(None, (("busy", False), ("CNG", False)), "1")


def test_a_stop_request_is_read_with_its_id() -> None:
    assert parse_document(mscml_request("<stop/>")) == StopRequest()
    assert parse_document(mscml_request('<stop id="7"/>')) == StopRequest("7")


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
    "bad variable": '<playcollect id="1"><prompt><variable type="x" value="1"/></prompt></playcollect>',
    "variable without value": '<playcollect id="1"><prompt><variable type="num"/></prompt></playcollect>',
    "bad gain": f'<playcollect id="1"><prompt gain="loud"><audio url="{URL}"/></prompt></playcollect>',
    "rate twice": f'<playcollect id="1"><prompt><audio url="{URL}" rate="1" ratedelta="1"/></prompt></playcollect>',
    "too many pieces": "<playcollect id='1'><prompt>" + 65 * "<audio url='x'/>" + "</prompt></playcollect>",
    "bad pattern": pattern('<regex value="x{2"/>'),
    "no pattern": pattern('<regex name="x"/>'),
    "empty pattern": '<playcollect id="1"><pattern/></playcollect>',
    "no map": pattern('<mgcpdigitmap value="1T2"/>'),
    "a map without value": pattern('<megacodigitmap name="x"/>'),
    "count and map": pattern('<megacodigitmap value="x"/>', 'maxdigits="1"'),
    "grammars of two kinds": pattern('<regex value="x"/><mgcpdigitmap value="x"/>'),
    "two maps": pattern('<mgcpdigitmap value="x"/><mgcpdigitmap value="x"/>'),
    "count and pattern": pattern('<regex value="x"/>', 'maxdigits="1"'),
    "recording nowhere": '<playrecord id="1"/>',
    "bad mode": '<playrecord id="1" recurl="file:///x" mode="insert"/>',
    "bad encoding": '<playrecord id="1" recurl="file:///x" recencoding="mp3"/>',
    "bad stop keys": '<playrecord id="1" recurl="file:///x" recstopmask="0-9"/>',
    "no report": leg("<keypress/>"),
    "bad signal": leg('<signal type="x" report="yes"/>'),
    "signal without report": leg('<signal type="CED"/>'),
    "two keypresses": leg('<keypress report="none"/><keypress report="none"/>'),
    "strange event": leg("<talk/>"),
    "two subscriptions": '<configure_leg id="1"><subscribe/><subscribe/></configure_leg>',
    "no local source": '<managecontent id="1" src="http://h/x" action="delete"/>',
    "move to nowhere": '<managecontent id="1" src="file:///x" httpmethod="put"/>',
    "post without a field": '<managecontent id="1" src="file:///x" dest="http://h/x"/>',
    "bad action": '<managecontent id="1" src="file:///x" action="copy"/>',
    "prompt in stop": '<stop id="1"><prompt/></stop>',
    "not closed": '<playcollect id="1"><prompt>',
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_response_that_names_the_request(name: str) -> None:
    with pytest.raises(MscmlError) as caught:
        parse_document(mscml_request(REFUSED[name]))
    asked = REFUSED[name][1:].partition(" ")[0]
    response = caught.value.response()
    assert response is not None
    why = "" if asked == "managecontent" else f": {caught.value}"
    assert response == MscmlResponse(asked, 400, f"Bad Request{why}", "1")


STRANGE = {
    "no attribute colour": '<playcollect id="1" colour="red"><prompt><audio url="x"/></prompt></playcollect>',
    "<prompt> has no attribute escapekey": '<play id="1"><prompt escapekey="*"><audio url="x"/></prompt></play>',
    "<play> has no attribute maxdigits": '<play id="1" maxdigits="1"/>',
    "<audio> has no attribute Url": '<play id="1"><prompt><audio url="x" Url="x"/></prompt></play>',
    "<stop> has no attribute xmlns": '<stop id="1" xmlns="urn:x"/>',
    "<faxplay> has no attribute x": '<faxplay id="1" x="1"/>',
    "<regex> has no attribute n": pattern('<regex value="x" n="1"/>'),
    "<signal> has no attribute maskdigits": leg('<signal type="CED" report="yes" maskdigits="no"/>'),
    "<fixed> has no attribute x": '<configure_leg id="1"><inputgain><fixed x="1"/></inputgain></configure_leg>',
    "text within <playcollect>": '<playcollect id="1">please</playcollect>',
    "text within <stop>": '<stop id="1">\u00a0</stop>',
    "text within <audio>": '<play id="1"><prompt><audio url="x"><![CDATA[x]]></audio></prompt></play>',
    "text within <request>": '<stop id="1"/>.',
    "the order within <playcollect>": (
        '<playcollect id="1"><pattern><regex value="x"/></pattern><prompt><audio url="x"/></prompt></playcollect>'
    ),
}


@pytest.mark.parametrize("why", STRANGE)
def test_what_the_schema_does_not_name_is_refused_by_its_name(why: str) -> None:
    with pytest.raises(MscmlError) as caught:
        parse_document(mscml_request(STRANGE[why]))
    response = caught.value.response()
    assert response is not None
    assert response.text is not None
    assert response.text.startswith("Bad Request: ")
    assert why in response.text
    assert (response.code, response.id) == (400, "1")


def test_attributes_of_xml_and_xml_schema_are_ignored() -> None:
    blanks = b' <!-- c --> <?pi x?>\r\n\t<stop id="1"> </stop><![CDATA[ ]]>'
    head = b'<MediaServerControl version="1.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    body = head + b'xsi:noNamespaceSchemaLocation="mscml.xsd"><request>' + blanks + b"</request></MediaServerControl>"
    assert parse_document(body) == StopRequest("1")


@pytest.mark.parametrize("namespace", ["", "urn:x", "http://www.example.com/mscml"])
def test_a_default_namespace_on_the_root_is_ignored(namespace: str) -> None:
    head = f'<MediaServerControl version="1.0" xmlns="{namespace}">'
    assert parse_document(f'{head}<request><stop id="1"/></request></MediaServerControl>'.encode()) == StopRequest("1")
    response = f'{head}<response request="stop" id="1" code="200" text="OK"/></MediaServerControl>'
    assert parse_document(response.encode()) == MscmlResponse("stop", 200, "OK", "1")


def test_a_long_reason_is_cut() -> None:
    with pytest.raises(MscmlError) as caught:
        parse_document(mscml_request(f'<stop id="1" {"x" * 5000}="1"/>'))
    response = caught.value.response()
    assert response is not None
    assert len(response.text or "") < 250
