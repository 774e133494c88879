"""Stringprep profiles of SASL: SASLprep for names and passwords (RFC 4013), trace for ANONYMOUS (RFC 4505, 3)."""

from __future__ import annotations

import stringprep
import unicodedata
from collections.abc import Callable

_Table = Callable[[str], bool]

_NEVER: tuple[_Table, ...] = (
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)
_SASLPREP: tuple[_Table, ...] = (*_NEVER, stringprep.in_table_c12, stringprep.in_table_c7)


class PrepError(ValueError):
    """A string holds what its profile prohibits."""


def saslprep(text: str, *, stored: bool = False) -> str:
    """Return the form of a name or password that is compared and hashed; raises PrepError.

    `stored`: what is kept by a server holds no code point that Unicode 3.2 had not assigned (RFC 3454, 7).
    """
    if text.isascii() and text.isprintable():
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in text if not stringprep.in_table_b1(char)
    )
    made = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    _check(made, _SASLPREP)
    if stored and any(stringprep.in_table_a1(char) for char in made):
        raise PrepError("a code point is not assigned in Unicode 3.2")
    return made


def trace_information(text: str) -> str:
    """Return ANONYMOUS's trace, which is an e-mail address or has at most 255 characters; raises PrepError."""
    _check(text, _NEVER)
    if len(text) > 255 and "@" not in text:
        raise PrepError("without @ a trace has at most 255 characters")
    return text


def _check(text: str, prohibited: tuple[_Table, ...]) -> None:
    if any(table(char) for char in text for table in prohibited):
        raise PrepError("a character is not allowed here")
    if not any(stringprep.in_table_d1(char) for char in text):
        return
    # RFC 3454, 6: right-to-left text stands alone, from its first character to its last
    if any(stringprep.in_table_d2(char) for char in text) or not all(
        stringprep.in_table_d1(end) for end in (text[0], text[-1])
    ):
        raise PrepError("right-to-left and left-to-right characters are mixed")
