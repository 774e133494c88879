"""Reads the tokens of a logical line (RFC 3501 section 9): strictly for commands, tolerantly for responses."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.framing import ImapLiteral, LogicalLine, Part
from lemonade_wire.imap.section import FetchItem, MessageSection

MAX_DEPTH = 60

# RFC 3501 section 9:
#   atom            =  1*ATOM-CHAR  ; one or more characters
#   ATOM-CHAR       =  <any CHAR except atom-specials>
#   atom-specials   =  "(" / ")" / "{" / SP / CTL / "%" / "*" / DQUOTE / "\" / "]"
#   astring         =  1*( ATOM-CHAR / "]" ) / string  ; "]" is allowed here
#   string          =  quoted / literal  ; two forms
#   quoted          =  DQUOTE *QUOTED-CHAR DQUOTE
#   nstring         =  string / nil  ; NIL is no value
#   tag             =  1*<any ASTRING-CHAR except "+">
#   list-mailbox    =  1*( ATOM-CHAR / "%" / "*" / "]" ) / string
#   flag            =  [ "\" ] atom
#   sequence-set    =  ( seq-number / seq-range ) *( "," sequence-set )
#   seq-range       =  seq-number ":" seq-number
#   seq-number      =  nz-number / "*"
_ATOM = re.compile(rb'[^\x00-\x20(){%*"\\\]\x7f-\xff]+')
_ASTRING = re.compile(rb'[^\x00-\x20(){%*"\\\x7f-\xff]+')
_LIST_MAILBOX = re.compile(rb'[^\x00-\x20(){"\\\x7f-\xff]+')
_TAG = re.compile(rb'[^\x00-\x20(){%*"\\+\x7f-\xff]+')
_FLAG = re.compile(rb'\\?[^\x00-\x20(){%*"\\\]\x7f-\xff]+')
_NUMBER = re.compile(rb"[0-9]{1,19}(?![0-9])")
_LARGEST_NUMBER = 2**63 - 1  # a mod-sequence has 63 bits (RFC 7162 section 7)
_SEQUENCE = rb"(?:[0-9]{1,10}|\*)(?::(?:[0-9]{1,10}|\*))?"
_SEQUENCE_SET = re.compile(_SEQUENCE + rb"(?:," + _SEQUENCE + rb")*(?![0-9*:,])")
_QUOTED = re.compile(rb'"([^"\\\r\n\x00]*+(?:\\["\\][^"\\\r\n\x00]*+)*+)"')
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_ITEM_NAME = re.compile(rb"[A-Za-z0-9.]+")
_SECTION_TEXT = re.compile(rb"[A-Za-z0-9.]*")
_PARTIAL = re.compile(rb"<([0-9]{1,18})(?:\.([0-9]{1,18}))?>")
# In responses an atom is any text without blanks, parentheses and quotes: flags, sequence sets, Dovecot's unquoted
# URLs. A fetch item with its section is one atom: field names in it may be strings with blanks, parentheses and
# brackets.
_SECTION_ATOM = re.compile(
    rb'(?:BODY|BINARY)(?:\.[A-Z]+)?\[(?:"(?:[^"\\]|\\.)*+"|[^\]"\r\n])*+\](?:<[0-9.]+>)?', re.IGNORECASE
)
_SECTION_START = re.compile(rb"(?:BODY|BINARY)(?:\.[A-Z]+)?\[", re.IGNORECASE)
_LOOSE_ATOM = re.compile(rb'[^\x00-\x20()"]+')
# What is most often next in a response, in one step: a parenthesis, a quoted string without escapes, or a loose atom
# without a section.
_NEXT = re.compile(rb' *+(?:([()])|"([^"\\\r\n\x00]*+)"|([^\x00-\x20()"\[]++)(?![\[]))')
_SPACES = re.compile(rb" +")
_PLAIN = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*")


@dataclass(frozen=True)
class Atom:
    """An atom, which may be NIL or a number; octets above 127 are decoded as Latin-1."""

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


Value = Atom | Quoted | ImapLiteral | ListValue


class Lexer:
    """A cursor over one logical line. Every method raises ImapParseError if the text does not follow the grammar."""

    def __init__(self, line: LogicalLine) -> None:
        self._parts: list[Part] = list(line.parts)
        self._index = 0
        self._at = 0
        self._unclosed: Part | None = None  # a text in which a section was looked for that does not end there

    def go_on(self, line: LogicalLine) -> None:
        """Continue at the same place in a longer line, of which the line so far is the beginning."""
        self._parts = list(line.parts)

    def _here(self) -> Part | None:
        while self._index < len(self._parts):
            part = self._parts[self._index]
            if isinstance(part, ImapLiteral) or self._at < len(part):
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
        """Return the position of the cursor for an error; the text there is not quoted, because it may be a secret."""
        part = self._here()
        if part is None:
            return "at the end"
        octets = sum(p.size if isinstance(p, ImapLiteral) else len(p) for p in self._parts[: self._index]) + self._at
        return f"at octet {octets}" + (" (a literal)" if isinstance(part, ImapLiteral) else "")

    @property
    def at_end(self) -> bool:
        """Whether the cursor is at the end of the line."""
        return self._here() is None

    def peek(self) -> str:
        """Return the next character without reading it: '' at the end, '{' for a literal."""
        part = self._here()
        if part is None:
            return ""
        return "{" if isinstance(part, ImapLiteral) else chr(part[self._at])

    def end(self) -> None:
        """Require the end of the line; trailing blanks are accepted."""
        self.skip_spaces()
        if not self.at_end:
            raise ImapParseError(f"the end of the line is expected {self._place()}")

    def space(self) -> None:
        """Require a space; several are accepted."""
        self._need(_SPACES, "a space")

    def skip_spaces(self) -> bool:
        """Skip blanks, which may be inside parentheses (E-31); returns whether there were any."""
        return self._match(_SPACES) is not None

    def take(self, char: str) -> bool:
        """Read `char` if it is next; returns whether it was."""
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
        """Read the atom `word` if it is next; returns whether it was. Case is ignored; the whole atom must match."""
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
        """Read a number of up to 63 bits, the range of a mod-sequence (RFC 7162 section 7)."""
        number = int(self._need(_NUMBER, "a number")[0])
        if number > _LARGEST_NUMBER:
            raise ImapParseError(f"a number of at most 63 bits is expected before {self._place()}")
        return number

    def sequence_set(self) -> str:
        """Read a sequence set as text (`1,3:*`)."""
        return self._need(_SEQUENCE_SET, "a sequence set")[0].decode("ascii")

    def string(self) -> bytes:
        """Read a quoted string, a literal or a literal8."""
        part = self._here()
        if isinstance(part, ImapLiteral):
            self._index, self._at = self._index + 1, 0
            return part.data
        return unescape(self._need(_QUOTED, "a string")[1])

    def peek_literal(self) -> ImapLiteral:
        """Return the literal at the cursor without reading it."""
        part = self._here()
        if not isinstance(part, ImapLiteral):
            raise ImapParseError(f"a literal is expected {self._place()}")
        return part

    def literal(self) -> ImapLiteral:
        """Read a literal as an object; a literal that was streamed has only its size."""
        part = self.peek_literal()
        self._index, self._at = self._index + 1, 0
        return part

    def astring(self) -> bytes:
        """Read an astring: an atom, in which `]` is allowed, or a string."""
        part = self._here()
        if isinstance(part, ImapLiteral) and (part.binary or b"\0" in part.data):
            # RFC 3501 section 9: CHAR8 excludes NUL. RFC 4466 section 2: literal8 only where the grammar names it.
            raise ImapParseError(f"a string without NUL, and no literal8, is expected {self._place()}")
        if self.peek() in {'"', "{"}:
            return self.string()
        return self._need(_ASTRING, "an astring")[0]

    def nstring(self) -> bytes | None:
        """Read a string or a literal8; NIL is returned as None."""
        if self.peek() in {'"', "{"}:
            return self.string()
        word = self.atom()
        if word.upper() != "NIL":
            raise ImapParseError(f"a string or NIL is expected before {self._place()}")
        return None

    def list_mailbox(self) -> bytes:
        """Read the mailbox pattern of LIST: an astring in which `%` and `*` are allowed."""
        if self.peek() in {'"', "{"}:
            return self.string()
        return self._need(_LIST_MAILBOX, "a mailbox pattern")[0]

    def mailbox(self) -> bytes:
        """Read the name of a mailbox: an astring, in which `%` and `*` are accepted too (RFC 3501 section 9)."""
        return self.astring() if self.peek() in {'"', "{"} else self._need(_LIST_MAILBOX, "a mailbox name")[0]

    def text(self) -> str:
        """Read an astring that is UTF-8 text without NUL, CR and LF."""
        data = self.astring()
        try:
            decoded = data.decode("utf-8")
        except UnicodeDecodeError:
            raise ImapParseError("UTF-8 text is expected") from None
        if any(char in "\0\r\n" for char in decoded):
            raise ImapParseError("text without NUL, CR and LF is expected")
        return decoded

    # RFC 3501 section 9, shortened; RFC 3516 adds BINARY, BINARY.PEEK and BINARY.SIZE:
    #   fetch-att    =  "FLAGS" / "UID" / ... / "BODY" [".PEEK"] section ["<" number "." nz-number ">"]
    #   section      =  "[" [section-spec] "]"
    #   header-list  =  "(" header-fld-name *(SP header-fld-name) ")"
    def fetch_item(self) -> FetchItem:
        """Read a fetch item such as `FLAGS` or `BODY.PEEK[1.2.MIME]<0.20>`; field names may be strings or literals."""
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
        return FetchItem(name, MessageSection.of(text, tuple(fields)), offset, length)

    def rest(self) -> bytes:
        """Read the rest of the line and return it without its literals."""
        left = b""
        while (part := self._here()) is not None:
            left += b"" if isinstance(part, ImapLiteral) else part[self._at :]
            self._index, self._at = self._index + 1, 0
        return left

    def value(self, depth: int = 0) -> Value:
        """Read one value of a response: an atom, a string, a literal or a list.

        A list that is not closed ends with the line, because some servers omit the `)`.
        """
        part = self._here()
        if isinstance(part, ImapLiteral):
            self._index, self._at = self._index + 1, 0
            return part
        if self.take("("):
            return self._list(depth)
        if self.peek() == '"':
            return Quoted(self.string())
        return Atom((self._section() or self._need(_LOOSE_ATOM, "a value"))[0].decode("latin-1"))

    def _list(self, depth: int) -> ListValue:
        if depth >= MAX_DEPTH:
            raise ImapParseError(f"lists are nested more than {MAX_DEPTH} deep")
        return ListValue(tuple(self.values(depth + 1)))

    def _section(self) -> re.Match[bytes] | None:
        """Read a fetch item with its section if one is next.

        After a section that does not end, no other is looked for in the same text: each search would read all of it.
        """
        part = self._here()
        if part is self._unclosed or not isinstance(part, bytes) or not _SECTION_START.match(part, self._at):
            return None
        found = self._match(_SECTION_ATOM)
        if found is None:
            self._unclosed = part
        return found

    def values(self, depth: int = 0) -> list[Value]:
        """Read values up to the closing parenthesis, which is read too, or to the end of the line."""
        found: list[Value] = []
        while True:
            part = self._here()
            simple = _NEXT.match(part, self._at) if isinstance(part, bytes) else None
            if simple is not None:
                self._at = simple.end()
                if simple[3] is not None:
                    found.append(Atom(simple[3].decode("latin-1")))
                elif simple[2] is not None:
                    found.append(Quoted(simple[2]))
                elif simple[1] == b"(":
                    found.append(self._list(depth))
                elif depth:
                    return found
                else:
                    raise ImapParseError(f"a value is expected {self._place()}")
                continue
            self.skip_spaces()
            if self.at_end or (depth and self.take(")")):
                return found
            found.append(self.value(depth))


def unescape(quoted: bytes) -> bytes:
    """Return the content of a quoted string without the backslashes of its escapes."""
    return _ESCAPE.sub(rb"\1", quoted)


def quote(data: bytes) -> Part:
    """Write a string: quoted if it is ASCII without line breaks and has at most 8,000 octets, else as a literal."""
    if _PLAIN.fullmatch(data) and len(data) <= 8000:
        return b'"' + re.sub(rb'(["\\])', rb"\\\1", data) + b'"'
    return ImapLiteral.of(data, binary=b"\0" in data)


def as_octets(value: Value) -> bytes:
    """Return the octets of a string or atom; raises ImapParseError for a list."""
    match value:
        case Quoted(data) | ImapLiteral(data):
            return data
        case Atom(text):
            return text.encode("latin-1")
        case ListValue():
            raise ImapParseError("a string is expected, not a list")


def as_nstring(value: Value) -> bytes | None:
    """Return the octets of a string or atom, None for NIL; raises ImapParseError for a list."""
    return None if isinstance(value, Atom) and value.is_nil else as_octets(value)


def as_text(value: Value) -> str:
    """Return a string or atom as text, decoded as `decode_text` does; raises ImapParseError for a list."""
    return decode_text(as_octets(value))


def as_number(value: Value) -> int:
    """Return the number in an atom or a quoted string; raises ImapParseError for anything else."""
    if isinstance(value, (Atom, Quoted)):
        octets = as_octets(value)
        if _NUMBER.fullmatch(octets) and int(octets) <= _LARGEST_NUMBER:
            return int(octets)
    raise ImapParseError("a number is expected")


def decode_text(octets: bytes) -> str:
    """Decode octets as UTF-8, or as Latin-1 if they are not UTF-8; never raises."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")
