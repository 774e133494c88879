"""SIP requests and responses as values, and the parser that reads one from a datagram (RFC 3261 sections 7, 18.3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self, TypeVar

from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message.header_section import Headers
from lemonade_wire.sip.message.header_values import CSeq, MediaType, NameAddr, Via
from lemonade_wire.sip.message.text import TOKEN
from lemonade_wire.sip.message.uri import SipUri

T = TypeVar("T")
VERSION = "SIP/2.0"
MAX_HOPS = 255
LOWEST, HIGHEST = 100, 699
"""The lowest and the highest status code (RFC 3261 section 7.2)."""
METHODS = frozenset(
    {"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "PRACK", "SUBSCRIBE", "NOTIFY", "PUBLISH"}
    | {"INFO", "REFER", "MESSAGE", "UPDATE"}
)
"""The methods that an RFC defines: one that is not served is answered 405, and a method outside this set 501."""
_ONCE = ("From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type")
_STATUS = re.compile(r"(SIP/[0-9]+\.[0-9]+) ([0-9]{3})(?: ([^\r]*))?", re.IGNORECASE)
# The properties that a user agent reads. They are parsed before the user agent gets the message, so that no later
# access to them can raise.
_NEEDED = (
    *("from_", "to", "call_id", "cseq", "contacts", "routes", "record_routes"),
    *("require", "supported", "codings", "accept"),
)
_BLANK_LINE = re.compile(rb"(\r?\n)(\r?\n)")
_NUMBER = re.compile(r"[0-9]{1,10}")
_CALL_ID = re.compile(r"\S+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.")
_REQUEST = re.compile(r"(\S+) (\S+) (SIP/[0-9]+\.[0-9]+)", re.IGNORECASE)


class UnreadableError(SipParseError):
    """A message that is malformed.

    `request` is set if the sender waits for a response and enough headers were read to send one. `fatal` means that
    the start of the next message on a TCP stream is unknown, so that the stream must be closed.
    """

    def __init__(self, error: SipParseError, request: SipRequest | None = None, *, fatal: bool = False) -> None:
        super().__init__(error.reason, status=error.status)
        self.request = request
        self.fatal = fatal


@dataclass(frozen=True)
class SipMessage:
    """The headers and the body that requests and responses share.

    The properties parse their header on first use. They do not raise for a message that the parsers of this module
    returned without an error, because `read_message` has checked them.
    """

    headers: Headers
    body: bytes

    @cached_property
    def vias(self) -> list[Via]:
        """All Via values, the top one first; raises SipParseError."""
        return self._each("Via", Via.parse)

    @cached_property
    def from_(self) -> NameAddr:
        """The From header; raises SipParseError."""
        return self._one("From", NameAddr.parse)

    @cached_property
    def to(self) -> NameAddr:
        """The To header; raises SipParseError."""
        return self._one("To", NameAddr.parse)

    @cached_property
    def cseq(self) -> CSeq:
        """The CSeq header; raises SipParseError."""
        return self._one("CSeq", CSeq.parse)

    @cached_property
    def call_id(self) -> str:
        """The Call-ID; raises SipParseError."""
        return self._one("Call-ID", _call_id)

    @cached_property
    def contacts(self) -> list[NameAddr]:
        """The Contact values in order; an empty list if the header is `*`; raises SipParseError."""
        return [] if self.headers.rows("Contact") == ["*"] else self._each("Contact", _contact)

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact; None if the header is absent or `*`; raises SipParseError."""
        return next(iter(self.contacts), None)

    @cached_property
    def record_routes(self) -> list[NameAddr]:
        """The Record-Route values in order; raises SipParseError."""
        return self._each("Record-Route", _route)

    @cached_property
    def routes(self) -> list[NameAddr]:
        """The Route values in order; raises SipParseError."""
        return self._each("Route", _route)

    @cached_property
    def require(self) -> list[str]:
        """The option tags of Require; raises SipParseError."""
        return self._each("Require", str)

    @cached_property
    def supported(self) -> list[str]:
        """The option tags of Supported; raises SipParseError."""
        return self._each("Supported", str)

    @cached_property
    def codings(self) -> list[str]:
        """The values of Content-Encoding, lower case; raises SipParseError."""
        return self._each("Content-Encoding", str.lower)

    @cached_property
    def accept(self) -> list[MediaType] | None:
        """The media ranges of Accept; an empty list if it is empty, None if it is absent; raises SipParseError."""
        return self._each("Accept", MediaType.parse) if "Accept" in self.headers else None

    @property
    def expires(self) -> int | None:
        """The value of Expires in seconds; None if it is absent or not a number: then the request does not expire."""
        value = self.headers.get("Expires") or ""
        return int(value) if _NUMBER.fullmatch(value) else None

    @property
    def content_type(self) -> str:
        """The media type of Content-Type in lower case, without parameters; "" if the header is absent."""
        return (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower()

    def _one(self, name: str, read: Callable[[str], T]) -> T:
        value = self.headers.get(name)
        if not value:
            raise SipParseError(f"Missing {name}")
        try:
            return read(value)
        except SipParseError as error:
            raise _named(name, error) from error

    def _each(self, name: str, read: Callable[[str], T]) -> list[T]:
        try:
            return [read(item) for item in self.headers.items(name)]
        except SipParseError as error:
            raise _named(name, error) from error

    def _octets(self, start_line: str) -> bytes:
        if "\r" in start_line or "\n" in start_line:
            raise ValueError("the start line is not one line")
        headers = self.headers.with_set("Content-Length", str(len(self.body)))
        return f"{start_line}\r\n{headers}\r\n".encode(errors="surrogateescape") + self.body


@dataclass(frozen=True)
class SipRequest(SipMessage):
    """A request. `target` is the Request-URI as written; `uri` parses it."""

    headers: Headers
    body: bytes
    method: str
    target: str

    @cached_property
    def uri(self) -> SipUri:
        """The Request-URI; raises SipParseError (416 for another scheme)."""
        try:
            return SipUri.parse(self.target)
        except SipParseError as error:
            raise SipParseError(f"Bad Request-URI: {error.reason}", status=error.status) from error

    def with_headers(self, headers: Headers) -> Self:
        """Return the request with other headers."""
        return replace(self, headers=headers)

    def __bytes__(self) -> bytes:
        return self._octets(f"{self.method} {self.target} {VERSION}")


@dataclass(frozen=True)
class SipResponse(SipMessage):
    """A response; `cseq.method` is the method of the request that it answers."""

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
) -> SipRequest:
    """Make a request; raises ValueError if a header value has a line break."""
    kind = [("Content-Type", content_type)] if body and content_type else []
    return SipRequest(Headers.of([*headers, *kind]), body, method, target)


