"""Tokens of a logical line: a strict cursor for commands, and a generous value tree for responses (RFC 3501 9)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.framing import Literal, LogicalLine, Part
from lemonade_wire.imap.section import FetchItem, Section

MAX_DEPTH = 60

_ATOM = re.compile(rb'[^\x00-\x20(){%*"\\\]\x7f-\xff]+')
_ASTRING = re.compile(rb'[^\x00-\x20(){%*"\\\x7f-\xff]+')
_LIST_MAILBOX = re.compile(rb'[^\x00-\x20(){"\\\x7f-\xff]+')
_TAG = re.compile(rb'[^\x00-\x20(){%*"\\+\x7f-\xff]+')
_FLAG = re.compile(rb'\\?[^\x00-\x20(){%*"\\\]\x7f-\xff]+')
_NUMBER = re.compile(rb"[0-9]{1,18}(?![0-9])")  # fits 63 bits: what stores numbers need not look again
_SEQUENCE = rb"(?:[0-9]{1,10}|\*)(?::(?:[0-9]{1,10}|\*))?"
_SEQUENCE_SET = re.compile(_SEQUENCE + rb"(?:," + _SEQUENCE + rb")*(?![0-9*:,])")
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00]|\\["\\])*)"')
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_ITEM_NAME = re.compile(rb"[A-Za-z0-9.]+")
_SECTION_TEXT = re.compile(rb"[A-Za-z0-9.]*")
_PARTIAL = re.compile(rb"<([0-9]{1,18})(?:\.([0-9]{1,18}))?>")
# In responses an atom is whatever is neither blank nor bracket: flags, sequence sets, Dovecot's unquoted URLs.
# A section is taken whole: the names in it may be strings, and have blanks, parentheses and brackets in them.
_LOOSE_ATOM = re.compile(
    rb'(?:BODY|BINARY)(?:\.[A-Z]+)?\[(?:"(?:[^"\\]|\\.)*"|[^\]"\r\n])*+\](?:<[0-9.]+>)?|[^\x00-\x20()"]+', re.IGNORECASE
)
_SPACES = re.compile(rb" +")
_PLAIN = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*")


@dataclass(frozen=True)
class Atom:
    """An atom, NIL and numbers included; octets above 127 as Latin-1."""

    text: str

    @property
    def is_nil(self) -> bool:
        """Whether this is NIL."""
        return self.text.upper() == "NIL"


@dataclass(frozen=True)
class Quoted:
    """A quoted string without its quotes and escapes."""

    data: bytes


@dataclass(frozen=True)
class ListValue:
    """A parenthesised list."""

    items: tuple[Value, ...]


Value = Atom | Quoted | Literal | ListValue


class Lexer:
    """A cursor over one logical line. Every method raises ImapParseError where the grammar is not met."""

    def __init__(self, line: LogicalLine) -> None:
        self._parts: list[Part] = list(line.parts)
        self._index = 0
        self._at = 0

    def _here(self) -> Part | None:
        while self._index < len(self._parts):
            part = self._parts[self._index]
            if isinstance(part, Literal) or self._at < len(part):
                return part
            self._index, self._at = self._index + 1, 0
        return None

    def _match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        part = self._here()
        found = pattern.match(part, self._at) if isinstance(part, bytes) else None
        if found:
            self._at = found.end()
        return found

    def _need(self, pattern: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        found = self._match(pattern)
        if found is None:
            raise ImapParseError(f"{what} is expected {self._place()}")
        return found

    def _place(self) -> str:
        """Say where the cursor stands without quoting what is there: it may be a secret."""
        part = self._here()
        if part is None:
            return "at the end"
        octets = sum(p.size if isinstance(p, Literal) else len(p) for p in self._parts[: self._index]) + self._at
        return f"at octet {octets}" + (" (a literal)" if isinstance(part, Literal) else "")

    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._here() is None

    def peek(self) -> str:
        """Return the next character: '' at the end, '{' for a literal."""
        part = self._here()
        if part is None:
            return ""
        return "{" if isinstance(part, Literal) else chr(part[self._at])

    def end(self) -> None:
        """Require the end of the line; trailing blanks are let pass."""
        self.skip_spaces()
        if not self.at_end:
            raise ImapParseError(f"the end of the line is expected {self._place()}")

    def space(self) -> None:
        """Require blank space; more than one blank is let pass."""
        self._need(_SPACES, "a space")

    def skip_spaces(self) -> bool:
        """Pass blanks, if any (E-31: just inside parentheses)."""
        return self._match(_SPACES) is not None

    def take(self, char: str) -> bool:
        """Pass `char` if it is next."""
        if self.peek() != char or char == "{":
            return False
        self._at += 1
        return True

    def expect(self, char: str) -> None:
        """Require `char`."""
        if not self.take(char):
            raise ImapParseError(f"{char!r} is expected {self._place()}")

    def tag(self) -> str:
        """Read a command's tag."""
        return self._need(_TAG, "a tag")[0].decode("ascii")

    def atom(self) -> str:
        """Read an atom, as written."""
        return self._need(_ATOM, "an atom")[0].decode("ascii")

    def take_word(self, word: str) -> bool:
        """Pass this atom, in any case, if it is next; an atom that goes on behind it is another."""
        part, at = self._here(), self._at
        found = _ATOM.match(part, at) if isinstance(part, bytes) else None
        if found is None or found[0].upper() != word.encode("ascii"):
            return False
        self._at = found.end()
        return True

    def flag(self) -> str:
        r"""Read a flag: an atom or `\` and an atom."""
        return self._need(_FLAG, "a flag")[0].decode("ascii")

    def number(self) -> int:
        """Read a number of up to 18 digits."""
        return int(self._need(_NUMBER, "a number")[0])

    def sequence_set(self) -> str:
        """Read a sequence set as text (`1,3:*`)."""
        return self._need(_SEQUENCE_SET, "a sequence set")[0].decode("ascii")

    def string(self) -> bytes:
        """Read a quoted string or literal (literal8 too)."""
        part = self._here()
        if isinstance(part, Literal):
            self._index, self._at = self._index + 1, 0
            return part.data
        return unescape(self._need(_QUOTED, "a string")[1])

    def literal(self) -> Literal:
        """Read a literal as it is: one that was streamed past has its size alone."""
        part = self._here()
        if not isinstance(part, Literal):
            raise ImapParseError(f"a literal is expected {self._place()}")
        self._index, self._at = self._index + 1, 0
        return part

    def astring(self) -> bytes:
        """Read an astring: an atom (`]` allowed) or a string."""
        part = self._here()
        if isinstance(part, Literal) and (part.binary or b"\0" in part.data):
            # RFC 3501, 9: CHAR8 has no NUL; RFC 4466, 2: a literal8 only where the grammar names it
            raise ImapParseError(f"a string without NUL, and no literal8, is expected {self._place()}")
        if self.peek() in {'"', "{"}:
            return self.string()
        return self._need(_ASTRING, "an astring")[0]

    def nstring(self) -> bytes | None:
        """Read a string (literal8 too), or NIL as None."""
        if self.peek() in {'"', "{"}:
            return self.string()
        word = self.atom()
        if word.upper() != "NIL":
            raise ImapParseError(f"a string or NIL is expected before {self._place()}")
        return None

    def list_mailbox(self) -> bytes:
        """Read LIST's pattern: as an astring, with `%` and `*`."""
        if self.peek() in {'"', "{"}:
            return self.string()
        return self._need(_LIST_MAILBOX, "a mailbox pattern")[0]

    def text(self) -> str:
        """Read an astring that is UTF-8 text without control characters NUL, CR and LF."""
        data = self.astring()
        try:
            decoded = data.decode("utf-8")
        except UnicodeDecodeError:
            raise ImapParseError("UTF-8 text is expected") from None
        if any(char in "\0\r\n" for char in decoded):
            raise ImapParseError("text without NUL, CR and LF is expected")
        return decoded

    def fetch_item(self) -> FetchItem:
        """Read `FLAGS`, `BODY.PEEK[1.2.MIME]<0.20>` and their like; field names may be strings and literals."""
        name = self._need(_ITEM_NAME, "a fetch item")[0].decode("ascii").upper()
        if not self.take("["):
            return FetchItem(name)
        text = self._need(_SECTION_TEXT, "a section")[0].decode("ascii")
        fields: list[str] = []
        self.skip_spaces()
        if self.take("("):
            self.skip_spaces()
            while not self.take(")"):
                fields.append(self.astring().decode("latin-1"))
                if not self.skip_spaces() and self.peek() != ")":
                    raise ImapParseError(f"a space or ) is expected {self._place()}")
        self.expect("]")
        partial = self._match(_PARTIAL)
        offset, length = (None if partial is None or not partial[key] else int(partial[key]) for key in (1, 2))
        return FetchItem(name, Section.of(text, tuple(fields)), offset, length)

    def rest(self) -> bytes:
        """Take what is left; a literal is left out of it."""
        left = b""
        while (part := self._here()) is not None:
            left += b"" if isinstance(part, Literal) else part[self._at :]
            self._index, self._at = self._index + 1, 0
        return left

    def value(self, depth: int = 0) -> Value:
        """Read any one value, generously: for responses. An unclosed list ends with the line (peers leave `)` out)."""
        part = self._here()
        if isinstance(part, Literal):
            self._index, self._at = self._index + 1, 0
            return part
        if self.take("("):
            if depth >= MAX_DEPTH:
                raise ImapParseError(f"lists are nested more than {MAX_DEPTH} deep")
            return ListValue(tuple(self.values(depth + 1)))
        if self.peek() == '"':
            return Quoted(self.string())
        return Atom(self._need(_LOOSE_ATOM, "a value")[0].decode("latin-1"))

    def values(self, depth: int = 0) -> list[Value]:
        """Read values up to the closing parenthesis, which is taken, or to the end of the line."""
        found: list[Value] = []
        while True:
            self.skip_spaces()
            if self.at_end or (depth and self.take(")")):
                return found
            found.append(self.value(depth))


