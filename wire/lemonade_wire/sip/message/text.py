"""The lexical elements that SIP headers share: quoted strings, lists and parameters (RFC 3261 section 25.1)."""

from __future__ import annotations

import re

from lemonade_wire.sip.errors import SipParseError

TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
"""A quoted string; the group is the text between the quotes."""
_WHOLE = re.compile(r'"(?:[^"\\]|\\.)*"|<[^>]*>', re.DOTALL)
_OPENING = re.compile(r'["<]')
Params = tuple[tuple[str, str | None], ...]
"""Parameters in order; each value as written (with its quotes), None if the parameter has no `=`."""


def split_outside(text: str, separator: str) -> list[str]:
    """Split at `separator` outside quoted strings and angle brackets, and strip the pieces.

    Raises SipParseError for a quoted string or angle bracket that is not closed.
    """
    opening = _OPENING.search(text)
    if opening is None:
        return [piece.strip() for piece in text.split(separator)]
    pieces: list[str] = []
    start = at = 0
    while opening is not None:
        whole = _WHOLE.match(text, opening.start())
        if whole is None:
            raise SipParseError("unterminated angle bracket" if opening[0] == "<" else "unterminated quoted string")
        while (found := text.find(separator, at, opening.start())) >= 0:
            pieces.append(text[start:found].strip())
            start = at = found + 1
        at = whole.end()
        opening = _OPENING.search(text, at)
    rest = text[at:].split(separator)
    return [*pieces, (text[start:at] + rest[0]).strip(), *(piece.strip() for piece in rest[1:])]


def unquoted(value: str) -> str:
    """Return a token unchanged, or the content of a quoted string without its quotes and backslashes."""
    match = QUOTED.fullmatch(value)
    return re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL) if match else value


# RFC 3261 section 25.1:
#   *( SEMI generic-param )
#   generic-param  =  token [ EQUAL gen-value ]
#   gen-value      =  token / host / quoted-string
def parse_params(text: str) -> Params:
    """Parse `;name=value;name` (a leading `;` may be missing); raises SipParseError."""
    if not text:
        return ()
    found: list[tuple[str, str | None]] = []
    pieces = split_outside(text, ";")
    if not pieces[0]:
        pieces = pieces[1:]
    for piece in pieces:
        name, equals, value = piece.partition("=")
        name, value = name.strip(), value.strip()
        if not TOKEN.fullmatch(name) or (equals and not value):
            raise SipParseError("bad parameter" if piece else "empty parameter")
        found.append((name, value if equals else None))
    return tuple(found)


def format_params(params: Params) -> str:
    """Return the parameters as text, each with a leading `;`, in the form that `parse_params` reads."""
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in params)


def find_param(params: Params, name: str) -> str | None:
    """Return the value of a parameter, its name compared without case; "" if it has none, None if it is absent."""
    return next((value or "" for key, value in params if key.lower() == name.lower()), None)
