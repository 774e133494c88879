"""The body of an INVITE: a session description, alone or inside multipart/mixed (RFC 5022 section 3, RFC 5621)."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message

from lemonade_wire.sip.message import Request

SDP = "application/sdp"


class UnsupportedBodyError(Exception):
    """The body holds something that must be understood and is not: SIP 415."""


def session_description(request: Request) -> bytes | None:
    """Return the SDP of an INVITE, None where it has no body; raises UnsupportedBodyError.

    Parts of other types are passed over where their handling is optional; without a word on it, it is required
    (RFC 3261 section 20.11).
    """
    if not request.body:
        return None
    if request.content_type == SDP:
        return request.body
    if request.content_type != "multipart/mixed":
        raise UnsupportedBodyError(f"{request.content_type or 'no'} body")
    head = f"Content-Type: {request.headers.get('Content-Type')}\r\n\r\n".encode(errors="replace")
    found: bytes | None = None
    for part in _leaves(message_from_bytes(head + request.body)):
        if part.get_content_type() == SDP and found is None:
            payload = part.get_payload(decode=True)
            found = payload if isinstance(payload, bytes) else b""
        elif str(part.get_param("handling", "required", "Content-Disposition")).lower() != "optional":
            raise UnsupportedBodyError(f"{part.get_content_type()} part")
    if found is None:
        raise UnsupportedBodyError("no session description")
    return found


def charset_of(request: Request) -> str | None:
    """Return the charset parameter of the Content-Type."""
    header = Message()
    header["Content-Type"] = request.headers.get("Content-Type") or ""
    return header.get_content_charset()


def _leaves(message: Message) -> list[Message]:
    return [part for part in message.walk() if not part.is_multipart()]
