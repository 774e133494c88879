"""What every command has: its word, and the states it is legal in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from lemonade_imap.state import LOGGED_IN, State
from lemonade_wire.imap.lexer import Lexer


@dataclass(frozen=True)
class Command:
    """Base of the commands: `name` is the word on the wire, `legal_in` the states in which it is carried out."""

    name: ClassVar[str] = ""
    legal_in: ClassVar[frozenset[State]] = LOGGED_IN


Reader = Callable[[Lexer], Command]
"""Reads the arguments of a command, up to the end of the line; raises ImapParseError."""
