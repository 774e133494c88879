"""Pieces for writing lines: strings that choose their form, and lists of them."""

from __future__ import annotations

from collections.abc import Iterable

from lemonade_wire.imap.framing import LogicalLine, Part
from lemonade_wire.imap.lexer import quote

Joined = list[Part]


def text_string(text: str) -> Joined:
    """Write text as a quoted string, or as a literal where it is not plain ASCII."""
    return [quote(text.encode("utf-8", "surrogateescape"))]


def nstring(text: str | None) -> Joined:
    """Write text, or NIL for None."""
    return [b"NIL"] if text is None else text_string(text)


def join(before: bytes, items: Iterable[Joined], after: bytes) -> Joined:
    """Put single spaces between items, and `before` and `after` around them."""
    written: Joined = [before]
    for index, item in enumerate(items):
        written += [b" ", *item] if index else item
    return [*written, after]


def line_of(parts: Iterable[Part]) -> LogicalLine:
    """Make a line whose neighbouring texts are one text."""
    merged: list[Part] = [b""]
    for part in parts:
        last = merged[-1]
        if isinstance(part, bytes) and isinstance(last, bytes):
            merged[-1] = last + part
        else:
            merged.append(part)
    return LogicalLine(tuple(merged))
