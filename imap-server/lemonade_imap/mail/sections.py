"""Finds the parts of a message that a section names, and writes their structure (RFC 3501, 6.4.5 and 7.4.2).

    section         = "[" [section-spec] "]"
    section-spec    = section-msgtext / (section-part ["." section-text])
    section-part    = nz-number *("." nz-number)
    section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"
    section-text    = section-msgtext / "MIME"

The wire package parses this form into a `MessageSection`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from lemonade_imap.mail.mime import MimePart
from lemonade_wire.imap.bodystructure import BodyStructure
from lemonade_wire.imap.section import MessageSection

_FIELD = re.compile(rb"[^\r\n][^\n]*\n?(?:[ \t][^\n]*\n?)*")
_ENDED = re.compile(rb"(?:\A|\n)\r?\n\Z")


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
    identity = "BINARY" if decoded_size is not None else "8BIT"
    if part is None:
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
        encoding="BINARY",
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
    """Return the octets that the section names, or None if the message has no such part."""
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


def _part(root: MimePart, numbers: tuple[int, ...]) -> MimePart | None:
    """Return the part with these part numbers, or None; a message that is not a multipart has itself as part 1."""
    part, is_message = root, True
    for number in numbers:
        if not is_message and part.is_message:
            part, is_message = part.children[0], True
        if part.is_multipart:
            if number > len(part.children):
                return None
            part = part.children[number - 1]
        elif not is_message or number != 1:
            return None
        is_message = False
    return part


def chosen_fields(header: bytes, fields: tuple[str, ...], *, all_but: bool) -> bytes:
    """Return the selected fields of a header as they are, with the empty line at its end if the header has one."""
    wanted = {name.upper().encode("ascii", "replace") for name in fields}
    kept = [
        match[0]
        for match in _FIELD.finditer(header)
        if (match[0].partition(b":")[0].strip().upper() in wanted) is not all_but
    ]
    # RFC 3501, 6.4.5: the empty line is included, unless the message has neither a body nor an empty line.
    return b"".join(kept) + (b"\r\n" if _ENDED.search(header) else b"")
