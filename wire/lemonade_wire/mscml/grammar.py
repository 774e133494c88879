"""Time values (RFC 5022 section 4.2.1) and the interface of the three kinds of DTMF grammars in `<pattern>` (6.4.5)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Protocol

from lemonade_wire.mscml.digitmap import MegacoDigitMap, MgcpDigitMap
from lemonade_wire.mscml.dregex import DRegex


class Walk(Protocol):
    """The state of the match between the keys pressed so far and a grammar."""

    def press(self, key: str, *, long: bool = False, double: bool = False) -> None:
        """Add a key. `long`: it was held; `double`: the same key was pressed just before it."""
        ...

    def lengthen(self, key: str) -> None:
        """Change the last key, which was `key`, to one that was held."""
        ...

    def expire(self) -> None:
        """Report that no key was pressed before the timer ended."""
        ...

    @property
    def matches(self) -> bool:
        """Whether the keys match the grammar."""
        ...

    @property
    def can_go_on(self) -> bool:
        """Whether a further key or the end of the timer could make a match, or a longer one."""
        ...

    @property
    def critical(self) -> bool:
        """Whether the next timer is `interdigitcriticaltimer`, as after a match; if false, it is `interdigittimer`."""
        ...


@dataclass(frozen=True)
class Grammar:
    """A grammar with its name, which a response repeats (None if it has none)."""

    value: DRegex | MgcpDigitMap | MegacoDigitMap
    name: str | None = None


KINDS: dict[str, type[DRegex | MgcpDigitMap | MegacoDigitMap]] = {
    "regex": DRegex,
    "mgcpdigitmap": MgcpDigitMap,
    "megacodigitmap": MegacoDigitMap,
}
"""The class of each child element of `<pattern>`."""
ELEMENTS = {kind: name for name, kind in KINDS.items()}
"""The element name of each class of grammars."""


# RFC 5022 section 4.2.1, with the decimals of CSS2:
#   time value  =  number ["ms" / "s"] / "immediate" / "infinite"
_TIME = re.compile(r"(?P<number>[0-9]{1,9}(\.[0-9]{1,9})?|\.[0-9]{1,9})(?P<unit>ms|s)?")


def parse_time(text: str, *, infinite: bool = False) -> float:
    """Parse a time value; returns milliseconds (`math.inf` for `infinite`, 0 for `immediate`, E-20).

    A number without a unit is in milliseconds. The argument `infinite` says whether that word is allowed. Decimals are
    allowed, because CSS2, to which RFC 5022 refers, allows them. Raises ValueError.
    """
    if text == "infinite" and infinite:
        return math.inf
    if text == "immediate":
        return 0
    match = _TIME.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no time value (5000, 5000ms and 5s are)")
    return float(match["number"]) * (1000 if match["unit"] == "s" else 1)


def write_time(ms: float) -> str:
    """Return the text of a time, in whole milliseconds with the unit; `math.inf` is `infinite`."""
    return "infinite" if math.isinf(ms) else f"{round(ms)}ms"
