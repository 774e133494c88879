"""Reads the octets that a URL of CATENATE names in a message on this server (RFC 4469, 3; RFC 5092, 7).

The forms of such a URL:

    /INBOX/;UID=1              a message of the session's user
    ;UID=1                     a message of the selected mailbox
    imap://user@host/...       a URL of this server and of the session's user, or a ticket that the user may use
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lemonade_imap.mail.decode import cut
from lemonade_imap.mail.sections import BeyondLimit, Extent, chosen_fields, resolve
from lemonade_imap.selected_mailbox import SelectedMailbox
from lemonade_imap.serving.backend import Backend, Refused
from lemonade_imap.serving.urlfetch import Holder, TicketTarget, verify
from lemonade_imap.session import ImapSession
from lemonade_imap.store.base import Store, StoredMessage
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.section import MessageSection
from lemonade_wire.imap.url import ImapUrl
from lemonade_wire.imap.url_parts import percent_encode

_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:")
_NOT_SHOWN = re.compile(r"[^\x21-\x7e]|[\"\\\]]")


@dataclass(frozen=True)
class Content:
    """Octets to be copied: `size` octets in chunks; the message's file is open already."""

    size: int
    chunks: Iterator[bytes]


def open_url(backend: Backend, session: ImapSession, text: bytes, now: float) -> Content:
    """Return the octets that a URL names; must run by the store's runner.

    `now`: seconds since 1970. Raises Refused with the response code BADURL, or StoreError.
    """
    user = session.user or ""
    try:
        found = _find(backend, session, user, text, now)
    except (ImapParseError, BeyondLimit) as problem:
        raise _bad(text, str(problem)) from None
    if found is None:
        raise _bad(text, "there is no such message, or no such part of it")
    url, message, extent = found
    size, chunks = _octets(backend.store, message, extent)
    if url.partial is not None:
        offset = min(url.partial.offset, size)
        length = size - offset if url.partial.length is None else min(url.partial.length, size - offset)
        if extent.fields:
            return Content(length, cut(chunks, offset, length))
        return Content(length, backend.store.read(message, extent.offset + offset, length))
    return Content(size, chunks)


def _find(
    backend: Backend, session: ImapSession, user: str, text: bytes, now: float
) -> tuple[ImapUrl, StoredMessage, Extent] | None:
    if _SCHEME.match(text) is None:
        url = ImapUrl.parse(_absolute(backend.config.names[0], user, text, session.view))
        if url.access is not None:
            raise ImapParseError("a ticket belongs to an absolute URL")
    else:
        url = ImapUrl.parse(text)
        if url.access is not None:
            target = verify(backend, text, Holder(session.user, session.peer, now))
            return (target.url, target.message, target.extent) if isinstance(target, TicketTarget) else None
        if not backend.config.serves(url.host, url.port) or url.user not in {None, user}:
            raise ImapParseError("a URL without a ticket names this server and its user")
    mailbox = backend.store.mailbox(user, url.mailbox)
    if mailbox is None or url.uidvalidity not in {None, mailbox.uid_validity}:
        return None
    message = backend.store.message(mailbox, url.uid)
    extent = None if message is None else resolve(message.root, MessageSection.parse(url.section or ""))
    return None if message is None or extent is None else (url, message, extent)


def _absolute(host: str, user: str, text: bytes, view: SelectedMailbox | None) -> str:
    """Return the absolute URL of a relative one (RFC 4469, 3).

    The base is `imap://user@server/`, or the selected mailbox for a URL that begins with `;UID=`.
    """
    try:
        path = text.decode("ascii")
    except UnicodeDecodeError:
        raise ImapParseError("a URL must be ASCII") from None
    base = f"imap://{percent_encode(user)}@{host}"
    if path.lower().startswith(";uid=") and view is not None:
        name = percent_encode(view.mailbox.name, "&=:@/")
        return f"{base}/{name};UIDVALIDITY={view.mailbox.uid_validity}/{path}"
    if not path.startswith("/") or path.startswith("//"):
        raise ImapParseError("a URL is /mailbox/;UID=n, or imap://user@server/mailbox/;UID=n")
    return base + path


def _octets(store: Store, message: StoredMessage, extent: Extent) -> tuple[int, Iterator[bytes]]:
    if not extent.fields:
        return extent.length, store.read(message, extent.offset, extent.length)

    def chosen() -> Iterator[bytes]:
        header = store.read(message, extent.offset, extent.length)
        return chosen_fields(header, extent.fields, all_but=extent.all_but)

    return sum(map(len, chosen())), chosen()


def _bad(text: bytes, why: str) -> Refused:
    """Return the refusal BADURL with the URL; characters that a response code cannot contain are percent-encoded.

    Source: RFC 4469, 5.
    """
    shown = _NOT_SHOWN.sub(lambda char: f"%{ord(char[0]):02X}", text.decode("latin-1"))
    return Refused("NO", f'[BADURL "{shown}"] {why}')
