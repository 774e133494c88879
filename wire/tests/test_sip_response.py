import pytest

from lemonade_wire.sip.message import SipRequest
from lemonade_wire.sip.message.header_section import Headers
from lemonade_wire.sip.message.response import PHRASES, respond_to

LINES = [
    ("Via", "SIP/2.0/UDP a;branch=z9hG4bK1"),
    ("v", "SIP/2.0/UDP b"),
    ("From", "<sip:a@h>;tag=1"),
    ("To", "Bob <sip:b@h>;x=y"),
    ("Call-ID", "c"),
    ("CSeq", "1 INFO"),
    ("Subject", "not copied"),
]


def request(to: str = "Bob <sip:b@h>;x=y") -> SipRequest:
    return SipRequest(Headers.of(LINES).with_set("To", to), b"body", "INFO", "sip:b@h")


def test_copied_headers_and_tag() -> None:
    response = respond_to(request(), 200, tag="t", headers=[("X", "1")], body=b"hi")
    assert bytes(response) == (
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nv: SIP/2.0/UDP b\r\nFrom: <sip:a@h>;tag=1\r\n"
        b"To: Bob <sip:b@h>;x=y;tag=t\r\nCall-ID: c\r\nCSeq: 1 INFO\r\nX: 1\r\nContent-Length: 2\r\n\r\nhi"
    )


def test_100_has_no_tag_and_a_tag_stays() -> None:
    assert respond_to(request(), 100, tag="t").to.tag is None
    assert respond_to(request("<sip:b@h>;tag=own"), 200, tag="t").to.tag == "own"


def test_only_the_100_repeats_the_timestamp() -> None:
    timed = request().with_headers(request().headers.with_added(("Timestamp", "54.7")))
    assert respond_to(timed, 100, tag="t").headers.get("Timestamp") == "54.7"
    assert "Timestamp" not in respond_to(timed, 200, tag="t").headers


def test_a_header_that_cannot_be_read_is_copied() -> None:
    assert respond_to(request("Bell, A <sip:b@h>"), 400, tag="t").headers.get("To") == "Bell, A <sip:b@h>"


@pytest.mark.parametrize(
    ("status", "reason", "phrase"), [(404, "", "Not Found"), (404, "Gone", "Gone"), (499, "", "Unknown")]
)
def test_an_empty_reason_is_replaced_by_the_usual_phrase(status: int, reason: str, phrase: str) -> None:
    assert respond_to(request(), status, tag="t", reason=reason).reason == phrase


def test_the_used_status_codes_have_phrases() -> None:
    used = {
        400,
        403,
        404,
        405,
        408,
        413,
        415,
        416,
        420,
        480,
        481,
        482,
        486,
        487,
        488,
        491,
        493,
        500,
        501,
        503,
        505,
        513,
    }
    assert used <= set(PHRASES)
