"""The INVITEs that begin a call, and those that are refused (RFC 4240 section 2, RFC 5022 section 3)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lemonade_media.calls.admission import NotAdmittedError, admit, phrase
from lemonade_media.calls.call import MediaCall
from lemonade_media.faults.calls import OK_BEFORE_URLFETCH
from lemonade_media.model.actions import Accept, FetchMedia
from lemonade_media.services.announcement import Announcement
from lemonade_media.services.ivr import IvrSession
from lemonade_media.testing import CALLER, CONFIG
from lemonade_wire.faults import Fault
from lemonade_wire.sip.event import InviteReceived
from lemonade_wire.sip.message import build

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.3\r\ns=-\r\nc=IN IP4 192.0.2.3\r\nt=0 0\r\nm=audio 9224 RTP/AVP 0\r\n"
ANNC = "sip:annc@media.example.net;play=imap://joe%40imap.example.com/INBOX/%3BUID%3D1"


def invited(target: str, body: bytes = SDP, kind: str = "application/sdp", fault: Fault | None = None) -> MediaCall:
    return admit(InviteReceived("call-1", build("INVITE", target, [], body, kind), CALLER), CONFIG, 10, fault)


@pytest.mark.parametrize("target", [ANNC, ANNC.replace("annc", "ANNC"), ANNC + ";early=yes;ext=1"])
def test_an_invite_to_annc_begins_an_announcement(target: str) -> None:
    call = invited(target)
    assert isinstance(call.service, Announcement)
    assert call.service.start(0) == [FetchMedia("imap://joe@imap.example.com/INBOX/;UID=1")]
    assert call.give_up_at == 10 + CONFIG.limits.call_seconds


def test_an_invite_to_ivr_begins_a_session_also_without_an_offer() -> None:
    call = invited("sip:IVR@media.example.net", b"", "")
    assert isinstance(call.service, IvrSession)
    assert call.offer is None


@pytest.mark.parametrize(
    ("target", "body", "kind", "status", "reason"),
    [
        ("sip:conf=1@media.example.net", SDP, "application/sdp", 488, ""),
        ("sip:media.example.net", SDP, "application/sdp", 488, ""),
        ("sip:annc@media.example.net", SDP, "application/sdp", 400, "Mandatory play parameter missing"),
        (ANNC, SDP, "application/mediaservercontrol+xml", 415, ""),
        (ANNC, b"hello", "application/sdp", 400, "Bad session description"),
    ],
)
def test_each_refused_invite_has_its_status(target: str, body: bytes, kind: str, status: int, reason: str) -> None:
    with pytest.raises(NotAdmittedError) as refused:
        invited(target, body, kind)
    assert refused.value.status == status
    assert refused.value.reason.startswith(reason)
    assert ("Accept" in dict(refused.value.headers)) == (status == 415)


def test_a_service_that_is_not_offered_gets_488() -> None:
    config = replace(CONFIG, services=frozenset({"annc"}))
    for target, offered in ((ANNC, True), ("sip:ivr@media.example.net", False)):
        event = InviteReceived("call-1", build("INVITE", target, [], SDP, "application/sdp"), CALLER)
        if offered:
            assert admit(event, config, 10, None).offer is not None
        else:
            with pytest.raises(NotAdmittedError, match="488"):
                admit(event, config, 10, None)


def test_fault_accepts_before_it_fetches() -> None:
    assert invited(ANNC, fault=OK_BEFORE_URLFETCH).service.start(0)[0] == Accept()


def test_phrase_is_one_line() -> None:
    assert phrase("two\r\nlines\0" + "x" * 300) == "two  lines " + "x" * 189
