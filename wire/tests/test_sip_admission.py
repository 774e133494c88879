from lemonade_wire.address import Address
from lemonade_wire.sip.message import SipRequest
from lemonade_wire.sip.message.header_section import Headers
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua.admission import SipRefusal, capabilities, refusal

SETTINGS = UaSettings(
    Address("192.0.2.1", 5060), users=frozenset({"ivr"}), supported=("a",), methods=("INVITE", "CANCEL")
)


def request(method: str = "INVITE", target: str = "sip:ivr@h", **headers: str) -> SipRequest:
    lines = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return SipRequest(Headers.of([("Contact", "<sip:c>"), *lines]), b"", method, target)


def test_each_refusal_has_its_status_and_headers() -> None:
    assert refusal(request(), SETTINGS) is None
    assert refusal(request("BYE"), SETTINGS) == SipRefusal(405, (("Allow", "INVITE, CANCEL"),))
    assert refusal(request("invite"), SETTINGS) == SipRefusal(501, (("Allow", "INVITE, CANCEL"),))
    assert refusal(request(target="tel:+1"), SETTINGS) == SipRefusal(416)
    assert refusal(request(target="SIPS:h"), SETTINGS) == SipRefusal(
        480, (("Warning", '380 192.0.2.1 "SIPS Not Allowed"'),)
    )
    assert refusal(request(Require="b, a, c"), SETTINGS) == SipRefusal(420, (("Unsupported", "b, c"),))
    assert refusal(request(Content_Encoding="gzip"), SETTINGS) == SipRefusal(415, (("Accept-Encoding", "identity"),))


def test_a_long_request_uri_is_refused_by_414() -> None:
    """RFC 3261 section 21.4.12; the length is checked before the rest of the URI."""
    settings = UaSettings(Address("192.0.2.1", 5060), max_uri=20)
    for target in ("sip:" + "x" * 17, "tel:" + "1" * 17):
        assert refusal(request("OPTIONS", target), settings) == SipRefusal(414)
    assert refusal(request("OPTIONS", "sip:" + "x" * 16), settings) is None


def test_what_an_invite_must_accept() -> None:
    warning = '399 [2001:db8::1] "INVITE is answered with application/sdp"'
    settings = UaSettings(Address("2001:db8::1", 5060))
    for accept in ("", "text/plain", "application/sdp;q=0", "application/json, text/*"):
        assert refusal(request(Accept=accept), settings) == SipRefusal(406, (("Warning", warning),))
    for accept in ("application/sdp", "text/plain, Application/SDP;level=1", "application/*", "*/*;q=0.5"):
        assert refusal(request(Accept=accept), settings) is None
    assert refusal(request("OPTIONS", Accept="text/plain"), settings) is None


def test_only_peers_of_rfc_2543_may_leave_the_contact_out() -> None:
    for via, status in (("SIP/2.0/UDP h;branch=z9hG4bK1", 400), ("SIP/2.0/UDP h;branch=1", None)):
        invite = SipRequest(Headers.of([("Via", via)]), b"", "INVITE", "sip:ivr@h")
        refused = refusal(invite, SETTINGS)
        assert (refused and refused.status) == status


def test_requests_that_are_not_refused() -> None:
    assert refusal(request(Max_Forwards="0"), SETTINGS) is None
    assert refusal(request(Require="a"), SETTINGS) is None
    assert refusal(request("CANCEL", Require="b"), SETTINGS) is None
    assert refusal(request(Content_Encoding="identity", Proxy_Require="x", X_Unknown="y"), SETTINGS) is None


def test_options_is_answered_by_the_user_part() -> None:
    assert [capabilities(request(target=uri), SETTINGS).status for uri in ("sip:h", "sip:IVR@h", "sip:conf@h")] == [
        200,
        200,
        488,
    ]
    assert dict(capabilities(request(), SETTINGS).headers)["Accept"] == "application/sdp"
