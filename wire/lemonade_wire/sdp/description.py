"""Session descriptions (SDP, RFC 4566) as values, with a parser that keeps all lines, and a writer.

The parser is strict, but for what real programs send and what is harmless: empty lines before the description, blanks
at the end of a line, an attribute whose name is no token (it is ignored), any address in o=, and text in the character
set that the description names.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise

from lemonade_wire.sdp.codec import STATIC, Codec, Format, SdpError

__all__ = ["Attribute", "Direction", "MediaDescription", "Origin", "SdpConnection", "SdpError", "SessionDescription"]


MAX_LINES = 1000
"""The largest number of lines of a description."""
MAX_MEDIA = 64
"""The largest number of m= lines of a description."""


class Direction(Enum):
    """The direction of a stream (RFC 4566 section 6), as seen by the side that wrote the description."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @classmethod
    def of(cls, *, sends: bool, receives: bool) -> Direction:
        """Return the direction of a side that sends, receives, does both, or does neither."""
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE

    @property
    def sends(self) -> bool:
        """Whether this side sends media."""
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """Whether this side receives media."""
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @property
    def reversed(self) -> Direction:
        """The same direction as seen by the other side."""
        return Direction.of(sends=self.receives, receives=self.sends)


@dataclass(frozen=True)
class Attribute:
    """One a= line: `name`, or `name:value`."""

    name: str
    value: str | None = None

    # RFC 4566 section 9: attribute = ( att-field ":" att-value ) / att-field
    @classmethod
    def parse(cls, text: str) -> Attribute:
        """Parse the text behind `a=`; raises SdpError."""
        name, colon, value = text.partition(":")
        if not _TOKEN.fullmatch(name):
            raise SdpError(f"bad attribute a={text}")
        return cls(name, value if colon else None)

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value}"


@dataclass(frozen=True)
class SdpConnection:
    """One c= line: the address type `IP4` or `IP6`, and the address without TTL."""

    family: str
    address: str

    @classmethod
    def to(cls, address: str) -> SdpConnection:
        """Make the line for a literal IPv4 or IPv6 address."""
        return cls("IP6" if ":" in address else "IP4", address)

    # RFC 4566 section 9: connection-field = %x63 "=" nettype SP addrtype SP connection-address CRLF
    @classmethod
    def parse(cls, text: str) -> SdpConnection:
        """Parse the text behind `c=`, such as `IN IP4 192.0.2.1`. A TTL is dropped.

        Raises SdpError, also for a literal address of the other family (`IN IP4 ::1`).
        """
        words = text.split(" ")
        if len(words) != 3 or words[0] != "IN" or words[1] not in ("IP4", "IP6"):
            raise SdpError(f"bad connection {text!r}")
        address = words[2].partition("/")[0]
        made = cls(words[1], address)
        if not _ADDRESS.fullmatch(address) or made.literal_family not in (None, made.family):
            raise SdpError(f"bad address {text!r}")
        return made

    @property
    def literal_family(self) -> str | None:
        """The family of a literal address, `IP4` or `IP6`; None for a domain name."""
        try:
            return f"IP{ipaddress.ip_address(self.address).version}"
        except ValueError:
            return None

    @property
    def is_hold(self) -> bool:
        """Whether this is the unspecified address, which means hold: nothing may be sent (RFC 3264 section 8.4)."""
        return self.address in ("0.0.0.0", "::")  # noqa: S104  compared with, not bound to

    def __str__(self) -> str:
        return f"IN {self.family} {self.address}"


@dataclass(frozen=True)
class Origin:
    """The o= line; `version` increases by one with each changed description of a session (RFC 3264 section 8)."""

    user: str
    session_id: int
    version: int
    connection: SdpConnection

    # RFC 4566 section 9:
    #   origin-field = %x6f "=" username SP sess-id SP sess-version SP nettype SP addrtype SP unicast-address CRLF
    @classmethod
    def parse(cls, text: str) -> Origin:
        """Parse the text behind `o=`; raises SdpError.

        The address names the session and is not connected to, so any text without a blank is read.
        """
        words = text.split(" ")
        if len(words) != 6 or not all(words) or not all(_NUMBER.fullmatch(word) for word in words[1:3]):
            raise SdpError(f"bad origin {text[:80]!r}")
        if words[3] != "IN" or words[4] not in ("IP4", "IP6"):
            raise SdpError(f"bad origin {text[:80]!r}")
        return cls(words[0], int(words[1]), int(words[2]), SdpConnection(words[4], words[5]))

    def __str__(self) -> str:
        return f"{self.user} {self.session_id} {self.version} {self.connection}"


