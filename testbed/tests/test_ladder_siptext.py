"""The judge's reader of the bodies of SIP messages."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_testbed.ladder.siptext import (
    BodyText,
    SipText,
    holds,
    label_words,
    mscml_of,
    pressed_key,
    read_parts,
    read_sip,
)

MIXED = 'multipart/mixed; boundary="=b"'


def test_a_body_is_one_part() -> None:
    assert read_parts("Application/SDP ; x=y", "", "v=0\n") == (BodyText("application/sdp", "v=0\n"),)
    assert read_parts("application/sdp", "", "") == ()
    assert read_parts("", "", "x") == (BodyText("", "x"),)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("base64", base64.encodebytes("é=x".encode()).decode()),
        ("BASE64", base64.b64encode("é=x".encode("utf-16")).decode()),
        ("base64", base64.b64encode(b"x\0").decode().replace("eAA=", "w6k9eA==")),
        ("quoted-printable", "=C3=A9=3D=\nx"),
    ],
)
def test_a_transfer_encoding_is_undone(encoding: str, body: str) -> None:
    assert read_parts("text/plain", encoding, body) == (BodyText("text/plain", "é=x", encoding.lower()),)


@pytest.mark.parametrize("encoding", ["binary", "8bit", "base64; decoded", "x-own"])
def test_what_is_decoded_or_unknown_stays(encoding: str) -> None:
    assert read_parts("text/plain", encoding, "eA== é") == (BodyText("text/plain", "eA== é", encoding),)


def test_parts_of_multiparts_are_read_in_order() -> None:
    inner = "--i\nContent-Type: text/a\n\none\n--i--"
    body = (
        f"before\n--=b\nContent-Type: multipart/mixed;boundary=i\n\n{inner}\n"
        "--=b\nContent-Type: text/b\nContent-Transfer-Encoding: base64\n\ndHdv\n--=b--\nafter"
    )
    assert read_parts(MIXED, "", body) == (BodyText("text/a", "one"), BodyText("text/b", "two", "base64"))


def test_damaged_bodies_are_read_as_far_as_they_go() -> None:
    assert read_parts("multipart/mixed", "", "--b\n\nx")[0].text == "--b\n\nx"
    assert read_parts("text/plain", "base64", "eA=")[0].content_type == "text/plain"
    deep = "".join(f"--{n}\nContent-Type: multipart/mixed;boundary={n + 1}\n\n" for n in range(3000))
    assert isinstance(read_parts("multipart/mixed;boundary=0", "", deep), tuple)


@given(st.text(max_size=40), st.sampled_from(["", "base64", "quoted-printable"]), st.text(max_size=80))
def test_anything_is_read(kind: str, encoding: str, body: str) -> None:
    read_parts(kind, encoding, body)


MSCML = "application/mediaservercontrol+xml"


def info(body: str, kind: str = MSCML) -> str:
    return f"INFO sip:ivr@192.0.2.2 SIP/2.0\r\nCall-ID: 1\r\nCSeq: 2 INFO\r\nContent-Type: {kind}\r\n\r\n{body}"


def document(body: str) -> str:
    return info(f'<MediaServerControl version="1.0">{body}</MediaServerControl>')


def request(body: str) -> str:
    return document(f"<request>{body}</request>")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (info("Signal=6\r\nDuration=160\r\n", "application/dtmf-relay"), "dtmf-relay 6"),
        (info("Signal=10", "application/dtmf-relay"), "dtmf-relay *"),
        (info("Signal=-\r\nDuration=160\r\n", "application/dtmf-relay"), "dtmf-relay -"),
        (info("-", "application/dtmf"), "dtmf -"),
        (request("<stop/>"), "stop"),
        (request('<playrecord recurl="file:///a.wav"/>'), "playrecord"),
        (request("<configure_leg/>"), "configure_leg"),
        (request('<faxplay id="1"/>'), "faxplay"),
        (document('<response request="playcollect" code="200" reason="timeout"/>'), "response timeout"),
        (document('<response request="playrecord" code="403" text="Forbidden"/>'), "response 403"),
        (document('<response request="configure_leg" code="200" text="OK"/>'), "response configure_leg"),
        (
            document('<notification><keypress digit="5" length="long" method="double"/></notification>'),
            "keypress 5 double",
        ),
        (document('<notification><keypress digit="-" length="long" method="long"/></notification>'), "keypress - long"),
        (document("<notification/>"), "other"),
        (
            document('<request><playcollect><prompt><audio url="imap://h/ x"/></prompt></playcollect></request>'),
            "playcollect",
        ),
        (info("hello", "text/plain"), "other"),
        (document('<response code="200" reason="timeout"/>'), "other"),
        (request("<playcollect><prompt>"), "playcollect"),
    ],
)
def test_labels_of_info(text: str, words: str) -> None:
    assert label_words(read_sip(text)) == ("SIP", "INFO", *words.split())


def test_urls_of_every_prompt() -> None:
    prompt = '<prompt><audio url="imap://h/x"/></prompt>'
    for name in ("play", "playcollect", 'playrecord recurl="file:///a"'):
        words = label_words(read_sip(request(f"<{name}>{prompt}</{name.split()[0]}>")))
        assert (words[2], len(words)) == (name.split()[0], 4)


def test_a_masked_key_is_none_that_was_pressed() -> None:
    assert pressed_key(read_sip(info("Signal=-", "application/dtmf-relay"))) == "-"
    assert pressed_key(read_sip(info("Signal=?", "application/dtmf-relay"))) is None


COLLECT = (
    '<MediaServerControl version="1.0"><request><playcollect><prompt><audio url="imap://h/x"/></prompt>'
    "</playcollect></request></MediaServerControl>"
)
HOLD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\nm=audio 9 RTP/AVP 0\r\na=inactive\r\n"


def encoded(body: str) -> str:
    return base64.encodebytes(body.encode()).decode().replace("\n", "\r\n")


def mixed(*parts: tuple[str, str]) -> str:
    lines = [line for kind, body in parts for line in ("--b", f"Content-Type: {kind}", "", body)]
    return info("\r\n".join([*lines, "--b--", ""]), 'multipart/mixed; boundary="b"')


@pytest.mark.parametrize(
    "text",
    [
        info(encoded(COLLECT), f"{MSCML}\r\nContent-Transfer-Encoding: base64"),
        info(COLLECT, f"{MSCML}\r\nContent-Transfer-Encoding: base64; decoded"),
        info(COLLECT.replace("=", "=3D"), f"{MSCML}\r\nContent-Transfer-Encoding: quoted-printable"),
        mixed(("text/plain", "hello"), (MSCML, COLLECT)),
        mixed((f"{MSCML}\r\nContent-Transfer-Encoding: base64", encoded(COLLECT))),
    ],
)
def test_a_body_in_an_encoding_or_in_parts_is_read(text: str) -> None:
    message = read_sip(text)
    assert [str(word) for word in label_words(message)] == ["SIP", "INFO", "playcollect", "imap://h/x"]
    assert mscml_of(message) is not None


def test_a_session_description_and_a_key_in_parts_are_read() -> None:
    def of(kind: str, body: str) -> SipText:
        return read_sip(mixed(("text/plain", "hello"), (kind, body)))

    assert holds(of("application/sdp", HOLD))
    assert not holds(of("application/sdp", HOLD.replace("inactive", "recvonly")))
    assert label_words(of("application/dtmf-relay", "Signal=5")) == ("SIP", "INFO", "dtmf-relay", "5")
