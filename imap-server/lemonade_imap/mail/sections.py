"""Finds the parts of a message that a section names, and writes their structure (RFC 3501, 6.4.5 and 7.4.2).

    section         = "[" [section-spec] "]"
    section-spec    = section-msgtext / (section-part ["." section-text])
    section-part    = nz-number *("." nz-number)
    section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"
    section-text    = section-msgtext / "MIME"

The wire package parses this form into a `MessageSection`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from lemonade_imap.mail.decode import IDENTITY
from lemonade_imap.mail.mime import MAX_DEPTH, MAX_PARTS, MimePart
from lemonade_wire.imap.bodystructure import BodyStructure
from lemonade_wire.imap.section import MessageSection

_MAX_PIECE = 65536


def structure_of(part: MimePart) -> BodyStructure:
    """Return the structure of a part as it is stored, with its transfer encoding."""
    if part.is_multipart:
        return BodyStructure(
            part.type,
            part.subtype,
            part.params,
            disposition=part.disposition,
            language=part.language,
            location=part.location,
            parts=tuple(structure_of(child) for child in part.children),
        )
    message = part.children[0] if part.is_message else None
    return BodyStructure(
        part.type,
        part.subtype,
        part.params,
        part.ident,
        part.description,
        part.encoding,
        part.length,
        part.lines if part.type == "TEXT" or message else None,
        message.envelope if message else None,
        structure_of(message) if message else None,
        md5=part.md5,
        disposition=part.disposition,
        language=part.language,
        location=part.location,
    )


def is_whole(root: MimePart, extent: Extent) -> bool:
    """Tell whether the range is the whole message, including its header."""
    return extent.part is None and extent.offset == 0 and extent.length == root.body_offset + root.length


def returned_structure(
    root: MimePart, extent: Extent, decoded_size: int | None, header_lines: int | None = None
) -> BodyStructure:
    """Return the structure of the octets that URLFETCH returns (RFC 5524, 3.2).

    `decoded_size`: octets of the decoded part, or None if it is returned as stored. `header_lines`: lines of the
    message's header if the whole message is returned, otherwise None. The whole message is described as message/rfc822;
    any other section that is not a part, as application/octet-stream.
    """
    part = extent.part
    if part is None:
        identity = "BINARY" if decoded_size is not None else "8BIT"
        if header_lines is not None:
            lines = header_lines + root.lines
            inner = structure_of(root)
            return BodyStructure(
                "MESSAGE", "RFC822", (), None, None, identity, extent.length, lines, root.envelope, inner
            )
        return BodyStructure("APPLICATION", "OCTET-STREAM", encoding=identity, size=extent.length)
    stored = structure_of(part)
    if decoded_size is None or part.is_multipart:
        return stored
    return replace(
        stored,
        # An encoding that leaves the octets as they are keeps its name, unless it forbids NUL (RFC 2045, 2.7 and 2.8).
        encoding=stored.encoding if stored.encoding in IDENTITY and not part.has_nul else "BINARY",
        size=decoded_size,
        lines=part.decoded_lines if stored.lines is not None and not part.is_message else stored.lines,
    )


@dataclass(frozen=True)
class Extent:
    """A range of octets in a stored message.

    `part`: the part whose whole content the range is, so that it can be decoded; otherwise None. `fields`: select only
    these fields of the header in the range, or with `all_but` all other fields.
    """

    offset: int
    length: int
    part: MimePart | None = None
    fields: tuple[str, ...] = ()
    all_but: bool = False


def resolve(root: MimePart, section: MessageSection) -> Extent | None:
    """Return the octets that the section names, or None if the message has no such part; raises BeyondLimit."""
    if section.numbers:
        part = _part(root, section.numbers)
        if part is None:
            return None
        if section.text == "":
            return Extent(part.body_offset, part.length, part)
        if section.text == "MIME":
            return Extent(part.header_offset, part.header_length)
        if not part.is_message:
            return None
        message = part.children[0]
    else:
        message = root
        if section.text == "":
            return Extent(0, root.body_offset + root.length)
    if section.text == "TEXT":
        return Extent(message.body_offset, message.length)
    all_but = section.text == "HEADER.FIELDS.NOT"
    return Extent(message.header_offset, message.header_length, None, section.fields, all_but)


class BeyondLimit(LookupError):  # noqa: N818  named after what was asked for
    """A section names a part that the index lacks, because of its limits on the number and the depth of parts."""


def _part(root: MimePart, numbers: tuple[int, ...]) -> MimePart | None:
    """Return the part with these part numbers, or None; a message that is not a multipart has itself as part 1.

    Raises BeyondLimit if the message may have the part, but the index lacks it.
    """
    part, is_message = root, True
    for number in numbers:
        if not is_message and part.is_message:
            part, is_message = part.children[0], True
        if part.is_multipart:
            if number > len(part.children):
                _require_complete(part)
                return None
            part = part.children[number - 1]
        elif not is_message or number != 1:
            _require_complete(part)
            return None
        is_message = False
    return part


def _require_complete(part: MimePart) -> None:
    if part.incomplete:
        raise BeyondLimit(f"a message has at most {MAX_PARTS} parts, nested at most {MAX_DEPTH} deep")


def chosen_fields(chunks: Iterable[bytes], fields: tuple[str, ...], *, all_but: bool) -> Iterator[bytes]:
    """Yield the selected fields of a header as they are, with the empty line at its end if the header has one.

    The header may have any length: no more than one line of it is held, and of a long line one piece.
    """
    wanted = {name.upper().encode("ascii", "replace") for name in fields}
    kept = fresh = False
    for line, begins in _lines(chunks):
        fresh = begins and line in {b"\r\n", b"\n"}
        if begins and not line.startswith((b" ", b"\t")):
            kept = not fresh and (line.partition(b":")[0].strip().upper() in wanted) is not all_but
        if kept and not fresh:
            yield line
    # RFC 3501, 6.4.5: the empty line is included, unless the message has neither a body nor an empty line.
    if fresh:
        yield b"\r\n"


def _lines(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each line, or the pieces of a line longer than _MAX_PIECE; the flag says whether the line begins here."""
    held, begins = b"", True
    for chunk in chunks:
        *lines, held = (held + chunk).split(b"\n")
        for line in lines:
            yield line + b"\n", begins
            begins = True
        if len(held) > _MAX_PIECE:
            yield held, begins
            held, begins = b"", False
    if held:
        yield held, begins
