"""Digit maps of MGCP (RFC 3435 section 2.1.5) and of H.248.1 (section 7.1.14), matched key by key.

Both are lists of strings such as `(0|[1-7]xxx|9011x.)`. A string has keys, `x` (any digit) and sets (`[1-39]`); a `.`
after one of them means any number of it, including none. The differences:

| | MGCP | H.248.1 |
|---|---|---|
| match | the shortest: the first match ends the collection | the longest: a longer match is awaited while possible |
| timers | `T` at the end of a string matches the end of the timer | `S`, `L`: short or long timer before the next key |
| long keys | none | `Z` before a key: the key is held |
| star, hash | `*`, `#` | `E`, `F` |

The accepted grammar, in any case, with blanks around `(`, `)`, `|`, `[` and `]`:

    digit map  =  string / "(" string *( "|" string ) ")"
    string     =  1*( place ["."] )       ; MGCP: "T" only at the end; H.248.1: also "S" and "L"
    place      =  ["Z"] ( key / "x" / "[" 1*( key / digit "-" digit ) "]" )   ; "Z" in H.248.1 only
    H.248.1    =  ["T:" seconds ","] ["S:" seconds ","] ["L:" seconds ","] digit map
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

MAX_LENGTH = 2048
_BLANKS = re.compile(r"[ \t]*([()|\[\]])[ \t]*")
_MAP = re.compile(r"\((?P<list>[^()]*)\)|(?P<one>[^()|]*)")
_RANGE = re.compile(r"(?P<first>[0-9])-(?P<last>[0-9])|(?P<letter>.)")
_HEAD = re.compile(r"(?:T:[0-9]{1,2},)?(?:S:[0-9]{1,2},)?(?:L:[0-9]{1,2},)?", re.IGNORECASE)
_TIMERS = re.compile(r"(?P<name>[TSL]):(?P<seconds>[0-9]+)", re.IGNORECASE)
_DIGITS = "0123456789"
_TIMER = "timer"
"""The event for the end of the timer without a key."""


@dataclass(frozen=True)
class _Place:
    """A place in a string: the events that match it; `wait` is S or L if it only selects the timer for the next key."""

    events: frozenset[str] = frozenset()
    repeated: bool = False
    long: bool = False
    wait: str = ""

    def takes(self, event: str, *, long: bool) -> bool:
        return event in self.events and (long or not self.long)


_String = tuple[_Place, ...]
State = tuple[int, int]
"""The index of a string, and the index of the place in it that the next key must match."""


@dataclass(frozen=True)
class DigitMap:
    """A parsed digit map; `walk` begins a match."""

    text: str
    strings: tuple[_String, ...]
    shortest: ClassVar[bool]
    _place: ClassVar[re.Pattern[str]]
    _keys: ClassVar[dict[str, str]]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a digit map, in upper or lower case; raises ValueError if it is malformed or above 2048 characters."""
        if len(text) > MAX_LENGTH:
            raise ValueError(f"a digit map of more than {MAX_LENGTH} characters")
        found = _MAP.fullmatch(_BLANKS.sub(r"\1", cls._own_text(text).upper()))
        if found is None or not text.isascii():
            raise ValueError(f"{text!r} is no digit map")
        strings = [found["one"]] if found["list"] is None else found["list"].split("|")
        try:
            return cls(text, tuple(cls._string(string) for string in strings))
        except ValueError as problem:
            raise ValueError(f"{text!r} is no digit map: {problem}") from problem

    def __str__(self) -> str:
        return self.text

    def walk(self) -> MapWalk:
        """Begin a match: return its state before any key."""
        return MapWalk(self)

    @classmethod
    def _own_text(cls, text: str) -> str:
        """Return the map without the timers before it."""
        return text

    @classmethod
    def _string(cls, text: str) -> _String:
        found = list(cls._place.finditer(text))
        if not found or "".join(place[0] for place in found) != text:
            raise ValueError(f"{text!r} is no string of keys")
        places = tuple(map(cls._placed, found))
        if all(place.wait for place in places):
            raise ValueError("a string has keys")
        if any(_TIMER in place.events for place in places[:-1]) or (
            _TIMER in places[-1].events and places[-1].repeated
        ):
            raise ValueError("a timer is the last in a string")
        return places

    @classmethod
    def _placed(cls, found: re.Match[str]) -> _Place:
        given = found.groupdict()
        if given.get("wait"):
            return _Place(wait=given["wait"])
        events = cls._events(found["set"]) if found["set"] else frozenset(map(cls._event, found["key"] or _DIGITS))
        return _Place(events, found["dot"] is not None, bool(given.get("long")))

    @classmethod
    def _event(cls, letter: str) -> str:
        if letter not in cls._keys:
            raise ValueError(f"{letter!r} is no key")
        return cls._keys[letter]

    @classmethod
    def _events(cls, text: str) -> frozenset[str]:
        events: set[str] = set()
        for one in _RANGE.finditer(text):
            if one["letter"]:
                events.add(cls._event(one["letter"]))
            elif one["last"] < one["first"]:
                raise ValueError("a range goes upward")
            else:
                events.update(_DIGITS[int(one["first"]) : int(one["last"]) + 1])
        return frozenset(events)


