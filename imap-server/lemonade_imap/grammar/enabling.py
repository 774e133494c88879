"""ENABLE (RFC 5161): the client says which extensions it knows the answers of."""

from __future__ import annotations

from dataclasses import dataclass

from lemonade_imap.grammar.command import Command, Reader
from lemonade_wire.imap.lexer import Lexer


@dataclass(frozen=True)
class Enable(Command):
    """ENABLE; `names` in capitals, those unknown here too."""

    name = "ENABLE"
    names: tuple[str, ...]


def _enable(lexer: Lexer) -> Command:
    names: list[str] = []
    lexer.space()
    names.append(lexer.atom().upper())
    while lexer.skip_spaces() and not lexer.at_end:
        names.append(lexer.atom().upper())
    return Enable(tuple(names))


READERS: dict[str, Reader] = {"ENABLE": _enable}
