"""Targets for SIP: messages and their headers, streams, URIs, NETANN, bodies, S/MIME, SDP; and a whole user agent."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from fuzz.target import FuzzTarget, in_pieces, require
from lemonade_wire.address import Address
from lemonade_wire.sdp.codec import PCMA, PCMU, SdpError
from lemonade_wire.sdp.description import SessionDescription
from lemonade_wire.sdp.offer import Capabilities, answer, make_offer, read_answer
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.event import InfoReceived, InviteReceived
from lemonade_wire.sip.message import SipRequest, SipResponse, build
from lemonade_wire.sip.message.body import Entity, answer_in, session_description, understood
from lemonade_wire.sip.message.dtmf import DtmfRelay
from lemonade_wire.sip.message.header_values import CSeq, MediaType, NameAddr, Via
from lemonade_wire.sip.message.keyring import read_certificates
from lemonade_wire.sip.message.message import parse_datagram
from lemonade_wire.sip.message.smime import Opening, SmimeIdentity, seal, shown_certificates
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.netann import AnnouncementError, AnnouncementUri, service_of
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.tcp import Framed, StreamParser
from lemonade_wire.sip.ua import UserAgent

_TARGET = b"sip:annc@ms.example.net;play=imap://joe%40example.com/INBOX/%3bUID%3d20;repeat=2;delay=100"
_HEADERS = (
    b"Via: SIP/2.0/UDP 127.0.0.3:5060;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\n"
    b'From: "J" <sip:joe@a.example>;tag=1\r\n'
    b"To: <sip:annc@ms.example.net>\r\nCall-ID: c@a.example\r\nCSeq: 1 INVITE\r\nContact: <sip:joe@127.0.0.3>\r\n"
    b"Allow: INVITE, ACK\r\nSupported: timer\r\nSession-Expires: 1800;refresher=uac\r\n"
)
_SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.3\r\ns=-\r\nc=IN IP4 127.0.0.3\r\nt=0 0\r\na=sendrecv\r\n"
    b"m=audio 4000 RTP/AVP 0 8 96\r\n"
    b"a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\nm=video 0 RTP/AVP 31\r\na=inactive\r\n"
)
_INVITE = (
    b"INVITE "
    + _TARGET
    + b" SIP/2.0\r\n"
    + _HEADERS
    + b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(_SDP)
) + _SDP
_RESPONSE = b"SIP/2.0 200 OK\r\n" + _HEADERS + b"l: 0\r\n\r\n"
_MULTIPART = (
    b"multipart/mixed;boundary=x\n--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--x\r\n"
    b'Content-Type: text/x;a="b"\r\n'
    b"Content-Disposition: render;handling=optional\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n--x--\r\n"
)
_OURS = SessionDescription.parse(bytes(make_offer("127.0.0.1", 4000, [PCMU, PCMA], telephone_event=True)))
_MEDIA = Capabilities({"audio": (PCMU, PCMA)}, telephone_event=True)


def _read_all(message: SipRequest | SipResponse) -> None:
    for name in ("vias", "from_", "to", "cseq", "call_id", "contacts", "record_routes", "routes"):
        require(getattr(message, name) is not None, f"a message that was read has no {name}")
    for name in ("require", "supported", "codings", "accept"):
        try:
            getattr(message, name)
        except SipParseError:
            continue
    require(message.expires is None or message.expires >= 0, "Expires is negative")


def _datagram(octets: bytes) -> None:
    message = parse_datagram(octets)
    _read_all(message)
    again = parse_datagram(bytes(message))
    require(
        (again.body, again.cseq, again.vias) == (message.body, message.cseq, message.vias), "written, it is another"
    )


def _stream(octets: bytes) -> None:
    parser = StreamParser(max_head=1024, max_body=1024)
    taken = 0
    for piece in in_pieces(octets):
        for item in parser.receive(piece):
            if isinstance(item, Framed):
                taken += len(item.octets)
                if isinstance(item.message, SipRequest | SipResponse):
                    _read_all(item.message)
    require(taken <= len(octets), "messages have more octets than the stream")


def _user_agent(octets: bytes) -> None:
    """Give a user agent datagrams, and answer what it reports as the media server does."""
    agent = UserAgent(UaSettings(Address("127.0.0.2", 5060), accept=("application/sdp", "text/x")), random.Random(1))
    now = 0.0
    for datagram in octets.split(b"\x00\x00"):
        agent.datagram_received(datagram, Address("127.0.0.3", 5060), now)
        for event in agent.events():
            if isinstance(event, InviteReceived):
                agent.accept(event.call, bytes(_OURS), now=now)
            elif isinstance(event, InfoReceived):
                agent.respond(event.transaction, 200, now=now)
        agent.outputs()
        now += 0.1
    for _ in range(1000):
        at = agent.next_timer()
        if at is None or at > 3600:
            return
        require(at >= 0, "a timer is in the past")
        now = max(now, at)
        agent.handle_timer(now)
        agent.outputs()
        agent.events()
    require(False, "timers follow each other without an end")


def _header_values(octets: bytes) -> None:
    text = octets.decode("utf-8", "surrogateescape")
    for kind in (Via, NameAddr, CSeq, MediaType):
        try:
            value = kind.parse(text)
        except SipParseError:
            continue
        require(kind.parse(str(value)) == value, f"a {kind.__name__} changes when it is written and read")


def _uri(octets: bytes) -> None:
    uri = SipUri.parse(octets.decode("utf-8", "surrogateescape"))
    require(SipUri.parse(str(uri)) == uri, "a URI changes when it is written and read")
    require(uri.matches(uri), "a URI does not match itself")


def _announcement(octets: bytes) -> None:
    uri = SipUri.parse(octets.decode("utf-8", "surrogateescape"))
    service_of(uri)
    asked = AnnouncementUri.parse(uri)
    again = AnnouncementUri.parse(SipUri.parse(str(asked.uri("ms.example.net"))))
    require(again == asked, "an announcement changes when it is written and read")


def _body(octets: bytes) -> None:
    kind, _, body = octets.partition(b"\n")
    request = build("INFO", "sip:a@b", [], body, " ".join(kind.decode("latin-1").splitlines()))
    for read in (session_description, answer_in):
        try:
            read(request)
        except (SipParseError, SdpError):
            continue
    for entity in understood(Entity.of(request), lambda part: part.media.name in {"text/x", "application/sdp"}):
        require(len(entity.content) <= len(body), "a part has more octets than its message")


def _key_press(octets: bytes) -> None:
    for kind in ("application/dtmf-relay", "application/dtmf"):
        try:
            press = DtmfRelay.parse(kind, octets)
        except ValueError:
            continue
        require(
            press is None or DtmfRelay.parse("application/dtmf-relay", bytes(press)) == press, "a key press changes"
        )


def _session_description(octets: bytes) -> None:
    description = SessionDescription.parse(octets)
    again = SessionDescription.parse(bytes(description))  # lines that the node does not read may change their order
    require(SessionDescription.parse(bytes(again)) == again, "a description changes when it is written and read")
    require((again.origin, len(again.media)) == (description.origin, len(description.media)), "m-lines are lost")
    for read in (
        lambda: read_answer(_OURS, description),
        lambda: answer(description, _MEDIA, "127.0.0.1", {"audio": 4000}).description,
    ):
        try:
            read()
        except SdpError:
            continue


@cache
def _identity() -> SmimeIdentity:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fuzz")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier("sip:a@b")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return SmimeIdentity.read(certificate.public_bytes(serialization.Encoding.PEM), private)


def _encrypted(octets: bytes) -> None:
    """Read octets as an encrypted body; the octet `\\0` alone stands for one that was encrypted for this reader."""
    identity = _identity()
    if octets == b"\0":
        octets = seal(b"v=0\r\n", "application/sdp", identity.certificate).octets
    request = build("INFO", "sip:a@b", [], octets, "application/pkcs7-mime;smime-type=enveloped-data")
    shown_certificates(build("INFO", "sip:a@b", [], octets, "application/pkcs7-mime;smime-type=certs-only"))
    opening = Opening(identity)
    try:
        opening.understood(request, lambda part: part.media.name == "application/sdp")
    except SipParseError as problem:
        require(not opening.opened or problem.status in {415, 493}, "errors in encrypted bodies can be told apart")


def _certificates(octets: bytes) -> None:
    read_certificates(octets)


TARGETS = (
    FuzzTarget("sip-datagram", _datagram, [_INVITE, _RESPONSE], (SipParseError,)),
    FuzzTarget(
        "sip-stream", _stream, [b"\xff" + _INVITE + b"\r\n\r\n" + _RESPONSE, b"\x10" + _RESPONSE], (SipParseError,)
    ),
    FuzzTarget(
        "sip-user-agent",
        _user_agent,
        [
            _INVITE,
            _INVITE + b"\x00\x00" + _INVITE.replace(b"INVITE", b"CANCEL"),
            _INVITE + b"\x00\x00" + _INVITE.replace(b"INVITE", b"BYE").replace(b"CSeq: 1", b"CSeq: 2"),
            _RESPONSE + b"\x00\x00" + _INVITE.replace(b"INVITE", b"OPTIONS"),
        ],
    ),
    FuzzTarget(
        "sip-header-value",
        _header_values,
        [
            b"SIP/2.0/UDP [::1]:5060;branch=z9hG4bK1;rport",
            b'"a\\"b" <sip:a@b;x=y?h=v>;tag=1;x="y"',
            b"1 INVITE",
            b'a/b;c="d e";q=0.5',
        ],
    ),
    FuzzTarget("sip-uri", _uri, [b"sips:a%40b:c@[::1]:5061;x=y;lr?h=v&i=w", _TARGET], (SipParseError,)),
    FuzzTarget(
        "sip-announcement",
        _announcement,
        [_TARGET, _TARGET + b";duration=9;locale=de;param1=x;early=no"],
        (SipParseError, AnnouncementError),
    ),
    FuzzTarget(
        "sip-body",
        _body,
        [_MULTIPART, b"application/sdp\nv=0\r\n", _MULTIPART.replace(b"mixed", b"alternative")],
        (SipParseError,),
    ),
    FuzzTarget("sip-key-press", _key_press, [b"Signal=5\r\nDuration=160\r\n", b"5", b"signal : #\nduration:1"]),
    FuzzTarget("sip-encrypted-body", _encrypted, [b"\0", bytes.fromhex("3080060b2a864886f70d010703a080")]),
    FuzzTarget(
        "sip-certificates",
        _certificates,
        [b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"],
        (ValueError,),
    ),
    FuzzTarget("sdp", _session_description, [_SDP, _SDP.replace(b"IP4 127.0.0.3", b"IP6 ::1")], (SdpError,)),
)
