"""Parses the commands that change the selected mailbox (RFC 3501, 6.4; RFC 4315; RFC 6851; RFC 7162, 3.1.3).

    store           = "STORE" SP sequence-set [store-modifier] SP store-att-flags
    store-modifier  = SP "(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")"
    store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))
    copy            = "COPY" SP sequence-set SP mailbox          move has the same form
    uid-expunge     = "UID" SP "EXPUNGE" SP sequence-set

EXPUNGE, CHECK, CLOSE and UNSELECT have no arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lemonade_imap.grammar.base import SELECTED, ParsedCommand, Reader, mailbox_name, parenthesised
from lemonade_imap.grammar.sequence import SequenceSet
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.lexer import Lexer

SYSTEM_FLAGS = ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")
_SPELLING = {flag.lower(): flag for flag in SYSTEM_FLAGS}


@dataclass(frozen=True)
class StoreFlags(ParsedCommand):
    """STORE, or UID STORE with `by_uid` (RFC 3501, 6.4.6).

    `mode`: '+' adds, '-' removes and '' replaces flags. `silent`: the client wants no FETCH responses.
    `unchanged_since`: the mod-sequence of a conditional STORE (RFC 7162, 3.1.3), or None.
    """

    name = "STORE"
    legal_in = SELECTED
    messages: SequenceSet
    mode: str
    flags: tuple[str, ...]
    silent: bool = False
    by_uid: bool = False
    unchanged_since: int | None = None


@dataclass(frozen=True)
class Expunge(ParsedCommand):
    """EXPUNGE (RFC 3501, 6.4.3), or UID EXPUNGE with `messages` (RFC 4315, 2.1)."""

    name = "EXPUNGE"
    legal_in = SELECTED
    messages: SequenceSet | None = None


@dataclass(frozen=True)
class Close(ParsedCommand):
    """CLOSE, or UNSELECT without `expunge` (RFC 3501, 6.4.2; RFC 3691)."""

    name = "CLOSE"
    legal_in = SELECTED
    expunge: bool = True


class CheckCommand(ParsedCommand):
    """CHECK (RFC 3501, 6.4.1)."""

    name = "CHECK"
    legal_in = SELECTED


@dataclass(frozen=True)
class Copy(ParsedCommand):
    """COPY, or UID COPY with `by_uid` (RFC 3501, 6.4.7)."""

    name = "COPY"
    legal_in = SELECTED
    messages: SequenceSet
    mailbox: str
    by_uid: bool = False


@dataclass(frozen=True)
class Move(ParsedCommand):
    """MOVE, or UID MOVE with `by_uid` (RFC 6851)."""

    name = "MOVE"
    legal_in = SELECTED
    messages: SequenceSet
    mailbox: str
    by_uid: bool = False


def _messages(lexer: Lexer) -> SequenceSet:
    lexer.space()
    return SequenceSet.parse(lexer.sequence_set())


def _store(*, by_uid: bool) -> Reader:
    def read(lexer: Lexer) -> ParsedCommand:
        numbers = _messages(lexer)
        lexer.space()
        unchanged_since = _unchanged_since(lexer) if lexer.peek() == "(" else None
        mode = next((sign for sign in "+-" if lexer.take(sign)), "")
        word = lexer.atom().upper()
        if word not in {"FLAGS", "FLAGS.SILENT"}:
            raise ImapParseError("STORE knows FLAGS and FLAGS.SILENT")
        lexer.space()
        if lexer.peek() == "(":
            flags = parenthesised(lexer, lexer.flag)
        else:
            flags = [lexer.flag()]
            while lexer.skip_spaces() and not lexer.at_end:
                flags.append(lexer.flag())
        return StoreFlags(numbers, mode, tuple(map(settable, flags)), word.endswith("SILENT"), by_uid, unchanged_since)

    return read


def _unchanged_since(lexer: Lexer) -> int:
    """Parse the modifier UNCHANGEDSINCE of STORE, the only one (RFC 4466, 2.5; RFC 7162, 3.1.3)."""
    lexer.expect("(")
    if lexer.atom().upper() != "UNCHANGEDSINCE":
        raise ImapParseError("STORE knows the modifier UNCHANGEDSINCE")
    lexer.space()
    modseq = lexer.number()
    lexer.expect(")")
    lexer.space()
    return modseq


def settable(text: str) -> str:
    r"""Return a flag that a client may set, a system flag in the spelling of RFC 3501.

    Raises ImapParseError for `\Recent`, which only the server sets, and for other flags with `\` that no standard
    defines (RFC 3501, 9: flag-extension).
    """
    if not text.startswith("\\"):
        return text
    flag = _SPELLING.get(text.lower())
    if flag is None:
        raise ImapParseError(f"the system flags are {' '.join(SYSTEM_FLAGS)}")
    return flag


def _expunge(lexer: Lexer) -> ParsedCommand:
    return Expunge(_messages(lexer))


def _to_mailbox(made: Callable[[SequenceSet, str, bool], ParsedCommand], *, by_uid: bool) -> Reader:
    def read(lexer: Lexer) -> ParsedCommand:
        numbers = _messages(lexer)
        lexer.space()
        return made(numbers, mailbox_name(lexer), by_uid)

    return read


READERS: dict[str, Reader] = {
    "STORE": _store(by_uid=False),
    "UID STORE": _store(by_uid=True),
    "COPY": _to_mailbox(Copy, by_uid=False),
    "UID COPY": _to_mailbox(Copy, by_uid=True),
    "MOVE": _to_mailbox(Move, by_uid=False),
    "UID MOVE": _to_mailbox(Move, by_uid=True),
    "EXPUNGE": lambda _lexer: Expunge(),
    "UID EXPUNGE": _expunge,
    "CHECK": lambda _lexer: CheckCommand(),
    "CLOSE": lambda _lexer: Close(),
    "UNSELECT": lambda _lexer: Close(expunge=False),
}
