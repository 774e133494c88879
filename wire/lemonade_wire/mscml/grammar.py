"""DTMF grammars of `<pattern>` (RFC 5022 section 6.4.5): what its three kinds have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lemonade_wire.mscml.digitmap import MegacoDigitMap, MgcpDigitMap
from lemonade_wire.mscml.dregex import DRegex


class Walk(Protocol):
    """How far presses have come in a grammar."""

    def press(self, key: str, *, long: bool = False, double: bool = False) -> None:
        """Take a key. `long`: it was held; `double`: the same key was pressed just before."""
        ...

    def lengthen(self, key: str) -> None:
        """Take note that the last key, which this was, turns out to be held."""
        ...

    def expire(self) -> None:
        """Take note that no key came in time."""
        ...

    @property
    def matches(self) -> bool:
        """Whether what was pressed is what the grammar wants."""
        ...

    @property
    def can_go_on(self) -> bool:
        """Whether it is worth waiting: for a key, for a longer match, or for the time to be over."""
        ...

    @property
    def critical(self) -> bool:
        """Whether to wait as long as behind a match (`interdigitcriticaltimer`), else as long as between digits."""
        ...


@dataclass(frozen=True)
class Grammar:
    """A grammar and its name, which a response repeats."""

    value: DRegex | MgcpDigitMap | MegacoDigitMap
    name: str | None = None


KINDS: dict[str, type[DRegex | MgcpDigitMap | MegacoDigitMap]] = {
    "regex": DRegex,
    "mgcpdigitmap": MgcpDigitMap,
    "megacodigitmap": MegacoDigitMap,
}
"""The elements of `<pattern>`."""
ELEMENTS = {kind: name for name, kind in KINDS.items()}
"""What a grammar is written as."""
