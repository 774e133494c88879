from lemonade_wire.sip.message import SipRequest, SipResponse
from lemonade_wire.sip.message.header_section import Headers
from lemonade_wire.sip.message.header_values import NameAddr
from lemonade_wire.sip.ua.dialog import Dialog

# RFC 3261 sections 12.1 and 16.12.1.1: what the caller sent, what the callee answered.
SHARED = [("From", "<sip:caller@u1.example.com>;tag=a"), ("Call-ID", "c")]
ROUTES = [("Record-Route", "<sip:p2.domain.com;lr>"), ("Record-Route", "<sip:p1.example.com;lr>")]
INVITE = SipRequest(
    Headers.of([*SHARED, *ROUTES, ("To", "<sip:callee@domain.com>"), ("CSeq", "5 INVITE"), ("Contact", "<sip:u1>")]),
    b"",
    "INVITE",
    "sip:callee@u2.domain.com",
)
OK = SipResponse(
    Headers.of(
        [*SHARED, *ROUTES, ("To", "<sip:callee@domain.com>;tag=b"), ("CSeq", "5 INVITE"), ("Contact", "<sip:u2>")]
    ),
    b"",
    200,
    "OK",
)


def test_the_caller_reverses_the_routes() -> None:
    dialog = Dialog.as_caller(INVITE, OK)
    request = dialog.request("INFO", [("X", "y")], b"body")
    assert dialog.id == ("c", "a", "b")
    assert request.target == dialog.target == "sip:u2"
    assert dialog.hop() == "sip:p1.example.com;lr"
    assert [route.uri for route in request.routes] == ["sip:p1.example.com;lr", "sip:p2.domain.com;lr"]
    assert str(request.cseq) == "6 INFO"
    assert (request.from_.tag, request.to.tag) == ("a", "b")
    assert (request.body, request.headers.get("X")) == (b"body", "y")
    assert request.contact is None


def test_the_callee_keeps_their_order() -> None:
    dialog = Dialog.as_callee(INVITE, OK)
    request = dialog.request("BYE")
    assert dialog.id == ("c", "b", "a")
    assert request.target == "sip:u1"
    assert [route.uri for route in request.routes] == ["sip:p2.domain.com;lr", "sip:p1.example.com;lr"]
    assert str(request.cseq) == "1 BYE"
    assert (request.from_.tag, request.to.tag) == ("b", "a")


def test_the_ack_repeats_the_number_of_its_invite() -> None:
    dialog = Dialog.as_caller(INVITE, OK)
    dialog.request("INFO")
    ack = dialog.ack()
    assert (ack.target, str(ack.cseq)) == ("sip:u2", "5 ACK")
    assert str(dialog.request("INFO").cseq) == "7 INFO"


def test_a_strict_router_takes_the_request_uri() -> None:
    dialog = Dialog.as_caller(INVITE, OK)
    strict, loose = NameAddr("sip:strict.example.com;method=x?h=1"), NameAddr("sip:p2.domain.com;lr")
    dialog.routes = (strict, loose)
    request = dialog.request("BYE")
    assert request.target == "sip:strict.example.com"
    assert [route.uri for route in request.routes] == ["sip:p2.domain.com;lr", "sip:u2"]


def test_without_contact_the_invites_target_is_used() -> None:
    assert Dialog.as_caller(INVITE, OK.with_headers(OK.headers.without("Contact"))).target == INVITE.target


def test_an_update_has_a_contact() -> None:
    assert Dialog.as_caller(INVITE, OK).request("UPDATE").headers.get("Contact") == "<sip:u1>"


def test_cseq_numbers_of_the_peer_must_increase() -> None:
    dialog = Dialog.as_callee(INVITE, OK)
    assert [dialog.order(number) for number in (5, 4, 6, 6, 90)] == [False, False, True, False, True]
    assert [Dialog.as_caller(INVITE, OK).order(number) for number in (1,)] == [True]
