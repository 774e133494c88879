"""The faults of the client in MSCML: its requests, the bodies that carry them, and its answers to responses."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace

from lemonade_client.behaviour import ClientBehaviour
from lemonade_wire.faults import FaultRow
from lemonade_wire.mscml.document import CONTENT_TYPE
from lemonade_wire.mscml.messages import PlayCollectRequest, PlayRequest
from lemonade_wire.sip.message.fault import Edit, EditedMessage, MessageEdit, change_body, change_header
from lemonade_wire.sip.message.smime import MimeBody


def _with_items_twice(request: PlayCollectRequest) -> PlayCollectRequest:
    prompt = request.prompt
    return replace(request, prompt=prompt and replace(prompt, items=prompt.items * 2))


def _with_offer(description: bytes, request: bytes) -> tuple[str, bytes]:
    """Return the type and the octets of a multipart body of the offer and the request."""
    parts = (("application/sdp", description), (CONTENT_TYPE, request))
    body = b"".join(b"--part\r\nContent-Type: %s\r\n\r\n%s\r\n" % (kind.encode(), one) for kind, one in parts)
    return "multipart/mixed;boundary=part", body + b"--part--\r\n"


def _in_base64(body: MimeBody) -> MimeBody:
    encoding = ("Content-Transfer-Encoding", "base64")
    return replace(body, headers=(*body.headers, encoding), octets=base64.encodebytes(body.octets))


def _secured_in_base64(secured: MimeBody, clear: MimeBody) -> MimeBody:
    headers = [(name, "base64" if value == "binary" else value) for name, value in secured.headers]
    return replace(secured, headers=tuple(headers), octets=base64.encodebytes(secured.octets))


def _encode_mscml(encoding: str, encode: Callable[[str], str]) -> Edit:
    """Return the edit that applies a content transfer encoding to a body that is MSCML."""

    def edit(message: EditedMessage) -> None:
        if message.header("Content-Type").startswith(CONTENT_TYPE):
            message.put("Content-Transfer-Encoding", encoding)
            message.set_body(encode(message.body))

    return edit


def _to_base64(body: str) -> str:
    return base64.encodebytes(body.encode()).decode().replace("\n", "\r\n")


def _to_quoted_printable(body: str) -> str:
    """Return a body in quoted-printable, with a soft line break after at most 60 characters (RFC 2045 section 6.7)."""
    lines = body.replace("=", "=3D").split("\r\n")
    return "\r\n".join("=\r\n".join(re.findall(r"(?:=3D|.){1,60}", line)) for line in lines)


MSCML_FAULTS: tuple[FaultRow, ...] = (
    ClientBehaviour(
        "timers-not-zero",
        "sets the digit timers of <playcollect> to 100 ms",
        ("LS-2.7-5",),
        request_to_send=lambda request: replace(request, first_digit_ms=100, interdigit_ms=100, extra_digit_ms=100),
    ),
    ClientBehaviour(
        "two-audios",
        "names the content twice in the prompt",
        ("LS-2.7-9",),
        request_to_send=_with_items_twice,
    ),
    ClientBehaviour(
        "plays-on-error",
        "leaves stoponerror out of the prompt",
        ("LS-2.7-11",),
        request_to_send=lambda request: replace(
            request, prompt=request.prompt and replace(request.prompt, stop_on_error=False)
        ),
    ),
    ClientBehaviour(
        "begins-late",
        "asks for the content from 300 ms on, wherever it is to begin",
        ("RFC5022-6.1",),
        request_to_send=lambda request: replace(
            request, prompt=request.prompt and replace(request.prompt, offset_ms=300)
        ),
    ),
    ClientBehaviour(
        "keys-swapped",
        "names the key that skips back as the one that skips forward, and the other way round",
        ("LS-2.7-7",),
        request_to_send=lambda request: replace(request, ff_key=request.rw_key, rw_key=request.ff_key),
    ),
    ClientBehaviour(
        "plays-only",
        "asks by <play>, which no key controls",
        ("LS-2.7-4",),
        request_to_send=lambda request: PlayRequest(request.prompt, request.id),
    ),
    ClientBehaviour(
        "no-ok-to-response",
        "leaves the INFO with the response to <playcollect> without an answer",
        ("LS-2.7-18",),
        answers_response=False,
    ),
    ClientBehaviour(
        "mscml-in-invite",
        "sends the first MSCML request in the INVITE, beside the offer",
        ("LS-2.7-2",),
        invite_body=_with_offer,
    ),
    ClientBehaviour(
        "mscml-as-text",
        "sends MSCML requests as text/xml",
        ("LS-2.7-3", "LS-2.4-5"),
        mscml_type="text/xml",
    ),
    ClientBehaviour(
        "mscml-in-base64",
        "sends MSCML requests in base64",
        ("SM-4-1",),
        clear_body=_in_base64,
    ),
    ClientBehaviour(
        "mscml-in-clear",
        "sends MSCML in the clear though it could encrypt it",
        ("LS-2.4-4", "LS-3-5"),
        secured_body=lambda secured, clear: clear,
    ),
    ClientBehaviour(
        "falls-back-to-clear",
        "sends MSCML in the clear where it is refused encrypted",
        ("LS-2.4-4", "LS-3-5"),
        falls_back_to_clear=True,
    ),
    ClientBehaviour(
        "smime-in-base64",
        "sends encrypted bodies in base64",
        ("SM-4-1",),
        secured_body=_secured_in_base64,
    ),
    MessageEdit(
        "smime-type-wrong",
        "names encrypted bodies signed-data",
        ("RFC8551-3.2.2",),
        "INFO",
        change_header("Content-Type", "enveloped-data", "signed-data"),
    ),
    MessageEdit(
        "mscml-version-2",
        "sends MSCML requests of version 2.0",
        ("RFC5022-11",),
        ".*",
        change_body('(<MediaServerControl version=)"1.0"', r'\1"2.0"'),
    ),
    MessageEdit(
        "bodies-in-base64",
        "sends MSCML in base64",
        ("SM-4-1",),
        ".*",
        _encode_mscml("base64", _to_base64),
    ),
    MessageEdit(
        "bodies-in-quoted-printable",
        "sends MSCML in quoted-printable",
        ("SM-4-1",),
        ".*",
        _encode_mscml("quoted-printable", _to_quoted_printable),
    ),
)
