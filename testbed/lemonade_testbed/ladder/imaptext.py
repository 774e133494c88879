"""Reads IMAP commands and responses as a trace has them: each is one text with `{n}` for the separate literals.

No function raises an error: what cannot be read becomes an empty value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_COMMAND = re.compile(
    r"(?P<tag>[^\s+*\"(){%\\]+) +(?P<uid>[Uu][Ii][Dd] +)?(?P<name>[A-Za-z]+)(?: +(?P<rest>.*))?", re.S
)
_TAGGED = re.compile(r"(?P<tag>[^\s+*\"(){%\\]+) +(?P<result>OK|NO|BAD)\b ?(?P<rest>.*)", re.S | re.IGNORECASE)
_LITERAL = re.compile(r"~?\{([0-9]+)\+?\}(?:\r?\n)?")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.S)
_ATOM = re.compile(r"(?:\[[^\]]*\]|[^\s()\"])+")


@dataclass(frozen=True)
class LiteralText:
    """A literal: its size in octets, the SHA-256 of its octets in hexadecimal, and its text if it is short text."""

    size: int
    sha256: str = ""
    text: str | None = None


@dataclass(frozen=True)
class CommandText:
    """A command: tag, name in upper case, text of the arguments, and whether UID precedes the name."""

    tag: str
    name: str
    rest: str
    uid: bool = False


@dataclass(frozen=True)
class TaggedText:
    """A tagged response: tag, result (OK, NO or BAD), and text."""

    tag: str
    result: str
    rest: str


def read_command(text: str) -> CommandText | None:
    """Read a command; returns None for any other line (such as a line of AUTHENTICATE, or DONE)."""
    match = _COMMAND.fullmatch(text.rstrip("\r\n"))
    if match is None:
        return None
    return CommandText(match["tag"], match["name"].upper(), match["rest"] or "", match["uid"] is not None)


def read_tagged(text: str) -> TaggedText | None:
    """Read a tagged response; returns None for an untagged response or a continuation request."""
    match = _TAGGED.fullmatch(text.rstrip("\r\n"))
    return TaggedText(match["tag"], match["result"].upper(), match["rest"]) if match else None


def tokens(text: str, literals: Sequence[Mapping[str, Any]] = ()) -> list[Any]:
    """Split arguments or data into texts, `LiteralText`s and nested lists; accepts unbalanced parentheses."""
    stack: list[list[Any]] = [[]]
    rest = list(literals)
    position = 0
    while position < len(text):
        char = text[position]
        if char == "(":
            stack.append([])
        elif char == ")":
            if len(stack) > 1:
                done = stack.pop()
                stack[-1].append(done)
        elif literal := _LITERAL.match(text, position):
            stack[-1].append(_literal(int(literal[1][-18:]), rest.pop(0) if rest else {}))
            position = literal.end()
            continue
        elif quoted := _QUOTED.match(text, position):
            stack[-1].append(re.sub(r"\\(.)", r"\1", quoted[1], flags=re.S))
            position = quoted.end()
            continue
        elif atom := _ATOM.match(text, position):
            stack[-1].append(atom[0])
            position = atom.end()
            continue
        position += 1
    while len(stack) > 1:
        done = stack.pop()
        stack[-1].append(done)
    return stack[0]


def _literal(size: int, fields: Mapping[str, Any]) -> LiteralText:
    text = fields.get("text")
    return LiteralText(size, str(fields.get("sha256", "")), text if isinstance(text, str) else None)


def as_text(token: Any) -> str:  # noqa: ANN401  tokens nest
    """Return the text of a token; an empty text for a list and for a literal without text."""
    if isinstance(token, LiteralText):
        return token.text or ""
    return token if isinstance(token, str) else ""


def first_url(items: Sequence[Any]) -> str | None:
    """Return the first URL among the tokens of GENURLAUTH or URLFETCH, or of their data; None without one."""
    for item in items:
        found = first_url(item) if isinstance(item, list) else as_text(item)
        if found and (isinstance(item, list) or found.lower().startswith("imap")):
            return found
    return None


@dataclass(frozen=True)
class UrlData:
    """The data of one URL in an untagged URLFETCH response.

    `structure` is the BODYPARTSTRUCTURE. `content` is the literal with the octets, the text of a quoted string, or None
    for NIL.
    """

    url: str
    content: LiteralText | str | None
    structure: Sequence[Any] | None = None
    refused: bool = False


def read_urlfetch(text: str, literals: Sequence[Mapping[str, Any]] = ()) -> tuple[UrlData, ...]:
    """Read `* URLFETCH ...`; returns an empty list for any other response."""
    match = re.fullmatch(r"\* +URLFETCH +(.*)", text.rstrip("\r\n"), re.S | re.IGNORECASE)
    found: list[UrlData] = []
    if match is None:
        return ()
    items = tokens(match[1], literals)
    while items:
        url = as_text(items.pop(0))
        structure: Sequence[Any] | None = None
        content: LiteralText | str | None = None
        refused = False
        if items and not isinstance(items[0], list):
            content = _nstring(items.pop(0))
            refused = content is None
        while items and isinstance(items[0], list):
            element = items.pop(0)
            kind = as_text(element[0]).upper() if element else ""
            if kind == "BODYPARTSTRUCTURE" and len(element) > 1 and isinstance(element[1], list):
                structure = element[1]
            elif kind in {"BINARY", "BODY"} and len(element) > 1:
                content = _nstring(element[1])
        found.append(UrlData(url, content, structure, refused))
    return tuple(found)


def _nstring(token: Any) -> LiteralText | str | None:  # noqa: ANN401  tokens nest
    if isinstance(token, LiteralText):
        return token
    return None if not isinstance(token, str) or token.upper() == "NIL" else token


def read_genurlauth(text: str, literals: Sequence[Mapping[str, Any]] = ()) -> str | None:
    """Return the first URL of `* GENURLAUTH ...`; None for any other response."""
    return first_url(genurlauth_data(text, literals))


def genurlauth_data(text: str, literals: Sequence[Mapping[str, Any]] = ()) -> list[Any]:
    """Return the tokens of `* GENURLAUTH ...`, one for each URL (RFC 4467, section 9); none for any other response."""
    match = re.fullmatch(r"\* +GENURLAUTH +(.*)", text.rstrip("\r\n"), re.S | re.IGNORECASE)
    return tokens(match[1], literals) if match else []


def capabilities(text: str) -> frozenset[str]:
    """Return the capabilities in a response (`* CAPABILITY ...` or `[CAPABILITY ...]`), in upper case."""
    match = re.match(r"\* +CAPABILITY +(.*)", text, re.IGNORECASE) or re.search(
        r"\[CAPABILITY +([^\]]*)\]", text, re.IGNORECASE
    )
    return frozenset(match[1].upper().split()) if match else frozenset()


def fetch_items(rest: str) -> tuple[str, ...]:
    """Return the items that a FETCH asks for, in upper case; the names of sections stay unchanged."""
    found = tokens(rest.partition(" ")[2])
    flat = found[0] if len(found) == 1 and isinstance(found[0], list) else found
    return tuple(as_text(item).upper() for item in flat if as_text(item))
