"""The words of SIP messages in a ladder, as they stand in traces."""

from __future__ import annotations

import pytest

from lemonade_testbed.ladder.siptext import label_words, pressed_key, read_sip

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
