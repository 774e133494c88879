"""Which INVITEs are taken: service, parameters and body, before any port or fetch (RFC 4240 section 2, RFC 5022)."""

from __future__ import annotations

from cryptography import x509

from lemonade_media import faults
from lemonade_media.announcement import Announcement
from lemonade_media.calls import Call, CallService
from lemonade_media.config import MediaConfig
from lemonade_media.ivr import IvrSession
from lemonade_wire.faults import Fault
from lemonade_wire.sdp.codec import SdpError
from lemonade_wire.sdp.description import SessionDescription
from lemonade_wire.sip.body import SDP, session_description
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.event import InviteReceived
from lemonade_wire.sip.message import Request
from lemonade_wire.sip.netann import AnnouncementError, AnnouncementUri, service_of


class NotAdmittedError(Exception):
    """An INVITE is refused with this status, reason phrase (empty: the usual one) and headers."""

    def __init__(self, status: int, reason: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = phrase(reason)
        self.headers = headers


def admit(event: InviteReceived, config: MediaConfig, now: float, fault: Fault | None) -> Call:
    """Return the call that an INVITE begins; raises NotAdmittedError."""
    service = _service(event.request, config, fault)
    give_up_at = now + config.limits.call_seconds
    return Call(
        event.call,
        service,
        offer_of(event.request),
        caller=event.source.host,
        give_up_at=give_up_at,
        certificate=_certificate_of(event.request, config),
    )


def _certificate_of(request: Request, config: MediaConfig) -> x509.Certificate | None:
    """Return the certificate of whom the From names: a From proves nothing, and the key behind it does."""
    try:
        return config.smime.peers.find(request.from_.sip_uri)
    except SipParseError:
        return None  # tel:, say


def another_service(call: Call, request: Request, config: MediaConfig, fault: Fault | None) -> CallService | None:
    """Return the service that a re-INVITE moves a call to (RFC 5022 section 3); None: it stays where it is.

    It stays with its own service's name alone, which is what the Contact says, with no name, and with the same
    announcement as before. Raises NotAdmittedError.
    """
    asked = service_of(request.uri)
    if isinstance(fault, faults.MoveIgnored) or not asked or (asked == "ivr" and isinstance(call.service, IvrSession)):
        return None
    announced = call.service.uri if isinstance(call.service, Announcement) else None
    if asked == "annc" and announced is not None and request.uri.param("play") is None:
        return None
    service = _service(request, config, fault)
    return None if isinstance(service, Announcement) and service.uri == announced else service


def phrase(problem: object) -> str:
    """Return a text as a reason phrase: one line of printable characters."""
    return "".join(char if char.isprintable() else " " for char in str(problem))[:200]


def _service(request: Request, config: MediaConfig, fault: Fault | None) -> CallService:
    asked = service_of(request.uri)
    match asked if asked in config.services else "other":
        case "annc":
            try:
                uri = AnnouncementUri.parse(request.uri)
            except AnnouncementError as problem:
                raise NotAdmittedError(problem.status, problem.reason) from problem
            elsewhere = request.uri.port not in {None, 5060}
            if isinstance(fault, faults.NoImapElsewhere) and elsewhere:
                raise NotAdmittedError(404, "Announcement content not found")
            early = isinstance(fault, faults.OkBeforeUrlfetch)
            return Announcement(uri, config.max_announcement_seconds * 1000, accept_early=early)
        case "ivr":
            return IvrSession(config.recordings)
        case _:
            raise NotAdmittedError(488)  # RFC 4240 section 2


def offer_of(request: Request) -> SessionDescription | None:
    """Return the offer of an INVITE, None where it holds none; raises NotAdmittedError."""
    try:
        body = session_description(request)
        return SessionDescription.parse(body) if body is not None else None
    except SipParseError as problem:
        if problem.status != 415:
            raise NotAdmittedError(problem.status, problem.reason) from problem
        # RFC 5022 section 3: no MSCML in an INVITE either.
        raise NotAdmittedError(415, "", (("Accept", f"{SDP}, multipart/mixed, multipart/alternative"),)) from problem
    except SdpError as problem:
        raise NotAdmittedError(400, f"Bad session description: {problem}") from problem
