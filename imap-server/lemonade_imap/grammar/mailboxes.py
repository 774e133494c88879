"""The commands on mailboxes as a whole (RFC 3501, 6.3; RFC 2342; RFC 7162, 3.1.7 and 3.1.8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lemonade_imap.grammar.arguments import INBOX, mailbox_name, parenthesised, with_inbox
from lemonade_imap.grammar.command import Command, Reader
from lemonade_wire.imap import mutf7
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.lexer import Lexer

STATUS_ITEMS = ("MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "HIGHESTMODSEQ")


@dataclass(frozen=True)
class ListMailboxes(Command):
    """LIST (RFC 3501, 6.3.8)."""

    name = "LIST"
    reference: str
    pattern: str


@dataclass(frozen=True)
class ListSubscribed(Command):
    """LSUB (RFC 3501, 6.3.9)."""

    name = "LSUB"
    reference: str
    pattern: str


@dataclass(frozen=True)
class Select(Command):
    """SELECT, and with `read_only` EXAMINE (RFC 3501, 6.3.1, 6.3.2); `condstore`: RFC 7162, 3.1.8."""

    name = "SELECT"
    mailbox: str
    read_only: bool = False
    condstore: bool = False


@dataclass(frozen=True)
class Create(Command):
    """CREATE (RFC 3501, 6.3.3)."""

    name = "CREATE"
    mailbox: str


@dataclass(frozen=True)
class Delete(Command):
    """DELETE (RFC 3501, 6.3.4)."""

    name = "DELETE"
    mailbox: str


@dataclass(frozen=True)
class Rename(Command):
    """RENAME (RFC 3501, 6.3.5)."""

    name = "RENAME"
    mailbox: str
    new_name: str


@dataclass(frozen=True)
class Subscribe(Command):
    """SUBSCRIBE (RFC 3501, 6.3.6)."""

    name = "SUBSCRIBE"
    mailbox: str


@dataclass(frozen=True)
class Unsubscribe(Command):
    """UNSUBSCRIBE (RFC 3501, 6.3.7)."""

    name = "UNSUBSCRIBE"
    mailbox: str


@dataclass(frozen=True)
class Status(Command):
    """STATUS (RFC 3501, 6.3.10); `items` in capitals."""

    name = "STATUS"
    mailbox: str
    items: tuple[str, ...]


class Namespace(Command):
    """NAMESPACE (RFC 2342)."""

    name = "NAMESPACE"


def _list(made: Callable[[str, str], Command]) -> Reader:
    def read(lexer: Lexer) -> Command:
        lexer.space()
        reference = mailbox_name(lexer)
        lexer.space()
        return made(reference, mutf7.decode(lexer.list_mailbox()))

    return read


def _select(*, read_only: bool) -> Reader:
    def read(lexer: Lexer) -> Command:
        lexer.space()
        mailbox = mailbox_name(lexer)
        condstore = False
        if lexer.skip_spaces() and not lexer.at_end:
            # RFC 4466, 2.1: parameters stand in parentheses; there is this one
            if [word.upper() for word in parenthesised(lexer, lexer.atom)] != ["CONDSTORE"]:
                raise ImapParseError("SELECT and EXAMINE know the parameter CONDSTORE")
            condstore = True
        return Select(mailbox, read_only, condstore)

    return read


def _named(made: Callable[[str], Command]) -> Reader:
    def read(lexer: Lexer) -> Command:
        lexer.space()
        return made(mailbox_name(lexer))

    return read


def _new_name(lexer: Lexer) -> str:
    """Read the name of a mailbox to be; a trailing separator says that names will be made below it, and is no part.

    It must be written as it will be listed: 7-bit, without a shift that is not needed (RFC 3501, 5.1 and 5.1.3).
    """
    lexer.space()
    octets = lexer.astring()
    plain = mutf7.decode(octets)
    if plain != INBOX and mutf7.encode(plain) != octets:
        raise ImapParseError("a new name is in modified UTF-7, and shifts no more than it must")
    return with_inbox(plain).removesuffix("/")


def _rename(lexer: Lexer) -> Command:
    lexer.space()
    return Rename(mailbox_name(lexer), _new_name(lexer))


def _status(lexer: Lexer) -> Command:
    lexer.space()
    mailbox = mailbox_name(lexer)
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
    "DELETE": _named(Delete),
    "RENAME": _rename,
    "SUBSCRIBE": _named(Subscribe),
    "UNSUBSCRIBE": _named(Unsubscribe),
    "STATUS": _status,
    "NAMESPACE": lambda _lexer: Namespace(),
}
