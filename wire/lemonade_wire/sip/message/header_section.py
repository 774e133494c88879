"""The header section of a SIP message, in order (RFC 3261 section 7.3).

Names are compared without case, compact forms count as their long form, and comma-separated lists can be split.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message.text import TOKEN, split_outside

# Compact forms: RFC 3261 section 7.3.3, RFC 3515, 3892, 3841, 4028, 4474, 6665.
COMPACT = {
    "v": "Via",
    "i": "Call-ID",
    "f": "From",
    "t": "To",
    "m": "Contact",
    "c": "Content-Type",
    "l": "Content-Length",
    "k": "Supported",
    "e": "Content-Encoding",
    "s": "Subject",
    "o": "Event",
    "u": "Allow-Events",
    "r": "Refer-To",
    "b": "Referred-By",
    "a": "Accept-Contact",
    "j": "Reject-Contact",
    "x": "Session-Expires",
    "d": "Request-Disposition",
    "y": "Identity",
    "n": "Identity-Info",
}
_LONG = {short: name.lower() for short, name in COMPACT.items()}
# The headers that are comma-separated lists in RFC 3261. No other header is split: a comma in an authentication
# challenge or in free text does not separate values.
LISTS = frozenset(
    {"accept", "accept-encoding", "accept-language", "alert-info", "allow", "call-info", "contact"}
    | {"content-encoding", "content-language", "error-info", "in-reply-to", "proxy-require", "record-route"}
    | {"require", "route", "supported", "unsupported", "via", "warning"}
)
# The lists in which an empty element (as in `a,,b`) or an empty value is an error.
_FULL_LISTS = frozenset({"contact", "record-route", "route", "via"})
MAX_LINES = 500
"""The largest number of lines of a header section."""
MAX_VALUES = 256
"""The largest number of values of one header; Max-Forwards allows no more hops than that (RFC 3261 section 20.22)."""
_FOLD = re.compile(r"(?:\r\n|\n)[ \t]+")
_LINE_END = re.compile(r"\r\n|\n")
_LINE = re.compile(r"([^\s:]+)[ \t]*:([^\r]*)")
_FOREIGN = re.compile(r"[^\r:]+:[^\r]*")
"""A header line whose name may be no token."""
_BREAK = re.compile(r"[\r\n]")


@dataclass(frozen=True)
class Headers:
    """An immutable, ordered list of header lines; names are kept as written."""

    lines: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Self:
        """Make headers from names and values; raises ValueError if a name is no token or a value has a line break."""
        lines = tuple(pairs)
        for name, value in lines:
            if not TOKEN.fullmatch(name) or _BREAK.search(value):
                raise ValueError(f"header {name!r} is not one line")
        return cls(lines)

    # RFC 3261 section 25.1. A line that begins with SP or HTAB continues the line before (LWS):
    #   message-header =  ( header-name HCOLON header-value ) CRLF
    #   HCOLON         =  *( SP / HTAB ) ":" SWS
    #   LWS            =  [ *WSP CRLF ] 1*WSP
    @classmethod
    def parse(cls, text: str) -> tuple[Self, SipParseError | None]:
        """Parse header lines and join folded ones; returns the well-formed lines, and the first error or None.

        A header whose name is no token is left out, and is no error: it spoils itself and not the message. A line
        without a colon, or with a CR in it, is an error.
        Lines behind the first MAX_LINES are not read, which is an error.
        """
        lines: list[tuple[str, str]] = []
        error: SipParseError | None = None
        for line in _LINE_END.split(_FOLD.sub(" ", text)):
            if len(lines) >= MAX_LINES and line:
                return cls(tuple(lines)), SipParseError("too many header lines")
            match = _LINE.fullmatch(line)
            if match and TOKEN.fullmatch(match[1]):
                lines.append((match[1], match[2].strip(" \t")))
            elif line and not _FOREIGN.fullmatch(line):
                error = error or SipParseError("Bad header line")
        return cls(tuple(lines)), error

    def __str__(self) -> str:
        return "".join(f"{name}: {value}\r\n" for name, value in self.lines)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.lines)

    def __contains__(self, name: str) -> bool:
        return _key(name) in self._index

    @cached_property
    def _index(self) -> dict[str, list[str]]:
        """The values by header name; the names are in lower case and in long form."""
        index: dict[str, list[str]] = {}
        for name, value in self.lines:
            index.setdefault(_key(name), []).append(value)
        return index

    def get(self, name: str) -> str | None:
        """Return the value of the first line of that name, unsplit; None if there is none."""
        return next(iter(self._index.get(_key(name), ())), None)

    def rows(self, name: str) -> list[str]:
        """Return the values of all lines of that name, unsplit."""
        return list(self._index.get(_key(name), ()))

    def items(self, name: str) -> list[str]:
        """Return all values of that name, split at commas if the header is one of `LISTS`.

        Raises SipParseError, also for more than MAX_VALUES values.
        """
        key = _key(name)
        rows = self._index.get(key, [])
        if key not in LISTS:
            return list(rows)
        items = [item for row in rows for item in (split_outside(row, ",") if "," in row or '"' in row else [row])]
        if len(items) > MAX_VALUES:
            raise SipParseError("too many values")
        if all(items):
            return items
        if key in _FULL_LISTS:
            raise SipParseError("empty element")
        return [item for item in items if item]

    def with_added(self, *pairs: tuple[str, str]) -> Headers:
        """Return the headers with lines added at the end."""
        return Headers((*self.lines, *Headers.of(pairs).lines))

    def with_top(self, name: str, value: str) -> Headers:
        """Return the headers with one line put first."""
        return Headers((*Headers.of([(name, value)]).lines, *self.lines))

    def with_set(self, name: str, value: str) -> Headers:
        """Return the headers with one line that replaces all lines of that name, in the place of the first."""
        if name not in self:
            return self.with_added((name, value))
        key = _key(name)
        first = next(at for at, line in enumerate(self.lines) if _key(line[0]) == key)
        lines = [line for line in self.lines if _key(line[0]) != key]
        return Headers((*lines[:first], *Headers.of([(name, value)]).lines, *lines[first:]))

    def without(self, *names: str) -> Headers:
        """Return the headers without those names."""
        gone = {_key(name) for name in names}
        return Headers(tuple(line for line in self.lines if _key(line[0]) not in gone))

    def only(self, *names: str) -> Headers:
        """Return only the headers of those names, in order."""
        kept = {_key(name) for name in names}
        return Headers(tuple(line for line in self.lines if _key(line[0]) in kept))


def _key(name: str) -> str:
    lower = name.lower()
    return _LONG.get(lower, lower)
