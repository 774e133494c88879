"""Measures how the CPU time of each parser that meets the network grows with its input: at n octets and at 8n.

A parser is linear if its ratio is about 8. Inputs are what makes a careless parser slow: many small pieces, escapes,
brackets that open and never close. An input that the parser refuses is measured as well: it may be refused late.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from lemonade_imap.config import ServerConfig
from lemonade_imap.grammar.parser import parse_command
from lemonade_imap.grammar.search import Search
from lemonade_imap.mail.headers import Header, addresses, parameters
from lemonade_imap.mail.mime import index
from lemonade_imap.mail.sections import structure_of
from lemonade_imap.sasl import ClientFirst, SaslRefused, read_plain
from lemonade_imap.serving.listing import Pattern
from lemonade_imap.session import ImapSession
from lemonade_wire.imap.client import ImapClient
from lemonade_wire.imap.framing import LogicalLine
from lemonade_wire.imap.mediaservers import MediaServers
from lemonade_wire.imap.response import FetchResponse, parse_response
from lemonade_wire.imap.url import ImapUrl
from lemonade_wire.mscml.document import parse_document
from lemonade_wire.rtp.packet import RtpPacket
from lemonade_wire.rtp.rtcp import parse_compound
from lemonade_wire.sasl import saslprep
from lemonade_wire.sdp.codec import PCMU
from lemonade_wire.sdp.description import SessionDescription
from lemonade_wire.sdp.offer import Capabilities, answer
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message import parse_datagram
from lemonade_wire.sip.message.header_values import MediaType, NameAddr, Via
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.tcp import StreamParser

_ROUNDS = 5
_LEAST = 0.002
"""Seconds of CPU time that one timing has at least: a parser is called as often as that takes."""
_SIZES = (500, 4_000)
"""Octets of the two inputs of a parser with limits of a few thousand octets."""
_LARGE = (8_000, 64_000)
"""The same of a parser that takes 64 KB."""
_MAIL = (32_000, 256_000)
"""The same for headers and messages."""
Parse = Callable[[bytes], object]


@dataclass(frozen=True)
class Growth:
    """A parser, an input for it, and the two sizes of that input in octets."""

    name: str
    parse: Parse
    piece: bytes
    before: bytes = b""
    after: bytes = b""
    sizes: tuple[int, int] = _LARGE

    def octets(self, size: int) -> bytes:
        """Return an input of about `size` octets."""
        return self.before + self.piece * (size // len(self.piece)) + self.after

    def call(self, octets: bytes) -> None:
        """Parse octets, or have them refused."""
        with suppress(ValueError, SaslRefused, SipParseError):
            self.parse(octets)


@dataclass(frozen=True)
class MeasuredGrowth:
    """CPU time of a parser for its two inputs, in milliseconds, and their ratio."""

    name: str
    small_ms: float
    large_ms: float

    @property
    def ratio(self) -> float:
        """The ratio of the two times; the input grows by 8."""
        return self.large_ms / self.small_ms


def _command(line: bytes) -> object:
    return parse_command(LogicalLine.of(line))


def _session(octets: bytes) -> object:
    session = ImapSession(ServerConfig())
    session.log_in("joe")
    events = []
    for at in range(0, len(octets), 4096):
        session.receive_data(octets[at : at + 4096])
        while (event := session.next_event()) is not None:
            events.append(event)
    return events


def _pattern(octets: bytes) -> object:
    return Pattern("", octets.decode("ascii")).matches("a" * 900)


def _names(octets: bytes) -> object:
    return Pattern("", "*a%b*c%d*e").matches(octets.decode("ascii"))


def _header(octets: bytes) -> object:
    header = Header.parse(octets)
    return header.content_type(), header.disposition(), header.languages()


def _message(octets: bytes) -> object:
    return index(octets[at : at + 65536] for at in range(0, len(octets), 65536))


def _structure(octets: bytes) -> object:
    return structure_of(index([octets])).write()


def _search(octets: bytes) -> object:
    tagged = parse_command(LogicalLine.of(octets))
    return tagged.command.key.has("MODSEQ") if isinstance(tagged.command, Search) else None


def _client(octets: bytes) -> object:
    client = ImapClient()
    return [client.receive_data(octets[at : at + 4096]) for at in range(0, len(octets), 4096)]


def _fetched(octets: bytes) -> object:
    response = parse_response(LogicalLine.of(octets))
    return response.structure if isinstance(response, FetchResponse) else None


def _datagram(octets: bytes) -> object:
    message = parse_datagram(octets)
    return message.vias, message.contacts, message.routes, message.require, message.accept


def _stream(octets: bytes) -> object:
    parser = StreamParser()
    return [parser.receive(octets[at : at + 1024]) for at in range(0, len(octets), 1024)]


def _offer(octets: bytes) -> object:
    return answer(SessionDescription.parse(octets), Capabilities({"audio": (PCMU,)}), "127.0.0.1", {"audio": 9000})


_SIP = (
    b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:a>\r\n"
    b"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
)
_SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\n"
_MSCML = b'<?xml version="1.0"?><MediaServerControl version="1.0"><request>'
_URL = b"imap://joe@h/INBOX/;UID=1"

PARSERS: Sequence[Growth] = (
    Growth("IMAP framing: lines", _session, b"a NOOP\r\n"),
    Growth("IMAP framing: one long line", _session, b"x", b"a ", b"\r\n"),
    Growth("IMAP framing: literals", _session, b"{1+}\r\nx ", b"a ID (", b")\r\n", (500, 4_000)),
    Growth("IMAP lexer: escapes", _command, b'\\"', b'a SELECT "', b'"'),
    Growth("IMAP lexer: brackets", _command, b"(", b"a FETCH 1 "),
    Growth("IMAP command: FETCH items", _command, b"BODY[1.2.3] ", b"a FETCH 1 (", b"UID)"),
    Growth("IMAP command: sequence set", _command, b"1,", b"a FETCH ", b"1 UID"),
    Growth("IMAP command: flags", _command, b"flag ", b"a STORE 1 FLAGS (", b"x)"),
    Growth("IMAP command: URLs", _command, b'"imap://h/x" ', b"a URLFETCH ", b'"imap://h/x"'),
    Growth("LIST: wildcards", _pattern, b"*%", b"", b"x", _SIZES),
    Growth("LIST: letters between wildcards", _pattern, b"*a%b", b"", b"x", (100, 800)),
    Growth("LIST: names", _names, b"ab", sizes=(500, 4_000)),
    Growth("SEARCH: OR", _search, b"OR SEEN ", b"a SEARCH ", b"SEEN"),
    Growth("SEARCH: NOT", _search, b"NOT ", b"a SEARCH ", b"SEEN"),
    Growth("SEARCH: HEADER keys", _search, b"NOT HEADER x y ", b"a SEARCH ", b"SEEN"),
    Growth("METADATA: entries", _command, b"/private/a ", b'a GETMETADATA "" (', b"/private/b)"),
    Growth("METADATA: value", _command, b'\\"', b'a SETMETADATA "" (/private/a "', b'")'),
    Growth("METADATA: media servers", MediaServers.parse, b"<sip:a>:b;"),
    Growth("METADATA: media servers, open brackets", MediaServers.parse, b"<"),
    Growth("header: fields", _header, b"a: b\r\n", sizes=_MAIL),
    Growth("header: folded lines", _header, b"b\r\n ", b"Content-Type: a/b; c=", b"\r\n", _MAIL),
    Growth("header: pairs of quotes", lambda octets: addresses(octets.decode()), b'\\"', sizes=_MAIL),
    Growth("header: comments", lambda octets: addresses(octets.decode()), b"\\(", b"a", sizes=_MAIL),
    Growth("header: open comments", lambda octets: addresses(octets.decode()), b"(", b"a", sizes=_MAIL),
    Growth("header: angles", lambda octets: addresses(octets.decode()), b"<", b"a", sizes=_MAIL),
    Growth("header: groups", lambda octets: addresses(octets.decode()), b"a:b;,", sizes=_MAIL),
    Growth("header: parameters", lambda octets: parameters(octets.decode()), b"; p*1=x", sizes=_MAIL),
    Growth(
        "header: encoded words",
        lambda octets: Header.parse(octets).text("subject"),
        b"=?utf-8?q?a?= ",
        b"Subject: ",
        sizes=_MAIL,
    ),
    Growth("MIME: parts", _message, b"--b\r\n\r\n", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", sizes=_MAIL),
    Growth(
        "MIME: lines like boundaries",
        _message,
        b"--c\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n",
        sizes=_MAIL,
    ),
    Growth("MIME: nested messages", _message, b"Content-Type: message/rfc822\r\n\r\n", sizes=_MAIL),
    Growth(
        "MIME: blanks",
        _message,
        b" ",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b",
        b"x",
        (512_000, 4_096_000),
    ),
    Growth(
        "BODYSTRUCTURE: written",
        _structure,
        b"--b\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n",
        sizes=(800, 6_400),
    ),
    Growth("IMAP responses: lines", _client, b"* 1 EXISTS\r\n", b"* OK hello\r\n"),
    Growth("IMAP responses: one long line", _client, b"x", b"* OK hello\r\n* OK "),
    Growth("IMAP responses: brackets", _fetched, b"(", b"* 1 FETCH "),
    Growth(
        "IMAP responses: BODYSTRUCTURE",
        _fetched,
        b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1)',
        b"* 1 FETCH (BODYSTRUCTURE (",
        b' "MIXED"))',
    ),
    Growth("IMAP responses: escapes", _fetched, b'\\"', b'* 1 FETCH (BODY "', b'")'),
    Growth("URL: escapes", ImapUrl.parse, b"%41", b"imap://joe@h/", b"/;UID=1", _SIZES),
    Growth("URL: slashes", ImapUrl.parse, b"/", b"imap://joe@h", b"/;UID=1", _SIZES),
    Growth("URL: semicolons", ImapUrl.parse, b";UID=1/", _URL + b"/", b"", _SIZES),
    Growth("URL: rights", ImapUrl.parse, b";URLAUTH=a", _URL, b":INTERNAL:", _SIZES),
    Growth("SIP message: fields", _datagram, b"a: b\r\n", _SIP, b"Content-Length: 0\r\n\r\n"),
    Growth("SIP message: folded lines", _datagram, b"b\r\n ", _SIP + b"Subject: ", b"\r\nContent-Length: 0\r\n\r\n"),
    Growth(
        "SIP message: Via values",
        _datagram,
        b", SIP/2.0/UDP a;branch=1",
        _SIP + b"Via: SIP/2.0/UDP b",
        b"\r\nContent-Length: 0\r\n\r\n",
    ),
    Growth(
        "SIP message: Contact values",
        _datagram,
        b"<sip:a>,",
        _SIP + b"Contact: ",
        b"<sip:a>\r\nContent-Length: 0\r\n\r\n",
    ),
    Growth("SIP stream: without an end", _stream, b"a: b\r\n", _SIP),
    Growth("SIP stream: pings", _stream, b"\r\n"),
    Growth("SIP header: quotes", lambda octets: NameAddr.parse(octets.decode()), b'\\"', b'"', b'" <sip:a>'),
    Growth("SIP header: open quotes", lambda octets: NameAddr.parse(octets.decode()), b'"', b"", b"<sip:a>"),
    Growth("SIP header: parameters", lambda octets: NameAddr.parse(octets.decode()), b";a=b", b"<sip:a>"),
    Growth("SIP header: Via parameters", lambda octets: Via.parse(octets.decode()), b";a=b", b"SIP/2.0/UDP a"),
    Growth("SIP header: media type", lambda octets: MediaType.parse(octets.decode()), b';a="\\""', b"a/b"),
    Growth("SIP URI: parameters", lambda octets: SipUri.parse(octets.decode()), b";a=b", b"sip:a@b"),
    Growth("SIP URI: escapes", lambda octets: SipUri.parse(octets.decode()), b"%41", b"sip:", b"@b"),
    Growth("SIP URI: colons", lambda octets: SipUri.parse(octets.decode()), b":", b"sip:a@["),
    Growth("SDP: attributes", _offer, b"a=x:y\r\n", _SDP),
    Growth("SDP: rtpmap", _offer, b"a=rtpmap:96 L16/8000\r\n", _SDP),
    Growth("SDP: media lines", _offer, b"m=audio 9000 RTP/AVP 0\r\n", _SDP),
    Growth("SDP: payload types", _offer, b" 96", _SDP[:-2], b"\r\n"),
    Growth("MSCML: elements", parse_document, b"<a/>", _MSCML, b"</request></MediaServerControl>"),
    Growth("MSCML: nesting", parse_document, b"<a>", _MSCML),
    Growth(
        "MSCML: prompts",
        parse_document,
        b'<audio url="x"/>',
        _MSCML + b"<play><prompt>",
        b"</prompt></play></request></MediaServerControl>",
    ),
    Growth("MSCML: attributes", parse_document, b" a='b'", _MSCML + b"<play", b"/></request></MediaServerControl>"),
    Growth(
        "MSCML: references", parse_document, b"&#65;", _MSCML + b"<play id='", b"'/></request></MediaServerControl>"
    ),
    Growth(
        "MSCML: digit maps",
        parse_document,
        b"x.|",
        _MSCML + b"<playcollect><pattern><mgcpdigitmap value='(",
        b"1)'/></pattern></playcollect></request></MediaServerControl>",
        (250, 2_000),
    ),
    Growth("MSCML: open elements", parse_document, b"<audio a='b'>", _MSCML + b"<play><prompt>"),
    Growth("RTP: packet", RtpPacket.parse, b"\0", b"\x80\0\0\1\0\0\0\1\0\0\0\1"),
    Growth("RTCP: compound", parse_compound, b"\x80\xca\0\1\0\0\0\1", b"\x80\xc9\0\1\0\0\0\1"),
    Growth("RTCP: chunks", parse_compound, b"\0\0\0\1\1\1a\0", b"\x80\xc9\0\1\0\0\0\1\x9f\xca\xff\xff"),
    Growth(
        "SASL: preparation", lambda octets: saslprep(octets.decode()), "\u0301\u0334".encode(), b"a", sizes=(100, 800)
    ),
    Growth(
        "SASL: preparation of what is too long", lambda octets: saslprep(octets.decode()), "\u0301\u0334".encode(), b"a"
    ),
    Growth("SASL: PLAIN", read_plain, b"a\0", sizes=(1_000, 8_000)),
    Growth("SASL: SCRAM", ClientFirst.read, b",a=b", b"n,,n=joe,r=x", sizes=(1_000, 8_000)),
)
"""Every parser that reads what came from the network, with what takes it longest."""


def measure_growth(parsers: Sequence[Growth] = PARSERS) -> Iterator[MeasuredGrowth]:
    """Measure parsers one after another: the CPU time at n octets and at 8n, each the least of five."""
    for parser in parsers:
        small, large = (parser.octets(size) for size in parser.sizes)
        times = _seconds(parser.call, small), _seconds(parser.call, large)
        yield MeasuredGrowth(parser.name, *(1000 * seconds for seconds in times))


def _seconds(parse: Parse, octets: bytes) -> float:
    """Return the CPU seconds of one call, the least of five timings."""
    calls = 1
    while (took := _timed(parse, octets, calls)) < _LEAST:
        calls = max(2 * calls, int(calls * _LEAST / max(took, 1e-6)))
    return min(took, *(_timed(parse, octets, calls) for _ in range(_ROUNDS - 1))) / calls


def _timed(parse: Parse, octets: bytes, calls: int) -> float:
    gc.collect()
    gc.disable()
    began = time.process_time()
    try:
        for _ in range(calls):
            parse(octets)
        return time.process_time() - began
    finally:
        gc.enable()
