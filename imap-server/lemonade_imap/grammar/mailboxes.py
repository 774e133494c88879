"""Parses the commands that concern whole mailboxes (RFC 3501, 6.3; RFC 2342; RFC 7162, 3.1.7 and 3.1.8).

    list   = "LIST" SP mailbox SP list-mailbox                   lsub has the same form
    select = "SELECT" SP mailbox [SP "(" "CONDSTORE" ")"]        examine has the same form
    create = "CREATE" SP mailbox                                 delete, subscribe and unsubscribe have the same form
    rename = "RENAME" SP mailbox SP mailbox
    status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"

NAMESPACE has no arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lemonade_imap.grammar.base import (
    INBOX,
    ParsedCommand,
    Reader,
    mailbox_name,
    parenthesised,
    present_mailbox_name,
    with_inbox,
)
from lemonade_wire.imap import mutf7
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.lexer import Lexer

STATUS_ITEMS = ("MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "HIGHESTMODSEQ")


@dataclass(frozen=True)
class ListMailboxes(ParsedCommand):
    """LIST (RFC 3501, 6.3.8)."""

    name = "LIST"
    reference: str
    pattern: str


@dataclass(frozen=True)
class ListSubscribed(ParsedCommand):
    """LSUB (RFC 3501, 6.3.9)."""

    name = "LSUB"
    reference: str
    pattern: str


@dataclass(frozen=True)
class Select(ParsedCommand):
    """SELECT, or EXAMINE with `read_only` (RFC 3501, 6.3.1, 6.3.2).

    `condstore`: the command has the parameter CONDSTORE (RFC 7162, 3.1.8).
    """

    name = "SELECT"
    mailbox: str
    read_only: bool = False
    condstore: bool = False


@dataclass(frozen=True)
class Create(ParsedCommand):
    """CREATE (RFC 3501, 6.3.3)."""

    name = "CREATE"
    mailbox: str


@dataclass(frozen=True)
class Delete(ParsedCommand):
    """DELETE (RFC 3501, 6.3.4)."""

    name = "DELETE"
    mailbox: str


@dataclass(frozen=True)
class Rename(ParsedCommand):
    """RENAME (RFC 3501, 6.3.5)."""

    name = "RENAME"
    mailbox: str
    new_name: str


@dataclass(frozen=True)
class Subscribe(ParsedCommand):
    """SUBSCRIBE (RFC 3501, 6.3.6)."""

    name = "SUBSCRIBE"
    mailbox: str


@dataclass(frozen=True)
class Unsubscribe(ParsedCommand):
    """UNSUBSCRIBE (RFC 3501, 6.3.7)."""

    name = "UNSUBSCRIBE"
    mailbox: str


@dataclass(frozen=True)
class Status(ParsedCommand):
    """STATUS (RFC 3501, 6.3.10); `items` are the status items in capitals."""

    name = "STATUS"
    mailbox: str
    items: tuple[str, ...]


class Namespace(ParsedCommand):
    """NAMESPACE (RFC 2342)."""

    name = "NAMESPACE"


def _list(made: Callable[[str, str], ParsedCommand]) -> Reader:
    def read(lexer: Lexer) -> ParsedCommand:
        lexer.space()
        reference = mailbox_name(lexer)
        lexer.space()
        return made(reference, mutf7.decode(lexer.list_mailbox()))

    return read


def _select(*, read_only: bool) -> Reader:
    def read(lexer: Lexer) -> ParsedCommand:
        lexer.space()
        mailbox = present_mailbox_name(lexer)
        condstore = False
        if lexer.skip_spaces() and not lexer.at_end:
            # RFC 4466, 2.1: parameters are in parentheses; CONDSTORE is the only one
            if [word.upper() for word in parenthesised(lexer, lexer.atom)] != ["CONDSTORE"]:
                raise ImapParseError("SELECT and EXAMINE know the parameter CONDSTORE")
            condstore = True
        return Select(mailbox, read_only, condstore)

    return read


def _named(made: Callable[[str], ParsedCommand]) -> Reader:
    def read(lexer: Lexer) -> ParsedCommand:
        lexer.space()
        return made(mailbox_name(lexer))

    return read


def _new_name(lexer: Lexer) -> str:
    """Parse the name of a mailbox that will be made; raises ImapParseError.

    A trailing separator is removed: it only announces that mailboxes below the name will be made. The name must be
    written as LIST will show it: in 7-bit octets and without an unnecessary shift (RFC 3501, 5.1 and 5.1.3).
    """
    lexer.space()
    octets = lexer.mailbox()
    plain = mutf7.decode(octets)
    if plain != INBOX and mutf7.encode(plain) != octets:
        raise ImapParseError("a new name must be in modified UTF-7, without needless shifts")
    return with_inbox(plain).removesuffix("/")


def _delete(lexer: Lexer) -> ParsedCommand:
    lexer.space()
    return Delete(present_mailbox_name(lexer))


def _rename(lexer: Lexer) -> ParsedCommand:
    lexer.space()
    return Rename(present_mailbox_name(lexer), _new_name(lexer))


def _status(lexer: Lexer) -> ParsedCommand:
    lexer.space()
    mailbox = present_mailbox_name(lexer)
    lexer.space()
    items = [item.upper() for item in parenthesised(lexer, lexer.atom)]
    if not items or not set(STATUS_ITEMS).issuperset(items):
        raise ImapParseError(f"STATUS knows {', '.join(STATUS_ITEMS)}")
    return Status(mailbox, tuple(items))


READERS: dict[str, Reader] = {
    "LIST": _list(ListMailboxes),
    "LSUB": _list(ListSubscribed),
    "SELECT": _select(read_only=False),
    "EXAMINE": _select(read_only=True),
    "CREATE": lambda lexer: Create(_new_name(lexer)),
    "DELETE": _delete,
    "RENAME": _rename,
    "SUBSCRIBE": _named(Subscribe),
    "UNSUBSCRIBE": _named(Unsubscribe),
    "STATUS": _status,
    "NAMESPACE": lambda _lexer: Namespace(),
}
