"""Finds what a section names in a message's index (RFC 3501, 6.4.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lemonade_imap.mail.mime import Part
from lemonade_wire.imap.section import Section

_FIELD = re.compile(rb"[^\r\n][^\n]*\n?(?:[ \t][^\n]*\n?)*")
_ENDED = re.compile(rb"(?:\A|\n)\r?\n\Z")


@dataclass(frozen=True)
class Extent:
    """Octets of a stored message: where, how many, and what they are.

    `part`: the part whose whole content they are, which has an encoding that can be taken off; else None.
    `fields`: of a header, only these fields, or with `all_but` all others; the octets must be filtered.
    """

    offset: int
    length: int
    part: Part | None = None
    fields: tuple[str, ...] = ()
    all_but: bool = False


def resolve(root: Part, section: Section) -> Extent | None:
    """Return what the section names, or None where the message has no such part."""
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


def _part(root: Part, numbers: tuple[int, ...]) -> Part | None:
    """Walk part numbers; a message that is no multipart has the one part 1, itself."""
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
    """Return the fields chosen of a header, as they stand, with the empty line that ends it where it has one."""
    wanted = {name.upper().encode("ascii", "replace") for name in fields}
    kept = [
        match[0]
        for match in _FIELD.finditer(header)
        if (match[0].partition(b":")[0].strip().upper() in wanted) is not all_but
    ]
    # RFC 3501, 6.4.5: the blank line stays, but in a message that has neither body nor blank line
    return b"".join(kept) + (b"\r\n" if _ENDED.search(header) else b"")
