"""Verifies a ticket in one call of the store, and writes the URLFETCH response for a valid one.

Every refusal costs the same work (RFC 4467, 7 and 10). The response holds octets and structure (RFC 5524, 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from lemonade_imap.mail.decode import cut, decoded
from lemonade_imap.mail.mime import MimePart
from lemonade_imap.mail.sections import BeyondLimit, Extent, is_whole, resolve, returned_structure
from lemonade_imap.reply import Piece
from lemonade_imap.serving.backend import EMPTY, Backend, Wanted, content_of, fields_of, within
from lemonade_imap.store.base import StoredMailbox, StoredMessage
from lemonade_imap.urlauth import MECHANISM, UrlAuthRefusal
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.section import MessageSection
from lemonade_wire.imap.url import ImapUrl

_NO_URL = ImapUrl.parse("imap://nobody@host.invalid/none/;UID=1;URLAUTH=anonymous:INTERNAL:" + "0" * 66)
_NO_MAILBOX = StoredMailbox(ident=0, user="", name="", uid_validity=0, uid_next=1)
_NO_UID = 0


@dataclass(frozen=True)
class Holder:
    """The session that uses a ticket.

    `user`: its account, or None for an anonymous session. `host`: the client's address. `now`: seconds since 1970.
    """

    user: str | None
    host: str
    now: float


@dataclass(frozen=True)
class TicketTarget:
    """The octets of a stored message to which a valid ticket gives access."""

    url: ImapUrl
    mailbox: StoredMailbox
    message: StoredMessage
    extent: Extent


def verify(backend: Backend, text: bytes, holder: Holder) -> TicketTarget | UrlAuthRefusal:
    """Return the octets to which a ticket gives access, or the reason for a refusal; must run by the store's runner.

    The token is checked before anything that depends on the content of the mailbox.
    """
    url, refusal = _read(backend, text)
    # If the owner's account was removed, its tickets are invalid, even though the mailboxes still exist.
    if not backend.authenticator.known(url.user or "") and refusal is None:
        refusal = UrlAuthRefusal.MAILBOX
    owned = _NO_URL if refusal else url
    mailbox, key = backend.store.with_key(owned.user or "", backend.behaviour.mailbox_of(owned)) or (None, None)
    # Without a key a token is computed too, so that this takes the same time.
    matches = backend.behaviour.token_matches(key, url)
    if refusal is None:
        refusal = _find_refusal(backend, url, mailbox if key is not None else None, matches, holder)
    message = backend.store.message(mailbox or _NO_MAILBOX, _NO_UID if refusal else url.uid)
    if refusal is not None:
        return refusal
    if message is None or mailbox is None:
        return UrlAuthRefusal.MESSAGE
    try:
        extent = resolve(message.root, MessageSection.parse(backend.behaviour.section_of(url)))
    except BeyondLimit:
        return UrlAuthRefusal.SECTION
    return UrlAuthRefusal.SECTION if extent is None else TicketTarget(url, mailbox, message, extent)


def _read(backend: Backend, text: bytes) -> tuple[ImapUrl, UrlAuthRefusal | None]:
    """Return the parsed URL and the reason to refuse it without the store, if any; a placeholder for an invalid URL."""
    try:
        url = ImapUrl.parse(text)
    except ImapParseError:
        return _NO_URL, UrlAuthRefusal.MALFORMED
    if url.access is None or url.token is None:
        return url, UrlAuthRefusal.MALFORMED
    if url.mechanism != MECHANISM:
        return url, UrlAuthRefusal.MECHANISM
    if not backend.config.serves(url.host, url.port):
        return url, UrlAuthRefusal.HOST
    return url, None


def _find_refusal(
    backend: Backend, url: ImapUrl, mailbox: StoredMailbox | None, matches: bool, holder: Holder
) -> UrlAuthRefusal | None:
    behaviour, config = backend.behaviour, backend.config
    if mailbox is None:
        return UrlAuthRefusal.MAILBOX
    if not matches:
        return UrlAuthRefusal.TOKEN
    if behaviour.expired(url, holder.now):
        return UrlAuthRefusal.EXPIRED
    if url.access is None or not behaviour.access_allows(url.access, holder.user, config.roles):
        return UrlAuthRefusal.ACCESS
    if not behaviour.may_fetch(config.tickets, holder.user, holder.host):
        return UrlAuthRefusal.PEER
    return None if behaviour.uidvalidity_fits(url, mailbox.uid_validity) else UrlAuthRefusal.UID_VALIDITY


@dataclass(frozen=True)
class _Content:
    """The content of a section: `size` octets; `read(offset, length)` returns a range of them."""

    size: int
    read: Callable[[int, int], Piece]


def render(backend: Backend, target: TicketTarget, params: tuple[str, ...]) -> list[Piece] | UrlAuthRefusal:
    """Return the pieces of the response behind the URL, or a refusal if the content is longer than the policy allows.

    `params`: the requested parameters in capitals; empty for the plain form. Content above CHUNK octets is a `Body`,
    which is read while it is sent. Must run by the store's runner. Raises StoreError if the octets cannot be read.
    """
    content = _content(backend, target, binary="BINARY" in params)
    octets: Piece = b"NIL"
    if content is not None and params != ("BODYPARTSTRUCTURE",):
        partial = backend.behaviour.partial_of(target.url)
        start, count = (partial.offset, partial.length) if partial else (None, None)
        offset, length = within(start, count, content.size)
        if not backend.config.tickets.fits(length):
            return UrlAuthRefusal.SIZE
        length = backend.behaviour.content_size(length)
        octets = content.read(offset, length) if length else EMPTY
    if not params:
        return [octets]
    elements: list[list[Piece]] = []
    if "BODYPARTSTRUCTURE" in params and backend.behaviour.shows_structure():
        elements.append([b"(BODYPARTSTRUCTURE ", *_structure(backend, target, params, content), b")"])
    elements += [[b"(%s " % item.encode("ascii"), octets, b")"] for item in ("BODY", "BINARY") if item in params]
    return [piece for index, element in enumerate(elements) for piece in ([b" ", *element] if index else element)]


def _structure(
    backend: Backend, target: TicketTarget, params: tuple[str, ...], content: _Content | None
) -> list[Piece]:
    """Return BODYPARTSTRUCTURE: of the decoded part if BINARY is asked for and possible, otherwise of the stored one.

    The size is that of the whole section, also with PARTIAL.
    """
    extent, message = target.extent, target.message
    header_lines = None
    if is_whole(message.root, extent):
        header_lines = sum(chunk.count(b"\n") for chunk in backend.store.read(message, 0, message.root.body_offset))
    if extent.fields and content is not None:
        extent = replace(extent, length=content.size)
    decoded_size = content.size if "BINARY" in params and content is not None else None
    returned = returned_structure(message.root, extent, decoded_size, header_lines)
    return list(backend.behaviour.part_structure(returned, extent.length))


def _content(backend: Backend, target: TicketTarget, *, binary: bool) -> _Content | None:
    """Return the content, with `binary` decoded, or None if it cannot be decoded (RFC 5524, 3.2: BINARY NIL)."""
    extent, message = target.extent, target.message
    if extent.fields:
        return _fields(backend, message, extent)
    if binary and extent.part is not None:
        return _decoded(backend, message, extent, extent.part)

    def read(offset: int, length: int) -> Piece:
        # A section that is not a part has no transfer encoding of its own, and may contain NUL.
        return content_of(backend.store, message, Wanted(extent.offset + offset, length, length, binary=binary))

    return _Content(extent.length, read)


def _fields(backend: Backend, message: StoredMessage, extent: Extent) -> _Content:
    """Return selected header fields; PARTIAL counts the octets after the selection (RFC 3501, 6.4.5)."""
    size, _ = fields_of(backend.store, message, extent, None, 0)
    return _Content(size, lambda offset, length: fields_of(backend.store, message, extent, offset, length)[1])


def _decoded(backend: Backend, message: StoredMessage, extent: Extent, part: MimePart) -> _Content | None:
    """Return a part without its transfer encoding (LS-2.8-10); PARTIAL counts decoded octets (RFC 3516, 4.2).

    Returns None if the part cannot be decoded.
    """
    rendition = backend.behaviour.rendition(part)
    if rendition is None:
        return None
    encoding, behaviour = rendition.encoding, backend.behaviour
    if part.irregular:
        backend.log("URLFETCH BINARY: base64 is decoded that is not to the letter (RFC 2045, 6.8)")

    def read(offset: int, length: int) -> Piece:
        def without(chunks: Iterator[bytes]) -> Iterator[bytes]:
            return cut(behaviour.sent_octets(decoded(chunks, encoding)), offset, length)

        literal8 = behaviour.uses_literal8(part.has_nul)
        return content_of(backend.store, message, Wanted(extent.offset, extent.length, length, without, literal8))

    return _Content(rendition.size, read)
