"""Decodes the spellings that a text may contain, and keeps the place at which each character was written.

The spellings are percent-encoding (RFC 3986 section 2.1), character references and CDATA sections (XML 1.0 sections 2.7
and 4.1), quoted-printable (RFC 2045 section 6.7), escapes with a backslash (IMAP, SIP, JSON) and the NULs of UTF-16. A
NUL that stands alone, as in SASL PLAIN, is no spelling. They may stand inside of each other. The work is linear in the
length of the text.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_PASSES = 8
"""Spellings inside of each other that are decoded; no program writes as many."""
_SPELLED = re.compile(
    r"%(?:25)*(?P<percent>[0-9a-f]{2})"
    r"|&(?:amp;)*(?:\#0*(?P<decimal>[0-9]{1,7})|\#x0*(?P<hexadecimal>[0-9a-f]{1,6})|(?P<name>[a-z]{2,6}));"
    r"|\\(?:u(?P<unit>[0-9a-f]{4})|x(?P<octet>[0-9a-f]{2})|(?P<escaped>[^\r\n\0]))"
    r"|=(?:3d)*(?P<quoted>[0-9a-f]{2})"
    r"|(?P<nothing>\0(?=\0|.\0)|(?<=\0)\0|(?<=\0.)\0|<!\[CDATA\[|\]\]>|=[ \t]*\r?\n)",
    re.IGNORECASE | re.DOTALL,
)
_NULS = re.compile(r"\0(?=\0|.\0)|(?<=\0)\0|(?<=\0.)\0", re.DOTALL)
_NAMES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "colon": ":", "percnt": "%", "num": "#"}
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t"}
_SIGNS = re.compile(r"[%&\\=\0\]<]")
"""The characters with which spellings begin."""
_DIGITS = "[A-Za-z0-9+/_-]"
_BREAK = r"[ \t]*+\r?\n[ \t]*+"
_WORD = re.compile(
    rf"{_DIGITS}{{16,}}+(?:(?:{_BREAK}{_DIGITS}{{16,}}+)++(?:{_BREAK}(?:{_DIGITS}{{1,15}}+=|(?:{_DIGITS}{{4}}){{1,3}}+(?!\S)))?"
    rf"|{_BREAK}{_DIGITS}{{1,15}}+=|(?<={_DIGITS}{{56}}))={{0,2}}"
)
"""A word of 56 digits of base64, or of more: `:INTERNAL:` and the shortest token have 42 octets."""
_HEXADECIMAL = re.compile(r"[0-9a-f]{84,}+", re.IGNORECASE)
_NO_BASE64 = re.compile(r"[0-9a-f\s]+", re.IGNORECASE)
_NO_DIGIT = re.compile(r"[^A-Za-z0-9+/]")
_OTHER_ALPHABET = str.maketrans("-_", "+/")


class TooDeepError(ValueError):
    """More than `MAX_PASSES` spellings stand inside of each other."""


@dataclass(frozen=True)
class DecodedText:
    """A decoded text; `starts` has for each of its characters, and for its end, the place in the text as written."""

    text: str
    starts: list[int]

    @classmethod
    def of(cls, written: str) -> DecodedText:
        """Decode a text; raises TooDeepError."""
        text, starts = written, list(range(len(written) + 1))
        for _ in range(MAX_PASSES):
            pieces: list[str] = []
            places: list[int] = []
            done = 0
            for found in _SPELLED.finditer(text):
                char = _decoded(found)
                if char == found[0]:
                    continue
                pieces += [text[done : found.start()], char]
                places += starts[done : found.start()]
                places += [starts[found.start()]] * len(char)
                done = found.end()
            if not pieces:
                return cls(text, starts)
            text, starts = "".join([*pieces, text[done:]]), places + starts[done:]
        if decode_spellings(text) == text:
            return cls(text, starts)
        raise TooDeepError("too many spellings stand inside of each other")


def decode_spellings(written: str) -> str:
    """Return the decoded text alone; raises TooDeepError."""
    text = written
    for _ in range(MAX_PASSES + 1):
        if _SIGNS.search(text) is None:
            return text
        decoded = _SPELLED.sub(_decoded, text)
        if decoded == text:
            return text
        text = decoded
    raise TooDeepError("too many spellings stand inside of each other")


def without_nuls(text: str) -> str:
    """Return the text without the NULs of UTF-16."""
    return _NULS.sub("", text) if "\0" in text else text


def find_encoded(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, decoded text) of the words of base64 and of hexadecimal digits.

    A word is decoded at each place where a group of base64 may begin, since an octet of the text around it may be one
    of its digits. Octets are read as ISO 8859-1, and NULs are left out, so that UTF-16 becomes plain text.
    """
    for found in _WORD.finditer(text):
        digits = _NO_DIGIT.sub("", found[0].translate(_OTHER_ALPHABET))
        for octets in _octets_of(digits):
            yield found.start(), found.end(), without_nuls(octets.decode("latin-1"))


def _octets_of(digits: str) -> Iterator[bytes]:
    """Yield what digits of base64 or hexadecimal digits may mean."""
    for found in _HEXADECIMAL.finditer(digits):
        for skipped in range(2):
            group = found[0][skipped:]
            yield bytes.fromhex(group[: len(group) // 2 * 2])
    if _NO_BASE64.fullmatch(digits) is None:
        for skipped in range(4):
            group = digits[skipped:]
            yield base64.b64decode(group[: len(group) - (len(group) % 4 == 1)] + "==")


def _decoded(found: re.Match[str]) -> str:
    """Return what a spelling means; one that means nothing stays as it is."""
    kind = found.lastgroup or ""
    value = found[kind]
    match kind:
        case "percent" | "hexadecimal" | "unit" | "octet" | "quoted":
            code = int(value, 16)
        case "decimal":
            code = int(value)
        case "name":
            return _NAMES.get(value.lower(), found[0])
        case "escaped":
            return _CONTROLS.get(value, value)
        case _:
            return ""
    return chr(code) if code <= 0x10FFFF else found[0]
