from contextlib import suppress
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.sip.message import SipRequest, SipResponse, UnreadableError, build, parse_datagram
from lemonade_wire.sip.message.header_section import Headers
from lemonade_wire.sip.tcp import Framed, StreamParser

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


def test_a_message_is_written_as_it_was_read() -> None:
    message = parse_datagram(INVITE)
    assert bytes(message) == INVITE
    assert message == SipRequest(message.headers, b"v=0\n", "INVITE", "sip:bob@biloxi.com")
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
    with pytest.raises(UnreadableError, match="shorter") as caught:
        parse_datagram(INVITE[:-1])
    assert caught.value.request is not None
    assert caught.value.request.call_id == "a84b4c76e66710"


def test_every_contact_is_read() -> None:
    lines = INVITE.replace(b"Contact:", b"m: sip:a@h;q=1, Bob <sip:b@h>\r\nContact:")
    assert [contact.uri for contact in parse_datagram(lines).contacts] == [
        "sip:a@h",
        "sip:b@h",
        "sip:alice@pc33.atlanta.com",
    ]
    star = parse_datagram(INVITE.replace(b"<sip:alice@pc33.atlanta.com>", b"*"))
    assert (star.contacts, star.contact) == ([], None)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"<sip:alice@pc33", b"*, <sip:alice@pc33", "Bad Contact: no address"),
        (b"<sip:alice@pc33", b"<sip:alice@-", "Bad Contact: bad host"),
        (b"Contact", b"Route: <tel:1>\r\nContact", "Bad Route: Unsupported URI Scheme"),
        (b"Contact", b"Record-Route: <sip:h\r\nContact", "Bad Record-Route: unterminated angle bracket"),
        (b"Contact", b'Require: "a\r\nContact', "Bad Require: unterminated quoted string"),
        (b"Contact", b'k: a, "\r\nContact', "Bad Supported: unterminated quoted string"),
        (b"Contact", b"Accept: sdp\r\nContact", "Bad Accept: no type/subtype"),
        (b"Contact", b'Content-Encoding: a, "\r\nContact', "Bad Content-Encoding: unterminated quoted string"),
        (b"a84b4c76e66710", b"two words", "Bad Call-ID: a blank in it"),
        (b"314159 INVITE", b"2147483648 INVITE", "Bad CSeq: number of 2..31 or more"),
        (b"70", b"256", "Bad Max-Forwards"),
        (b"biloxi.com SIP", b"biloxi.com:x SIP", "Bad Request-URI: bad port"),
        (b"Length: 4", b"Length: four", "Bad Content-Length"),
        (b"Contact", b"No colon\r\nContact", "Bad header line"),
    ],
)
def test_the_reason_names_the_header(old: bytes, new: bytes, reason: str) -> None:
    """RFC 3261 section 21.4.1."""
    with pytest.raises(UnreadableError, match=f"^{reason}") as caught:
        parse_datagram(INVITE.replace(old, new, 1))
    assert caught.value.status == 400
    assert caught.value.request is not None


def test_a_bad_status_line() -> None:
    for line in (
        b"SIP/2.0 099 Low",
        b"SIP/2.0 700 High",
        b"SIP/2.0 2000 Long",
        b"SIP/3.0 200 OK",
        b"SIP/2.0 200 O\rK",
        b"SIP/2.0",
    ):
        with pytest.raises(UnreadableError, match="Bad status line"):
            parse_datagram(line + INVITE[INVITE.index(b"\r\n") :])


def test_leading_line_ends_and_bare_lf_are_accepted() -> None:
    assert parse_datagram(b"\r\n\r\n" + INVITE) == parse_datagram(INVITE.replace(b"\r\n", b"\n"))


@pytest.mark.parametrize("name", [b"Via", b"To", b"From", b"Call-ID", b"CSeq"])
def test_mandatory_headers(name: bytes) -> None:
    lines = [line for line in INVITE.split(b"\r\n") if not line.startswith(name + b":")]
    with pytest.raises(UnreadableError, match="Missing " + name.decode()) as caught:
        parse_datagram(b"\r\n".join(lines))
    assert (caught.value.request is None) is (name == b"Via")


def test_an_unreadable_ack_or_response_is_never_to_be_answered() -> None:
    ack = INVITE.replace(b"INVITE", b"ACK").replace(b"314159", b"x")
    with pytest.raises(UnreadableError) as caught:
        parse_datagram(ack)
    assert caught.value.request is None
    with pytest.raises(UnreadableError) as caught:
        parse_datagram(b"SIP/2.0 200 OK\r\n" + INVITE.split(b"\r\n", 1)[1].replace(b"Via", b"Xia"))
    assert caught.value.request is None