@dataclass(frozen=True)
class MediaDescription:
    """One m= line with the lines of its medium; `lines` has the i=, b= and k= lines as received."""

    media: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    connection: SdpConnection | None = None
    attributes: tuple[Attribute, ...] = ()
    lines: tuple[str, ...] = ()
    port_count: int = 1

    # RFC 4566 section 9: media-field = %x6d "=" media SP port ["/" integer] SP proto 1*(SP fmt) CRLF
    @classmethod
    def parse_line(cls, text: str) -> MediaDescription:
        """Parse the text behind `m=`; raises SdpError."""
        match = _MEDIA.fullmatch(text)
        if not match or int(match["port"]) > 0xFFFF:
            raise SdpError(f"bad media line {text!r}")
        formats = tuple(match["formats"].split(" "))
        count = int(match["count"] or 1)
        return cls(match["media"], int(match["port"]), match["protocol"], formats, port_count=count)

    @property
    def rejected(self) -> bool:
        """Whether the stream is refused or not offered: port 0 (RFC 3264 section 6)."""
        return self.port == 0

    def attribute(self, name: str) -> str | None:
        """Return the value of the first attribute of that name ("" for a flag), or None if there is none."""
        return next((line.value or "" for line in self.attributes if line.name == name), None)

    def direction(self, session: SessionDescription) -> Direction:
        """Return the direction of the m-line, or else of the session, or else sendrecv (RFC 4566 section 6)."""
        for line in (*self.attributes, *session.attributes):
            if line.value is None and line.name in _DIRECTIONS:
                return Direction(line.name)
        return Direction.SENDRECV

    def rtp_formats(self) -> tuple[Format, ...]:
        """Return the formats whose codec is known (from rtpmap, or else from RFC 3551), in the order of the m-line."""
        maps: dict[int, Codec | None] = {}
        parameters: dict[int, str] = {}
        for line in self.attributes:
            number, _, rest = (line.value or "").partition(" ")
            if line.name == "rtpmap" and _payload_type(number) is not None:
                maps.setdefault(int(number), _codec(rest))
            elif line.name == "fmtp" and _payload_type(number) is not None:
                parameters.setdefault(int(number), rest.strip())
        found = []
        for text in self.formats:
            number_ = _payload_type(text)
            codec = None if number_ is None else maps.get(number_, STATIC.get(number_))
            if number_ is not None and codec is not None:
                found.append(Format(number_, codec, parameters.get(number_)))
        return tuple(found)

    def __str__(self) -> str:
        count = f"/{self.port_count}" if self.port_count != 1 else ""
        lines = [f"m={self.media} {self.port}{count} {self.protocol} {' '.join(self.formats)}"]
        lines += _pick(self.lines, "i")
        lines += [f"c={self.connection}"] if self.connection else []
        lines += _pick(self.lines, "b") + _pick(self.lines, "k")
        lines += [f"a={line}" for line in self.attributes]
        return "".join(line + "\r\n" for line in lines)


@dataclass(frozen=True)
class SessionDescription:
    """A complete description; `lines` has the session's i=, u=, e=, p=, b=, z=, k= and r= lines as received."""

    origin: Origin
    media: tuple[MediaDescription, ...] = ()
    name: str = "-"
    connection: SdpConnection | None = None
    timing: tuple[str, ...] = ("0 0",)
    attributes: tuple[Attribute, ...] = ()
    lines: tuple[str, ...] = ()

    # RFC 4566 section 5, the lines in order; "*" marks an optional line:
    #
    #   Session  v=  o=  s=  i=*  u=*  e=*  p=*  c=*  b=*  t= (one or more, each with r=*)  z=*  k=*  a=*
    #   Medium   m=  i=*  c=*  b=*  k=*  a=*   (none or more media)
    @classmethod
    def parse(cls, body: bytes | str) -> SessionDescription:
        """Parse a description; raises SdpError and no other exception."""
        lines = _split(body)
        if [kind for kind, _ in lines[:3]] != ["v", "o", "s"] or lines[0][1] != "0":
            raise SdpError("a description begins with v=0, o= and s=")
        first = next((place for place, (kind, _) in enumerate(lines) if kind == "m"), len(lines))
        session = _session(cls(Origin.parse(lines[1][1]), name=lines[2][1], timing=()), lines[3:first])
        if not session.timing:
            raise SdpError("no t= line")
        begins = [place for place in range(first, len(lines)) if lines[place][0] == "m"]
        if len(begins) > MAX_MEDIA:
            raise SdpError(f"more than {MAX_MEDIA} media")
        spans = pairwise([*begins, len(lines)])
        return replace(session, media=tuple(_medium(lines[begin:end]) for begin, end in spans))

    def __str__(self) -> str:
        lines = ["v=0", f"o={self.origin}", f"s={self.name}"]
        for kind in "iuep":
            lines += _pick(self.lines, kind)
        lines += [f"c={self.connection}"] if self.connection else []
        lines += _pick(self.lines, "b")
        lines += [f"t={line}" for line in self.timing]
        for kind in "rzk":
            lines += _pick(self.lines, kind)
        lines += [f"a={line}" for line in self.attributes]
        return "".join(line + "\r\n" for line in lines) + "".join(map(str, self.media))

    def __bytes__(self) -> bytes:
        """Return the description for a message body: UTF-8, with CRLF after each line."""
        return str(self).encode()

    def connection_of(self, index: int) -> SdpConnection | None:
        """Return the connection of an m-line: its own, or else that of the session."""
        return self.media[index].connection or self.connection

    def without_media(self, index: int) -> SessionDescription:
        """Return a copy without one m-line. An answer must not omit one: a fault uses this (RFC 3264 section 6)."""
        return replace(self, media=self.media[:index] + self.media[index + 1 :])


