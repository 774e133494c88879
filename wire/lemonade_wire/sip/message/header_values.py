"""Parsed header values: Via, From/To/Contact/Route (NameAddr), CSeq, and media types (RFC 3261 section 20).

The text of a SipParseError is short and does not quote the value, because it becomes the reason phrase of a response.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Self

from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message.text import (
    QUOTED,
    TOKEN,
    Params,
    find_param,
    format_params,
    parse_params,
    split_outside,
    unquoted,
)
from lemonade_wire.sip.message.uri import SipUri, parse_host_port

MAX_CSEQ = 2**31 - 1
_VIA = re.compile(r"([^\s/]+)\s*/\s*([^\s/]+)\s*/\s*([^\s/]+)\s+(.*)", re.DOTALL)
_SENT_BY_COLON = re.compile(r"\s*:\s*")
_URI_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"]+")
_DISPLAY = re.compile(r'"(?:[^"\\]|\\.)*"|(?:[A-Za-z0-9\-.!%*_+`\'~ \t]|[^\x00-\x7f\ud800-\udfff])*', re.DOTALL)
_CSEQ = re.compile(r"\s*([0-9]{1,20})\s+(\S+)\s*")
_MEDIA_TYPE = re.compile(r"\s*([^\s/;]+)\s*/\s*([^\s/;]+)\s*(;.*)?", re.DOTALL)


@dataclass(frozen=True)
class Via:
    """One hop's Via value (RFC 3261 section 20.42)."""

    transport: str
    """UDP, TCP, TLS ...; upper case."""
    host: str
    """Host of sent-by, as written."""
    port: int | None = None
    params: Params = ()
    version: str = "2.0"
    """Kept, so that a request of another version can be answered 505."""

    # RFC 3261 section 25.1:
    #   via-parm       =  sent-protocol LWS sent-by *( SEMI via-params )
    #   sent-protocol  =  protocol-name SLASH protocol-version SLASH transport
    #   sent-by        =  host [ COLON port ]
    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one value; raises SipParseError."""
        match = _VIA.fullmatch(text.strip())
        if not match or match[1].upper() != "SIP":
            raise SipParseError("no SIP/2.0/TRANSPORT and sender")
        sent_by, semicolon, params = match[4].partition(";")
        host, port = parse_host_port(_SENT_BY_COLON.sub(":", sent_by.strip()))
        return cls(match[3].upper(), host, port, parse_params(semicolon + params), match[2])

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/{self.version}/{self.transport} {self.host}{port}{format_params(self.params)}"

    def param(self, name: str) -> str | None:
        """Return a parameter's value; "" if it has no value, None if it is absent."""
        return find_param(self.params, name)

    @property
    def branch(self) -> str:
        """The branch parameter; "" if it is absent."""
        return self.param("branch") or ""

    def with_param(self, name: str, value: str) -> Via:
        """Return the Via with one parameter set: in its place if it is present, else added at the end."""
        if self.param(name) is None:
            return replace(self, params=(*self.params, (name, value)))
        return replace(self, params=tuple((key, value if key.lower() == name else old) for key, old in self.params))


