"""Parses SEARCH into a tree of search keys (RFC 3501, 6.4.4; RETURN: RFC 4731; MODSEQ: RFC 7162, 3.1.5).

    search             = "SEARCH" [search-return-opts] SP ["CHARSET" SP astring SP] search-key *(SP search-key)
    search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"
    search-key         = "NOT" SP search-key / "OR" SP search-key SP search-key / sequence-set /
                         "(" search-key *(SP search-key) ")" / word [SP argument]

The words and their arguments are in RFC 3501, 6.4.4 and RFC 7162, 3.1.5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

from lemonade_imap.grammar.base import SELECTED, ParsedCommand, Reader, read_date
from lemonade_imap.grammar.sequence import SequenceSet
from lemonade_imap.mail.charsets import codec_of
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.lexer import Lexer

MAX_DEPTH = 30
MAX_KEYS = 500
RESULTS = ("MIN", "MAX", "ALL", "COUNT")
_FLAGS = {"ANSWERED", "DELETED", "DRAFT", "FLAGGED", "SEEN"}
_HEADERS = {"BCC", "CC", "FROM", "SUBJECT", "TO"}
_DATES = {"BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE"}


@dataclass(frozen=True)
class SearchKey:
    """A search key: its word in capitals, its arguments, and the keys that it combines or negates.

    Words: `ALL`; `AND`, `OR`, `NOT` (`keys`); `FLAG` (`text`: the flag in lower case); `HEADER` (`name`, `text`);
    `ADDRESS` (likewise, in a field of addresses); `BODY`, `TEXT` (`text`); the date words (`day`); `LARGER`, `SMALLER`
    (`size`: octets); `MODSEQ` (`size`: the mod-sequence); `UID`, `NUMBERS` (`numbers`). Several keys of the client's
    become `AND`; other words are written by means of these.
    """

    word: str
    keys: tuple[SearchKey, ...] = ()
    text: str = ""
    name: str = ""
    day: date | None = None
    size: int = 0
    numbers: SequenceSet | None = None

    def has(self, word: str) -> bool:
        """Tell whether this key or a key inside it has this word."""
        return self.word == word or any(key.has(word) for key in self.keys)


@dataclass(frozen=True)
class Search(ParsedCommand):
    """SEARCH, or UID SEARCH with `by_uid` (RFC 3501, 6.4.4).

    `results`: the options of RETURN in capitals; None without RETURN, when the answer is a SEARCH response. `charset`:
    the name of an unknown charset, for which the command must be refused; otherwise None.
    """

    name = "SEARCH"
    legal_in = SELECTED
    key: SearchKey
    by_uid: bool = False
    results: tuple[str, ...] | None = None
    charset: str | None = None


class _Keys:
    """Parses the search keys of one command; all their strings are in one charset."""

    def __init__(self, lexer: Lexer, codec: str) -> None:
        self._lexer = lexer
        self._codec = codec
        self._count = 0

    def all(self) -> SearchKey:
        """Parse the keys up to the end of the line; raises ImapParseError."""
        keys = [self.one()]
        while self._lexer.skip_spaces() and not self._lexer.at_end:
            keys.append(self.one())
        return keys[0] if len(keys) == 1 else SearchKey("AND", tuple(keys))

    def one(self, depth: int = 0) -> SearchKey:
        """Parse one key at this depth of nesting; raises ImapParseError."""
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_KEYS:
            raise ImapParseError("there are too many search keys, or they are nested too deep")
        lexer = self._lexer
        if lexer.take("("):
            keys = [self.one(depth + 1)]
            while not lexer.take(")"):
                lexer.space()
                keys.append(self.one(depth + 1))
            return SearchKey("AND", tuple(keys))
        if lexer.peek() and lexer.peek() in "0123456789*":
            return SearchKey("NUMBERS", numbers=SequenceSet.parse(lexer.sequence_set()))
        word = lexer.atom().upper()
        if word == "NOT":
            lexer.space()
            return SearchKey("NOT", (self.one(depth + 1),))
        if word == "OR":
            lexer.space()
            first = self.one(depth + 1)
            lexer.space()
            return SearchKey("OR", (first, self.one(depth + 1)))
        return _simple(word) or self._with_argument(word)

    def _with_argument(self, word: str) -> SearchKey:
        lexer = self._lexer
        if word not in _ARGUMENTS:
            raise ImapParseError("a search key such as ALL, UID 1:*, SUBJECT text or SINCE 1-Jan-2026 is expected")
        lexer.space()
        if word in {"KEYWORD", "UNKEYWORD"}:
            key = SearchKey("FLAG", text=lexer.atom().lower())
            return SearchKey("NOT", (key,)) if word == "UNKEYWORD" else key
        if word in _HEADERS:
            return SearchKey("HEADER" if word == "SUBJECT" else "ADDRESS", name=word, text=self._string())
        if word == "HEADER":
            name = lexer.text()
            lexer.space()
            return SearchKey("HEADER", name=name, text=self._string())
        if word in {"BODY", "TEXT"}:
            return SearchKey(word, text=self._string())
        if word in _DATES:
            return SearchKey(word, day=read_date(lexer.text()))
        if word == "MODSEQ":
            return SearchKey(word, size=self._modseq())
        if word == "UID":
            return SearchKey(word, numbers=SequenceSet.parse(lexer.sequence_set()))
        return SearchKey(word, size=lexer.number())

    def _string(self) -> str:
        try:
            return self._lexer.astring().decode(self._codec)
        except UnicodeError:
            raise ImapParseError("a string is not of the charset that was named") from None

    def _modseq(self) -> int:
        """Parse `["/flags/name" type] number`; a message has one mod-sequence for all flags, so that only it counts."""
        if self._lexer.peek() == '"':
            if not self._lexer.string().lower().startswith(b"/flags/"):
                raise ImapParseError("an entry such as /flags/\\seen is expected")
            self._lexer.space()
            if self._lexer.atom().upper() not in {"ALL", "PRIV", "SHARED"}:
                raise ImapParseError("the type of an entry is all, priv or shared")
            self._lexer.space()
        return self._lexer.number()


_ARGUMENTS = {
    *_HEADERS,
    *_DATES,
    *("KEYWORD", "UNKEYWORD", "HEADER", "BODY", "TEXT", "MODSEQ", "UID", "LARGER", "SMALLER"),
}


def _simple(word: str) -> SearchKey | None:
    if word == "ALL":
        return SearchKey("ALL")
    if word in _FLAGS or word == "RECENT":
        return SearchKey("FLAG", text="\\" + word.lower())
    if word.startswith("UN") and word[2:] in _FLAGS:
        return SearchKey("NOT", (SearchKey("FLAG", text="\\" + word[2:].lower()),))
    recent = SearchKey("FLAG", text="\\recent")
    if word == "OLD":
        return SearchKey("NOT", (recent,))
    if word == "NEW":
        return SearchKey("AND", (recent, SearchKey("NOT", (SearchKey("FLAG", text="\\seen"),))))
    return None


def _search(*, by_uid: bool) -> Callable[[Lexer], ParsedCommand]:
    def read(lexer: Lexer) -> ParsedCommand:
        lexer.space()
        results = _results(lexer) if lexer.take_word("RETURN") else None
        codec, charset = "utf-8", None  # without CHARSET the strings are US-ASCII; UTF-8 is accepted too
        if lexer.take_word("CHARSET"):
            lexer.space()
            name = lexer.text()
            lexer.space()
            known = codec_of(name)
            codec, charset = known or "latin-1", None if known else name
        return replace(Search(_Keys(lexer, codec).all(), by_uid, results), charset=charset)

    return read


def _results(lexer: Lexer) -> tuple[str, ...]:
    """Parse the list behind RETURN; an empty list means ALL (RFC 4731, 3.1)."""
    lexer.space()
    lexer.expect("(")
    words: list[str] = []
    while not lexer.take(")"):
        words.append(lexer.atom().upper())
        if not lexer.skip_spaces() and lexer.peek() != ")":
            raise ImapParseError("a space or ) is expected")
    lexer.space()
    if not set(RESULTS).issuperset(words):
        raise ImapParseError("RETURN knows MIN, MAX, ALL and COUNT")
    return tuple(words) or ("ALL",)


READERS: dict[str, Reader] = {"SEARCH": _search(by_uid=False), "UID SEARCH": _search(by_uid=True)}
