"""Arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable

from lemonade_wire.imap import mutf7
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.lexer import Lexer

INBOX = "INBOX"


def mailbox_name(lexer: Lexer) -> str:
    """Read the name of a mailbox, from modified UTF-7 (RFC 3501, 5.1.3)."""
    return with_inbox(mutf7.decode(lexer.astring()))


def with_inbox(name: str) -> str:
    """Return a name with INBOX in capitals: it has no case, below it either (RFC 3501, 5.1)."""
    return f"{INBOX}{name[len(INBOX) :]}" if name.upper().startswith(f"{INBOX}/") else name


def parenthesised(lexer: Lexer, read: Callable[[], str]) -> list[str]:
    """Read a list in parentheses, which may be empty; blanks just inside are let pass (E-31)."""
    lexer.expect("(")
    lexer.skip_spaces()
    found: list[str] = []
    while not lexer.take(")"):
        found.append(read())
        if not lexer.skip_spaces() and lexer.peek() != ")":
            raise ImapParseError("a space or ) is expected")
    return found
