"""Compares the structures that an IMAP server writes (BODYSTRUCTURE, BODYPARTSTRUCTURE) with the parts of the mail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lemonade_testbed.ladder.imaptext import as_text
from lemonade_testbed.mailparts import MailPart

TYPES, PARAMETERS, ENCODING, SIZE, LINES = (f"RFC3501-7.4.2-{number}" for number in range(1, 6))
_BASIC = 7
"""The number of fields that every part has, except a multipart."""


@dataclass(frozen=True)
class StructureDifference:
    """A difference between a structure and a part of the mail: the clause, what is expected, and what is seen."""

    clause: str
    expected: str
    seen: str


def differences(fields: object, part: MailPart, path: str = "") -> Iterator[StructureDifference]:
    """Yield the differences between a BODYSTRUCTURE (as tokens) and the mail; extension data may be left out."""
    where = f"part {path}" if path else "the message"
    if not isinstance(fields, list) or not fields:
        yield StructureDifference(TYPES, f"{where}: a structure", "nothing")
    elif part.is_multipart:
        yield from _of_multipart(fields, part, path, where)
    else:
        yield from of_leaf(fields, part, part.stored, part.encoding, where)


def _of_multipart(fields: Sequence[Any], part: MailPart, path: str, where: str) -> Iterator[StructureDifference]:
    children = [field for field in fields if isinstance(field, list)]
    count = next((index for index, field in enumerate(fields) if not isinstance(field, list)), len(fields))
    if count != len(part.parts):
        yield StructureDifference(TYPES, f"{where}: {len(part.parts)} parts", f"{count} parts")
        return
    subtype = as_text(fields[count]).lower() if count < len(fields) else ""
    if subtype != part.subtype:
        yield StructureDifference(TYPES, f"{where}: multipart/{part.subtype}", f"multipart/{subtype}")
    if count + 1 < len(fields):
        yield from _parameters(fields[count + 1], part, where)
    for number, (field, inner) in enumerate(zip(children, part.parts, strict=False), 1):
        yield from differences(field, inner, f"{path}.{number}" if path else str(number))


def of_leaf(
    fields: Sequence[Any], part: MailPart, octets: bytes | None, encoding: str, where: str
) -> Iterator[StructureDifference]:
    """Yield the differences between the structure of a part and the part; `octets` is None if the size is not judged.

    The part must not be a multipart. `octets` and `encoding` are those that the structure must describe.
    """
    if len(fields) < _BASIC or isinstance(fields[0], list):
        yield StructureDifference(
            TYPES, f"{where}: type, subtype, parameters, id, description, encoding, size", _words(fields)
        )
        return
    kind = f"{as_text(fields[0])}/{as_text(fields[1])}".lower()
    if kind != part.content_type:
        yield StructureDifference(TYPES, f"{where}: {part.content_type}", kind)
    yield from _parameters(fields[2], part, where)
    seen_encoding = as_text(fields[5]).upper()
    if seen_encoding != encoding:
        yield StructureDifference(ENCODING, f"{where}: encoding {encoding}", seen_encoding)
    if octets is None or part.parts:
        return
    if as_text(fields[6]) != str(len(octets)):
        yield StructureDifference(SIZE, f"{where}: {len(octets)} octets", as_text(fields[6]))
    lines = octets.count(b"\n")
    if part.type == "text" and as_text((*fields, "")[_BASIC]) not in {str(lines), str(lines + 1)}:
        yield StructureDifference(LINES, f"{where}: {lines} lines", as_text((*fields, "")[_BASIC]) or "nothing")


def _parameters(field: object, part: MailPart, where: str) -> Iterator[StructureDifference]:
    """Compare parameters in any case and order; a charset that the mail leaves out may be present."""
    words = [as_text(word) for word in field] if isinstance(field, list) else []
    shown = {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=False)}
    wanted = {name: value for name, value in part.params.items() if "*" not in name and value.isascii()}
    if "charset" not in wanted and part.type == "text":
        shown.pop("charset", None)
    if any("*" in name for name in part.params):
        shown = {name: shown[name] for name in wanted if name in shown}
    if _folded(shown) != _folded(wanted):
        yield StructureDifference(PARAMETERS, f"{where}: parameters {wanted or 'none'}", str(shown or "none"))


def _folded(params: Mapping[str, str]) -> dict[str, str]:
    return {name: value.lower() if name == "charset" else value for name, value in params.items()}


def _words(fields: Sequence[Any]) -> str:
    return " ".join("(...)" if isinstance(field, list) else as_text(field) for field in fields)
