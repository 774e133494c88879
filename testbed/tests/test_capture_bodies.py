"""Comparing tshark's fields of bodies with the testbed's readers; the fields are those of real runs with tshark 4.4."""

from __future__ import annotations

import pytest

from lemonade_testbed.capture.bodies import body_differences, key_differences
from lemonade_testbed.ladder.siptext import SipText, read_sip

SDP = (
    "v=0\r\no=- 1 1 IN IP4 10.213.1.13\r\ns=-\r\nc=IN IP4 10.213.1.13\r\nt=0 0\r\n"
    "m=audio 20000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"
)
SDP_READ = {
    "sdp.owner": ["- 1 1 IN IP4 10.213.1.13"],
    "sdp.media": ["audio 20000 RTP/AVP 0 101"],
    "sdp.media_attr": ["rtpmap:0 PCMU/8000", "fmtp:101 0-15", "sendrecv"],
}
COLLECT = (
    '<playcollect id="1" ffkey="6" skipinterval="3000ms" firstdigittimer="0ms"><prompt stoponerror="yes">'
    '<audio url="imap://h/a?b&amp;c"/></prompt></playcollect>'
)
PATH = "mscml.request.playcollect"
COLLECT_READ = {
    PATH: ["<playcollect ...>"],
    f"{PATH}.id": ["1"],
    f"{PATH}.ffkey": ["6"],
    f"{PATH}.skipinterval": ["3000ms"],
    f"{PATH}.firstdigittimer": ["0ms"],
    f"{PATH}.prompt.stoponerror": ["yes"],
    f"{PATH}.prompt.audio.url": ["imap://h/a?b&amp;c"],
}
RESPONSE = '<response request="playcollect" id="1" code="200" text="OK" digits="12" reason="match"/>'
RESPONSE_READ = {"mscml.response": ["<response"]} | {
    f"mscml.response.{name}": [value]
    for name, value in (("request", "playcollect"), ("id", "1"), ("code", "200"), ("text", "OK"), ("digits", "12"),
                        ("reason", "match"))
}  # fmt: skip
KEYPRESS = '<notification><keypress digit="5" length="standard" method="standard" interdigittime="0ms"/></notification>'
KEYPRESS_READ = {
    f"mscml.notification.keypress.{name}": [value]
    for name, value in (("digit", "5"), ("length", "standard"), ("method", "standard"), ("interdigittime", "0ms"))
}


def message(body: str, kind: str, *headers: str) -> SipText:
    return read_sip("\r\n".join(("INFO sip:ivr@h SIP/2.0", f"Content-Type: {kind}", *headers, "", body)))


def mscml(body: str) -> SipText:
    return message(
        f'<MediaServerControl version="1.0">{body}</MediaServerControl>', "application/mediaservercontrol+xml"
    )


BODIES = {
    "sdp": (message(SDP, "application/sdp"), SDP_READ),
    "request": (mscml(f"<request>{COLLECT}</request>"), COLLECT_READ),
    "response": (mscml(RESPONSE), RESPONSE_READ),
    "keypress": (mscml(KEYPRESS), KEYPRESS_READ),
    "stop": (mscml('<request><stop id="1"/></request>'), {"mscml.request.stop": ["<"], "mscml.request.stop.id": ["1"]}),
    "none": (message("Signal=5", "application/dtmf-relay"), {}),
    "an empty attribute, which tshark does not show": (
        mscml(RESPONSE.replace('"12"', '""')),
        {name: value for name, value in RESPONSE_READ.items() if not name.endswith("digits")},
    ),
    "base64, which tshark does not undo": (
        message("djA9", "application/sdp", "Content-Transfer-Encoding: base64"),
        {},
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_equal_readings_of_a_body_have_no_difference(name: str) -> None:
    assert list(body_differences(*BODIES[name])) == []


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("sdp", {"sdp.media": ["audio 20002 RTP/AVP 0 101"]}, "sdp.media is audio 20002 RTP/AVP 0 101 to the second"),
        ("sdp", {"sdp.media_attr": []}, "sdp.media_attr is nothing to the second reader, and rtpmap:0 PCMU/8000, fmtp"),
        ("sdp", {"sdp.owner": ["- 1 2 IN IP4 10.213.1.13"]}, "sdp.owner is - 1 2"),
        ("request", {f"{PATH}.ffkey": ["7"]}, f"{PATH}.ffkey is 7 to the second reader, and 6 to the ladder"),
        ("request", {f"{PATH}.ffkey": []}, f"{PATH}.ffkey is nothing to the second reader, and 6 to the ladder"),
        ("request", {f"{PATH}.skipinterval": ["4s"]}, f"{PATH}.skipinterval is 4000.0 to the second"),
        ("request", {f"{PATH}.prompt.audio.url": ["imap://h/b"]}, f"{PATH}.prompt.audio.url is imap://h/b to"),
        ("request", {f"{PATH}.prompt.stoponerror": ["no"]}, f"{PATH}.prompt.stoponerror is False to"),
        ("request", {f"{PATH}.id": []}, f"{PATH}.id is nothing to the second reader, and 1 to the ladder"),
        ("response", {"mscml.response.reason": ["timeout"]}, "mscml.response.reason is timeout to"),
        ("response", {"mscml.response.code": ["400"]}, "mscml.response.code is 400 to the second reader, and 200"),
        ("response", {"mscml.response": []}, "the MSCML element is nothing to the second reader, and response"),
        ("keypress", {"mscml.notification.keypress.method": ["long"]}, "mscml.notification.keypress.method is long"),
        ("none", COLLECT_READ, "the MSCML element is playcollect to the second reader, and nothing to the ladder"),
        (
            "none",
            {"sdp.media": ["audio 1 RTP/AVP 0"]},
            "sdp.media is audio 1 RTP/AVP 0 to the second reader, and nothing",
        ),
    ],
)
def test_a_difference_is_a_sentence_with_both_values(name: str, change: dict[str, list[str]], told: str) -> None:
    body, read = BODIES[name]
    changed = {field: values for field, values in (read | change).items() if values}
    (difference,) = body_differences(body, changed)
    assert difference.startswith(told)


def test_a_difference_in_digits_does_not_show_them() -> None:
    for name, field in (("response", "mscml.response.digits"), ("keypress", "mscml.notification.keypress.digit")):
        body, read = BODIES[name]
        (difference,) = body_differences(body, read | {field: ["9"]})
        assert difference == f"{field} is read otherwise by the second reader than by the ladder"


def test_telephone_events_of_two_readers_are_compared() -> None:
    read = {"rtpevent.event_id": ["6"], "rtpevent.end_of_event": ["True"], "rtpevent.duration": ["1280"]}
    assert list(key_differences(bytes.fromhex("068a0500"), read)) == []
    assert list(key_differences(b"\xff" * 160, {})) == []
    (difference,) = key_differences(bytes.fromhex("078a0500"), read)
    assert difference == "the code of telephone-events is read otherwise by the second reader than by the ladder"
    assert len([*key_differences(bytes.fromhex("060a0501"), read)]) == 2
    assert [*key_differences(b"\xff" * 3, read)]
