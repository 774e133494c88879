"""URLAUTH tickets: how their tokens are made and checked, and which sessions may use them (RFC 4467; RFC 5593).

A ticket is an IMAP URL that GENURLAUTH has authorised:

    authorised URL = rump ":" mechanism ":" token      the rump ends with ;URLAUTH=<access identifier>

Pure: keys, times and roles are arguments. A refusal has a reason for the server's log; a client only receives NIL.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum

from lemonade_wire.imap.url import ImapUrl
from lemonade_wire.imap.url_parts import Access, AccessKind

KEY_OCTETS = 32
MECHANISM = "INTERNAL"
_VERSION = b"\x01"  # first octet of each token; names the algorithm, so that it can be replaced (RFC 4467, 10)
_NO_KEY = secrets.token_bytes(KEY_OCTETS)


class UrlAuthRefusal(Enum):
    """Reasons for which URLFETCH refuses a ticket, as log texts; the client receives NIL for each of them."""

    MALFORMED = "the URL is no ticket"
    MECHANISM = "its mechanism is not supported"
    HOST = "it names another server"
    MAILBOX = "its owner has no such mailbox, or no ticket was ever made for it"
    TOKEN = "its token is not the one made for it"  # noqa: S105  a log text
    EXPIRED = "its time has passed"
    ACCESS = "its access identifier does not allow this session"
    PEER = "the session is not one of a listed media server"
    UID_VALIDITY = "the mailbox has another UIDVALIDITY now"
    MESSAGE = "the message was expunged"
    SECTION = "the message has no such part"
    SIZE = "the part is larger than the policy allows"


@dataclass(frozen=True)
class Roles:
    """The accounts that may use tickets for submit servers and for applications (RFC 4467, 3; RFC 5593).

    `submit_users`: accounts with the submit role. `applications`: maps an application's name, in lower case, to
    accounts.
    """

    submit_users: frozenset[str] = frozenset()
    applications: Mapping[str, frozenset[str]] = field(default_factory=dict)


def new_key() -> bytes:
    """Return a new mailbox key: 256 random bits (RFC 4467, 10 asks for at least 128)."""
    return secrets.token_bytes(KEY_OCTETS)


def token_for(key: bytes, rump: bytes) -> str:
    """Return the token of a rump: the version octet and the HMAC-SHA-256 of its exact octets, in hexadecimal."""
    return (_VERSION + hmac.new(key, rump, hashlib.sha256).digest()).hex()


def token_matches(key: bytes | None, rump: bytes, token: str) -> bool:
    """Tell whether `token` is the rump's token under `key`; False if `key` is None.

    Compares in constant time. Without a key it computes with a random one, so that a client cannot learn from the time
    whether a key exists (RFC 4467, 10).
    """
    expected = token_for(_NO_KEY if key is None else key, rump)
    same = hmac.compare_digest(expected.encode("ascii"), token.lower().encode("utf-8"))
    return same and key is not None


def access_allows(access: Access, session_user: str | None, roles: Roles) -> bool:
    """Tell whether a session may use a ticket with this access identifier; `session_user` is None if it is anonymous.

    The user name behind `submit+` or an application is not checked: the entity that has the role must check it
    (RFC 4467, 3; RFC 5593, 2).
    """
    if access.kind is AccessKind.ANONYMOUS:
        return True
    if session_user is None:
        return False
    match access.kind:
        case AccessKind.AUTHUSER:
            return True
        case AccessKind.USER:
            return access.user == session_user
        case AccessKind.SUBMIT:
            return session_user in roles.submit_users
        case _:
            return session_user in roles.applications.get(access.name, frozenset())


def expired(url: ImapUrl, now: float) -> bool:
    """Tell whether the URL's EXPIRE has passed at `now` (seconds since 1970); it is valid through that instant."""
    return url.expire is not None and now > url.expire.at.timestamp()


@dataclass(frozen=True)
class Authorisation:
    """The session's user and the names that an access identifier may contain, for the checks of GENURLAUTH.

    `is_account`: tells whether an account exists. `applications`: the known applications, in lower case.
    """

    user: str
    is_account: Callable[[str], bool]
    applications: Collection[str]


def why_not_authorise(url: ImapUrl, mechanism: str, asked: Authorisation) -> str | None:
    """Return why GENURLAUTH refuses this URL before it looks for the mailbox, or None (RFC 4467, 7).

    The text is that of a BAD response. EXPIRE is not checked here: the ticket policy limits how far it may lie in the
    future (LS-2.3-5), and an EXPIRE that has passed is accepted.
    """
    access = url.access
    if mechanism.upper() != MECHANISM:
        return "INTERNAL is the only mechanism"
    if access is None:
        return "missing access identifier in supplied URL"
    if url.token is not None:
        return "the supplied URL is authorised already"
    if url.user is None:
        return "missing owner username in supplied URL"
    if url.user != asked.user:
        return "only the owner of a mailbox may authorise its URLs"
    if access.kind in {AccessKind.USER, AccessKind.SUBMIT} and not asked.is_account(access.user or ""):
        return "the access identifier names no account of this server"
    if access.kind is AccessKind.APPLICATION and access.name not in asked.applications:
        return "the access identifier is not known to this server"
    return None
