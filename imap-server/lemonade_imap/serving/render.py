"""Writes what a valid ticket gives: the octets as stored or decoded, and the structure (RFC 4467, 7; RFC 5524, 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from lemonade_imap.mail.decode import cut, decoded
from lemonade_imap.mail.mime import Part
from lemonade_imap.mail.sections import Extent, chosen_fields
from lemonade_imap.mail.structure import is_whole, returned_structure
from lemonade_imap.reply import Piece
from lemonade_imap.serving.backend import EMPTY, Backend, Wanted, content_of, within
from lemonade_imap.serving.verify import Target
from lemonade_imap.store.base import Message
from lemonade_imap.urlauth import Refusal
from lemonade_wire.imap.framing import Literal


@dataclass(frozen=True)
class _Content:
    """All that the section names: `size` octets, of which `read(offset, length)` gives a range."""

    size: int
    read: Callable[[int, int], Piece]


def render(backend: Backend, target: Target, params: tuple[str, ...]) -> list[Piece] | Refusal:
    """Return what stands behind the URL; runs where the store lives. Raises StoreError where the octets are gone.

    Long content is a `Body`, read as it is sent. More of it than the policy allows is refused.
    """
    content = _content(backend, target, binary="BINARY" in params)
    octets: Piece = b"NIL"
    if content is not None and params != ("BODYPARTSTRUCTURE",):
        partial = target.url.partial
        start, count = (partial.offset, partial.length) if partial else (None, None)
        offset, length = within(start, count, content.size)
        if not backend.config.tickets.fits(length):
            return Refusal.SIZE
        length = backend.behaviour.content_size(length)
        octets = content.read(offset, length) if length else EMPTY
    if not params:
        return [octets]
    elements: list[list[Piece]] = []
    if "BODYPARTSTRUCTURE" in params and backend.behaviour.shows_structure():
        elements.append([b"(BODYPARTSTRUCTURE ", *_structure(backend, target, params, content), b")"])
    elements += [[b"(%s " % item.encode("ascii"), octets, b")"] for item in ("BODY", "BINARY") if item in params]
    return [piece for index, element in enumerate(elements) for piece in ([b" ", *element] if index else element)]


def _structure(backend: Backend, target: Target, params: tuple[str, ...], content: _Content | None) -> list[Piece]:
    """Describe what is returned: decoded where BINARY is asked for and possible, else as it is stored.

    The size is the section's, with PARTIAL too.
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


def _content(backend: Backend, target: Target, *, binary: bool) -> _Content | None:
    """Return the content as it is asked for, or None where it does not decode (RFC 5524, 3.2: BINARY NIL)."""
    extent, message = target.extent, target.message
    if extent.fields:
        return _fields(backend, message, extent)
    if binary and extent.part is not None:
        return _decoded(backend, message, extent, extent.part)

    def read(offset: int, length: int) -> Piece:
        # what is no part has no encoding of its own, and may hold NUL
        return content_of(backend.store, message, Wanted(extent.offset + offset, length, length, binary=binary))

    return _Content(extent.length, read)


def _fields(backend: Backend, message: Message, extent: Extent) -> _Content:
    """Return fields of a header, which are chosen before PARTIAL counts (RFC 3501, 6.4.5)."""
    header = b"".join(backend.store.read(message, extent.offset, extent.length))
    chosen = chosen_fields(header, extent.fields, all_but=extent.all_but)
    return _Content(len(chosen), lambda offset, length: Literal.of(chosen[offset : offset + length]))


def _decoded(backend: Backend, message: Message, extent: Extent, part: Part) -> _Content | None:
    """Return a part without its transfer encoding (LS-2.8-10); PARTIAL counts decoded octets (RFC 3516, 4.2)."""
    rendition = backend.behaviour.rendition(part)
    if rendition is None:
        return None
    encoding = rendition.encoding

    def read(offset: int, length: int) -> Piece:
        def without(chunks: Iterator[bytes]) -> Iterator[bytes]:
            return cut(decoded(chunks, encoding), offset, length)

        return content_of(backend.store, message, Wanted(extent.offset, extent.length, length, without, part.has_nul))

    return _Content(rendition.size, read)
