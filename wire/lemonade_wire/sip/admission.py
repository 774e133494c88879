"""What a user agent refuses before anybody looks at the call (RFC 3261 section 8.2)."""

from __future__ import annotations

from typing import NamedTuple

from lemonade_wire.sip.message import Request
from lemonade_wire.sip.settings import UaSettings

KNOWN_METHODS = frozenset(
    {"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "PRACK", "SUBSCRIBE", "NOTIFY", "PUBLISH"}
    | {"INFO", "REFER", "MESSAGE", "UPDATE"}
)


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
        status = 405 if request.method in KNOWN_METHODS else 501
        return Refusal(status, (allow(settings),))
    scheme = request.target.partition(":")[0].lower()
    if scheme == "sips":
        # RFC 5630 section 3.3: no TLS here.
        return Refusal(480, (("Warning", f'380 {settings.address.host} "SIPS Not Allowed"'),))
    if scheme != "sip":
        return Refusal(416)
    if request.method == "CANCEL":
        return None
    unsupported = [tag for tag in request.headers.items("Require") if tag not in settings.supported]
    if unsupported:
        return Refusal(420, (("Unsupported", ", ".join(unsupported)),))
    codings = [coding.lower() for coding in request.headers.items("Content-Encoding")]
    if any(coding != "identity" for coding in codings):
        return Refusal(415, (("Accept-Encoding", "identity"),))
    if request.method == "INVITE" and request.contact is None:
        return Refusal(400, (), "Missing Contact")
    return None


def allow(settings: UaSettings) -> tuple[str, str]:
    """Return the Allow header."""
    return "Allow", ", ".join(settings.methods)


def accept(settings: UaSettings) -> tuple[str, str]:
    """Return the Accept header."""
    return "Accept", ", ".join(settings.accept)


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
