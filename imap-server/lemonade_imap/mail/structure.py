"""The index of a part as the wire's BODYSTRUCTURE values."""

from __future__ import annotations

from dataclasses import replace

from lemonade_imap.mail.mime import Part
from lemonade_imap.mail.sections import Extent
from lemonade_wire.imap.bodystructure import BodyStructure


def structure_of(part: Part) -> BodyStructure:
    """Return a part's structure as it is stored."""
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


def is_whole(root: Part, extent: Extent) -> bool:
    """Tell whether octets are a whole message, its header too."""
    return extent.part is None and extent.offset == 0 and extent.length == root.body_offset + root.length


def returned_structure(
    root: Part, extent: Extent, decoded_size: int | None, header_lines: int | None = None
) -> BodyStructure:
    """Return the structure of what URLFETCH returns (RFC 5524, 3.2): `decoded_size` is None where it is as stored.

    `header_lines`: of the message, where it is returned whole. A section that is no part has no structure of its own:
    the whole message is a message/rfc822, the rest octets.
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
