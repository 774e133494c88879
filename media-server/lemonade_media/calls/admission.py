"""Decides which INVITEs are accepted, by service, parameters and body, before any port is bound or URL fetched.

The service indicators are those of RFC 4240 section 2 and RFC 5022 section 3.
"""

from __future__ import annotations

from cryptography import x509

from lemonade_media.calls.call import CallService, MediaCall
from lemonade_media.config import MediaConfig
from lemonade_media.faults.calls import MOVE_IGNORED, NO_IMAP, NO_IMAP_ELSEWHERE, OK_BEFORE_URLFETCH
from lemonade_media.faults.sip import REFUSES_EVERYTHING
from lemonade_media.services.announcement import Announcement
from lemonade_media.services.ivr import IvrSession
from lemonade_wire.faults import Fault
from lemonade_wire.sdp.codec import SdpError
from lemonade_wire.sdp.description import SessionDescription
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.event import InviteReceived
from lemonade_wire.sip.message import SipRequest
from lemonade_wire.sip.message.body import SDP, session_description
from lemonade_wire.sip.netann import AnnouncementError, AnnouncementUri, service_of


class NotAdmittedError(Exception):
    """An INVITE is to be refused with this status, reason phrase (empty: the default one) and further headers."""

    def __init__(self, status: int, reason: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = phrase(reason)
        self.headers = headers


def admit(event: InviteReceived, config: MediaConfig, now: float, fault: Fault | None) -> MediaCall:
    """Return the new call for an INVITE that is acceptable; raises NotAdmittedError."""
    service = _service(event.request, config, fault)
    give_up_at = now + config.limits.call_seconds
    return MediaCall(
        event.call,
        service,
        offer_of(event.request),
        caller=event.source.host,
        give_up_at=give_up_at,
        certificate=_certificate_of(event.request, config),
    )


def _certificate_of(request: SipRequest, config: MediaConfig) -> x509.Certificate | None:
    """Return the configured certificate for the URI of the From header, None if there is none.

    A From header can be forged, but only the owner of the certificate's key can read what is encrypted for it.
    """
    try:
        return config.smime.peers.find(request.from_.sip_uri)
    except SipParseError:
        return None  # the From is no SIP URI, but a tel: URI for example


def another_service(
    call: MediaCall, request: SipRequest, config: MediaConfig, fault: Fault | None
) -> CallService | None:
    """Return the service that a re-INVITE moves a call to (RFC 5022 section 3); None if the call keeps its service.

    The call keeps its service if the Request-URI names no service, the same service without `play` (as the Contact
    does), or the same announcement as before. Raises NotAdmittedError.
    """
    asked = service_of(request.uri)
    if fault is MOVE_IGNORED or not asked or (asked == "ivr" and isinstance(call.service, IvrSession)):
        return None
    announced = call.service.uri if isinstance(call.service, Announcement) else None
    if asked == "annc" and announced is not None and request.uri.param("play") is None:
        return None
    service = _service(request, config, fault)
    return None if isinstance(service, Announcement) and service.uri == announced else service


def phrase(problem: object) -> str:
    """Return a text as a SIP reason phrase: one line of printable characters, at most 200 of them."""
    return "".join(char if char.isprintable() else " " for char in str(problem))[:200]


def _service(request: SipRequest, config: MediaConfig, fault: Fault | None) -> CallService:
    asked = service_of(request.uri)
    served = asked in config.services and fault is not REFUSES_EVERYTHING
    match asked if served else "other":
        case "annc":
            try:
                uri = AnnouncementUri.parse(request.uri)
            except AnnouncementError as problem:
                raise NotAdmittedError(problem.status, problem.reason) from problem
            elsewhere = request.uri.port not in {None, 5060}
            if fault is NO_IMAP or (fault is NO_IMAP_ELSEWHERE and elsewhere):
                raise NotAdmittedError(404, "Announcement content not found")
            early = fault is OK_BEFORE_URLFETCH
            return Announcement(uri, config.max_announcement_seconds * 1000, accept_early=early)
        case "ivr":
            return IvrSession(config.recordings)
        case _:
            raise NotAdmittedError(488)  # RFC 4240 section 2


def offer_of(request: SipRequest) -> SessionDescription | None:
    """Return the SDP offer of an INVITE, None if it has no body; raises NotAdmittedError (400 or 415)."""
    try:
        body = session_description(request)
        return SessionDescription.parse(body) if body is not None else None
    except SipParseError as problem:
        if problem.status != 415:
            raise NotAdmittedError(problem.status, problem.reason) from problem
        # RFC 5022 section 3: an INVITE carries no MSCML, so Accept does not list it here.
        raise NotAdmittedError(415, "", (("Accept", f"{SDP}, multipart/mixed, multipart/alternative"),)) from problem
    except SdpError as problem:
        raise NotAdmittedError(400, f"Bad session description: {problem}") from problem
