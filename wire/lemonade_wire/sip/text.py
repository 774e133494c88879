"""The lexical pieces that SIP headers share: quoted strings, lists, parameters (RFC 3261 section 25.1)."""

from __future__ import annotations

import re

from lemonade_wire.sip.errors import SipParseError

TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
Params = tuple[tuple[str, str | None], ...]
"""Parameters in order, values as they stand (quotes included), None where there is no `=`."""


def split_outside(text: str, separator: str) -> list[str]:
    """Split at `separator` outside quoted strings and angle brackets; pieces are stripped.

    Raises SipParseError for a quoted string or bracket that does not end.
    """
    pieces: list[str] = []
    start = at = 0
    quoted = bracketed = False
    while at < len(text):
        char = text[at]
        if quoted:
            if char == "\\":
                at += 1
            elif char == '"':
                quoted = False
        elif bracketed:
            bracketed = char != ">"
        elif char == '"':
            quoted = True
        elif char == "<":
            bracketed = True
        elif char == separator:
            pieces.append(text[start:at].strip())
            start = at + 1
        at += 1
    if quoted or bracketed:
        raise SipParseError("unterminated quoted string" if quoted else "unterminated angle bracket")
    return [*pieces, text[start:].strip()]


def parse_params(text: str) -> Params:
    """Read `;name=value;name` (a leading `;` may be missing); raises SipParseError."""
    found: list[tuple[str, str | None]] = []
    pieces = split_outside(text, ";")
    if pieces and not pieces[0]:
        pieces = pieces[1:]
    for piece in pieces:
        name, equals, value = piece.partition("=")
        name, value = name.strip(), value.strip()
        if not TOKEN.fullmatch(name) or (equals and not value):
            raise SipParseError(f"bad parameter {piece!r}")
        found.append((name, value if equals else None))
    return tuple(found)


def format_params(params: Params) -> str:
    """Write what `parse_params` reads."""
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in params)


def find_param(params: Params, name: str) -> str | None:
    """Return the value of the parameter called `name` in any case; "" where it has none, None where it is absent."""
    return next((value or "" for key, value in params if key.lower() == name.lower()), None)
