"""SIP URIs (RFC 3261 section 19.1), kept as written: no part is percent-decoded or encoded."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import unquote

from lemonade_wire.address import MAX_PORT
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message.text import Params, find_param, format_params

# Wider than the grammar: host names of test networks may be one label and have underscores.
HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_PORT = re.compile(r"[0-9]{1,5}")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f<>\"]")
_MUST_AGREE = ("user", "ttl", "method", "maddr", "transport")


@dataclass(frozen=True)
class SipUri:
    """A `sip:` or `sips:` URI. `==` compares the parts as written; `matches` compares by RFC 3261 section 19.1.4."""

    scheme: str
    """sip or sips, lower case."""
    user: str | None
    """User part, still percent-encoded; None if there is no `@`."""
    host: str
    """Host as written; an IPv6 address keeps its brackets."""
    port: int | None = None
    params: Params = ()
    """URI parameters in order, names and values still percent-encoded; a value is None if there is no `=`."""
    headers: str = ""
    """The text behind `?`, as written."""
    password: str | None = None

    # RFC 3261 section 25.1:
    #   SIP-URI         =  "sip:" [ userinfo ] hostport uri-parameters [ headers ]
    #   userinfo        =  ( user / telephone-subscriber ) [ ":" password ] "@"
    #   hostport        =  host [ ":" port ]
    #   uri-parameters  =  *( ";" uri-parameter )
    #   headers         =  "?" header *( "&" header )
    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a URI; raises SipParseError (status 416 if the scheme is neither sip nor sips).

        The user part ends at the first `@`, so that an unescaped `@` in a parameter is accepted (E-14).
        """
        scheme, colon, rest = text.partition(":")
        if not colon or not _SCHEME.fullmatch(scheme):
            raise SipParseError("URI without a scheme")
        if scheme.lower() not in {"sip", "sips"}:
            raise SipParseError("Unsupported URI Scheme", status=416)
        if _FORBIDDEN.search(rest):
            raise SipParseError("URI with a blank, bracket, quote or control character")
        user: str | None = None
        password: str | None = None
        if "@" in rest:
            userinfo, _, rest = rest.partition("@")
            user, has_password, secret = userinfo.partition(":")
            password = secret if has_password else None
            if not user:
                raise SipParseError("URI with an empty user part")
        rest, _, headers = rest.partition("?")
        host_port, *pieces = rest.split(";")
        host, port = parse_host_port(host_port)
        params: list[tuple[str, str | None]] = []
        for piece in pieces:
            name, equals, value = piece.partition("=")
            if not name:
                raise SipParseError("URI with an empty parameter")
            params.append((name, value if equals else None))
        return cls(scheme.lower(), user, host, port, tuple(params), headers, password)

    def __str__(self) -> str:
        secret = "" if self.password is None else f":{self.password}"
        user = "" if self.user is None else f"{self.user}{secret}@"
        port = "" if self.port is None else f":{self.port}"
        query = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{self.host}{port}{format_params(self.params)}{query}"

    def param(self, name: str) -> str | None:
        """Return a parameter's value, still percent-encoded; "" if it has no value, None if it is absent.

        The name is compared without case and percent-decoded.
        """
        return find_param(tuple((unquote(key), value) for key, value in self.params), name)

    def bare(self) -> SipUri:
        """Return the URI without parameters and headers, for use in From and To."""
        return replace(self, params=(), headers="")

    def matches(self, other: SipUri) -> bool:
        """Compare two URIs by the rules of RFC 3261 section 19.1.4.

        The parts are percent-decoded and the host is compared without case. A parameter that only one URI has makes a
        difference only if it is user, ttl, method, maddr or transport.
        """
        return self._core() == other._core() and all(
            _same_param(self, other, name)
            for name in {unquote(key).lower() for key, _ in (*self.params, *other.params)}
        )

    def _core(self) -> tuple[object, ...]:
        user = None if self.user is None else unquote(self.user, errors="surrogateescape")
        return (self.scheme, user, self.password, self.host.lower(), self.port, sorted(self.headers.split("&")))


# RFC 3261 section 25.1:
#   hostport       =  host [ ":" port ]
#   host           =  hostname / IPv4address / IPv6reference  ; one of three
#   IPv6reference  =  "[" IPv6address "]"
def parse_host_port(text: str) -> tuple[str, int | None]:
    """Parse `host`, `host:port` or `[ipv6]:port`; raises SipParseError."""
    if text.startswith("["):
        inside, bracket, rest = text[1:].partition("]")
        if not bracket or not _is_ipv6(inside) or (rest and not rest.startswith(":")):
            raise SipParseError("bad IPv6 address")
        host, colon, port_text = f"[{inside}]", rest[:1], rest[1:]
    else:
        host, colon, port_text = text.partition(":")
        if not HOST.fullmatch(host):
            raise SipParseError("bad host")
    if not colon:
        return host, None
    if not _PORT.fullmatch(port_text) or int(port_text) > MAX_PORT:
        raise SipParseError("bad port")
    return host, int(port_text)


def _is_ipv6(text: str) -> bool:
    """Return whether this is an IPv6 address; one `:::` is read as `::` (RFC 5118 section 4.10)."""
    try:
        ipaddress.IPv6Address(text.replace(":::", "::", 1))
    except ValueError:
        return False
    return "%" not in text  # a zone index has a meaning on its own host only


def _same_param(one: SipUri, other: SipUri, name: str) -> bool:
    mine, theirs = one.param(name), other.param(name)
    if mine is None or theirs is None:
        return name not in _MUST_AGREE
    return unquote(mine).lower() == unquote(theirs).lower()
