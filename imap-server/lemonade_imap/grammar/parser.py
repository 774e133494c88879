"""Parses lines into typed commands (RFC 3501, 9): tag and name here, the arguments in the command's module.

    command = tag SP command-name [SP arguments] CRLF     the name may be UID SP command-name

A line contains its literals; it is called a logical line in this project.
"""

from __future__ import annotations

from dataclasses import dataclass

from lemonade_imap.grammar import append, fetch, flags, mailboxes, metadata, search, session, tickets
from lemonade_imap.grammar.base import ParsedCommand, Reader
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.framing import LogicalLine
from lemonade_wire.imap.lexer import Lexer

READERS: dict[str, Reader] = {
    **session.READERS,
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
    """A command with its tag; `name` is its word as the client sent it, in capitals, with `UID` before it."""

    tag: str
    command: ParsedCommand
    name: str


class CommandError(ValueError):
    """A line is not a valid command of this server; `tag` is None if the line has no valid tag."""

    def __init__(self, tag: str | None, text: str) -> None:
        super().__init__(text)
        self.tag = tag


def parse_command(line: LogicalLine) -> TaggedCommand:
    """Parse a command; raises CommandError, whose text may be sent to the client and contains nothing of the line."""
    lexer = Lexer(line)
    try:
        tag = lexer.tag()
        lexer.space()
    except ImapParseError:
        # A word alone may be a password: an answer to it must not have it as its tag.
        raise CommandError(None, "a tag and a command are expected") from None
    try:
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
    return TaggedCommand(tag, command, word)
