"""The value of the METADATA entry /shared/mediaServers: the list of media servers (draft section 7, E-2 to E-5)."""

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
class MediaServerEntry:
    """One tuple of the entry: a URI, and the token behind it as written (None if there is none)."""

    uri: str
    token: str | None = None

    @property
    def authorised(self) -> bool:
        """Whether the token says that this server may use protected tickets; an unknown token does not (E-2)."""
        return self.token is not None and self.token.lower() in AUTHORISED_TOKENS

    @property
    def is_sip(self) -> bool:
        """Whether the scheme is `sip` or `sips`; the draft defines the use of no other (LS-2.2-9)."""
        return self.uri.partition(":")[0].lower() in {"sip", "sips"}

    @property
    def service(self) -> str | None:
        """The service indicator of a SIP URI (`annc`, `ivr`): its user part; None if there is none (LS-2.2-10)."""
        found = _USER.match(self.uri)
        return found[1] or None if found else None

    def __str__(self) -> str:
        return f"<{self.uri}>" if self.token is None else f"<{self.uri}>:{self.token}"


@dataclass(frozen=True)
class MediaServers:
    """The tuples of the entry, in the server's order of preference."""

    servers: tuple[MediaServerEntry, ...] = ()

    # Draft section 7, with the angle brackets literal (E-3). The value is a list of tuples separated by ";":
    #   ms-tuple = "<" absolute-URI ">" [":" token]
    @classmethod
    def parse(cls, value: str | bytes) -> MediaServers:
        """Parse the entry's value; raises ImapParseError.

        Blanks and line breaks are removed everywhere (E-3: one example breaks the line inside a URI). A URI without
        brackets is accepted if it is unambiguous. Empty tuples are skipped.
        """
        if isinstance(value, bytes):
            try:
                value = value.decode("utf-8")
            except UnicodeDecodeError:
                raise ImapParseError("the media servers' entry is UTF-8 text") from None
        text = re.sub(r"[ \t\r\n]+", "", value)
        servers: list[MediaServerEntry] = []
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
    def sip(self) -> tuple[MediaServerEntry, ...]:
        """The tuples that a client can use: those with a SIP URI."""
        return tuple(server for server in self.servers if server.is_sip)

    def __str__(self) -> str:
        return ";".join(map(str, self.servers))


def _checked(uri: str, token: str | None) -> MediaServerEntry:
    if not _SCHEME.fullmatch(uri):
        raise ImapParseError("an absolute URI is expected for each media server")
    return MediaServerEntry(uri, token or None)


def _bracketed(found: re.Match[str]) -> MediaServerEntry:
    return _checked(found[1], found[2])


def _bare(text: str) -> MediaServerEntry:
    found = _BARE_TOKEN.fullmatch(text)
    return _checked(found[1], found[2]) if found else _checked(text, None)
