"""Message bodies: one entity or a tree of parts, each octet as it came (RFC 2046, RFC 3261 section 7.4, RFC 5621).

What reads bodies raises SipParseError: 400 for what is no MIME, 415 for what is not understood and would have to be.
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
from lemonade_wire.sip.header import MediaType
from lemonade_wire.sip.headers import Headers
from lemonade_wire.sip.message import Message
from lemonade_wire.sip.text import find_param, parse_params, unquoted

SDP = "application/sdp"
MAX_BOUNDARY = 70
MAX_DEPTH = 8
"""Multiparts inside one another; each is read once more for each that it is in."""
MAX_PARTS = 100
_NO_TYPE = "text/plain"
_IDENTITY = frozenset({"", "binary", "8bit", "7bit"})
_BLANK_LINE = re.compile(rb"(?:\A|\r?\n)\r?\n")
_LINE_END = re.compile(rb"[ \t]*\r?\n")


@dataclass(frozen=True)
class Entity:
    """A body, or a part of one."""

    headers: Headers
    octets: bytes
    """The content as it stands, its transfer encoding on."""
    depth: int = 0
    """How many entities it is in: multiparts, and what was encrypted."""

    @classmethod
    def of(cls, message: Message) -> Self:
        """Return the body of a message."""
        if message.body and "Content-Type" not in message.headers:
            # Section 20.15. Only a part may go without (RFC 2046 section 5.1).
            raise SipParseError("Missing Content-Type")
        return cls(message.headers, message.body)

    @classmethod
    def read(cls, text: bytes, depth: int, *, what: str = "a part") -> Self:
        """Read an entity that stands inside another one: headers, a blank line, and the content."""
        blank = _BLANK_LINE.search(text)
        head, octets = (text[: blank.start()], text[blank.end() :]) if blank else (text, b"")
        headers, error = Headers.parse(head.decode(errors="surrogateescape"))
        if error is not None:
            raise SipParseError(f"{error.reason} in {what}")
        return cls(headers, octets, depth)

    @cached_property
    def media(self) -> MediaType:
        """The Content-Type; text/plain where a part has none (RFC 2046 section 5.1)."""
        try:
            return MediaType.parse(self.headers.get("Content-Type") or _NO_TYPE)
        except SipParseError as error:
            raise SipParseError(f"Bad Content-Type: {error.reason}") from error

    @property
    def is_multipart(self) -> bool:
        """Whether it is made of parts."""
        return self.media.name.startswith("multipart/")

    @property
    def disposition(self) -> str:
        """What it is for, lower case; without a word on it `session` for SDP, else `render` (RFC 3261, 20.11)."""
        name = (self.headers.get("Content-Disposition") or "").partition(";")[0].strip().lower()
        return name or ("session" if self.media.name == SDP else "render")

    @property
    def required(self) -> bool:
        """Whether the request may not be carried out without understanding this (RFC 3261 section 20.11)."""
        _, semicolon, params = (self.headers.get("Content-Disposition") or "").partition(";")
        try:
            handling = find_param(parse_params(semicolon + params), "handling")
        except SipParseError as error:
            raise SipParseError(f"Bad Content-Disposition: {error.reason}") from error
        return handling is None or unquoted(handling).lower() != "optional"

    @cached_property
    def parts(self) -> list[Entity]:
        """The parts of a multipart, without what stands before the first and after the last."""
        boundary = (self.media.param("boundary") or "").encode(errors="surrogateescape")
        if not 0 < len(boundary) <= MAX_BOUNDARY:
            raise SipParseError("Multipart without a boundary")
        if self.depth >= MAX_DEPTH:
            raise SipParseError("Too many multiparts inside one another", status=415)
        # RFC 2046 section 5.1.1: the line end before a delimiter belongs to it.
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
        """The content, its transfer encoding off; without a word on it, it is binary (SM-3-1, E-41)."""
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
"""Returns what an encrypted entity holds, None for what is not encrypted; raises SipParseError."""


def _opens_nothing(_entity: Entity) -> Entity | None:
    return None


def understood(entity: Entity, understands: Understands, opens: Opens = _opens_nothing) -> list[Entity]:
    """Return the parts to act on, in order: those that are no multiparts and that `understands` says yes to.

    Their `content` raises no more. What `opens` opens is read in the place of what it was in.

    Of a multipart/alternative the last one that is understood is taken, other multiparts are as multipart/mixed
    (RFC 5621 sections 4.2, 6 and 8.3). Raises SipParseError 415 for what is not understood, unless its handling, or
    that of a multipart around it, is optional.
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


def session_description(message: Message) -> bytes | None:
    """Return the SDP of a request or response; None where it has none and nothing else that must be understood."""
    if not message.body:
        return None
    found = understood(Entity.of(message), lambda part: part.media.name == SDP and part.disposition == "session")
    if len(found) > 1:
        raise SipParseError("More than one session description", status=415)
    return found[0].content if found else None


def answer_in(message: Message) -> bytes:
    """Return the SDP of a message that is to hold an answer, and cannot be refused; raises SdpError."""
    try:
        found = session_description(message)
    except SipParseError as problem:
        raise SdpError(problem.reason) from problem
    if found is None:
        raise SdpError("there is none")
    return found