def parse_datagram(data: bytes) -> SipRequest | SipResponse:
    """Parse the one message of a UDP datagram; raises UnreadableError.

    The body ends where Content-Length says, or else with the datagram; octets behind it are ignored, and a body that is
    shorter than Content-Length is an error (RFC 3261 section 18.3). The error's `request` is set if it can be answered.
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
        raise unreadable(error, message)
    return message


def split_head(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Split at the blank line: head with its last line end, blank line, rest.

    Bare LF line ends are accepted. Without a blank line everything is head.
    """
    match = _BLANK_LINE.search(data)
    if not match:
        return data, b"", b""
    return data[: match.end(1)], match[2], data[match.end() :]


def unreadable(error: SipParseError, message: SipRequest | SipResponse, *, fatal: bool = False) -> UnreadableError:
    """Return `error` with the request to answer, if `message` is a request that can be answered.

    It can be answered if it has a Via header, even a malformed one. An ACK is never answered (RFC 3261 section 17).
    """
    waits = isinstance(message, SipRequest) and message.method != "ACK" and "Via" in message.headers
    return UnreadableError(error, message if isinstance(message, SipRequest) and waits else None, fatal=fatal)


def content_length(message: SipRequest | SipResponse) -> int | None:
    """Return the value of Content-Length in octets; None if it is absent, repeated or not a number."""
    rows = message.headers.rows("Content-Length")
    return int(rows[0]) if len(rows) == 1 and _NUMBER.fullmatch(rows[0]) else None


