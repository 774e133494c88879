"""URLAUTH tickets: how a token is made, and in which order a ticket is verified (RFC 4467; facts 3.2).

Pure: keys, times and roles are arguments. A refusal carries its reason for the log; a client never learns it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum

from lemonade_wire.imap.access import Access, AccessKind
from lemonade_wire.imap.url import ImapUrl

KEY_OCTETS = 32
MECHANISM = "INTERNAL"
_VERSION = b"\x01"  # names the algorithm, so that another can follow (RFC 4467, 10)
_NO_KEY = secrets.token_bytes(KEY_OCTETS)


class Refusal(Enum):
    """Why a ticket is refused; all of them are NIL to the client."""

    MALFORMED = "the URL is no ticket"
    MECHANISM = "its mechanism is not supported"
    HOST = "it names another server"
    MAILBOX = "its owner has no such mailbox, or no ticket was ever made for it"
    TOKEN = "its token is not the one made for it"  # noqa: S105  a sentence
    EXPIRED = "its time has passed"
    ACCESS = "the session is not one that it lets in"
    PEER = "the session is not one of a listed media server"
    UID_VALIDITY = "the mailbox has another UIDVALIDITY now"
    MESSAGE = "the message is gone"
    SECTION = "the message has no such part"
    SIZE = "the part is larger than may be fetched"


@dataclass(frozen=True)
class Roles:
    """Who may use which class of tickets (RFC 4467, 3; RFC 5593).

    `submit_users`: identities with the submit role. `applications`: application name in lower case to its identities.
    """

    submit_users: frozenset[str] = frozenset()
    applications: Mapping[str, frozenset[str]] = field(default_factory=dict)


def new_key() -> bytes:
    """Return a new mailbox key: 256 random bits (RFC 4467, 10 asks for at least 128)."""
    return secrets.token_bytes(KEY_OCTETS)


def token_for(key: bytes, rump: bytes) -> str:
    """Return the token of a rump: the version octet and HMAC-SHA-256 over its exact octets, in hexadecimal."""
    return (_VERSION + hmac.new(key, rump, hashlib.sha256).digest()).hex()


def token_matches(key: bytes | None, rump: bytes, token: str) -> bool:
    """Compare in constant time; without a key any other is used, so that the answer takes as long (RFC 4467, 10)."""
    expected = token_for(_NO_KEY if key is None else key, rump)
    same = hmac.compare_digest(expected.encode("ascii"), token.lower().encode("utf-8"))
    return same and key is not None


def access_allows(access: Access, session_user: str | None, roles: Roles) -> bool:
    """Tell whether a session may use a ticket of this access class; `session_user` is None for an anonymous one.

    The user behind `submit+` or an application is not looked at: checking it is the business of the entity that holds
    the role (RFC 4467, 3; RFC 5593, 2).
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
    """What GENURLAUTH is asked in, and what it may hand out: who has an account, and the applications it knows of."""

    user: str
    is_account: Callable[[str], bool]
    applications: Collection[str]


def why_not_authorise(url: ImapUrl, mechanism: str, asked: Authorisation) -> str | None:
    """Return why GENURLAUTH must refuse this URL whatever the mailbox (each is a BAD), or None (RFC 4467, 7).

    EXPIRE is not looked at: how far it may lie ahead is the policy's (LS-2.3-5), and one that has passed is accepted.
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
