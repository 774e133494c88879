"""What a user agent refuses before anybody looks at the call (RFC 3261 section 8.2)."""

from __future__ import annotations

from typing import NamedTuple

from lemonade_wire.sip.body import SDP
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.matching import COOKIE, bracketed
from lemonade_wire.sip.message import METHODS, Request
from lemonade_wire.sip.session import LEAST, TIMER, too_small
from lemonade_wire.sip.settings import UaSettings


class Refusal(NamedTuple):
    """A final response that the user agent gives by itself."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    reason: str = ""


def refusal(request: Request, settings: UaSettings) -> Refusal | None:
    """Return why a request other than ACK is refused whatever it is for; None: it is not.

    Max-Forwards of 0 is no reason: an endpoint is where a request was to go (RFC 4475 section 3.3.11).
    """
    if request.method not in settings.methods:
        status = 405 if request.method in METHODS else 501
        return Refusal(status, (allow(settings),))
    if len(request.target) > settings.max_uri:
        return Refusal(414)
    scheme = request.target.partition(":")[0].lower()
    if scheme == "sips":
        # RFC 5630 section 3.3: no TLS here.
        return Refusal(480, (_warning(settings, 380, "SIPS Not Allowed"),))
    if scheme != "sip":
        return Refusal(416)
    if request.method == "CANCEL":
        return None
    unsupported = [tag for tag in request.require if tag not in settings.supported]
    if unsupported:
        return Refusal(420, (("Unsupported", ", ".join(unsupported)),))
    if any(coding != "identity" for coding in request.codings):
        return Refusal(415, (("Accept-Encoding", "identity"),))
    if len(request.body) > settings.max_body:
        return Refusal(413)
    return _invite_refusal(request, settings) if request.method == "INVITE" else None


def _invite_refusal(request: Request, settings: UaSettings) -> Refusal | None:
    if request.contact is None and request.vias[0].branch.startswith(COOKIE):
        # A peer of RFC 2543 need not have one; its From says where it is then.
        return Refusal(400, (), "Missing Contact")
    if request.accept is not None and not any(media.covers(SDP) for media in request.accept):
        # RFC 4475 section 3.3.15.
        return Refusal(406, (_warning(settings, 399, f"INVITE is answered with {SDP}"),))
    return _timer_refusal(request) if TIMER in settings.supported else None


def _timer_refusal(request: Request) -> Refusal | None:
    try:
        return Refusal(422, (("Min-SE", str(LEAST)),)) if too_small(request) else None
    except SipParseError as problem:
        return Refusal(400, (), problem.reason)


def _warning(settings: UaSettings, code: int, text: str) -> tuple[str, str]:
    return "Warning", f'{code} {bracketed(settings.address.host)} "{text}"'


def allow(settings: UaSettings) -> tuple[str, str]:
    """Return the Allow header."""
    return "Allow", ", ".join(settings.methods)


def accept(settings: UaSettings) -> tuple[str, str]:
    """Return the Accept header."""
    return "Accept", ", ".join(settings.accept)


def supported(settings: UaSettings) -> list[tuple[str, str]]:
    """Return the Supported header, or nothing."""
    return [("Supported", ", ".join(settings.supported))] if settings.supported else []


def capabilities(request: Request, settings: UaSettings) -> Refusal:
    """Return the answer to OPTIONS outside a dialog (section 11.2): 200, or 488 for a user part not served."""
    user = request.uri.user
    if user is not None and settings.users is not None and user.lower() not in settings.users:
        return Refusal(488)
    return Refusal(
        200,
        (
            allow(settings),
            accept(settings),
            ("Accept-Encoding", "identity"),
            ("Accept-Language", "en"),
            ("Supported", ", ".join(settings.supported)),
        ),
    )
