import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message.header_values import CSeq, MediaType, NameAddr, Via


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("SIP/2.0/UDP erlang.bell-telephone.com:5060;branch=z9hG4bK87asdks7", None),
        ("SIP / 2.0 / UDP first.example.com: 4000;ttl=16 ;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1",
         "SIP/2.0/UDP first.example.com:4000;ttl=16;maddr=224.2.0.1;branch=z9hG4bKa7c6a8dlze.1"),
        ("SIP/2.0/tls ms1;branch=z9hG4bK1;rport", "SIP/2.0/TLS ms1;branch=z9hG4bK1;rport"),
        ("SIP/2.0/UDP [2001:db8::9:1]:5060;received=2001:db8::9:255;branch=z9hG4bKas3", None),
        ("SIP/7.0/UDP c;branch=z9hG4bK1", None),
    ],
)  # fmt: skip
def test_via_values_are_read_and_written(text: str, written: str | None) -> None:
    via = Via.parse(text)
    assert str(via) == (written or text)
    assert Via.parse(str(via)) == via


def test_via_parameters_are_read_and_set() -> None:
    via = Via.parse("SIP/2.0/UDP h:5070;rport;branch=z9hG4bK1")
    assert (via.transport, via.host, via.port, via.branch) == ("UDP", "h", 5070, "z9hG4bK1")
    assert str(via.with_param("rport", "9").with_param("received", "192.0.2.1")) == (
        "SIP/2.0/UDP h:5070;rport=9;branch=z9hG4bK1;received=192.0.2.1"
    )
    assert Via.parse("SIP/2.0/UDP h").branch == ""


@pytest.mark.parametrize(
    "text", ["", "SIP/2.0/UDP", "SIP/2.0 h", "HTTP/2.0/UDP h", "SIP/2.0/UDP h:x", "SIP/2.0/UDP h;;a"]
)
def test_malformed_via_values_are_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        Via.parse(text)


@pytest.mark.parametrize(
    ("text", "uri", "display", "tag"),
    [
        ('"A. G. Bell" <sip:agb@bell-telephone.com> ;tag=a48s', "sip:agb@bell-telephone.com", '"A. G. Bell"', "a48s"),
        ("Anonymous <sip:c8oqz84zk7z@privacy.org>;tag=hyh8", "sip:c8oqz84zk7z@privacy.org", "Anonymous", "hyh8"),
        ("sip:+12125551212@server.phone2net.com;tag=887s", "sip:+12125551212@server.phone2net.com", "", "887s"),
        ("caller<sip:c@h;x=y>", "sip:c@h;x=y", "caller", None),
        (r'"\"<sip:no@h>" <isbn:2983792873>', "isbn:2983792873", r'"\"<sip:no@h>"', None),
        ('<sip:h?a="b>', None, None, None),
        ("Ren\u00e9 M\u00fcller <sip:r@h>;tag=1", "sip:r@h", "Ren\u00e9 M\u00fcller", "1"),
        ("\u5f20\u4f1f <sip:z@h>", "sip:z@h", "\u5f20\u4f1f", None),
        ("A (B) <sip:a@h>", None, None, None),
        ("A\udce9 <sip:a@h>", None, None, None),
    ],
)
def test_name_addr_values_are_read_or_refused(text: str, uri: str | None, display: str | None, tag: str | None) -> None:
    if uri is None:
        with pytest.raises(SipParseError):
            NameAddr.parse(text)
        return
    value = NameAddr.parse(text)
    assert (value.uri, value.display, value.tag) == (uri, display, tag)
    assert NameAddr.parse(str(value)) == value


def test_tags_are_set_and_removed() -> None:
    value = NameAddr.parse("<sip:a@h>;x=1;Tag=old")
    assert str(value.with_tag("new")) == "<sip:a@h>;x=1;tag=new"
    assert value.with_tag(None).tag is None
    assert value.sip_uri.user == "a"


@pytest.mark.parametrize(
    "text",
    [
        *["", "<>", "<sip:a@h", "< sip:a@h >", "Bell, A <sip:a@h>", "<sip:a@h> x;y", "a", '"q <sip:a@h>'],
        # RFC 3261 section 20: a URI with a comma, question mark or semicolon must be in angle brackets.
        *["sip:a@h?Route=b", "sip:a,b@h"],
    ],
)
def test_malformed_name_addr_values_are_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        NameAddr.parse(text)


def test_cseq_values_are_read_and_written() -> None:
    assert CSeq.parse(" 0009\t INVITE") == CSeq(9, "INVITE")
    assert str(CSeq.parse("2147483647 INFO")) == "2147483647 INFO"


@pytest.mark.parametrize(
    "text", ["", "1", "INVITE 1", "-1 INVITE", "2147483648 INVITE", "1 IN(VITE", "1 A B", "9" * 30 + " A"]
)
def test_malformed_cseq_values_are_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        CSeq.parse(text)


def test_media_types_are_read_and_written() -> None:
    value = MediaType.parse('Multipart / Mixed ; Boundary="a \\"b" ;x')
    assert (value.name, value.param("boundary"), value.param("x"), value.param("y")) == (
        "multipart/mixed",
        'a "b',
        "",
        None,
    )
    assert str(value) == 'multipart/mixed;Boundary="a \\"b";x'


@pytest.mark.parametrize("text", ["", "a", "a/", "/b", "a/b/c", "a b/c", "a/b c", "a/b;;", "a/(b)"])
def test_malformed_media_types_are_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        MediaType.parse(text)


@pytest.mark.parametrize(
    ("media", "covers"),
    [
        *[("application/sdp", True), ("Application/*", True), ("*/*;q=0.1", True), ("application/sdp;level=1", True)],
        *[("text/*", False), ("application/sdp2", False), ("*/sdp", False), ("*/*;q=0.0", False), ("*/*;q=0", False)],
    ],
)
def test_ranges_of_accept(media: str, covers: bool) -> None:
    assert MediaType.parse(media).covers("application/sdp") is covers


@settings(deadline=None)
@given(
    st.sampled_from([Via, NameAddr, CSeq, MediaType]),
    st.text(max_size=40) | st.text('SIP/2.0UD h;<>:"=\\,1', max_size=30),
)
def test_nothing_but_the_documented_error(kind: type[Via | NameAddr | CSeq | MediaType], text: str) -> None:
    try:
        value = kind.parse(text)
    except SipParseError:
        return
    assert kind.parse(str(value)) == value
