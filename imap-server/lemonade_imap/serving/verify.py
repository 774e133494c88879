"""Verifies a ticket in one visit to the store, at the same cost whatever is wrong with it (RFC 4467, 7 and 10).

Who sends URLs that are refused learns nothing from the answer, which is NIL, nor from the time it takes: every refusal
asks the store for one mailbox with its key and for one message, and computes one token. Where a step has nothing to
work on (no such account, no such mailbox, no URL at all) it works on something that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass

from lemonade_imap.mail.sections import Extent, resolve
from lemonade_imap.serving.backend import Backend
from lemonade_imap.store.base import Mailbox, Message
from lemonade_imap.urlauth import MECHANISM, Refusal
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.section import Section
from lemonade_wire.imap.url import ImapUrl

_NO_URL = ImapUrl.parse("imap://nobody@host.invalid/none/;UID=1;URLAUTH=anonymous:INTERNAL:" + "0" * 66)
_NO_MAILBOX = Mailbox(ident=0, user="", name="", uid_validity=0, uid_next=1)
_NO_UID = 0


@dataclass(frozen=True)
class Holder:
    """Who holds a ticket, and when: `user` is None for an anonymous session, `host` the address it comes from, `now`
    seconds since 1970.
    """

    user: str | None
    host: str
    now: float


@dataclass(frozen=True)
class Target:
    """What a valid ticket gives: octets of a message."""

    url: ImapUrl
    message: Message
    extent: Extent


def verify(backend: Backend, text: bytes, holder: Holder) -> Target | Refusal:
    """Return what the ticket gives, or why nothing; runs where the store lives.

    The token is judged before all that depends on what the mailbox holds.
    """
    url, refusal = _read(backend, text)
    # an owner without an account has no rights any more, whatever the store still holds
    if not backend.gate.known(url.user or "") and refusal is None:
        refusal = Refusal.MAILBOX
    owned = _NO_URL if refusal else url
    mailbox, key = backend.store.with_key(owned.user or "", owned.mailbox) or (None, None)
    # without a key a token is computed all the same
    matches = backend.behaviour.token_matches(key, url)
    if refusal is None:
        refusal = _judge(backend, url, mailbox if key is not None else None, matches, holder)
    message = backend.store.message(mailbox or _NO_MAILBOX, _NO_UID if refusal else url.uid)
    if refusal is not None:
        return refusal
    if message is None:
        return Refusal.MESSAGE
    extent = resolve(message.root, Section.parse(url.section or ""))
    return Refusal.SECTION if extent is None else Target(url, message, extent)


def _read(backend: Backend, text: bytes) -> tuple[ImapUrl, Refusal | None]:
    """Return the URL and what is wrong with it by itself; what is no URL is replaced by one."""
    try:
        url = ImapUrl.parse(text)
    except ImapParseError:
        return _NO_URL, Refusal.MALFORMED
    if url.access is None or url.token is None:
        return url, Refusal.MALFORMED
    if url.mechanism != MECHANISM:
        return url, Refusal.MECHANISM
    if not backend.config.serves(url.host, url.port):
        return url, Refusal.HOST
    return url, None


def _judge(backend: Backend, url: ImapUrl, mailbox: Mailbox | None, matches: bool, holder: Holder) -> Refusal | None:
    behaviour, config = backend.behaviour, backend.config
    if mailbox is None:
        return Refusal.MAILBOX
    if not matches:
        return Refusal.TOKEN
    if behaviour.expired(url, holder.now):
        return Refusal.EXPIRED
    if url.access is None or not behaviour.access_allows(url.access, holder.user, config.roles):
        return Refusal.ACCESS
    if not behaviour.may_fetch(config.tickets, holder.user, holder.host):
        return Refusal.PEER
    return None if url.uidvalidity in {None, mailbox.uid_validity} else Refusal.UID_VALIDITY
