"""Masking of digits in traced messages of calls with maskdigits."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_wire.redaction import DigitMask

MSCML = "application/mediaservercontrol+xml"
RELAY = "application/dtmf-relay"


def info(body: str, kind: str = MSCML, call: str = "a@host") -> str:
    head = f"INFO sip:ivr@host SIP/2.0\r\nCall-ID: {call}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n{body}"


def asked(attribute: str = 'maskdigits="yes"', request: str = "playcollect") -> str:
    return info(f'<MediaServerControl version="1.0"><request><{request} {attribute}/></request></MediaServerControl>')


def mask(attribute: str = 'maskdigits="yes"') -> DigitMask:
    made = DigitMask()
    assert made.text(asked(attribute)) == asked(attribute)
    return made


BODIES = {
    "relay": (RELAY, "Signal=5\r\nDuration=160\r\n", "Signal=-\r\nDuration=160\r\n"),
    "relay with blanks": (RELAY, "signal = 11\nduration= 250", "signal = --\nduration= 250"),
    "relay with parameters": (RELAY + ";x=y", "Signal=#", "Signal=-"),
    "relay that is none": (RELAY, "5\r\nKey=55", "-\r\nKey=--"),
    "plain": ("application/dtmf", "5", "-"),
    "plain, in the form of the other": ("application/dtmf", "Signal=5", "Signal=-"),
    "response": (MSCML, '<response digits="12#" reason="timeout"/>', '<response digits="---" reason="timeout"/>'),
    "response without digits": (MSCML, '<response digits="" code="200"/>', '<response digits="" code="200"/>'),
    "quoted otherwise": (MSCML, "<response digits = '12'/>", "<response digits = '--'/>"),
    "notification": (MSCML, '<keypress digit="4" length="long"/>', '<keypress digit="-" length="long"/>'),
    "request": (
        MSCML,
        '<playcollect cleardigits="yes" maxdigits="4"/>',
        '<playcollect cleardigits="yes" maxdigits="4"/>',
    ),
    "a part without a head": ("multipart/mixed;boundary=x", "--x\r\n\r\nNQ==\r\n--x--", "--x\r\n\r\n----\r\n--x--"),
    "no parts": ("multipart/mixed", "--x\r\n\r\nNQ==", "---\r\n\r\n----"),
    "a part of keys": (
        'multipart/mixed; boundary="x y"',
        f"--x y\r\nContent-Type: {RELAY}\r\n\r\nSignal=5\r\n--x y--\r\n",
        f"--x y\r\nContent-Type: {RELAY}\r\n\r\nSignal=-\r\n--x y--\r\n",
    ),
    "a part in a part": (
        "multipart/mixed;boundary=x",
        '--x\r\nContent-Type: multipart/mixed;boundary=y\r\n\r\n--y\r\nA: b\r\n\r\n<r digits="12"/>\r\n--y--\r\n--x--',
        '--x\r\nContent-Type: multipart/mixed;boundary=y\r\n\r\n--y\r\nA: b\r\n\r\n<r digits="--"/>\r\n--y--\r\n--x--',
    ),
    "a part in an encoding": (
        "multipart/mixed;boundary=x",
        "--x\r\nContent-Transfer-Encoding: x-own\r\n\r\nNQ\r\n--x--",
        "--x\r\nContent-Transfer-Encoding: x-own\r\n\r\n--\r\n--x--",
    ),
    "a part decoded": (
        "multipart/mixed;boundary=x",
        '--x\r\nContent-Transfer-Encoding: base64; decoded\r\n\r\n<r digits="1" id="2"/>\r\n--x--',
        '--x\r\nContent-Transfer-Encoding: base64; decoded\r\n\r\n<r digits="-" id="2"/>\r\n--x--',
    ),
    "two octets for each": (MSCML, "d\0=\0", "----"),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_masked_call_shows_no_digits(name: str) -> None:
    kind, body, masked = BODIES[name]
    assert mask().text(info(body, kind)).partition("\r\n\r\n")[2] == masked


@pytest.mark.parametrize("name", BODIES)
def test_other_calls_are_unchanged(name: str) -> None:
    kind, body, _ = BODIES[name]
    assert mask().text(info(body, kind, call="b@host")) == info(body, kind, call="b@host")
    assert DigitMask().text(info(body, kind)) == info(body, kind)


@pytest.mark.parametrize(
    "attribute",
    ['maskdigits="yes"', "maskdigits='1'", 'maskdigits = "true"', 'maskdigits="&#121;es"', 'maskdigits="&#x79;es"'],
)
def test_every_spelling_of_maskdigits_masks(attribute: str) -> None:
    assert "5" not in mask(attribute).text(info("Signal=5", RELAY)).partition("\r\n\r\n")[2]


@pytest.mark.parametrize("attribute", ['maskdigits="no"', 'maskdigits="0"', 'xmaskdigits="yes"', ""])
def test_other_values_of_maskdigits_mask_nothing(attribute: str) -> None:
    assert mask(attribute).text(info("Signal=5", RELAY)) == info("Signal=5", RELAY)


def test_maskdigits_in_utf_16_is_found() -> None:
    made = DigitMask()
    made.text(info("\0".join('<playcollect maskdigits="yes"/>')))
    assert made.text(info("5", "application/dtmf")).endswith("\r\n\r\n-")


def test_a_call_stays_masked() -> None:
    made = mask()
    made.text(asked('maskdigits="no"'))
    assert made.text(info("5", "application/dtmf")).endswith("\r\n\r\n-")


def test_compact_headers_are_read() -> None:
    made = mask()
    compact = info("5", "application/dtmf").replace("Call-ID:", "i:").replace("Content-Type:", "c :")
    assert made.text(compact).endswith("\r\n\r\n-")


def payload(octets: str) -> str:
    return base64.b64encode(bytes.fromhex(octets)).decode()


def test_keys_in_rtp() -> None:
    assert mask().packet(101, payload("068a0640")) == payload("ff8a0640")
    assert mask().packet(101, payload("068a064007000320")) == payload("ff8a0640ff000320")
    assert DigitMask().packet(101, payload("068a0640")) == payload("068a0640")


@pytest.mark.parametrize(("kind", "octets"), [(0, "068a0640"), (101, "068a06"), (101, "06" * 160), (101, "")])
def test_audio_payloads_stay_unchanged(kind: int, octets: str) -> None:
    assert mask().packet(kind, payload(octets)) == payload(octets)


@given(st.text(max_size=60), st.sampled_from([MSCML, RELAY, "application/dtmf", "text/plain"]))
def test_masking_keeps_the_length(body: str, kind: str) -> None:
    assert len(mask().text(info(body, kind))) == len(info(body, kind))


@pytest.mark.parametrize("head", ["application/pkcs7-mime", "application/pkcs7-mime ; smime-type=enveloped-data"])
def test_a_call_with_an_encrypted_request_is_masked_and_the_request_is_not(head: str) -> None:
    """The trace cannot see whether an encrypted request has maskdigits."""
    made = DigitMask()
    encrypted = info("0\ufffd\0\0digits='1'", head)
    assert made.text(encrypted) == encrypted
    assert made.text(info("Signal=5", RELAY)) == info("Signal=-", RELAY)
    assert made.text(info("Signal=5", RELAY, "b@host")) == info("Signal=5", RELAY, "b@host")


def test_an_encrypted_part_masks_its_call_too() -> None:
    made = DigitMask()
    made.text(info("--x\r\nContent-Type: application/pkcs7-mime\r\n\r\n0\r\n--x--", "multipart/mixed;boundary=x"))
    assert made.text(info("5", "application/dtmf")) == info("-", "application/dtmf")