def test_another_sip_version_is_answered_505() -> None:
    with pytest.raises(UnreadableError) as caught:
        parse_datagram(INVITE.replace(b"SIP/2.0\r\n", b"SIP/3.0\r\n", 1))
    assert caught.value.status == 505
    assert caught.value.request is not None


def test_octets_that_are_no_utf8_survive() -> None:
    data = INVITE.replace(b"Bob", b'"\xff\xfe"')
    assert bytes(parse_datagram(data)) == data


def test_line_breaks_in_the_start_line_are_refused() -> None:
    for message in (
        SipRequest(Headers(), b"", "INFO", "sip:a@h SIP/2.0\r\nX: y"),
        SipResponse(Headers(), b"", 200, "OK\nX: y"),
    ):
        with pytest.raises(ValueError, match="not one line"):
            bytes(message)


def test_a_request_is_built_with_its_length() -> None:
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
        except UnreadableError:
            continue
        assert parse_datagram(bytes(message)).body == message.body


WORD = st.text("abcXYZ019-.!%*_+`'~", min_size=1, max_size=12)
QUOTED = st.text('ab ,;:<>@=\u00e9"\\', max_size=12).map(
    lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
)
ADDRESS = st.builds(
    lambda display, user, params: f"{display} <sip:{user}@h.example.com;play=%2523{params}>".lstrip(),
    st.just("") | WORD | QUOTED,
    st.sampled_from(["a", "%00", "a;b=c", "j,d", "x?y"]),
    st.sampled_from(["", ";lr", ";A=%3b;b"]),
)
TAGGED = st.builds(lambda address, tag, value: f"{address};tag={tag};x={value}", ADDRESS, WORD, WORD | QUOTED)
OTHER = st.tuples(WORD.map("X-".__add__), st.text('ab,;:"<>= \t\udcff\u20ac', max_size=20))
HOPS = st.lists(st.sampled_from(["h:5070", "[2001:db8::1]", "one_label"]), min_size=1, max_size=3)


@settings(deadline=None)
@given(st.data())
def test_any_message_written_is_read_back(data: st.DataObject) -> None:
    method, body = data.draw(WORD), data.draw(st.binary(max_size=40))
    lines = [
        *(("Via", f"SIP/2.0/TCP {host};branch=z9hG4bK{data.draw(WORD)}") for host in data.draw(HOPS)),
        ("From", data.draw(TAGGED)),
        ("t", data.draw(ADDRESS)),
        ("Call-ID", data.draw(WORD)),
        ("CSeq", f"{data.draw(st.integers(0, 2**31 - 1))} {method}"),
        ("Contact", ", ".join(data.draw(st.lists(TAGGED, min_size=1, max_size=3)))),
        *((name, value.strip(" \t")) for name, value in data.draw(st.lists(OTHER, max_size=3))),
        ("Content-Length", str(len(body))),
    ]
    headers = Headers.of(data.draw(st.permutations(lines)))
    reason = data.draw(st.text("aZ %=\u20ac", max_size=10))
    status = data.draw(st.integers(100, 699))
    for message in (
        SipRequest(headers, body, method, "sip:annc@h;play=%2523"),
        SipResponse(headers, body, status, reason),
    ):
        assert parse_datagram(bytes(message)) == message
        assert StreamParser().receive(bytes(message)) == [Framed(message, bytes(message))]


SIZE = 60_000


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Via: ", b"Via: " + b"SIP/2.0/UDP h," * (SIZE // 14)),
        (b";tag=1928301774", b";a=b" * (SIZE // 4)),
        (b"Alice", b'"a"' * (SIZE // 3)),
        (b"Alice", b'"' + b"\\a" * (SIZE // 2)),
        (b"Contact: ", b'Contact: "a"<sip:a@h>' + b",<sip:a@h>" * (SIZE // 10) + b","),
        (b"sip:bob@biloxi.com SIP", b"sip:a@h" + b";p" * (SIZE // 2) + b" SIP"),
        (b"SIP/2.0/UDP", b"SIP" + b" " * SIZE + b"/2.0/UDP"),
        (b"pc33.atlanta.com;", b"a" + b"-" * SIZE + b";"),
        (b"Max-Forwards: 70", b"X:\r\n" + b" y\r\n" * (SIZE // 4) + b"Max-Forwards: 70"),
        (b"Max-Forwards: 70", b"x:y\r\n" * (SIZE // 5) + b"Max-Forwards: 70"),
        (b"application/sdp", b"application" + b" " * SIZE + b"sdp"),
    ],
)
def test_no_message_of_a_datagram_takes_long(old: bytes, new: bytes) -> None:
    """Each takes about 0.03 s; an algorithm that is quadratic in the size would take many seconds."""
    data = INVITE.replace(old, new, 1)
    began = process_time()
    with suppress(UnreadableError):
        parse_datagram(data)
    assert process_time() - began < 1
