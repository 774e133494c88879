"""The test messages of RFC 4475 lie in sip_torture, octet by octet as its appendix has them."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message import Request, Response, build, content_length, parse_datagram

TORTURE = Path(__file__).parent / "sip_torture"
MESSAGES = sorted(path.stem for path in TORTURE.glob("*.dat"))
# Outcome of those that are refused: status, words of the reason, whether the sender can be told.
REFUSED = {
    "badaspec": (400, "bad address", True),
    "baddn": (400, "bad display name", True),
    "badinv01": (400, "bad parameter", False),
    "badvers": (505, "Version", True),
    "bigcode": (400, "Neither", False),
    "clerr": (400, "shorter than Content-Length", True),
    "insuf": (400, "Missing From", True),
    "ltgtruri": (400, "Request-URI", True),
    "lwsruri": (400, "request line", True),
    "lwsstart": (400, "request line", True),
    "mcl01": (400, "More than one Content-Length", True),
    "mismatch01": (400, "CSeq method", True),
    "mismatch02": (400, "CSeq method", True),
    "multi01": (400, "More than one", True),
    "ncl": (400, "Content-Length", True),
    "quotbal": (400, "unterminated", True),
    "scalar02": (400, "CSeq", True),
    "scalarlg": (400, "CSeq", False),
    "trws": (400, "request line", True),
}


def torture(name: str) -> bytes:
    return (TORTURE / f"{name}.dat").read_bytes()


def request(name: str) -> Request:
    message = parse_datagram(torture(name))
    assert isinstance(message, Request)
    return message


def test_the_messages_are_there() -> None:
    assert len(MESSAGES) == 49
    assert set(REFUSED) < set(MESSAGES)


@pytest.mark.parametrize("name", MESSAGES)
def test_torture(name: str) -> None:
    if name not in REFUSED:
        message = parse_datagram(torture(name))
        assert parse_datagram(bytes(message)) == parse_datagram(bytes(parse_datagram(bytes(message))))
        return
    status, words, answerable = REFUSED[name]
    with pytest.raises(SipParseError, match=words) as caught:
        parse_datagram(torture(name))
    assert caught.value.status == status
    assert (caught.value.request is not None) is answerable


def test_wsinv() -> None:
    message = parse_datagram(torture("wsinv"))
    assert isinstance(message, Request)
    assert [via.host for via in message.vias] == ["192.0.2.2", "spindle.example.com", "192.168.255.111"]
    assert message.vias[2].branch == "z9hG4bK30239"
    assert message.from_.display == r'"J Rosenberg \\\""'
    assert (message.from_.tag, message.to.tag) == ("98asjd8", "1918181833n")
    assert (message.cseq.number, message.cseq.method) == (9, "INVITE")
    assert message.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert message.contact is not None
    assert message.contact.params[-1] == ("q", "0.33")
    assert len(message.body) == 150


def test_intmeth() -> None:
    message = request("intmeth")
    assert message.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert message.uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert message.uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert message.from_.tag == "_token~1'+`*%!-."


def test_esc01() -> None:
    message = request("esc01")
    assert message.uri.user == "sips%3Auser%40example.com"
    assert message.uri.host == "example.net"
    assert message.contact is not None
    assert message.contact.sip_uri.param("name") == "v%61lue%25%34%31"


def test_escnull() -> None:
    message = parse_datagram(torture("escnull"))
    assert message.from_.sip_uri.user == "null-%00-null"
    assert len(message.headers.items("Contact")) == 2


def test_esc02() -> None:
    assert request("esc02").method == "RE%47IST%45R"


def test_lwsdisp() -> None:
    assert parse_datagram(torture("lwsdisp")).from_.display == "caller"


def test_longreq() -> None:
    message = parse_datagram(torture("longreq"))
    assert len(message.vias) == 34
    assert len(message.to.uri) > 100


def test_dblreq() -> None:
    message = request("dblreq")
    assert (message.method, message.body) == ("REGISTER", b"")


def test_semiuri() -> None:
    uri = request("semiuri").uri
    assert (uri.user, uri.params) == ("user;par=u%40example.net", ())


def test_transports() -> None:
    vias = parse_datagram(torture("transports")).vias
    assert [via.transport for via in vias] == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]


def test_mpart01() -> None:
    message = parse_datagram(torture("mpart01"))
    assert message.content_type == "multipart/mixed"
    assert b"\x30\x82" in message.body
    assert len(message.body) == content_length(message)


def test_unreason_and_noreason() -> None:
    unusual = parse_datagram(torture("unreason"))
    assert isinstance(unusual, Response)
    assert unusual.reason.startswith("= 2**3 * 5**2 ")
    message = parse_datagram(torture("noreason"))
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (100, "")
    assert bytes(message).startswith(b"SIP/2.0 100 \r\n")


# RFC 3261 section 24.2, F1 of the session.
INVITE = (
    b"INVITE sip:bob@biloxi.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKnashds8\r\n"
    b"Max-Forwards: 70\r\n"
    b"To: Bob <sip:bob@biloxi.com>\r\n"
    b"From: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n"
    b"Call-ID: a84b4c76e66710\r\n"
    b"CSeq: 314159 INVITE\r\n"
    b"Contact: <sip:alice@pc33.atlanta.com>\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Content-Length: 4\r\n\r\nv=0\n"
)


def test_written_as_read() -> None:
    message = parse_datagram(INVITE)
    assert bytes(message) == INVITE
    assert message == Request(message.headers, b"v=0\n", "INVITE", "sip:bob@biloxi.com")
    assert message.contact is not None
    assert (message.call_id, message.contact.uri, message.content_type) == (
        "a84b4c76e66710",
        "sip:alice@pc33.atlanta.com",
        "application/sdp",
    )


def test_content_length_of_a_datagram() -> None:
    without = INVITE.replace(b"Content-Length: 4\r\n", b"")
    assert parse_datagram(without + b"more").body == b"v=0\nmore"
    assert parse_datagram(INVITE + b"more").body == b"v=0\n"
    with pytest.raises(SipParseError, match="shorter") as caught:
        parse_datagram(INVITE[:-1])
    assert caught.value.request is not None
    assert caught.value.request.call_id == "a84b4c76e66710"


def test_leading_line_ends_and_bare_lf_are_survived() -> None:
    assert parse_datagram(b"\r\n\r\n" + INVITE) == parse_datagram(INVITE.replace(b"\r\n", b"\n"))


@pytest.mark.parametrize("name", [b"Via", b"To", b"From", b"Call-ID", b"CSeq"])
def test_mandatory_headers(name: bytes) -> None:
    lines = [line for line in INVITE.split(b"\r\n") if not line.startswith(name + b":")]
    with pytest.raises(SipParseError, match="Missing " + name.decode()) as caught:
        parse_datagram(b"\r\n".join(lines))
    assert (caught.value.request is None) is (name == b"Via")


def test_an_unreadable_ack_or_response_is_never_to_be_answered() -> None:
    ack = INVITE.replace(b"INVITE", b"ACK").replace(b"314159", b"x")
    with pytest.raises(SipParseError) as caught:
        parse_datagram(ack)
    assert caught.value.request is None
    with pytest.raises(SipParseError) as caught:
        parse_datagram(b"SIP/2.0 200 OK\r\n" + INVITE.split(b"\r\n", 1)[1].replace(b"Via", b"Xia"))
    assert caught.value.request is None


def test_other_version() -> None:
    with pytest.raises(SipParseError) as caught:
        parse_datagram(INVITE.replace(b"SIP/2.0\r\n", b"SIP/3.0\r\n", 1))
    assert caught.value.status == 505
    assert caught.value.request is not None


def test_octets_that_are_no_utf8_survive() -> None:
    data = INVITE.replace(b"Bob", b'"\xff\xfe"')
    assert bytes(parse_datagram(data)) == data


def test_build() -> None:
    made = build("INFO", "sip:a@h", [("Via", "x")], b"12345", "text/plain")
    assert bytes(made) == (
        b"INFO sip:a@h SIP/2.0\r\nVia: x\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n12345"
    )


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_octets_raise_only_the_documented_error(data: bytes) -> None:
    for tried in (data, INVITE[: len(data)] + data + INVITE[len(data) :]):
        try:
            message = parse_datagram(tried)
        except SipParseError:
            continue
        assert isinstance(message, Request | Response)


@settings(deadline=None)
@given(st.sampled_from(MESSAGES), st.integers(0, 600), st.integers(0, 255))
def test_one_octet_changed_raises_only_the_documented_error(name: str, at: int, octet: int) -> None:
    data = bytearray(torture(name))
    data[at % len(data)] = octet
    try:
        message = parse_datagram(bytes(data))
    except SipParseError:
        return
    assert message.from_.uri
    assert message.cseq.method
