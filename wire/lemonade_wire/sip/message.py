"""SIP requests and responses, and how they are read from a datagram (RFC 3261 sections 7, 18.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.header import CSeq, NameAddr, Via
from lemonade_wire.sip.headers import Headers
from lemonade_wire.sip.text import TOKEN
from lemonade_wire.sip.uri import SipUri

VERSION = "SIP/2.0"
MAX_HOPS = 255
_ONCE = ("From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type")
_STATUS = re.compile(r"(SIP/[0-9]+\.[0-9]+) ([0-9]{3})(?: (.*))?", re.IGNORECASE | re.DOTALL)
_NUMBER = re.compile(r"[0-9]{1,10}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.")
_REQUEST = re.compile(r"(\S+) (\S+) (SIP/[0-9]+\.[0-9]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Message:
    """What requests and responses share. The typed headers of a parsed message are known to be good."""

    headers: Headers
    body: bytes

    @cached_property
    def vias(self) -> list[Via]:
        """All Via values, the top one first; raises SipParseError."""
        return [Via.parse(item) for item in self.headers.items("Via")]

    @cached_property
    def from_(self) -> NameAddr:
        """The From header; raises SipParseError."""
        return NameAddr.parse(self._required("From"))

    @cached_property
    def to(self) -> NameAddr:
        """The To header; raises SipParseError."""
        return NameAddr.parse(self._required("To"))

    @cached_property
    def cseq(self) -> CSeq:
        """The CSeq header; raises SipParseError."""
        return CSeq.parse(self._required("CSeq"))

    @cached_property
    def call_id(self) -> str:
        """The Call-ID; raises SipParseError."""
        return self._required("Call-ID")

    @cached_property
    def contact(self) -> NameAddr | None:
        """The first Contact; None where there is none or it is `*`; raises SipParseError."""
        values = self.headers.items("Contact")
        return NameAddr.parse(values[0]) if values and values[0] != "*" else None

    @cached_property
    def record_routes(self) -> list[NameAddr]:
        """The Record-Route values in order; raises SipParseError."""
        return [NameAddr.parse(item) for item in self.headers.items("Record-Route")]

    @cached_property
    def routes(self) -> list[NameAddr]:
        """The Route values in order; raises SipParseError."""
        return [NameAddr.parse(item) for item in self.headers.items("Route")]

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters; "" where there is none."""
        return (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower()

    def _required(self, name: str) -> str:
        value = self.headers.get(name)
        if not value:
            raise SipParseError(f"Missing {name}")
        return value

    def _octets(self, start_line: str) -> bytes:
        headers = self.headers.with_set("Content-Length", str(len(self.body)))
        return f"{start_line}\r\n{headers}\r\n".encode(errors="surrogateescape") + self.body


@dataclass(frozen=True)
class Request(Message):
    """A request. `target` is the Request-URI as written; `uri` reads it."""

    headers: Headers
    body: bytes
    method: str
    target: str

    @cached_property
    def uri(self) -> SipUri:
        """The Request-URI; raises SipParseError (416 for another scheme)."""
        return SipUri.parse(self.target)

    def with_headers(self, headers: Headers) -> Self:
        """Return the request with other headers."""
        return replace(self, headers=headers)

    def __bytes__(self) -> bytes:
        return self._octets(f"{self.method} {self.target} {VERSION}")


@dataclass(frozen=True)
class Response(Message):
    """A response; `cseq.method` tells what it answers."""

    headers: Headers
    body: bytes
    status: int
    reason: str

    def with_headers(self, headers: Headers) -> Self:
        """Return the response with other headers."""
        return replace(self, headers=headers)

    def __bytes__(self) -> bytes:
        return self._octets(f"{VERSION} {self.status} {self.reason}")


def build(
    method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes = b"", content_type: str = ""
) -> Request:
    """Make a request; raises ValueError where a header is not one line."""
    kind = [("Content-Type", content_type)] if body and content_type else []
    return Request(Headers.of([*headers, *kind]), body, method, target)


def parse_datagram(data: bytes) -> Request | Response:
    """Read one datagram; raises SipParseError, with its `request` set where the peer can be told.

    The body ends where Content-Length says, or with the datagram; a body that is too short is an error.
    """
    head, blank, rest = split_head(data.lstrip(b"\r\n"))
    message, error = read_message(head, rest)
    if not blank:
        error = error or SipParseError("No end of headers")
    length = content_length(message)
    if length is not None:
        if length > len(rest):
            error = error or SipParseError("Body shorter than Content-Length")
        message = replace(message, body=rest[:length])
    if error is not None:
        raise answerable(error, message)
    return message


def split_head(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Split at the blank line: head with its last line end, blank line, rest. Bare LF line ends are survived."""
    match = re.search(rb"(\r?\n)(\r?\n)", data)
    if not match:
        return data, b"", b""
    return data[: match.end(1)], match[2], data[match.end() :]


def answerable(error: SipParseError, message: Request | Response) -> SipParseError:
    """Return `error` with the request to answer, if `message` is one that names where answers go."""
    request = message if isinstance(message, Request) and message.method != "ACK" else None
    if request is not None:
        try:
            request = request if request.vias else None
        except SipParseError:
            request = None
    return SipParseError(error.reason, status=error.status, request=request, fatal=error.fatal)


def content_length(message: Request | Response) -> int | None:
    """Return what Content-Length says; None where it is missing, given twice or no number."""
    rows = message.headers.rows("Content-Length")
    return int(rows[0]) if len(rows) == 1 and _NUMBER.fullmatch(rows[0]) else None


def read_message(head: bytes, body: bytes) -> tuple[Request | Response, SipParseError | None]:
    """Read a start line and headers; returns the message and the first thing wrong with it.

    Raises SipParseError where the start line is so far from SIP that nobody can be told.
    """
    text = head.decode(errors="surrogateescape")
    start_line, _, header_text = text.partition("\n")
    start_line = start_line.rstrip("\r")
    headers, error = Headers.parse(header_text)
    status = _STATUS.fullmatch(start_line)
    if status:
        code = int(status[2])
        if not 100 <= code <= 699 or status[1].upper() != VERSION:
            raise SipParseError("Bad status line")
        response = Response(headers, body, code, status[3] or "")
        return response, error or _header_error(response)
    match = _REQUEST.fullmatch(start_line)
    if match is None:
        method, _, rest = start_line.partition(" ")
        if start_line.upper().startswith("SIP/") or not TOKEN.fullmatch(method) or "SIP/" not in rest.upper():
            raise SipParseError("Neither a request nor a response")
        return Request(headers, body, method, rest.rpartition(" ")[0].strip()), SipParseError("Bad request line")
    request = Request(headers, body, match[1], match[2])
    if match[3].upper() != VERSION:
        error = SipParseError("Version Not Supported", status=505)
    elif not TOKEN.fullmatch(request.method):
        error = SipParseError("Bad method")
    return request, error or _header_error(request)


def _header_error(message: Request | Response) -> SipParseError | None:
    try:
        _check_headers(message)
    except SipParseError as error:
        return error
    return None


def _check_headers(message: Request | Response) -> None:
    """Raise SipParseError unless the headers that every part of this code relies on are there, once, and good."""
    for name in _ONCE:
        if len(message.headers.rows(name)) > 1:
            raise SipParseError(f"More than one {name}")
    if not message.vias:
        raise SipParseError("Missing Via")
    for route in (*message.record_routes, *message.routes):
        SipUri.parse(route.uri)
    for needed in ("from_", "to", "call_id", "contact", "cseq"):
        getattr(message, needed)  # raises
    if message.headers.get("Content-Length") is not None and content_length(message) is None:
        raise SipParseError("Bad Content-Length")
    if isinstance(message, Request):
        if message.cseq.method != message.method:
            raise SipParseError("CSeq method does not match")
        hops = message.headers.get("Max-Forwards")
        if hops is not None and not (_NUMBER.fullmatch(hops) and int(hops) <= MAX_HOPS):
            raise SipParseError("Bad Max-Forwards")
        if _SCHEME.match(message.target) is None:
            raise SipParseError("Bad Request-URI")
        if message.target.lower().startswith(("sip:", "sips:")):
            SipUri.parse(message.target)
