"""Sets of sequence numbers or UIDs, such as `1,3:5,9:*` (RFC 3501, 9).

    sequence-set = (seq-number / seq-range) *("," sequence-set)
    seq-range    = seq-number ":" seq-number
    seq-number   = nz-number / "*"

A range may be written with its greater number first; `*` is the greatest number in use.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from lemonade_wire.imap.errors import ImapParseError

_LARGEST = 0xFFFFFFFF
_RANGE = re.compile(r"([1-9][0-9]{0,9}|\*)(?::([1-9][0-9]{0,9}|\*))?")


@dataclass(frozen=True)
class SequenceSet:
    """A set of ranges of numbers, which include both ends; None stands for `*`, the greatest number in use."""

    ranges: tuple[tuple[int | None, int | None], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a set; raises ImapParseError."""
        ranges = []
        for item in text.split(","):
            match = _RANGE.fullmatch(item)
            if match is None:
                raise ImapParseError("a set of numbers such as 1,3:5,9:* is expected")
            low, high = match[1], match[2] or match[1]
            ranges.append((_number(low), _number(high)))
        return cls(tuple(ranges))

    def spans(self, largest: int) -> list[tuple[int, int]]:
        """Return the ranges with `*` replaced by `largest`: ascending, and joined where they overlap or adjoin."""
        ends = [(largest if low is None else low, largest if high is None else high) for low, high in self.ranges]
        joined: list[tuple[int, int]] = []
        for low, high in sorted((min(pair), max(pair)) for pair in ends):
            if joined and low <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(joined[-1][1], high))
            else:
                joined.append((low, high))
        return joined

    def pick(self, numbers: Sequence[int]) -> list[int]:
        """Return those of the ascending `numbers` that are in the set; `*` is the last of them."""
        if not numbers:
            return []
        return [
            number
            for low, high in self.spans(numbers[-1])
            for number in numbers[bisect_left(numbers, low) : bisect_right(numbers, high)]
        ]

    def exceeds(self, count: int) -> bool:
        """Tell whether the set names a sequence number above `count`; `*` does so only if `count` is 0."""
        return any((number or 1) > count for pair in self.ranges for number in pair)


def write_set(numbers: Iterable[int]) -> str:
    """Return ascending numbers as the text of a set, such as `2,4:7`; an empty text without numbers."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in spans)


def _number(text: str) -> int | None:
    if text == "*":
        return None
    if int(text) > _LARGEST:
        raise ImapParseError("a sequence number or UID has at most 32 bits")
    return int(text)
