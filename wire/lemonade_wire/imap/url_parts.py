"""The parts of an IMAP URL: percent-encoding (RFC 5092 section 11), hosts (RFC 3986 sections 3.2.2 and 6.2.2), and the
access identifier of URLAUTH, which says which sessions may fetch the URL (RFC 4467 section 3, RFC 5593).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import quote_from_bytes, unquote_to_bytes

from lemonade_wire.imap.errors import ImapParseError

# RFC 5092 section 11:
#   uchar       =  unreserved / "!" / "$" / "'" / "(" / ")" / "*" / "+" / "," / pct-encoded  ; in both
#   achar       =  uchar / "&" / "="  ; in users and authentication types
#   bchar       =  achar / ":" / "@" / "/"  ; in mailboxes and sections
#   unreserved  =  ALPHA / DIGIT / "-" / "." / "_" / "~"  ; as in RFC 3986
_UCHAR = r"[A-Za-z0-9\-._~!$'()*+,]|%[0-9A-Fa-f]{2}"
ACHAR = rf"(?:{_UCHAR}|[&=])"
BCHAR = rf"(?:{_UCHAR}|[&=:@/])"
_UCHAR_SAFE = "-._~!$'()*+,"
_PLAIN = re.compile(r"[ -$&-~]*")
"""Printable ASCII without `%`: there is nothing to decode or refuse. A short cut, because most texts are like this."""
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def percent_encode(text: str, safe: str = "&=") -> str:
    """Percent-encode a user (achar) or, with `safe="&=:@/"`, a mailbox or section (bchar); only what is necessary."""
    return quote_from_bytes(text.encode("utf-8"), safe=_UCHAR_SAFE + safe)


def percent_decode(text: str) -> str:
    """Percent-decode to text; raises ImapParseError for an invalid escape, invalid UTF-8, or NUL, CR or LF."""
    if _PLAIN.fullmatch(text):
        return text
    if _BAD_PERCENT.search(text):
        raise ImapParseError("two hexadecimal digits are expected behind %")
    try:
        decoded = unquote_to_bytes(text).decode("utf-8")
    except UnicodeError:
        raise ImapParseError("percent-encoded UTF-8 is expected") from None
    if any(char in "\0\r\n" for char in decoded):
        raise ImapParseError("NUL, CR and LF are not allowed in a URL's parts")
    return decoded


def host_key(host: str) -> str:
    """Return a key that is equal for two hosts if and only if they are the same host; raises ImapParseError.

    Names are percent-decoded, and compare without case and without the final dot of an absolute name. An IPv6 address
    (in brackets) compares as an address, whatever its short form.
    """
    if host.startswith("[") and host.endswith("]"):
        try:
            return f"[{IPv6Address(host[1:-1])}]"
        except AddressValueError:
            raise ImapParseError("an IPv6 address is expected between the brackets") from None
    name = percent_decode(host).lower().removesuffix(".")
    if not name or any(char in name for char in " /@:[]"):
        raise ImapParseError("the name of a host is expected")
    return name


_ACCESS = re.compile(rf"(?P<name>[A-Za-z0-9]+)(?:\+(?P<user>{ACHAR}+))?")


class AccessKind(Enum):
    """The classes of sessions that an access identifier admits."""

    ANONYMOUS = "anonymous"  # any session, including an anonymous one
    AUTHUSER = "authuser"  # any session that is not anonymous
    USER = "user"  # a session of the named user
    SUBMIT = "submit"  # a session of a submission entity; the server does not check the named user
    APPLICATION = "application"  # a session of an entity of that application; a named user is not checked


_NAMED = {kind.value: kind for kind in AccessKind}


@dataclass(frozen=True)
class Access:
    """An access identifier: `name` in lower case, `user` percent-decoded (None if there is no `+user`)."""

    name: str
    user: str | None = None

    # RFC 4467 section 8, extended by RFC 5593:
    #   access       =  "submit+" enc-user / "user+" enc-user / "authuser" / "anonymous"
    #                   / application / application "+" enc-user
    #   application  =  1*(ALPHA / DIGIT)  ; for example stream
    @classmethod
    def parse(cls, text: str) -> Access:
        """Parse an access identifier such as `anonymous`, `user+joe` or `stream`; raises ImapParseError.

        Names compare without case. `submit+` and `user+` require a userid (E-5); `anonymous` and `authuser` have none.
        """
        found = _ACCESS.fullmatch(text)
        if found is None:
            raise ImapParseError("an access identifier such as anonymous, stream or submit+joe is expected")
        access = cls(found["name"].lower(), None if found["user"] is None else percent_decode(found["user"]))
        if access.kind in {AccessKind.USER, AccessKind.SUBMIT} and not access.user:
            raise ImapParseError(f"{access.name}+ wants a userid behind it")
        if access.kind in {AccessKind.ANONYMOUS, AccessKind.AUTHUSER} and access.user is not None:
            raise ImapParseError(f"{access.name} takes no userid")
        return access

    @property
    def kind(self) -> AccessKind:
        """The class of access; a name that RFC 4467 does not define is an application (RFC 5593)."""
        return _NAMED.get(self.name, AccessKind.APPLICATION)

    def __str__(self) -> str:
        return self.name if self.user is None else f"{self.name}+{percent_encode(self.user)}"