def unescape(quoted: bytes) -> bytes:
    """Undo the escapes of a quoted string's inside."""
    return _ESCAPE.sub(rb"\1", quoted)


def quote(data: bytes) -> Part:
    """Write a string: quoted where it may be, else as a literal."""
    if _PLAIN.fullmatch(data) and len(data) <= 8000:
        return b'"' + re.sub(rb'(["\\])', rb"\\\1", data) + b'"'
    return Literal.of(data, binary=b"\0" in data)


def as_octets(value: Value) -> bytes:
    """Return the octets of a string or atom; raises ImapParseError for a list."""
    match value:
        case Quoted(data) | Literal(data):
            return data
        case Atom(text):
            return text.encode("latin-1")
        case ListValue():
            raise ImapParseError("a string is expected, not a list")


def as_nstring(value: Value) -> bytes | None:
    """Return the octets, or None for NIL."""
    return None if isinstance(value, Atom) and value.is_nil else as_octets(value)


def as_text(value: Value) -> str:
    """Return the value as text: UTF-8 where it is that, else Latin-1."""
    return decode_text(as_octets(value))


def as_number(value: Value) -> int:
    """Return a number; raises ImapParseError where it is none."""
    if isinstance(value, Atom | Quoted):
        octets = as_octets(value)
        if _NUMBER.fullmatch(octets):
            return int(octets)
    raise ImapParseError("a number is expected")


def decode_text(octets: bytes) -> str:
    """Decode UTF-8 where it is that, else Latin-1: nothing is lost and nothing raises."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")
