"""Digit maps of MGCP (RFC 3435 section 2.1.5) and of H.248.1 (section 7.1.14), matched key by key.

Both are lists of strings like `(0|[1-7]xxx|9011x.)`: keys, `x` (a digit), `[1-39]`, and `.` behind one of them for any
number of it, none too. They differ in what they do with time:

| | MGCP | H.248.1 |
|---|---|---|
| which match | the shortest: the first is told at once | the longest: while one can grow, keys are waited for |
| timers | `T`, last in a string: the string wants that no key came in time | `S`, `L`: how long to wait at this place |
| long keys | none | `Z` before a key: it is held |
| star, hash | `*`, `#` | `E`, `F` |
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
"""The event that is no key: no key came in time."""


@dataclass(frozen=True)
class _Place:
    """A place in a string: the events that fill it, `wait` (S or L) where it only says how long to wait."""

    events: frozenset[str] = frozenset()
    repeated: bool = False
    long: bool = False
    wait: str = ""

    def takes(self, event: str, *, long: bool) -> bool:
        return event in self.events and (long or not self.long)


_String = tuple[_Place, ...]
State = tuple[int, int]
"""A string, and the place in it that is to be filled next."""


@dataclass(frozen=True)
class DigitMap:
    """A digit map; `walk` matches with it."""

    text: str
    strings: tuple[_String, ...]
    shortest: ClassVar[bool]
    _place: ClassVar[re.Pattern[str]]
    _keys: ClassVar[dict[str, str]]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a map, of any case; raises ValueError where it is none, or longer than 2048 characters."""
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
        """Return a walk through it."""
        return MapWalk(self)

    @classmethod
    def _own_text(cls, text: str) -> str:
        """Return the map without what may stand before it."""
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
    """A digit map of MGCP. Of its letters those that every gateway knows; extensions are errors."""

    shortest = True
    _place = re.compile(r"(?:(?P<key>[0-9A-DT#*])|X|\[(?P<set>[^\[\]]+)\])(?P<dot>\.)?")
    _keys: ClassVar[dict[str, str]] = {key: key for key in "0123456789ABCD#*"} | {"T": _TIMER}


@dataclass(frozen=True)
class MapTimers:
    """What a map of H.248.1 says of timers, in milliseconds; None: nothing."""

    first_ms: float | None = None
    short_ms: float | None = None
    long_ms: float | None = None


class MegacoDigitMap(DigitMap):
    """A digit map of H.248.1, before which `T:16,S:5,L:16,` may stand (`timers`, in seconds there).

    The letters G to K are of no key of a telephone; a place that wants one is never filled.
    """

    shortest = False
    _place = re.compile(r"(?P<wait>[SL])|(?P<long>Z)?(?:(?P<key>[0-9A-K])|X|\[(?P<set>[^\[\]]+)\])(?P<dot>\.)?")
    _keys: ClassVar[dict[str, str]] = {key: key for key in "0123456789ABCDGHIJK"} | {"E": "*", "F": "#"}

    @property
    def timers(self) -> MapTimers:
        """The timers that stand before the map; a first timer of 0 is none: it is waited for ever."""
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
    """How far presses have come in a digit map: `grammar.Walk`."""

    def __init__(self, digit_map: DigitMap) -> None:
        self._map = digit_map
        self._states = self._reached((number, 0) for number in range(len(digit_map.strings)))
        self._before = self._states

    def press(self, key: str, *, long: bool = False, double: bool = False) -> None:
        """Take a key; that it is pressed for the second time means nothing to a digit map."""
        self._before, self._states = self._states, self._step(self._states, key, long=long)

    def lengthen(self, key: str) -> None:
        """Take note that the last key, which this was, is held."""
        self._states = self._step(self._before, key, long=True)

    def expire(self) -> None:
        """Take note that no key came in time."""
        if self._map.shortest:
            self._states = self._step(self._states, _TIMER, long=False)

    @property
    def matches(self) -> bool:
        """Whether what was pressed is one of the strings."""
        return any(index == len(self._map.strings[number]) for number, index in self._states)

    @property
    def can_go_on(self) -> bool:
        """Whether it is worth waiting."""
        return bool(self._places()) and not (self._map.shortest and self.matches)

    @property
    def critical(self) -> bool:
        """Whether to wait for as long as behind a match, and not as long as for a key that is missing."""
        waits = {place.wait for place in self._places()} - {""}
        if waits:
            return "L" not in waits  # where strings differ, the longer one
        if self._map.shortest:
            return any(_TIMER in place.events for place in self._places())
        return self.matches

    def _places(self) -> list[_Place]:
        """Return the places that are to be filled next, one in each string that is left."""
        strings = self._map.strings
        return [strings[number][index] for number, index in self._states if index < len(strings[number])]

    def _step(self, states: set[State], event: str, *, long: bool) -> set[State]:
        taken: set[tuple[State, bool]] = set()
        for number, index in states:
            string = self._map.strings[number]
            if index < len(string) and string[index].takes(event, long=long):
                taken.add(((number, index if string[index].repeated else index + 1), string[index].long))
        # Who waits for a key that is held, and gets it, leaves behind who would have taken any (step 4 of 7.1.14.6).
        held = {state for state, was_long in taken if was_long}
        return self._reached(held or {state for state, _ in taken})

    def _reached(self, states: Iterable[State]) -> set[State]:
        """Add what is reached without a key."""
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
