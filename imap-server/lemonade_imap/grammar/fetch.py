"""Parses FETCH, its items and its modifier (RFC 3501, 6.4.5; RFC 3516, 4.2; RFC 7162, 3.1.4).

    fetch          = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att /
                     "(" fetch-att *(SP fetch-att) ")") [fetch-modifier]
    fetch-modifier = SP "(" "CHANGEDSINCE" SP mod-sequence-value ")"

The wire package's lexer parses a fetch-att, with its section and its partial.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lemonade_imap.grammar.base import SELECTED, ParsedCommand, Reader
from lemonade_imap.grammar.sequence import SequenceSet
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.lexer import Lexer
from lemonade_wire.imap.section import FetchItem

_MACROS = {
    "ALL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"),
    "FAST": ("FLAGS", "INTERNALDATE", "RFC822.SIZE"),
    "FULL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"),
}
_PLAIN_ITEMS = {
    "FLAGS",
    "UID",
    "INTERNALDATE",
    "RFC822.SIZE",
    "ENVELOPE",
    "BODY",
    "BODYSTRUCTURE",
    "MODSEQ",
    "RFC822",
    "RFC822.HEADER",
    "RFC822.TEXT",
}
MOST_ITEMS = 1000
"""The largest number of items in one command, as many as an indexed message has parts."""
_BINARY_ITEMS = {"BINARY", "BINARY.PEEK", "BINARY.SIZE"}
_SECTION_ITEMS = {"BODY", "BODY.PEEK", *_BINARY_ITEMS}


@dataclass(frozen=True)
class Fetch(ParsedCommand):
    """FETCH, or UID FETCH with `by_uid` (RFC 3501, 6.4.5, 6.4.8); `changed_since` is a mod-sequence or None."""

    name = "FETCH"
    legal_in = SELECTED
    messages: SequenceSet
    items: tuple[FetchItem, ...]
    by_uid: bool = False
    changed_since: int | None = None


def _fetch(*, by_uid: bool) -> Callable[[Lexer], ParsedCommand]:
    def read(lexer: Lexer) -> ParsedCommand:
        lexer.space()
        numbers = SequenceSet.parse(lexer.sequence_set())
        lexer.space()
        items: list[FetchItem] = []
        if lexer.take("("):
            lexer.skip_spaces()
            while not lexer.take(")"):
                items.append(lexer.fetch_item())
                if len(items) > MOST_ITEMS:
                    raise ImapParseError(f"at most {MOST_ITEMS} items are fetched at once")
                if not lexer.skip_spaces() and lexer.peek() != ")":
                    raise ImapParseError("a space or ) is expected")
        else:
            item = lexer.fetch_item()
            macro = _MACROS.get(item.name) if item.section is None else None
            items = [FetchItem(name) for name in macro] if macro else [item]
        if not items:
            raise ImapParseError("FETCH needs at least one item")
        for item in items:
            _check_item(item)
        return Fetch(numbers, tuple(items), by_uid, _changed_since(lexer))

    return read


def _check_item(item: FetchItem) -> None:
    if item.name not in (_PLAIN_ITEMS if item.section is None else _SECTION_ITEMS):
        raise ImapParseError("a fetch item of RFC 3501, RFC 3516 or RFC 7162 is expected")
    if item.offset is not None and not item.length:
        raise ImapParseError("a partial is <offset.length>, and its length is not 0")
    if item.name in _BINARY_ITEMS and item.section is not None and item.section.text:
        raise ImapParseError("a section of BINARY has part numbers alone")
    if item.name == "BINARY.SIZE" and item.offset is not None:
        raise ImapParseError("BINARY.SIZE has no partial")


def _changed_since(lexer: Lexer) -> int | None:
    """Parse the modifier CHANGEDSINCE, the only one (RFC 7162, 7: chgsince-fetch-mod); None without a modifier.

    0, which the grammar does not have and phones send, selects every message: it is below all mod-sequences.
    """
    if not lexer.skip_spaces() or lexer.at_end:
        return None
    lexer.expect("(")
    if lexer.atom().upper() != "CHANGEDSINCE":
        raise ImapParseError("FETCH knows the modifier CHANGEDSINCE")
    lexer.space()
    since = lexer.number()
    lexer.expect(")")
    return since


READERS: dict[str, Reader] = {"FETCH": _fetch(by_uid=False), "UID FETCH": _fetch(by_uid=True)}
