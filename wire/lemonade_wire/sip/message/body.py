"""Message bodies: one MIME entity or a tree of parts (RFC 2046, RFC 3261 section 7.4, RFC 5621).

The readers raise SipParseError with status 400 for malformed MIME, and with status 415 for a body that the request
requires to be understood and that is not understood.
"""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from lemonade_wire.sdp.codec import SdpError
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message.header_section import Headers
from lemonade_wire.sip.message.header_values import MediaType
from lemonade_wire.sip.message.message import SipMessage
from lemonade_wire.sip.message.text import find_param, parse_params, unquoted

SDP = "application/sdp"
MAX_BOUNDARY = 70
MAX_DEPTH = 8
"""Levels of nested multiparts. Bounds the work: a part is scanned once for each multipart around it."""
MAX_PARTS = 100
_NO_TYPE = "text/plain"
_IDENTITY = frozenset({"", "binary", "8bit", "7bit"})
_BLANK_LINE = re.compile(rb"(?:\A|\r?\n)\r?\n")
_LINE_END = re.compile(rb"[ \t]*\r?\n")


@dataclass(frozen=True)
class Entity:
    """A MIME entity: a message body, or one part of it."""

    headers: Headers
    octets: bytes
    """The content as received, still in its transfer encoding."""
    depth: int = 0
    """Number of entities around this one: multiparts and encrypted bodies."""

    @classmethod
    def of(cls, message: SipMessage) -> Self:
        """Return the body of a message; raises SipParseError (400) for a body without Content-Type."""
        if message.body and "Content-Type" not in message.headers:
            # RFC 3261 section 20.15. Only a part of a multipart may omit it (RFC 2046 section 5.1).
            raise SipParseError("Missing Content-Type")
        return cls(message.headers, message.body)

    # RFC 2046 section 5.1.1: body-part := MIME-part-headers [CRLF *OCTET]
    @classmethod
    def read(cls, text: bytes, depth: int, *, what: str = "a part") -> Self:
        """Parse an entity inside another one: headers, a blank line, and the content.

        `what` names the entity in the text of the SipParseError.
        """
        blank = _BLANK_LINE.search(text)
        head, octets = (text[: blank.start()], text[blank.end() :]) if blank else (text, b"")
        headers, error = Headers.parse(head.decode(errors="surrogateescape"))
        if error is not None:
            raise SipParseError(f"{error.reason} in {what}")
        return cls(headers, octets, depth)

    @cached_property
    def media(self) -> MediaType:
        """The Content-Type; text/plain if a part has none (RFC 2046 section 5.1); raises SipParseError."""
        try:
            return MediaType.parse(self.headers.get("Content-Type") or _NO_TYPE)
        except SipParseError as error:
            raise SipParseError(f"Bad Content-Type: {error.reason}") from error

    @property
    def is_multipart(self) -> bool:
        """Whether the entity is a multipart of any subtype."""
        return self.media.name.startswith("multipart/")

    @property
    def disposition(self) -> str:
        """The Content-Disposition type, lower case; by default `session` for SDP, else `render` (RFC 3261, 20.11)."""
        name = (self.headers.get("Content-Disposition") or "").partition(";")[0].strip().lower()
        return name or ("session" if self.media.name == SDP else "render")

    @property
    def required(self) -> bool:
        """Whether a request must be refused if this entity is not understood (RFC 3261 section 20.11).

        That is so unless Content-Disposition has `handling=optional`. Raises SipParseError.
        """
        _, semicolon, params = (self.headers.get("Content-Disposition") or "").partition(";")
        try:
            handling = find_param(parse_params(semicolon + params), "handling")
        except SipParseError as error:
            raise SipParseError(f"Bad Content-Disposition: {error.reason}") from error
        return handling is None or unquoted(handling).lower() != "optional"

    # RFC 2046 section 5.1.1:
    #   multipart-body   :=  [preamble CRLF] dash-boundary transport-padding CRLF body-part
    #                        *encapsulation close-delimiter transport-padding [CRLF epilogue]
    #   encapsulation    :=  delimiter transport-padding CRLF body-part
    #   delimiter        :=  CRLF dash-boundary
    #   dash-boundary    :=  "--" boundary
    #   close-delimiter  :=  delimiter "--"
    @cached_property
    def parts(self) -> list[Entity]:
        """The parts of a multipart, without preamble and epilogue; raises SipParseError."""
        boundary = (self.media.param("boundary") or "").encode(errors="surrogateescape")
        if not 0 < len(boundary) <= MAX_BOUNDARY:
            raise SipParseError("Multipart without a boundary")
        if self.depth >= MAX_DEPTH:
            raise SipParseError("Too many multiparts inside one another", status=415)
        # The line end before a delimiter is part of the delimiter, not of the content.
        delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
        found: list[Entity] = []
        start: int | None = None
        for match in delimiter.finditer(self.octets):
            if start is not None:
                found.append(self._part(self.octets[start : match.start()]))
            if match[1]:
                break
            start = match.end()
            if len(found) >= MAX_PARTS:
                raise SipParseError("Too many parts", status=415)
        else:
            raise SipParseError("Multipart without its last boundary")
        if not found:
            raise SipParseError("Multipart without a part")
        return found

    def _part(self, text: bytes) -> Entity:
        line_end = _LINE_END.match(text)
        return Entity.read(text[line_end.end() :] if line_end else text, self.depth + 1)

    @cached_property
    def content(self) -> bytes:
        """The content with its transfer encoding decoded; the default encoding is binary (SM-3-1, E-41)."""
        encoding = (self.headers.get("Content-Transfer-Encoding") or "").strip().lower()
        if encoding in _IDENTITY:
            return self.octets
        if encoding == "quoted-printable":
            return quopri.decodestring(self.octets)
        if encoding != "base64":
            raise SipParseError("Unknown Content-Transfer-Encoding", status=415)
        try:
            return base64.b64decode(self.octets)
        except binascii.Error as problem:
            raise SipParseError("Bad base64") from problem