class MgcpDigitMap(DigitMap):
    """A digit map of MGCP, with the letters that every gateway must support; extension letters are errors."""

    shortest = True
    _place = re.compile(r"(?:(?P<key>[0-9A-DT#*])|X|\[(?P<set>[^\[\]]+)\])(?P<dot>\.)?")
    _keys: ClassVar[dict[str, str]] = {key: key for key in "0123456789ABCD#*"} | {"T": _TIMER}


@dataclass(frozen=True)
class MapTimers:
    """The timers T, S and L of a digit map of H.248.1, in milliseconds; None if the map does not set one."""

    first_ms: float | None = None
    short_ms: float | None = None
    long_ms: float | None = None


class MegacoDigitMap(DigitMap):
    """A digit map of H.248.1; it may begin with timers in seconds, such as `T:16,S:5,L:16,` (see `timers`).

    The letters G to K are accepted, but a telephone has no such keys, so that their places never match.
    """

    shortest = False
    _place = re.compile(r"(?P<wait>[SL])|(?P<long>Z)?(?:(?P<key>[0-9A-K])|X|\[(?P<set>[^\[\]]+)\])(?P<dot>\.)?")
    _keys: ClassVar[dict[str, str]] = {key: key for key in "0123456789ABCDGHIJK"} | {"E": "*", "F": "#"}

    @property
    def timers(self) -> MapTimers:
        """The timers before the map, in milliseconds; a T of 0 means no limit (`math.inf`)."""
        found = {one["name"].upper(): int(one["seconds"]) * 1000.0 for one in _TIMERS.finditer(self._head(self.text))}
        return MapTimers(found.get("T") or (math.inf if "T" in found else None), found.get("S"), found.get("L"))

    @classmethod
    def _own_text(cls, text: str) -> str:
        return text.removeprefix(cls._head(text))

    @staticmethod
    def _head(text: str) -> str:
        found = _HEAD.match(text)
        return found[0] if found else ""


class MapWalk:
    """The state of a match with a digit map; see `grammar.Walk`."""

    def __init__(self, digit_map: DigitMap) -> None:
        self._map = digit_map
        self._states = self._reached((number, 0) for number in range(len(digit_map.strings)))
        self._before = self._states

    def press(self, key: str, *, long: bool = False, double: bool = False) -> None:
        """Add a key; `double` is ignored, because digit maps do not have it."""
        self._before, self._states = self._states, self._step(self._states, key, long=long)

    def lengthen(self, key: str) -> None:
        """Change the last key, which was `key`, to one that was held."""
        self._states = self._step(self._before, key, long=True)

    def expire(self) -> None:
        """Report that no key was pressed before the timer ended: an event of MGCP's digit maps only."""
        if self._map.shortest:
            self._states = self._step(self._states, _TIMER, long=False)

    @property
    def matches(self) -> bool:
        """Whether the keys match one of the strings completely."""
        return any(index == len(self._map.strings[number]) for number, index in self._states)

    @property
    def can_go_on(self) -> bool:
        """Whether a further key or the end of the timer could make a match; with MGCP not after the first match."""
        return bool(self._places()) and not (self._map.shortest and self.matches)

    @property
    def critical(self) -> bool:
        """Whether the next timer is the short one, as after a match; see `grammar.Walk`."""
        waits = {place.wait for place in self._places()} - {""}
        if waits:
            return "L" not in waits  # if the strings differ, the longer timer is used
        if self._map.shortest:
            return any(_TIMER in place.events for place in self._places())
        return self.matches

    def _places(self) -> list[_Place]:
        """Return the places that the next key can match, in the strings that match up to now."""
        strings = self._map.strings
        return [strings[number][index] for number, index in self._states if index < len(strings[number])]

    def _step(self, states: set[State], event: str, *, long: bool) -> set[State]:
        taken: set[tuple[State, bool]] = set()
        for number, index in states:
            string = self._map.strings[number]
            if index < len(string) and string[index].takes(event, long=long):
                taken.add(((number, index if string[index].repeated else index + 1), string[index].long))
        # H.248.1 section 7.1.14.6 step 4: if a held key matches a place with `Z`, the places without `Z` are dropped.
        held = {state for state, was_long in taken if was_long}
        return self._reached(held or {state for state, _ in taken})

    def _reached(self, states: Iterable[State]) -> set[State]:
        """Return the states with those that follow without a key: after a repeated place, S or L."""
        reached: set[State] = set()
        waiting = list(states)
        while waiting:
            number, index = waiting.pop()
            if (number, index) in reached:
                continue
            reached.add((number, index))
            string = self._map.strings[number]
            if index < len(string) and (string[index].repeated or string[index].wait):
                waiting.append((number, index + 1))
        return reached
