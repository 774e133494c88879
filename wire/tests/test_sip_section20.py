"""Every header of RFC 3261 section 20, with the example given there, in one request: read, split and written."""

from __future__ import annotations

import pytest

from lemonade_wire.sip.message import SipRequest, parse_datagram
from lemonade_wire.sip.tcp import Framed, StreamParser

# name, line (folded or in compact form if the example is), values
EXAMPLES = [
    (
        "Accept",
        "Accept: application/sdp;level=1, application/x-private, text/html",
        ["application/sdp;level=1", "application/x-private", "text/html"],
    ),
    ("Accept-Encoding", "Accept-Encoding: gzip", ["gzip"]),
    ("Accept-Language", "Accept-Language: da, en-gb;q=0.8, en;q=0.7", ["da", "en-gb;q=0.8", "en;q=0.7"]),
    (
        "Alert-Info",
        "Alert-Info: <http://www.example.com/sounds/moo.wav>",
        ["<http://www.example.com/sounds/moo.wav>"],
    ),
    ("Allow", "Allow: INVITE, ACK, OPTIONS, CANCEL, BYE", ["INVITE", "ACK", "OPTIONS", "CANCEL", "BYE"]),
    (
        "Authentication-Info",
        'Authentication-Info: nextnonce="47364c23432d2e131a5fb210812c"',
        ['nextnonce="47364c23432d2e131a5fb210812c"'],
    ),
    (
        "Authorization",
        'Authorization: Digest username="Alice", realm="atlanta.com",\r\n nonce="84a4cc6f3082121f32b42a2187831a9e",'
        '\r\n response="7587245234b3434cc3412213e5f113a5432"',
        [
            'Digest username="Alice", realm="atlanta.com", nonce="84a4cc6f3082121f32b42a2187831a9e", '
            'response="7587245234b3434cc3412213e5f113a5432"'
        ],
    ),
    ("Call-ID", "i:f81d4fae-7dec-11d0-a765-00a0c91e6bf6@192.0.2.4", ["f81d4fae-7dec-11d0-a765-00a0c91e6bf6@192.0.2.4"]),
    (
        "Call-Info",
        "Call-Info: <http://wwww.example.com/alice/photo.jpg> ;purpose=icon,\r\n"
        "  <http://www.example.com/alice/> ;purpose=info",
        ["<http://wwww.example.com/alice/photo.jpg> ;purpose=icon", "<http://www.example.com/alice/> ;purpose=info"],
    ),
    (
        "Contact",
        'Contact: "Mr. Watson" <sip:watson@worcester.bell-telephone.com>\r\n   ;q=0.7; expires=3600,\r\n'
        '   "Mr. Watson" <mailto:watson@bell-telephone.com> ;q=0.1\r\nm: <sips:bob@192.0.2.4>;expires=60',
        [
            '"Mr. Watson" <sip:watson@worcester.bell-telephone.com> ;q=0.7; expires=3600',
            '"Mr. Watson" <mailto:watson@bell-telephone.com> ;q=0.1',
            "<sips:bob@192.0.2.4>;expires=60",
        ],
    ),
    ("Content-Disposition", "Content-Disposition: session", ["session"]),
    ("Content-Encoding", "Content-Encoding: gzip\r\ne: tar", ["gzip", "tar"]),
    ("Content-Language", "Content-Language: fr", ["fr"]),
    ("Content-Length", "l: 173", ["173"]),
    ("Content-Type", "c: text/html; charset=ISO-8859-4", ["text/html; charset=ISO-8859-4"]),
    ("CSeq", "CSeq: 4711 INVITE", ["4711 INVITE"]),
    ("Date", "Date: Sat, 13 Nov 2010 23:29:00 GMT", ["Sat, 13 Nov 2010 23:29:00 GMT"]),
    (
        "Error-Info",
        "Error-Info: <sip:not-in-service-recording@atlanta.com>",
        ["<sip:not-in-service-recording@atlanta.com>"],
    ),
    ("Expires", "Expires: 5", ["5"]),
    (
        "From",
        'From: "A. G. Bell" <sip:agb@bell-telephone.com> ;tag=a48s',
        ['"A. G. Bell" <sip:agb@bell-telephone.com> ;tag=a48s'],
    ),
    (
        "In-Reply-To",
        "In-Reply-To: 70710@saturn.bell-tel.com, 17320@saturn.bell-tel.com",
        ["70710@saturn.bell-tel.com", "17320@saturn.bell-tel.com"],
    ),
    ("Max-Forwards", "Max-Forwards: 6", ["6"]),
    ("Min-Expires", "Min-Expires: 60", ["60"]),
    ("MIME-Version", "MIME-Version: 1.0", ["1.0"]),
    ("Organization", "Organization: Boxes by Bob", ["Boxes by Bob"]),
    ("Priority", "Priority: non-urgent", ["non-urgent"]),
    (
        "Proxy-Authenticate",
        'Proxy-Authenticate: Digest realm="atlanta.com",\r\n domain="sip:ss1.carrier.com", qop="auth"',
        ['Digest realm="atlanta.com", domain="sip:ss1.carrier.com", qop="auth"'],
    ),
    (
        "Proxy-Authorization",
        'Proxy-Authorization: Digest username="Alice", realm="atlanta.com"',
        ['Digest username="Alice", realm="atlanta.com"'],
    ),
    ("Proxy-Require", "Proxy-Require: foo", ["foo"]),
    (
        "Record-Route",
        "Record-Route: <sip:server10.biloxi.com;lr>,\r\n <sip:bigbox3.site3.atlanta.com;lr>",
        ["<sip:server10.biloxi.com;lr>", "<sip:bigbox3.site3.atlanta.com;lr>"],
    ),
    ("Reply-To", "Reply-To: Bob <sip:bob@biloxi.com>", ["Bob <sip:bob@biloxi.com>"]),
    ("Require", "Require: 100rel", ["100rel"]),
    (
        "Retry-After",
        "Retry-After: 18000;duration=3600\r\nRetry-After: 120 (I'm in a meeting)",
        ["18000;duration=3600", "120 (I'm in a meeting)"],
    ),
    (
        "Route",
        "Route: <sip:bigbox3.site3.atlanta.com;lr>,\r\n <sip:server10.biloxi.com;lr>",
        ["<sip:bigbox3.site3.atlanta.com;lr>", "<sip:server10.biloxi.com;lr>"],
    ),
    ("Server", "Server: HomeServer v2", ["HomeServer v2"]),
    ("Subject", "s: Tech Support", ["Tech Support"]),
    ("Supported", "k: 100rel", ["100rel"]),
    ("Timestamp", "Timestamp: 54", ["54"]),
    ("To", "t: sip:+12125551212@server.phone2net.com", ["sip:+12125551212@server.phone2net.com"]),
    ("Unsupported", "Unsupported: foo", ["foo"]),
    ("User-Agent", "User-Agent: Softphone Beta1.5", ["Softphone Beta1.5"]),
    (
        "Via",
        "Via: SIP/2.0/UDP erlang.bell-telephone.com:5060;branch=z9hG4bK87asdks7\r\n"
        "v: SIP / 2.0 / UDP first.example.com: 4000;ttl=16\r\n  ;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1",
        [
            "SIP/2.0/UDP erlang.bell-telephone.com:5060;branch=z9hG4bK87asdks7",
            "SIP / 2.0 / UDP first.example.com: 4000;ttl=16 ;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1",
        ],
    ),
    (
        "Warning",
        'Warning: 307 isi.edu "Session parameter \'foo\' not understood", 370 devnull "Choose, please"\r\n'
        "Warning: 301 isi.edu \"Incompatible network address type 'E.164'\"",
        [
            "307 isi.edu \"Session parameter 'foo' not understood\"",
            '370 devnull "Choose, please"',
            "301 isi.edu \"Incompatible network address type 'E.164'\"",
        ],
    ),
    (
        "WWW-Authenticate",
        'WWW-Authenticate: Digest realm="atlanta.com",\r\n domain="sip:boxesbybob.com", qop="auth"',
        ['Digest realm="atlanta.com", domain="sip:boxesbybob.com", qop="auth"'],
    ),
]
BODY = b"x" * 173
LINES = "".join(f"{line}\r\n" for _, line, _ in EXAMPLES)
INVITE = f"INVITE sip:bob@biloxi.com SIP/2.0\r\n{LINES}\r\n".encode() + BODY


