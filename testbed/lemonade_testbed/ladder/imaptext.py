"""Reads IMAP commands and responses as they stand in a trace: one text each, literals as `{n}` and apart.

Nothing raises: what cannot be read is empty.
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
class Literal:
    """A literal: its size, the SHA-256 of its octets in hexadecimal, and its text where it was short text."""

    size: int
    sha256: str = ""
    text: str | None = None


@dataclass(frozen=True)
class ImapCommand:
    """A command: tag, name in upper case (UID is left out), and the text of its arguments."""

    tag: str
    name: str
    rest: str


@dataclass(frozen=True)
class ImapTagged:
    """A tagged response: tag, OK or NO or BAD, and its text."""

    tag: str
    result: str
    rest: str


def read_command(text: str) -> ImapCommand | None:
    """Read a command; None for what is none (a line of AUTHENTICATE, DONE)."""
    match = _COMMAND.fullmatch(text.rstrip("\r\n"))
    return ImapCommand(match["tag"], match["name"].upper(), match["rest"] or "") if match else None


def read_tagged(text: str) -> ImapTagged | None:
    """Read a tagged response; None for an untagged one or a continuation request."""
    match = _TAGGED.fullmatch(text.rstrip("\r\n"))
    return ImapTagged(match["tag"], match["result"].upper(), match["rest"]) if match else None


def tokens(text: str, literals: Sequence[Mapping[str, Any]] = ()) -> list[Any]:
    """Split arguments or data into texts, `Literal`s and nested lists; unbalanced parentheses are forgiven."""
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
            stack[-1].append(_literal(int(literal[1]), rest.pop(0) if rest else {}))
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


def _literal(size: int, fields: Mapping[str, Any]) -> Literal:
    text = fields.get("text")
    return Literal(size, str(fields.get("sha256", "")), text if isinstance(text, str) else None)


def as_text(token: Any) -> str:  # noqa: ANN401  tokens nest
    """Return a token's text; empty for a list and for a literal without text."""
    if isinstance(token, Literal):
        return token.text or ""
    return token if isinstance(token, str) else ""


def first_url(items: Sequence[Any]) -> str | None:
    """Return the first URL among the tokens of GENURLAUTH, URLFETCH or their data, or None."""
    for item in items:
        found = first_url(item) if isinstance(item, list) else as_text(item)
        if found and (isinstance(item, list) or found.lower().startswith("imap")):
            return found
    return None


@dataclass(frozen=True)
class UrlData:
    """One URL's data of an untagged URLFETCH: `structure` the BODYPARTSTRUCTURE, `content` the octets' literal, the
    text of a quoted string, or None for NIL.
    """

    url: str
    content: Literal | str | None
    structure: Sequence[Any] | None = None
    refused: bool = False


def read_urlfetch(text: str, literals: Sequence[Mapping[str, Any]] = ()) -> tuple[UrlData, ...]:
    """Read `* URLFETCH ...`; empty for any other response."""
    match = re.fullmatch(r"\* +URLFETCH +(.*)", text.rstrip("\r\n"), re.S | re.IGNORECASE)
    found: list[UrlData] = []
    if match is None:
        return ()
    items = tokens(match[1], literals)
    while items:
        url = as_text(items.pop(0))
        structure: Sequence[Any] | None = None
        content: Literal | str | None = None
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


def _nstring(token: Any) -> Literal | str | None:  # noqa: ANN401  tokens nest
    if isinstance(token, Literal):
        return token
    return None if not isinstance(token, str) or token.upper() == "NIL" else token


def read_genurlauth(text: str, literals: Sequence[Mapping[str, Any]] = ()) -> str | None:
    """Return the URL of `* GENURLAUTH ...`, or None for any other response."""
    match = re.fullmatch(r"\* +GENURLAUTH +(.*)", text.rstrip("\r\n"), re.S | re.IGNORECASE)
    return first_url(tokens(match[1], literals)) if match else None


def capabilities(text: str) -> frozenset[str]:
    """Return the capabilities that a response lists, in upper case: `* CAPABILITY ...` or `[CAPABILITY ...]`."""
    match = re.match(r"\* +CAPABILITY +(.*)", text, re.IGNORECASE) or re.search(
        r"\[CAPABILITY +([^\]]*)\]", text, re.IGNORECASE
    )
    return frozenset(match[1].upper().split()) if match else frozenset()


def fetch_items(rest: str) -> tuple[str, ...]:
    """Return what a FETCH asks for, in upper case, section names as they are."""
    found = tokens(rest.partition(" ")[2])
    flat = found[0] if len(found) == 1 and isinstance(found[0], list) else found
    return tuple(as_text(item).upper() for item in flat if as_text(item))
