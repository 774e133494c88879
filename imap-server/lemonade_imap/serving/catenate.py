"""What a URL of CATENATE gives: octets of a message on this server (RFC 4469, 3; RFC 5092, 7).

A path is the user's own (`/INBOX/;UID=1`), or with a mailbox selected a message of that (`;UID=1`); an absolute URL
must name this server, and either the user or, with a ticket, whoever lets the user in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lemonade_imap.mail.mime import MAX_HEADER
from lemonade_imap.mail.sections import Extent, chosen_fields, resolve
from lemonade_imap.serving.backend import Backend, Refused
from lemonade_imap.serving.verify import Holder, Target, verify
from lemonade_imap.session import ImapSession
from lemonade_imap.store.base import Message, Store
from lemonade_imap.view import View
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.percent import percent_encode
from lemonade_wire.imap.section import Section
from lemonade_wire.imap.url import ImapUrl

_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:")
_NOT_SHOWN = re.compile(r"[^\x21-\x7e]|[\"\\\]]")


@dataclass(frozen=True)
class Content:
    """Octets to be copied: `size` of them in chunks, already open."""

    size: int
    chunks: Iterator[bytes]


def open_url(backend: Backend, session: ImapSession, text: bytes, now: float) -> Content:
    """Return what the URL gives; runs where the store lives. Raises Refused with the code BADURL, or StoreError."""
    user = session.user or ""
    try:
        found = _find(backend, session, user, text, now)
    except ImapParseError as problem:
        raise _bad(text, str(problem)) from None
    if found is None:
        raise _bad(text, "there is no such message, or no such part of it")
    url, message, extent = found
    size, chunks = _octets(backend.store, message, extent)
    if url.partial is not None:
        offset = min(url.partial.offset, size)
        length = size - offset if url.partial.length is None else min(url.partial.length, size - offset)
        if extent.fields:
            return Content(length, iter([b"".join(chunks)[offset : offset + length]]))
        return Content(length, backend.store.read(message, extent.offset + offset, length))
    return Content(size, chunks)


def _find(
    backend: Backend, session: ImapSession, user: str, text: bytes, now: float
) -> tuple[ImapUrl, Message, Extent] | None:
    if _SCHEME.match(text) is None:
        url = ImapUrl.parse(_absolute(backend.config.names[0], user, text, session.view))
        if url.access is not None:
            raise ImapParseError("a ticket belongs to an absolute URL")
    else:
        url = ImapUrl.parse(text)
        if url.access is not None:
            target = verify(backend, text, Holder(session.user, session.peer, now))
            return (target.url, target.message, target.extent) if isinstance(target, Target) else None
        if not backend.config.serves(url.host, url.port) or url.user not in {None, user}:
            raise ImapParseError("a URL without a ticket names this server and its user")
    mailbox = backend.store.mailbox(user, url.mailbox)
    if mailbox is None or url.uidvalidity not in {None, mailbox.uid_validity}:
        return None
    message = backend.store.message(mailbox, url.uid)
    extent = None if message is None else resolve(message.root, Section.parse(url.section or ""))
    return None if message is None or extent is None else (url, message, extent)


def _absolute(host: str, user: str, text: bytes, view: View | None) -> str:
    """Resolve a reference against `imap://user@server/`, or the selected mailbox (RFC 4469, 3)."""
    try:
        path = text.decode("ascii")
    except UnicodeDecodeError:
        raise ImapParseError("a URL holds ASCII alone") from None
    base = f"imap://{percent_encode(user)}@{host}"
    if path.lower().startswith(";uid=") and view is not None:
        name = percent_encode(view.mailbox.name, "&=:@/")
        return f"{base}/{name};UIDVALIDITY={view.mailbox.uid_validity}/{path}"
    if not path.startswith("/") or path.startswith("//"):
        raise ImapParseError("a URL is /mailbox/;UID=n, or imap://user@server/mailbox/;UID=n")
    return base + path


def _octets(store: Store, message: Message, extent: Extent) -> tuple[int, Iterator[bytes]]:
    if not extent.fields:
        return extent.length, store.read(message, extent.offset, extent.length)
    header = b"".join(store.read(message, extent.offset, min(extent.length, MAX_HEADER)))
    chosen = chosen_fields(header, extent.fields, all_but=extent.all_but)
    return len(chosen), iter([chosen])


def _bad(text: bytes, why: str) -> Refused:
    """Return the refusal that names the URL, with what a response code cannot hold percent-encoded (RFC 4469, 5)."""
    shown = _NOT_SHOWN.sub(lambda char: f"%{ord(char[0]):02X}", text.decode("latin-1"))
    return Refused("NO", f'[BADURL "{shown}"] {why}')
