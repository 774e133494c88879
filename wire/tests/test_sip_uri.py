import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message.uri import SipUri

# Examples of RFC 3261 section 19.1.3, then URIs of test networks and of the draft.
EXACT = [
    "sip:alice@atlanta.com",
    "sip:alice:secretword@atlanta.com;transport=tcp",
    "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
    "sip:+1-212-555-1212:1234@gateway.com;user=phone",
    "sips:1212@gateway.com",
    "sip:alice@192.0.2.4",
    "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
    "sip:alice;day=tuesday@atlanta.com",
    "sip:ms1",
    "sip:annc@media_server:5060",
    "sip:ivr@[2001:db8::10]:5070;lr",
    "sip:annc@h;play=imap://joe%40example.com/Voice%2520Mail%3bX",
    "sip:annc@h;play=%2523;Early=no",
]


@pytest.mark.parametrize("text", EXACT)
def test_what_is_read_is_written_octet_by_octet(text: str) -> None:
    assert str(SipUri.parse(text)) == text


def test_the_parts_of_a_uri_are_read() -> None:
    uri = SipUri.parse("SIP:annc:pw@[2001:db8::1]:5070;lr;play=%2523?a=b")
    assert uri == SipUri("sip", "annc", "[2001:db8::1]", 5070, (("lr", None), ("play", "%2523")), "a=b", "pw")
    assert (uri.param("LR"), uri.param("Play"), uri.param("absent")) == ("", "%2523", None)
    assert str(uri.bare()) == "sip:annc:pw@[2001:db8::1]:5070"


def test_user_ends_at_the_first_at_sign() -> None:
    uri = SipUri.parse("sip:annc@ms;play=imap://joe@example.com/INBOX")
    assert (uri.user, uri.host, uri.param("play")) == ("annc", "ms", "imap://joe@example.com/INBOX")


@pytest.mark.parametrize(
    "text",
    [
        *["", "sip:", "sip", ":x", "sip:@h", "sip:a@", "sip:a b@h", "sip:h:", "sip:h:65536", "sip:h:-1", "sip:h:x"],
        *[
            "sip:[::1",
            "sip:[::1]x",
            "sip:[]",
            "sip:[1]",
            "sip:[::1%eth0]",
            "sip:[1::2::3]",
            "sip:2001:db8::1",
            "sip:h;",
            "sip:h;;lr",
            "sip:h;=v",
            "sip:<h>",
            'sip:"h"',
            "sip:h\x00",
            "sip:-h",
        ],
        "sip:h\u00e9",
    ],
)
def test_malformed_sip_uris_are_refused(text: str) -> None:
    with pytest.raises(SipParseError) as caught:
        SipUri.parse(text)
    assert caught.value.status == 400


@pytest.mark.parametrize("text", ["tel:+1", "nobodyKnowsThisScheme:x", "http://h/"])
def test_other_schemes_have_their_own_status(text: str) -> None:
    with pytest.raises(SipParseError) as caught:
        SipUri.parse(text)
    assert caught.value.status == 416


# RFC 3261 section 19.1.4.
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        ("sip:alice@h?a=1&b=2", "sip:alice@h?b=2&a=1"),
    ],
)
def test_equal_uris_by_section_19_1_4_match(one: str, other: str) -> None:
    assert SipUri.parse(one).matches(SipUri.parse(other))
    assert SipUri.parse(one) != SipUri.parse(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:a@h", "sips:a@h"),
        ("sip:h", "sip:a@h"),
    ],
)
def test_different_uris_by_section_19_1_4_do_not_match(one: str, other: str) -> None:
    assert not SipUri.parse(one).matches(SipUri.parse(other))


PARAM = st.text("aZ09%+/:&$[]!~*'()-_.", max_size=20)


@settings(deadline=None)
@given(PARAM.filter(bool), PARAM, st.sampled_from(["", "?a=%2523", "?Route=%3Csip:h%3E&x=%00"]))
def test_percent_encoding_is_kept_as_written(name: str, value: str, headers: str) -> None:
    text = f"sip:an%6Ec:%70w@media_server;{name}={value};play=imap://j%40h/%2523%3bx%253B{headers}"
    uri = SipUri.parse(text)
    assert str(uri) == text
    assert uri.params == ((name, value), ("play", "imap://j%40h/%2523%3bx%253B"))
    assert (uri.user, uri.password, uri.headers) == ("an%6Ec", "%70w", headers[1:])


@settings(deadline=None)
@given(st.text(max_size=60) | st.text("sip:@;=?[]%0aA.", max_size=30).map("sip:".__add__))
def test_nothing_but_the_documented_error(text: str) -> None:
    try:
        uri = SipUri.parse(text)
    except SipParseError:
        return
    assert SipUri.parse(str(uri)) == uri
