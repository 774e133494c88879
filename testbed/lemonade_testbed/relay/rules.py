"""Reads the relay's rules, such as `{leg: client-media, from: client, lose: SIP INVITE, times: 1}`.

A rule names a leg (two roles) and one action there, in both directions or `from` one end:

`lose`, `duplicate`, `reorder`   WHAT and a share, each optional: `SIP INVITE`, `RTP 5 %`, `2 %`; at most `times` times
`delay`, `jitter`                an optional WHAT and a duration: `50 ms`, `RTP 20 ms`; jitter adds from 0 to so much
`cut`                            `after 40000 octets`, or `after 3 s` from the leg's first message on; `TCP after ...`;
                                 with `heal: 2 s` the leg works again after that time; a leg is cut once

WHAT is SIP, with a method (that request), a status (every such response) or both, over UDP and TCP; or RTP, RTCP, UDP
(every datagram) or TCP (every octet). If a rule names SIP, the relay splits SIP streams into messages: a lost message
is removed whole, and a late one delays what follows it. Other octets of a stream can be delayed or cut off, but not
lost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from lemonade_testbed.relay.reading import RelayedMessage
from lemonade_wire.script.duration import parse_duration
from lemonade_wire.script.yamltext import nearest

Act = Literal["lose", "duplicate", "reorder", "delay", "jitter", "cut"]
ACTS: tuple[Act, ...] = get_args(Act)
LEGS: Mapping[str, frozenset[str]] = {
    "client-imap": frozenset({"TCP"}),
    "client-media": frozenset({"UDP", "TCP"}),
    "media-imap": frozenset({"TCP"}),
}
"""The legs, and the transport protocols on each of them."""
_ON_DATAGRAMS = ("lose", "duplicate", "reorder")
_KEYS = ("leg", "from", *ACTS, "times", "heal")
_WITH = {"times": _ON_DATAGRAMS, "heal": ("cut",)}
_SHARE = re.compile(r"(?:(?P<what>.*?)\s*\b)??(?:(?P<share>[0-9]+(?:\.[0-9]+)?) *%)?")
_TIME = re.compile(r"(?:(?P<what>.*\S) +)??(?P<time>[0-9.]+ *[a-z]+)")
_CUT = re.compile(r"(?:(?P<what>.*\S) +)?after +(?:(?P<octets>[0-9]+) +octets|(?P<time>.+))")


class RuleError(ValueError):
    """A rule is not valid; `key` is the key with the error, empty if the rule as a whole is wrong."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True)
class What:
    """The messages to which a rule applies; an empty field stands for any value."""

    kind: str = ""
    status: str = ""
    method: str = ""

    def covers(self, message: RelayedMessage) -> bool:
        """Tell whether the rule applies to such a message."""
        if self.kind in {"UDP", "TCP"}:
            return message.stream == (self.kind == "TCP")
        if self.method and not self.status and message.status:
            return False  # a method alone names the request, as in a ladder
        alike = self.kind in {"", message.kind} and self.status in {"", message.status}
        return alike and self.method in {"", message.method}

    def __str__(self) -> str:
        return " ".join(word for word in (self.kind, self.status, self.method) if word)


@dataclass(frozen=True)
class Rule:
    """One rule of the relay.

    `number` is its position in the scenario, from 1. `source` is the role that `from` names, empty for both ends.
    `share` is from 0 to 1, None for every message. `seconds` is the delay, the greatest jitter, or the time of a cut;
    `octets` is the number of octets before a cut. `heal` is in seconds after the cut, None for never. `words` is the
    rule as the scenario has it.
    """

    number: int
    leg: str
    source: str
    act: Act
    what: What
    words: Mapping[str, str]
    share: float | None = None
    seconds: float | None = None
    times: int | None = None
    octets: int | None = None
    heal: float | None = None

    def covers(self, leg: str, source: str, message: RelayedMessage) -> bool:
        """Tell whether the rule applies to a message on `leg` from the role `source`."""
        return leg == self.leg and self.source in {"", source} and self.what.covers(message)

    def __str__(self) -> str:
        return ", ".join(f"{key}: {value}" for key, value in self.words.items())


@dataclass(frozen=True)
class Plan:
    """The seed and the rules that a scenario has for the relay."""

    seed: int
    rules: tuple[Rule, ...]


def leg_of(one: str, other: str) -> str:
    """Return the name of the leg between two roles."""
    name = f"{one}-{other}"
    return name if name in LEGS else f"{other}-{one}"