# RFC 3261 section 25.1:
#   SIP-message    =  Request / Response
#   Request        =  Request-Line *( message-header ) CRLF [ message-body ]
#   Request-Line   =  Method SP Request-URI SP SIP-Version CRLF
#   Response       =  Status-Line *( message-header ) CRLF [ message-body ]
#   Status-Line    =  SIP-Version SP Status-Code SP Reason-Phrase CRLF
#   SIP-Version    =  "SIP" "/" 1*DIGIT "." 1*DIGIT
def read_message(head: bytes, body: bytes) -> tuple[SipRequest | SipResponse, SipParseError | None]:
    """Parse a start line and headers; returns the message and its first error, or None.

    A message with an error is returned all the same, so that it can be answered, and its body can be skipped on a
    stream. Raises a fatal UnreadableError if the start line is neither a Request-Line nor a Status-Line.
    """
    text = head.decode(errors="surrogateescape")
    start_line, _, header_text = text.partition("\n")
    start_line = start_line.rstrip("\r")
    headers, error = Headers.parse(header_text)
    if start_line[:4].upper() == "SIP/":
        return _read_response(start_line, headers, body, error)
    match = _REQUEST.fullmatch(start_line)
    if match is None:
        method, _, rest = start_line.partition(" ")
        if not TOKEN.fullmatch(method) or "SIP/" not in rest.upper():
            raise UnreadableError(SipParseError("Neither a request nor a response"), fatal=True)
        return SipRequest(headers, body, method, rest.rpartition(" ")[0].strip()), SipParseError("Bad request line")
    request = SipRequest(headers, body, match[1], match[2])
    if match[3].upper() != VERSION:
        error = SipParseError("Version Not Supported", status=505)
    elif not TOKEN.fullmatch(request.method):
        error = SipParseError("Bad method")
    return request, error or _header_error(request)


def _read_response(
    start_line: str, headers: Headers, body: bytes, error: SipParseError | None
) -> tuple[SipResponse, SipParseError | None]:
    match = _STATUS.fullmatch(start_line)
    if not match or not LOWEST <= int(match[2]) <= HIGHEST or match[1].upper() != VERSION:
        # The caller uses only its Content-Length, to find the next message on a stream.
        return SipResponse(headers, body, 0, ""), SipParseError("Bad status line")
    response = SipResponse(headers, body, int(match[2]), match[3] or "")
    return response, error or _header_error(response)


def _header_error(message: SipRequest | SipResponse) -> SipParseError | None:
    try:
        _check_headers(message)
    except SipParseError as error:
        return error
    return None


def _check_headers(message: SipRequest | SipResponse) -> None:
    """Raise SipParseError unless the headers that the user agent reads are present, not repeated, and well formed."""
    for name in _ONCE:
        if len(message.headers.rows(name)) > 1:
            raise SipParseError(f"More than one {name}")
    if not message.vias:
        raise SipParseError("Missing Via")
    for needed in _NEEDED:
        getattr(message, needed)  # raises
    if "Content-Length" in message.headers and content_length(message) is None:
        raise SipParseError("Bad Content-Length")
    if isinstance(message, SipRequest):
        _check_request(message)


def _check_request(request: SipRequest) -> None:
    if request.cseq.method != request.method:
        # RFC 4475 section 3.1.2.18: an unknown method is answered 501, even if the CSeq names another method.
        raise SipParseError("CSeq method does not match", status=400 if request.method in METHODS else 501)
    hops = request.headers.get("Max-Forwards")
    if hops is not None and not (_NUMBER.fullmatch(hops) and int(hops) <= MAX_HOPS):
        raise SipParseError("Bad Max-Forwards")
    if _SCHEME.match(request.target) is None:
        raise SipParseError("Bad Request-URI")
    if _is_sip(request.target):
        _ = request.uri  # raises


def _route(text: str) -> NameAddr:
    value = NameAddr.parse(text)
    SipUri.parse(value.uri)  # raises
    return value


def _contact(text: str) -> NameAddr:
    value = NameAddr.parse(text)
    if _is_sip(value.uri):
        SipUri.parse(value.uri)  # raises
    return value


def _is_sip(uri: str) -> bool:
    return uri[:5].lower().startswith(("sip:", "sips:"))


# callid = word [ "@" word ]. More than the grammar is accepted: any text without white space.
def _call_id(text: str) -> str:
    if not _CALL_ID.fullmatch(text):
        raise SipParseError("a blank in it")
    return text


def _named(name: str, error: SipParseError) -> SipParseError:
    """Return the error with the name of the header in its reason phrase."""
    return SipParseError(f"Bad {name}: {error.reason}")
