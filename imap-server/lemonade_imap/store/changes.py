"""What a change of flags makes of a message's flags (RFC 3501, 6.4.6)."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=4096)
def changed_flags(flags: frozenset[str], mode: str, given: frozenset[str]) -> frozenset[str]:
    """Return the flags after `given` ones were added (`+`), removed (`-`), or put in their place (empty mode).

    Flags have no case (RFC 3501, 9): a message has each once, as it was spelt first.
    """
    present = {flag.lower(): flag for flag in sorted(flags, reverse=True)}
    wanted = {flag.lower(): flag for flag in sorted(given, reverse=True)}
    match mode:
        case "+":
            return frozenset((wanted | present).values())
        case "-":
            return frozenset(flag for key, flag in present.items() if key not in wanted)
        case _:
            return frozenset(present.get(key, flag) for key, flag in wanted.items())
