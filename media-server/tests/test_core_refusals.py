"""Every refusal and limit of calls, in memory: a caller's user agent and the media server's core."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lemonade_media.config import Limits
from lemonade_media.model.commands import CloseMedia
from lemonade_media.model.failures import Failure, FailureKind
from lemonade_media.testing import CONFIG, Replay
from lemonade_wire.mscml.document import CONTENT_TYPE, write_document
from lemonade_wire.mscml.messages import Audio, PlayCollectRequest, Prompt
from lemonade_wire.sdp.codec import PCMA, PCMU, Codec
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.event import ByeReceived, CallAnswered, CallEnded, CallRefused
from lemonade_wire.sip.message import SipResponse
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.netann import AnnouncementUri

URL = "imap://joe@imap.example.com/INBOX;UIDVALIDITY=9/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:" + "0a" * 32
ANNC = AnnouncementUri(URL).uri("media.example.net")
IVR = SipUri.parse("sip:ivr@media.example.net")
OFFER = make_offer("192.0.2.3", 20000, [PCMU, PCMA], video=(20002, [Codec("H263", 90000)]))
COLLECT = PlayCollectRequest(
    Prompt((Audio(URL),), stop_on_error=True),
    "1",
    clear_digits=True,
    skip_interval_ms=4000,
    ff_key="6",
    rw_key="4",
    first_digit_ms=0,
    interdigit_ms=0,
    extra_digit_ms=0,
)


def refusal(replay: Replay, uri: SipUri, body: bytes = bytes(OFFER), kind: str = "application/sdp") -> SipResponse:
    replay.invite(uri, body, kind)
    refused = [event for event in replay.heard if isinstance(event, CallRefused)]
    assert len(refused) == 1
    assert refused[0].response is not None
    assert any(isinstance(command, CloseMedia) for command in replay.commands) == ("OpenMedia" in replay.log)
    assert replay.server.idle
    return refused[0].response


NOT_RETRIEVED = (400, "Announcement content could not be retrieved", "399")
REFUSALS = {
    FailureKind.BAD_URL: (404, "Announcement content not found", None),
    FailureKind.HOST_REFUSED: (403, "Content host not allowed", "399"),
    FailureKind.BUSY: (503, "Too many fetches", "399"),
    FailureKind.UNREACHABLE: NOT_RETRIEVED,
    FailureKind.TIMED_OUT: NOT_RETRIEVED,
    FailureKind.CONNECTION_LOST: NOT_RETRIEVED,
    FailureKind.TLS_FAILED: NOT_RETRIEVED,
    FailureKind.LOGIN_REFUSED: NOT_RETRIEVED,
    FailureKind.NO_BINARY: NOT_RETRIEVED,
    FailureKind.NOT_FOUND: (404, "Announcement content not found", None),
    FailureKind.REFUSED: NOT_RETRIEVED,
    FailureKind.UNDECODABLE_ENCODING: NOT_RETRIEVED,
    FailureKind.TOO_LARGE: NOT_RETRIEVED,
    FailureKind.UNPLAYABLE: (488, "Not Acceptable Here", "305"),
    FailureKind.NO_COMMON_CODEC: (488, "Not Acceptable Here", "304"),
    FailureKind.OTHER_NETWORK: (488, "Not Acceptable Here", "300"),
    FailureKind.NO_ADDRESS: (488, "Not Acceptable Here", "301"),
    FailureKind.NOT_IMPLEMENTED: (488, "Not Acceptable Here", "399"),
}


@pytest.mark.parametrize(("kind", "refused"), [(kind, REFUSALS[kind]) for kind in FailureKind])
def test_failed_fetch_refuses_the_call(kind: FailureKind, refused: tuple[int, str, str | None]) -> None:
    status, reason, warning = refused
    response = refusal(Replay(fetch=lambda command: Failure(kind, 'it "broke"')), ANNC)
    assert (response.status, response.reason) == (status, reason)
    header = response.headers.get("Warning")
    assert header == (f"{warning} 192.0.2.2 \"it 'broke'\"" if warning else None)
    assert (response.headers.get("Retry-After") is not None) == (status == 503)


@pytest.mark.parametrize(
    ("uri", "status", "reason"),
    [
        ("sip:annc@media.example.net", 400, "Mandatory play parameter missing"),
        ("sip:annc@media.example.net;play=", 400, "Mandatory play parameter missing"),
        ("sip:annc@media.example.net;play=x;play=x", 400, "More than one play parameter"),
        ("sip:annc@media.example.net;play=x;repeat=often", 400, "Bad repeat parameter"),
        ("sip:annc@media.example.net;play=%", 400, "Bad play parameter"),
        ("sip:annc@media.example.net;play=http://imap.example.com/x.wav", 404, "Announcement content not found"),
        ("sip:annc@media.example.net;play=HTTPS://imap.example.com/x.wav", 404, "Announcement content not found"),
        ("sip:annc@media.example.net;play=ftp://imap.example.com/x.wav", 404, "Announcement content not found"),
        ("sip:annc@media.example.net;play=nfs://imap.example.com/x.wav", 404, "Announcement content not found"),
        ("sip:annc@media.example.net;play=file:///etc/hostname", 404, "Announcement content not found"),
        ("sip:annc@media.example.net;play=/etc/hostname", 404, "Announcement content not found"),
        ("sip:annc@media.example.net;play=imap://imap.example.com", 404, "Announcement content not found"),
        ("sip:annc@media.example.net;play=imap%253A//imap.example.com", 404, "Announcement content not found"),
        ("sip:annc@media.example.net;play=/provisioned/welcome", 404, "Announcement content not found"),
        ("sip:annc@media.example.net;play=imap://joe%40evil.example/INBOX/%3BUID%3D1", 403, "Content host not allowed"),
        ("sip:dialog@media.example.net;voicexml=http://imap.example.com/x", 488, "Not Acceptable Here"),
        ("sip:conf=7@media.example.net;isfocus", 488, "Not Acceptable Here"),
        ("sip:joe@media.example.net", 488, "Not Acceptable Here"),
        ("sip:media.example.net", 488, "Not Acceptable Here"),
    ],
)
def test_a_bad_request_uri_is_refused_with_its_reason(uri: str, status: int, reason: str) -> None:
    response = refusal(Replay(), SipUri.parse(uri))
    assert (response.status, response.reason) == (status, reason)


@pytest.mark.parametrize("uri", [ANNC, IVR])
def test_an_offer_without_a_common_codec_gets_488(uri: SipUri) -> None:
    offer = make_offer("192.0.2.3", 20000, [Codec("G729", 8000)])
    replay = Replay()
    response = refusal(replay, uri, bytes(offer))
    assert response.status == 488
    assert (response.headers.get("Warning") or "").startswith("304 ")
    assert "StartFetch" not in replay.log


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"v=1\r\nrubbish", "application/sdp", 400),
        (b"\xff\xfe\0", "application/sdp", 400),
        (bytes(OFFER).replace(b"IP4 192.0.2.3", b"IP4 ::1"), "application/sdp", 400),
        (write_document(COLLECT), CONTENT_TYPE, 415),
    ],
    ids=["no-sdp", "no-text", "wrong-family", "mscml"],
)
def test_a_bad_offer_gets_400_or_415(body: bytes, kind: str, status: int) -> None:
    assert refusal(Replay(), IVR, body, kind).status == status


@pytest.mark.parametrize("uri", [ANNC, IVR])
@pytest.mark.parametrize(("connection", "warning"), [(b"IP4 client.example", "301"), (b"IP6 2001:db8::3", "300")])
def test_an_address_that_cannot_be_reached_gets_488_with_its_warning(
    uri: SipUri, connection: bytes, warning: str
) -> None:
    response = refusal(Replay(), uri, bytes(OFFER).replace(b"c=IN IP4 192.0.2.3", b"c=IN " + connection))
    assert (response.status, (response.headers.get("Warning") or "")[:4]) == (488, f"{warning} ")


def mixed(*parts: bytes) -> bytes:
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


SDP_PART = b"Content-Type: application/sdp\r\n\r\n" + bytes(OFFER)
NOTE_PART = b"Content-Type: text/plain\r\nContent-Disposition: render; handling=optional\r\n\r\nhello"
MSCML_PART = f"Content-Type: {CONTENT_TYPE}\r\n\r\n".encode() + write_document(COLLECT)


def test_an_offer_in_multipart_mixed_is_read() -> None:
    replay = Replay()
    replay.invite(IVR, mixed(NOTE_PART, SDP_PART), "multipart/mixed; boundary=b")
    assert isinstance(replay.heard[-1], CallAnswered)


@pytest.mark.parametrize(
    ("body", "status"),
    [(mixed(SDP_PART, MSCML_PART), 415), (b"--b\r\n", 400), (b"--", 400)],
    ids=["mscml", "broken", "none"],
)
def test_multipart_with_other_than_an_offer_is_refused(body: bytes, status: int) -> None:
    response = refusal(Replay(), IVR, body, "multipart/mixed; boundary=b")
    assert response.status == status
    accepted = "application/sdp, multipart/mixed, multipart/alternative"
    assert response.headers.get("Accept") == (accepted if status == 415 else None)


def test_optional_parts_are_ignored() -> None:
    replay = Replay()
    replay.invite(IVR, mixed(NOTE_PART), "multipart/mixed; boundary=b")
    (answered,) = [event for event in replay.heard if isinstance(event, CallAnswered)]
    assert answered.response.body.startswith(b"v=0")  # the offer is the server's


def test_an_unknown_content_type_gets_415() -> None:
    """The message of RFC 4475 section 3.3.6, with its body."""
    body = b'<audio>\r\n <pcmu port="443"/>\r\n</audio>\r\n'
    assert refusal(Replay(), IVR, body, "application/unknownformat").status == 415


def test_a_call_without_free_ports_gets_486() -> None:
    busy = refusal(Replay(ports=0), IVR)
    assert (busy.status, busy.headers.get("Retry-After")) == (486, "10")


def test_call_that_lasts_too_long_is_hung_up() -> None:
    replay = Replay(config=replace(CONFIG, limits=Limits(call_seconds=60)))
    replay.invite(IVR, bytes(OFFER))
    replay.advance(59)
    assert not replay.server.idle
    assert replay.server.next_timer() == 160
    replay.advance(2)
    assert replay.server.next_timer() is None
    assert isinstance(replay.heard[-1], CallEnded)
    assert replay.server.idle


def test_shutting_down_hangs_up_and_refuses() -> None:
    replay = Replay(fetch=lambda command: None)
    replay.invite(IVR, bytes(OFFER))
    replay.invite(ANNC, bytes(OFFER))
    replay.server.shut_down(replay.now)
    replay.settle()
    assert any(isinstance(event, ByeReceived) for event in replay.heard)
    refused = next(event for event in replay.heard if isinstance(event, CallRefused))
    assert refused.response is not None
    assert refused.response.status == 503
    assert replay.server.idle
    replay.heard.clear()
    replay.invite(IVR, bytes(OFFER))
    assert isinstance(replay.heard[-1], CallRefused)
