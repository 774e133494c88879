"""Message sections, and the FETCH items that name them (RFC 3501 section 6.4.5, RFC 3516)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lemonade_wire.imap.errors import ImapParseError

# RFC 3501 section 9:
#   section-spec     =  section-msgtext / ( section-part ["." section-text] )
#   section-part     =  nz-number *( "." nz-number )
#   section-msgtext  =  "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"
#   section-text     =  section-msgtext / "MIME"
#   header-list      =  "(" header-fld-name *( SP header-fld-name ) ")"
_SECTION = re.compile(
    r"(?P<numbers>[1-9][0-9]{0,9}(?:\.[1-9][0-9]{0,9})*)?"
    r"(?:(?P<dot>\.)?(?P<text>HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME))?",
    re.IGNORECASE,
)
_FIELD = r'"(?:[^"\\]|\\["\\])*"|[^\x00-\x20(){%*"\\\x7f]+'
_FIELDS = re.compile(rf"(?P<before>[^(]*?) *\( *(?P<fields>(?:{_FIELD})(?: +(?:{_FIELD}))*) *\)", re.DOTALL)
_NAME = re.compile(r"[!-9;-~]+")  # RFC 5322 section 2.2: printable ASCII without the colon
_BARE = re.compile(r'[^(){%*"\\\]]+')
_ITEM = re.compile(
    r'(?P<name>[A-Za-z0-9.]+)(?:\[(?P<section>(?:[^\]"]|"(?:[^"\\]|\\.)*")*)\]'
    r"(?:<(?P<offset>[0-9]{1,18})(?:\.(?P<length>[0-9]{1,18}))?>)?)?"
)


@dataclass(frozen=True)
class MessageSection:
    """A section: the part numbers, and the `text` of that part (`HEADER`, `TEXT`, `MIME`, ...; '' for all of it)."""

    numbers: tuple[int, ...] = ()
    text: str = ""
    fields: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> MessageSection:
        """Parse a section, as it is between the brackets or in a URL after `;SECTION=`; raises ImapParseError."""
        listed = _FIELDS.fullmatch(text)
        if listed is None:
            return cls.of(text)
        return cls.of(listed["before"], tuple(_unquoted(field) for field in re.findall(_FIELD, listed["fields"])))

    @classmethod
    def of(cls, text: str, fields: tuple[str, ...] = ()) -> MessageSection:
        """Make a section from the text before a list of field names, and that list; raises ImapParseError."""
        found = _SECTION.fullmatch(text)
        if found is None or bool(found["dot"]) != bool(found["numbers"] and found["text"]):
            raise ImapParseError("a section such as 1.2, 2.MIME, HEADER or TEXT is expected")
        word = (found["text"] or "").upper()
        if word == "MIME" and not found["numbers"]:
            raise ImapParseError("MIME is a part's: a part number is expected before it")
        if word.startswith("HEADER.FIELDS") != bool(fields):
            raise ImapParseError("HEADER.FIELDS, and it alone, takes a list of field names")
        if not all(_NAME.fullmatch(field) for field in fields):
            raise ImapParseError("a field name is printable ASCII without a colon")
        numbers = tuple(int(number) for number in (found["numbers"] or "").split(".") if number)
        return cls(numbers, word, fields)

    def __str__(self) -> str:
        words = ".".join([*map(str, self.numbers), *([self.text] if self.text else [])])
        return f"{words} ({' '.join(map(_quoted, self.fields))})" if self.fields else words


def _quoted(field: str) -> str:
    """Write a field name: as an atom if it is one, else as a quoted string."""
    return field if _BARE.fullmatch(field) else '"' + re.sub(r'(["\\])', r"\\\1", field) + '"'


def _unquoted(field: str) -> str:
    return re.sub(r"\\(.)", r"\1", field[1:-1]) if field.startswith('"') else field


@dataclass(frozen=True)
class FetchItem:
    """An item of FETCH: its name in capitals, its section if it has brackets, and its partial range in octets."""

    name: str
    section: MessageSection | None = None
    offset: int | None = None
    length: int | None = None

    # RFC 3501 section 9, shortened: "BODY" [".PEEK"] "[" [section-spec] "]" ["<" number "." nz-number ">"]
    @classmethod
    def parse(cls, text: str) -> FetchItem:
        """Parse a fetch item such as `UID`, `BODY[]` or `BINARY.PEEK[2]<0.100>`; raises ImapParseError."""
        found = _ITEM.fullmatch(text)
        if found is None:
            raise ImapParseError("a fetch item such as UID or BODY.PEEK[1.MIME]<0.20> is expected")
        section = None if found["section"] is None else MessageSection.parse(found["section"])
        offset, length = (None if found[key] is None else int(found[key]) for key in ("offset", "length"))
        return cls(found["name"].upper(), section, offset, length)

    def __str__(self) -> str:
        if self.section is None:
            return self.name
        length = "" if self.length is None else f".{self.length}"
        partial = "" if self.offset is None else f"<{self.offset}{length}>"
        return f"{self.name}[{self.section}]{partial}"
