import pytest

from lemonade_wire.address import Address, Resolver
from lemonade_wire.sip.message import SipRequest, SipResponse
from lemonade_wire.sip.message.header_section import Headers
from lemonade_wire.sip.transaction.matching import ack_of, input_of, received_from, resolve_next_hop, server_match
from lemonade_wire.sip.transaction.state_machine import Input

SOURCE = Address("192.0.2.1", 40000)


def request(
    via: str = "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1", method: str = "INVITE", to: str = "<sip:b@h>"
) -> SipRequest:
    lines = [("Via", via), ("From", "<sip:a@h>;tag=1"), ("To", to), ("Call-ID", "c"), ("CSeq", f"1 {method}")]
    return SipRequest(Headers.of([*lines, ("Route", "<sip:r;lr>")]), b"", method, "sip:b@h")


# RFC 3261 section 18.2.1, RFC 3581 section 4.
@pytest.mark.parametrize(
    ("via", "noted", "goes_to"),
    [
        ("192.0.2.1:5070", "192.0.2.1:5070", 5070),
        ("192.0.2.1", "192.0.2.1", 5060),
        ("pc.example.com", "pc.example.com;received=192.0.2.1", 5060),
        ("192.0.2.1;rport", "192.0.2.1;rport=40000;received=192.0.2.1", 40000),
        ("10.1.1.1:4540;rport;branch=z9hG4bK1", "10.1.1.1:4540;rport=40000;branch=z9hG4bK1;received=192.0.2.1", 40000),
        ("192.0.2.1;maddr=192.0.2.99", "192.0.2.1;maddr=192.0.2.99", 5060),
    ],
)
def test_responses_go_where_via_and_source_say(via: str, noted: str, goes_to: int) -> None:
    marked, destination = received_from(request(f"SIP/2.0/UDP {via}, SIP/2.0/UDP second"), SOURCE, True)
    assert [str(value) for value in marked.vias] == [f"SIP/2.0/UDP {noted}", "SIP/2.0/UDP second"]
    assert destination == Address("192.0.2.1", goes_to)


def test_rport_is_set_on_a_stream_and_not_used_for_responses() -> None:
    """`rport` is set on any transport (RFC 3581 section 4); a new stream uses the Via's port (RFC 3261, 18.2.2)."""
    marked, destination = received_from(request("SIP/2.0/TCP 192.0.2.1:5070;rport"), SOURCE, False)
    assert str(marked.vias[0]) == "SIP/2.0/TCP 192.0.2.1:5070;rport=40000;received=192.0.2.1"
    assert destination == Address("192.0.2.1", 5070)


def test_responses_to_a_malformed_via_go_to_its_sender() -> None:
    broken = request("SIP/2.0/UDP 192.0.2.15;;,;,,")
    assert received_from(broken, SOURCE, True) == (broken, SOURCE)


def test_a_request_matches_its_ack_cancel_and_retransmissions() -> None:
    invite = server_match(request())
    assert server_match(request(method="ACK", to="<sip:b@h>;tag=2")) == invite
    assert server_match(request(method="CANCEL")) == (*invite[:-1], "CANCEL")
    assert server_match(request("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1")) == invite
    assert server_match(request("SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1")) != invite
    assert server_match(request("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2")) != invite


def test_matches_of_old_peers() -> None:
    old = server_match(request("SIP/2.0/UDP 192.0.2.1;branch=1"))
    assert server_match(request("SIP/2.0/UDP 192.0.2.1;branch=1", "ACK", "<sip:b@h>;tag=2")) == old
    assert server_match(request("SIP/2.0/UDP 192.0.2.1;branch=2")) != old


def test_a_branch_that_is_only_the_cookie_is_not_used_for_matching() -> None:
    """RFC 4475 section 3.2.1."""
    one, again = request("SIP/2.0/UDP h;branch=z9hG4bK"), request("SIP/2.0/UDP h;branch=z9hG4bK")
    other = one.with_headers(one.headers.with_set("Call-ID", "d"))
    assert server_match(one) == server_match(again)
    assert server_match(one) != server_match(other)


def test_kinds_of_responses() -> None:
    kinds = [input_of(status) for status in (100, 199, 200, 299, 300, 699)]
    assert kinds == [Input.R1XX, Input.R1XX, Input.R2XX, Input.R2XX, Input.R3XX, Input.R3XX]


def test_ack_of_a_refusal() -> None:
    refusal = SipResponse(Headers.of([("To", "<sip:b@h>;tag=9")]), b"", 486, "Busy Here")
    assert bytes(ack_of(request(), refusal)) == (
        b"ACK sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n"
        b"To: <sip:b@h>;tag=9\r\nCall-ID: c\r\nCSeq: 1 ACK\r\nRoute: <sip:r;lr>\r\nContent-Length: 0\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("uri", "address", "transport"),
    [
        ("sip:a@192.0.2.7", "192.0.2.7:5060", None),
        ("sip:a@[2001:db8::1]:5070;transport=TCP", "[2001:db8::1]:5070", "tcp"),
        ("sip:a@192.0.2.7;transport=udp", "192.0.2.7:5060", None),
        ("sip:known.example.com", "192.0.2.8:5064", None),
        ("sip:unknown.example.com;transport=tcp", "192.0.2.1:40000", "tcp"),
        ("tel:+1", "192.0.2.1:40000", None),
    ],
)
def test_a_uri_is_resolved_to_address_and_transport(uri: str, address: str, transport: str | None) -> None:
    resolver = Resolver.parse(["known.example.com=192.0.2.8:5064"])
    assert resolve_next_hop(uri, SOURCE, resolver) == (Address.parse(address), transport)