@dataclass(frozen=True)
class NameAddr:
    """A From, To, Contact, Route or Record-Route value (RFC 3261 section 20.10)."""

    uri: str
    """The URI as written; `sip_uri` parses it."""
    display: str = ""
    """Display name as written, quotes included."""
    params: Params = ()
    """Header parameters, including the tag."""

    # RFC 3261 section 25.1; the same form serves From, To, Contact, Route and Record-Route:
    #   from-spec     =  ( name-addr / addr-spec ) *( SEMI from-param )
    #   name-addr     =  [ display-name ] LAQUOT addr-spec RAQUOT
    #   display-name  =  *(token LWS) / quoted-string
    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `"Display" <uri>;params` or `uri;params`; raises SipParseError.

        A display name without quotes may have characters beyond US-ASCII, as phones send them.
        """
        text = text.strip()
        head = split_outside(text, ";")[0]
        if "<" not in (QUOTED.sub("", head) if '"' in head else head):
            # Without angle brackets the parameters belong to the header, not to the URI (RFC 3261 section 20).
            if "?" in head or "," in head:
                raise SipParseError("URI with a question mark or comma outside angle brackets")
            return cls(_uri_text(head), "", parse_params(text[len(head) :]))
        opened = head.rindex("<")
        display = head[:opened].strip()
        if not display.startswith('"') and not _DISPLAY.fullmatch(display):
            raise SipParseError("display name that wants quotes")
        uri, _, rest = head[opened + 1 :].partition(">")
        if rest.strip():
            raise SipParseError("text behind the angle bracket")
        tail = text[len(head) :].lstrip()
        return cls(_uri_text(uri), display, parse_params(tail))

    def __str__(self) -> str:
        display = f"{self.display} " if self.display else ""
        return f"{display}<{self.uri}>{format_params(self.params)}"

    @property
    def sip_uri(self) -> SipUri:
        """The parsed URI; raises SipParseError."""
        return SipUri.parse(self.uri)

    @property
    def tag(self) -> str | None:
        """The tag; None if it is absent, as a peer of RFC 2543 may leave it out."""
        return find_param(self.params, "tag") or None

    def with_tag(self, tag: str | None) -> NameAddr:
        """Return the value with its tag replaced by `tag`, or removed if `tag` is None."""
        others = tuple(param for param in self.params if param[0].lower() != "tag")
        return replace(self, params=others if tag is None else (*others, ("tag", tag)))


@dataclass(frozen=True)
class CSeq:
    """A CSeq value (RFC 3261 section 20.16)."""

    number: int
    method: str

    # RFC 3261 section 25.1: CSeq = "CSeq" HCOLON 1*DIGIT LWS Method
    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a value; raises SipParseError, also for a number of 2**31 or more (section 8.1.1.5)."""
        match = _CSEQ.fullmatch(text)
        if not match or not TOKEN.fullmatch(match[2]):
            raise SipParseError("no number and method")
        if int(match[1]) > MAX_CSEQ:
            raise SipParseError("number of 2**31 or more")
        return cls(int(match[1]), match[2])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@dataclass(frozen=True)
class MediaType:
    """A Content-Type value, or a media range of Accept (RFC 3261 sections 20.1 and 20.15)."""

    name: str
    """`type/subtype`, lower case; a media range may also be `*/*` or `type/*`."""
    params: Params = ()

    # RFC 3261 section 25.1:
    #   media-type   =  m-type SLASH m-subtype *(SEMI m-parameter)
    #   media-range  =  ( "*/*" / ( m-type SLASH "*" ) / ( m-type SLASH m-subtype ) ) *( SEMI m-parameter )
    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a value; raises SipParseError."""
        match = _MEDIA_TYPE.fullmatch(text)
        if not match or not TOKEN.fullmatch(match[1]) or not TOKEN.fullmatch(match[2]):
            raise SipParseError("no type/subtype")
        return cls(f"{match[1]}/{match[2]}".lower(), parse_params(match[3] or ""))

    def __str__(self) -> str:
        return f"{self.name}{format_params(self.params)}"

    def param(self, name: str) -> str | None:
        """Return a parameter's value without its quotes; "" if it has no value, None if it is absent."""
        value = find_param(self.params, name)
        return None if value is None else unquoted(value)

    def covers(self, name: str) -> bool:
        """Return whether this media range includes the type `name`; with `q=0` it includes nothing."""
        kind, _, sub = self.name.partition("/")
        held = self.name == name or (sub == "*" and kind in {"*", name.partition("/")[0]})
        return held and not re.fullmatch(r"0(\.0{0,3})?", self.param("q") or "1")


def _uri_text(text: str) -> str:
    if not _URI_TEXT.fullmatch(text):
        raise SipParseError("no address, or one with blanks or brackets in it")
    return text
