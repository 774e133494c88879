"""Logical lines to typed commands (RFC 3501, 9): the tag and the word here, the arguments where the command is."""

from __future__ import annotations

from dataclasses import dataclass

from lemonade_imap.grammar import append, enabling, fetch, flags, mailboxes, metadata, search, session, tickets
from lemonade_imap.grammar.command import Command, Reader
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.framing import LogicalLine
from lemonade_wire.imap.lexer import Lexer

READERS: dict[str, Reader] = {
    **session.READERS,
    **enabling.READERS,
    **mailboxes.READERS,
    **append.READERS,
    **fetch.READERS,
    **search.READERS,
    **flags.READERS,
    **metadata.READERS,
    **tickets.READERS,
}


@dataclass(frozen=True)
class TaggedCommand:
    """A command with its tag."""

    tag: str
    command: Command


class CommandError(ValueError):
    """A line is no command that the server knows; `tag` is None where not even a tag could be read."""

    def __init__(self, tag: str | None, text: str) -> None:
        super().__init__(text)
        self.tag = tag


def parse_command(line: LogicalLine) -> TaggedCommand:
    """Read a command; raises CommandError, whose text may be sent to the client and holds nothing of its line."""
    lexer = Lexer(line)
    try:
        tag = lexer.tag()
    except ImapParseError:
        raise CommandError(None, "a tag and a command are expected") from None
    try:
        lexer.space()
        word = lexer.atom().upper()
        if word == "UID":
            lexer.space()
            word = f"UID {lexer.atom().upper()}"
        reader = READERS.get(word)
        if reader is None:
            raise CommandError(tag, "this command is not known")
        command = reader(lexer)
        lexer.end()
    except ImapParseError as problem:
        raise CommandError(tag, str(problem)) from None
    return TaggedCommand(tag, command)
