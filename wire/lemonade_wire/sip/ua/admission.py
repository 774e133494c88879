"""The requests that a user agent refuses without asking the application (RFC 3261 section 8.2)."""

from __future__ import annotations

from typing import NamedTuple

from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message.body import SDP
from lemonade_wire.sip.message.message import METHODS, SipRequest
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.transaction.matching import COOKIE, bracketed
from lemonade_wire.sip.ua.session_timer import LEAST, TIMER, too_small


class SipRefusal(NamedTuple):
    """A final response that the user agent sends by itself. An empty `reason` stands for the phrase of RFC 3261."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    reason: str = ""


def refusal(request: SipRequest, settings: UaSettings) -> SipRefusal | None:
    """Return the response that refuses a request other than ACK; None if it is not refused.

    Max-Forwards 0 is accepted, because an endpoint does not forward the request (RFC 4475 section 3.3.11).
    """
    if request.method not in settings.methods:
        status = 405 if request.method in METHODS else 501
        return SipRefusal(status, (allow(settings),))
    if len(request.target) > settings.max_uri:
        return SipRefusal(414)
    scheme = request.target.partition(":")[0].lower()
    if scheme == "sips":
        # RFC 5630 section 3.3: this code has no SIP over TLS, so that a sips URI cannot be served.
        return SipRefusal(480, (_warning(settings, 380, "SIPS Not Allowed"),))
    if scheme != "sip":
        return SipRefusal(416)
    if request.method == "CANCEL":
        return None
    unsupported = [tag for tag in request.require if tag not in settings.supported]
    if unsupported:
        return SipRefusal(420, (("Unsupported", ", ".join(unsupported)),))
    if any(coding != "identity" for coding in request.codings):
        return SipRefusal(415, (("Accept-Encoding", "identity"),))
    if len(request.body) > settings.max_body:
        return SipRefusal(413)
    return _invite_refusal(request, settings) if request.method == "INVITE" else None


def _invite_refusal(request: SipRequest, settings: UaSettings) -> SipRefusal | None:
    if request.contact is None and request.vias[0].branch.startswith(COOKIE):
        # A peer of RFC 2543, whose branch lacks the cookie, may omit Contact; its From is the remote target then.
        return SipRefusal(400, (), "Missing Contact")
    if request.accept is not None and not any(media.covers(SDP) for media in request.accept):
        # RFC 4475 section 3.3.15: the Accept of an INVITE has to include SDP, or the INVITE cannot be answered.
        return SipRefusal(406, (_warning(settings, 399, f"INVITE is answered with {SDP}"),))
    return _timer_refusal(request) if TIMER in settings.supported else None


def _timer_refusal(request: SipRequest) -> SipRefusal | None:
    try:
        return SipRefusal(422, (("Min-SE", str(LEAST)),)) if too_small(request) else None
    except SipParseError as problem:
        return SipRefusal(400, (), problem.reason)


def _warning(settings: UaSettings, code: int, text: str) -> tuple[str, str]:
    return "Warning", f'{code} {bracketed(settings.address.host)} "{text}"'


def allow(settings: UaSettings) -> tuple[str, str]:
    """Return the Allow header."""
    return "Allow", ", ".join(settings.methods)


def accept(settings: UaSettings) -> tuple[str, str]:
    """Return the Accept header."""
    return "Accept", ", ".join(settings.accept)


def supported(settings: UaSettings) -> list[tuple[str, str]]:
    """Return the Supported header; an empty list if no option tag is supported."""
    return [("Supported", ", ".join(settings.supported))] if settings.supported else []


def capabilities(request: SipRequest, settings: UaSettings) -> SipRefusal:
    """Return the answer to OPTIONS outside a dialog (section 11.2): 200, or 488 for a user part not served."""
    user = request.uri.user
    if user is not None and settings.users is not None and user.lower() not in settings.users:
        return SipRefusal(488)
    return SipRefusal(
        200,
        (
            allow(settings),
            accept(settings),
            ("Accept-Encoding", "identity"),
            ("Accept-Language", "en"),
            ("Supported", ", ".join(settings.supported)),
        ),
    )
