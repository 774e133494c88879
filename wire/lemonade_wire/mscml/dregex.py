"""DRegex, the digit patterns of MSCML (RFC 5022 appendix A), matched key by key and without backtracking.

The accepted grammar; `L` means a long press:

    pattern   =  1*( ["L"] ( key / "x" / "." / "[" 1*( key ["-" key] ) "]" ) [ interval ] )
    key       =  "0" to "9" / "A" to "D" / "#" / "*"
    "x"       is any digit, "." is any key
    interval  =  "{" ( m / m "," / "," n / m "," n ) "}"    ; m and n of up to three digits
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

MAX_LENGTH = 256
_KEYS = "0123456789ABCD#*"
_ITEM = re.compile(
    r"(?P<long>L)?(?:(?P<key>[0-9A-Da-d#*])|(?P<any>\.)|(?P<x>x)|\[(?P<set>[^\[\]]+)\])(?:\{(?P<interval>[0-9,]+)\})?"
)
_RANGE = re.compile(r"(?P<first>[0-9A-D#*])(?:-(?P<last>[0-9A-D#*]))?")
_INTERVAL = re.compile(r"(?P<exact>[0-9]{1,3})|(?P<low>[0-9]{1,3})?,(?P<high>[0-9]{1,3})?")

State = tuple[int, int]
"""The index of the item that is being matched, and the number of keys that have matched it."""


@dataclass(frozen=True)
class _Item:
    keys: frozenset[str]
    low: int
    high: int | None
    long: bool

    def takes(self, key: str, *, long: bool) -> bool:
        return key in self.keys and (long or not self.long)


@dataclass(frozen=True)
class DRegex:
    """A parsed pattern; `walk` begins a match."""

    text: str
    items: tuple[_Item, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a pattern; raises ValueError if it is malformed or longer than 256 characters."""
        if len(text) > MAX_LENGTH:
            raise ValueError(f"a pattern of more than {MAX_LENGTH} characters")
        found = list(_ITEM.finditer(text))
        if not found or "".join(item[0] for item in found) != text:
            raise ValueError(f"{text!r} is no digit pattern")
        try:
            return cls(text, tuple(map(_item, found)))
        except ValueError as problem:
            raise ValueError(f"{text!r} is no digit pattern: {problem}") from problem

    def __str__(self) -> str:
        return self.text

    def walk(self) -> RegexWalk:
        """Begin a match: return its state before any key."""
        return RegexWalk(self)


class RegexWalk:
    """The state of a match with a pattern; see `grammar.Walk`."""

    def __init__(self, pattern: DRegex) -> None:
        self._items = pattern.items
        self._states = self._reached({(0, 0)})
        self._before = self._states

    def press(self, key: str, *, long: bool = False, double: bool = False) -> None:
        """Add a key. `double`: the same key was pressed just before it, so that both may count as one long press."""
        taken = self._step(self._states, key, long=long)
        if double:
            taken |= self._step(self._before, key, long=True)
        self._before, self._states = self._states, taken

    def lengthen(self, key: str) -> None:
        """Report that the last key, which was `key`, was held, so that it may also match an item with `L`."""
        self._states |= self._step(self._before, key, long=True)

    def expire(self) -> None:
        """Do nothing: a pattern has no event for the end of a timer."""

    @property
    def matches(self) -> bool:
        """Whether the keys match the complete pattern."""
        return (len(self._items), 0) in self._states

    @property
    def can_go_on(self) -> bool:
        """Whether a further key could make a match, or a longer one."""
        return any(index < len(self._items) for index, _ in self._states)

    @property
    def critical(self) -> bool:
        """Whether the next timer is `interdigitcriticaltimer`, as after a match (RFC 5022 section 6.4.3)."""
        return self.matches

    def _step(self, states: set[State], key: str, *, long: bool) -> set[State]:
        taken: set[State] = set()
        for index, count in states:
            if index < len(self._items) and self._items[index].takes(key, long=long):
                low = self._items[index].low
                # In an open interval all counts from the lowest on are equivalent, so that they share one state.
                taken.add((index, count + 1 if self._items[index].high is not None else min(count + 1, low)))
        return self._reached(taken)

    def _reached(self, states: set[State]) -> set[State]:
        """Return the states with those that follow without a key, and without items that cannot be repeated."""
        reached: set[State] = set()
        waiting = list(states)
        while waiting:
            index, count = waiting.pop()
            if (index, count) in reached:
                continue
            if index == len(self._items):
                reached.add((index, 0))
                continue
            item = self._items[index]
            if item.high is None or count < item.high:
                reached.add((index, count))
            if count >= item.low:
                waiting.append((index + 1, 0))
        return reached


def _item(found: re.Match[str]) -> _Item:
    low, high = _interval(found["interval"])
    return _Item(_keys(found), low, high, found["long"] is not None)


def _keys(found: re.Match[str]) -> frozenset[str]:
    if found["any"]:
        return frozenset(_KEYS)
    if found["x"]:
        return frozenset(_KEYS[:10])
    if found["key"]:
        return frozenset(found["key"].upper())
    text = found["set"].upper()
    ranges = list(_RANGE.finditer(text))
    if "".join(one[0] for one in ranges) != text:
        raise ValueError("a key is 0-9, A-D, # or *")
    keys: set[str] = set()
    for one in ranges:
        first, last = _KEYS.index(one["first"]), _KEYS.index(one["last"] or one["first"])
        if last < first or (one["last"] and "#" in _KEYS[first : last + 1]):
            raise ValueError("a range goes upward, through 0-9 and A-D")
        keys.update(_KEYS[first : last + 1])
    return frozenset(keys)


def _interval(text: str | None) -> tuple[int, int | None]:
    if text is None:
        return 1, 1
    found = _INTERVAL.fullmatch(text)
    if found is None or text == ",":
        raise ValueError("an interval is {m}, {m,}, {,n} or {m,n}")
    low = int(found["exact"] or found["low"] or 0)
    last = found["exact"] or found["high"]
    high = int(last) if last else None
    if high is not None and (high < low or high < 1):
        raise ValueError("an interval's end is before its beginning")
    return low, high