def parse_seed(text: str) -> int:
    """Read a seed, a whole number; raises RuleError."""
    if not text.isascii() or not text.isdigit():
        raise RuleError("seed", f"seed: {text!r} is not a seed: a whole number such as 7 is expected")
    return int(text)


def parse_rule(words: Mapping[str, str], number: int = 1) -> Rule:
    """Read one rule from its keys and values; raises RuleError."""
    for key in words:
        if key not in _KEYS:
            raise RuleError(key, f"unknown key {key!r}; {nearest(key, _KEYS)}")
    acts = [act for act in ACTS if act in words]
    if len(acts) != 1:
        raise RuleError(
            "", f"a rule does one thing, of {', '.join(ACTS)}; this one names {' and '.join(acts) or 'none'}"
        )
    act = acts[0]
    if "leg" not in words:
        raise RuleError("", f"'leg' is missing; {nearest('', LEGS)}")
    leg, source = words["leg"], words.get("from", "")
    if leg not in LEGS:
        raise RuleError("leg", f"leg: {leg!r} is no leg; {nearest(leg, LEGS)}")
    if source and source not in leg.split("-"):
        raise RuleError("from", f"from: {source!r} is not an end of {leg}; {nearest(source, leg.split('-'))}")
    for key, allowed in _WITH.items():
        if key in words and act not in allowed:
            raise RuleError(key, f"{key}: goes with {', '.join(allowed)}, not with {act}")
    if act in _ON_DATAGRAMS and "UDP" not in LEGS[leg]:
        raise RuleError(act, f"{act}: {leg} is a TCP stream, which may be late or cut; allowed: delay, jitter, cut")
    try:
        return _read(words, number, leg, source, act)
    except ValueError as problem:
        key = problem.key if isinstance(problem, RuleError) else act
        raise RuleError(key, f"{key}: {problem}") from problem


def _read(words: Mapping[str, str], number: int, leg: str, source: str, act: Act) -> Rule:
    text = " ".join(words[act].split())
    if act == "cut":
        found = _CUT.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no moment: `after 40000 octets` or `after 3 s` is expected")
        what = _what(found["what"] or "", ("UDP", "TCP"), leg)
        seconds = parse_duration(found["time"]) if found["time"] else None
        octets = int(found["octets"]) if found["octets"] else None
        heal = _heal(words["heal"]) if "heal" in words else None
        return Rule(number, leg, source, act, what, words, seconds=seconds, octets=octets, heal=heal)
    if act in {"delay", "jitter"}:
        found = _TIME.fullmatch(text)
        seconds = parse_duration(found["time"] if found else text)
        what = _what(found["what"] or "" if found else "", ("SIP", "RTP", "RTCP", "UDP", "TCP"), leg)
        return Rule(number, leg, source, act, what, words, seconds=seconds)
    found = _SHARE.fullmatch(text)
    what = _what((found["what"] if found else text) or "", ("SIP", "RTP", "RTCP", "UDP"), leg)
    share = float(found["share"]) / 100 if found and found["share"] else None
    if share is not None and not 0 < share <= 1:
        raise ValueError(f"{text!r}: a share is above 0 and at most 100 %")
    return Rule(number, leg, source, act, what if what.kind else What("UDP"), words, share, times=_times(words))


def _what(text: str, kinds: tuple[str, ...], leg: str) -> What:
    kind, *more = text.split() or [""]
    if kind and kind not in kinds:
        raise ValueError(f"{text!r} is no kind of message; {nearest(kind, kinds)}")
    if kind and ("TCP" if kind == "TCP" else "UDP") not in LEGS[leg]:
        raise ValueError(f"there is no {kind} on {leg}, which is TCP alone")
    status = more.pop(0) if more and re.fullmatch(r"[1-6][0-9]{2}", more[0]) else ""
    method = more.pop(0) if more and re.fullmatch(r"[A-Z]+", more[0]) else ""
    if more or ((status or method) and kind != "SIP"):
        raise ValueError(f"{text!r} is no message: SIP, SIP INVITE, SIP 200 INVITE, RTP or RTCP is expected")
    return What(kind, status, method)


def _times(words: Mapping[str, str]) -> int | None:
    text = words.get("times")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise RuleError("times", f"{text!r} is not a number: 1 or more is expected")
    return int(text)


def _heal(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as problem:
        raise RuleError("heal", str(problem)) from problem
