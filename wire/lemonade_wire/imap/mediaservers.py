"""The value of the media servers' entry: where streaming may be asked for (draft section 7, errata E-2 to E-5)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lemonade_wire.imap.errors import ImapParseError

AUTHORISED_TOKENS = frozenset({"stream", "submit+", "submit", "authuser"})

_BRACKETED = re.compile(r"<([^<>]*)>(?::([^;<>]*))?")
_BARE = re.compile(r"[^<>;]+(?:;(?![A-Za-z][A-Za-z0-9+.\-]*:|<|$)[^<>;]+)*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:.+")
_BARE_TOKEN = re.compile(rf"(.+):({'|'.join(map(re.escape, sorted(AUTHORISED_TOKENS, reverse=True)))})", re.IGNORECASE)
_USER = re.compile(r"sips?:([^@;?:]*)(?::[^@]*)?@", re.IGNORECASE)


@dataclass(frozen=True)
class MediaServer:
    """One tuple: a URI, and the token behind it as written, None where there is none."""

    uri: str
    token: str | None = None

    @property
    def authorised(self) -> bool:
        """Whether the token says that this server may use protected tickets; unknown tokens do not (E-2)."""
        return self.token is not None and self.token.lower() in AUTHORISED_TOKENS

    @property
    def is_sip(self) -> bool:
        """Whether the scheme is `sip` or `sips`, the only ones whose use is defined (LS-2.2-9)."""
        return self.uri.partition(":")[0].lower() in {"sip", "sips"}

    @property
    def service(self) -> str | None:
        """The service indicator of a SIP URI (`annc`, `ivr`), None where the URI has none (LS-2.2-10)."""
        found = _USER.match(self.uri)
        return found[1] or None if found else None

    def __str__(self) -> str:
        return f"<{self.uri}>" if self.token is None else f"<{self.uri}>:{self.token}"


@dataclass(frozen=True)
class MediaServers:
    """The tuples in the server's order of preference."""

    servers: tuple[MediaServer, ...] = ()

    @classmethod
    def parse(cls, value: str | bytes) -> MediaServers:
        """Read the entry's value; raises ImapParseError.

        Blanks and line breaks are dropped wherever they are (E-3: one example breaks inside a URI); URIs may stand
        without brackets where that is unambiguous; empty tuples are skipped.
        """
        if isinstance(value, bytes):
            try:
                value = value.decode("utf-8")
            except UnicodeDecodeError:
                raise ImapParseError("the media servers' entry is UTF-8 text") from None
        text = re.sub(r"[ \t\r\n]+", "", value)
        servers: list[MediaServer] = []
        at = 0
        while at < len(text):
            if text[at] == ";":
                at += 1
                continue
            found = _BRACKETED.match(text, at) or _BARE.match(text, at)
            if found is None or (found.end() < len(text) and text[found.end()] != ";"):
                raise ImapParseError("<URI>[:token] separated by ; is expected as the media servers' entry")
            servers.append(_bracketed(found) if found.re is _BRACKETED else _bare(found[0]))
            at = found.end()
        return cls(tuple(servers))

    @property
    def sip(self) -> tuple[MediaServer, ...]:
        """The tuples a client can use."""
        return tuple(server for server in self.servers if server.is_sip)

    def __str__(self) -> str:
        return ";".join(map(str, self.servers))


def _checked(uri: str, token: str | None) -> MediaServer:
    if not _SCHEME.fullmatch(uri):
        raise ImapParseError("an absolute URI is expected for each media server")
    return MediaServer(uri, token or None)


def _bracketed(found: re.Match[str]) -> MediaServer:
    return _checked(found[1], found[2])


def _bare(text: str) -> MediaServer:
    found = _BARE_TOKEN.fullmatch(text)
    return _checked(found[1], found[2]) if found else _checked(text, None)