_TOKEN = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+")
# Session ids and versions have any length (RFC 4566 section 9); Python reads integers of at most 4,300 digits.
_NUMBER = re.compile(r"[0-9]{1,4000}")
_ADDRESS = re.compile(r"[0-9A-Za-z.:\-]+")
_TIMING = re.compile(r"[0-9]{1,20} [0-9]{1,20}")
_MEDIA = re.compile(
    r"(?P<media>[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+) (?P<port>[0-9]{1,5})(/(?P<count>[1-9][0-9]{0,3}))? "
    r"(?P<protocol>[^ /]+(/[^ /]+)*) (?P<formats>[^ ]+( [^ ]+)*)"
)
_DIRECTIONS = frozenset(direction.value for direction in Direction)
_CHARSET = re.compile(rb"^a=charset:(iso-8859-|windows-)", re.IGNORECASE | re.MULTILINE)
_TEXT_LINES = "siep"
_SESSION_LINES = "iuepbrzk"
_MEDIA_LINES = "ibk"


def _split(body: bytes | str) -> list[tuple[str, str]]:
    """Return the lines as (letter, value); a line may end with LF alone (RFC 4566 section 5); raises SdpError."""
    text = _decode(body) if isinstance(body, bytes) else body
    if text.count("\n") > MAX_LINES:
        raise SdpError(f"more than {MAX_LINES} lines")
    lines = []
    for line in text.replace("\r\n", "\n").strip("\n").split("\n"):
        if len(line) < 2 or line[1] != "=" or "\r" in line or "\0" in line:
            raise SdpError(f"not a line of SDP: {line[:80]!r}")
        kind, value = line[0], line[2:]
        lines.append((kind, value if kind in _TEXT_LINES else value.rstrip(" \t")))
    return lines


def _decode(body: bytes) -> str:
    """Return a description's text: UTF-8, or the 8-bit character set of its `a=charset` (RFC 4566 section 6).

    Only the text of s=, i= and the like is in that character set, and it is not used; Latin-1 keeps every octet.
    """
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        if not _CHARSET.search(body):
            raise SdpError("not UTF-8, and no a=charset:ISO-8859-* or windows-*") from error
        return body.decode("latin-1")


def _attribute(value: str) -> tuple[Attribute, ...]:
    """Return the attribute of an a= line; empty if its name is no token: such a line is ignored."""
    try:
        return (Attribute.parse(value),)
    except SdpError:
        return ()


def _session(session: SessionDescription, lines: list[tuple[str, str]]) -> SessionDescription:
    """Return the session with its lines behind s=; raises SdpError. Takes time in proportion to the lines."""
    timing: list[str] = []
    attributes: list[Attribute] = []
    others: list[str] = []
    connection: SdpConnection | None = None
    for kind, value in lines:
        if kind == "t":
            if not _TIMING.fullmatch(value):
                raise SdpError(f"bad time t={value}")
            timing.append(value)
        elif kind == "c":
            if connection:
                raise SdpError("two c= lines in the session")
            connection = SdpConnection.parse(value)
        elif kind == "a":
            attributes += _attribute(value)
        elif kind in _SESSION_LINES:
            others.append(f"{kind}={value}")
        else:
            raise SdpError(f"line {kind}= does not belong into a session")
    return replace(
        session, timing=tuple(timing), connection=connection, attributes=tuple(attributes), lines=tuple(others)
    )


def _medium(lines: list[tuple[str, str]]) -> MediaDescription:
    """Return the medium of an m= line and the lines behind it; raises SdpError."""
    attributes: list[Attribute] = []
    others: list[str] = []
    connection: SdpConnection | None = None
    for kind, value in lines[1:]:
        if kind == "c":
            # Several c= lines are for hierarchical multicast (RFC 4566 section 5.7), not for calls: the first is used.
            connection = connection or SdpConnection.parse(value)
        elif kind == "a":
            attributes += _attribute(value)
        elif kind in _MEDIA_LINES:
            others.append(f"{kind}={value}")
        else:
            raise SdpError(f"line {kind}= does not belong to a medium")
    medium = MediaDescription.parse_line(lines[0][1])
    return replace(medium, connection=connection, attributes=tuple(attributes), lines=tuple(others))


def _pick(lines: tuple[str, ...], kind: str) -> list[str]:
    return [line for line in lines if line[0] == kind]


def _payload_type(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 127 else None


def _codec(text: str) -> Codec | None:
    # A malformed rtpmap makes only its own format unknown; the description stays valid.
    try:
        return Codec.parse(text)
    except SdpError:
        return None