Understands = Callable[[Entity], bool]
Opens = Callable[[Entity], "Entity | None"]
"""Returns the entity inside an encrypted one, None for an entity that is not encrypted; raises SipParseError."""


def _opens_nothing(_entity: Entity) -> Entity | None:
    return None


def understood(entity: Entity, understands: Understands, opens: Opens = _opens_nothing) -> list[Entity]:
    """Return the parts of a body to act on, in order: the leaves for which `understands` returns true.

    The `content` of a returned part does not raise. An encrypted entity is replaced by the entity that `opens` returns.

    Of a multipart/alternative the last part that is understood is used; any other multipart is handled as
    multipart/mixed (RFC 5621 sections 4.2, 6 and 8.3). Raises SipParseError 415 for a part that is not understood,
    unless its handling, or that of a multipart around it, is optional.
    """
    try:
        return _understood(entity, understands, opens)
    except SipParseError as error:
        if error.status == 415 and not entity.required:
            return []
        raise


def _understood(entity: Entity, understands: Understands, opens: Opens) -> list[Entity]:
    if not entity.is_multipart:
        coded = any(coding != "identity" for coding in entity.headers.items("Content-Encoding"))
        if not coded and (inner := opens(entity)) is not None:
            return understood(inner, understands, opens)
        if coded or not understands(entity):
            raise SipParseError(f"{entity.media.name} as {entity.disposition} is not understood", status=415)
        _ = entity.content  # raises
        return [entity]
    if entity.media.name != "multipart/alternative":
        return [leaf for part in entity.parts for leaf in understood(part, understands, opens)]
    for part in reversed(entity.parts):
        try:
            return _understood(part, understands, opens)
        except SipParseError as error:
            if error.status != 415:
                raise
    raise SipParseError("No alternative is understood", status=415)


def session_description(message: SipMessage) -> bytes | None:
    """Return the SDP in the body of a message; None if it has none and no other part that must be understood.

    Raises SipParseError, also for more than one session description.
    """
    if not message.body:
        return None
    found = understood(Entity.of(message), lambda part: part.media.name == SDP and part.disposition == "session")
    if len(found) > 1:
        raise SipParseError("More than one session description", status=415)
    return found[0].content if found else None


def answer_in(message: SipMessage) -> bytes:
    """Return the SDP answer in a message that cannot be refused (a 2xx or an ACK); raises SdpError."""
    try:
        found = session_description(message)
    except SipParseError as problem:
        raise SdpError(problem.reason) from problem
    if found is None:
        raise SdpError("there is none")
    return found
