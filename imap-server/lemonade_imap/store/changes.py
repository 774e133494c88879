"""What a change of flags makes of a message's flags (RFC 3501, 6.4.6)."""

from __future__ import annotations

from collections.abc import Collection


def changed_flags(flags: frozenset[str], mode: str, given: Collection[str]) -> frozenset[str]:
    """Return the flags after `given` ones were added (`+`), removed (`-`), or put in their place (empty mode)."""
    match mode:
        case "+":
            return flags.union(given)
        case "-":
            return flags.difference(given)
        case _:
            return frozenset(given)