def test_the_section_is_whole() -> None:
    assert len(EXAMPLES) == 44


@pytest.mark.parametrize(("name", "values"), [(name, values) for name, _, values in EXAMPLES])
def test_list_headers_are_split_into_their_values(name: str, values: list[str]) -> None:
    message = parse_datagram(INVITE)
    for form in (name, name.lower(), name.upper()):
        assert message.headers.items(form) == values


def test_the_typed_properties_are_read() -> None:
    message = parse_datagram(INVITE)
    assert isinstance(message, SipRequest)
    assert [contact.uri for contact in message.contacts] == [
        "sip:watson@worcester.bell-telephone.com",
        "mailto:watson@bell-telephone.com",
        "sips:bob@192.0.2.4",
    ]
    assert (message.codings, message.require, message.supported) == (["gzip", "tar"], ["100rel"], ["100rel"])
    assert [media.name for media in message.accept or []] == ["application/sdp", "application/x-private", "text/html"]
    assert [via.port for via in message.vias] == [5060, 4000]
    assert message.body == BODY


def test_written_and_read_again() -> None:
    message = parse_datagram(INVITE)
    again = parse_datagram(bytes(message))
    assert again.headers.without("l").lines == message.headers.without("l").lines
    assert (bytes(again), again.body) == (bytes(message), BODY)
    assert b"\r\n " not in bytes(message)


def test_the_message_is_read_octet_by_octet_from_a_stream() -> None:
    parser = StreamParser()
    found = [item for at in range(len(INVITE)) for item in parser.receive(INVITE[at : at + 1])]
    assert found == [Framed(parse_datagram(INVITE), INVITE)]
