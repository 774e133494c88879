"""Gives each message an identity that is the same in every run of a scenario, whatever the clocks of the nodes.

An RTP packet is identified by its stream and by its position after the last packet with the marker bit. A stream is an
SSRC; it is identified by its ordinal among those that began with the same payload type. A SIP message is identified by
its ordinal among the messages with the same label and another Call-ID or CSeq number, and by the number of the copy, so
that each retransmission is decided on separately. RTCP packets, other datagrams and connections are identified by their
ordinal among those of their kind.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field

from lemonade_testbed.relay.reading import RelayedMessage

_WRAP = 1 << 16


@dataclass(frozen=True)
class IdentifiedMessage:
    """A message on a leg, from the role `source`, with its identity: number `nth` of those that `of` names.

    `of` is for instance `SIP INVITE 1` (its copies are counted), `RTP 0 stream 1 start 2` (its packets are counted,
    from the one with the marker bit) or `RTCP`. For a leg as a whole `of` is empty and `nth` is 0.
    """

    leg: str
    source: str
    message: RelayedMessage
    of: str = ""
    nth: int = 0

    def drawn(self, seed: int, rule: int) -> float:
        """Return a number from 0 to below 1 that depends on the seed, the rule's number and the identity alone.

        It is the first 8 octets of a SHA-256.
        """
        words = (seed, rule, self.leg, self.source, self.of, self.nth)
        digest = hashlib.sha256(" ".join(map(str, words)).encode()).digest()
        return int.from_bytes(digest[:8], "big") / (1 << 64)


@dataclass
class _RtpStream:
    """One SSRC.

    `last` is the greatest sequence number so far, and `starts` are those of packets with the marker bit; both are
    counted on beyond 65,535.
    """

    name: str
    last: int
    starts: list[int] = field(default_factory=list)

    def place(self, message: RelayedMessage) -> tuple[str, int]:
        sequence = message.sequence or 0
        at = self.last + (sequence - self.last + _WRAP // 2) % _WRAP - _WRAP // 2
        self.last = max(self.last, at)
        if not self.starts or (message.marker and at not in self.starts):
            insort(self.starts, at)
        number = max(1, bisect_right(self.starts, at))
        return f"{self.name} start {number}", at - self.starts[number - 1] + 1


class Identities:
    """Gives the messages of each leg and direction their identities, in the order in which they arrive."""

    def __init__(self) -> None:
        self._streams: dict[tuple[str, str, int], _RtpStream] = {}
        self._messages: dict[tuple[str, str, str, str], int] = {}
        self._counts: dict[tuple[str, str, str], int] = {}

    def identify(self, leg: str, source: str, message: RelayedMessage) -> IdentifiedMessage:
        """Return a message with its identity."""
        if message.kind == "RTP":
            key = leg, source, message.ssrc
            if key not in self._streams:
                name = f"RTP {message.payload_type} stream"
                number = self._next(leg, source, name)
                self._streams[key] = _RtpStream(f"{name} {number}", message.sequence or 0)
            return IdentifiedMessage(leg, source, message, *self._streams[key].place(message))
        if message.kind == "SIP":
            label = message.label
            ordinal = self._messages.get((leg, source, label, message.request))
            if ordinal is None:
                ordinal = self._messages[leg, source, label, message.request] = self._next(leg, source, label)
            of = f"{label} {ordinal}"
            return IdentifiedMessage(leg, source, message, of, self._next(leg, source, of))
        return IdentifiedMessage(leg, source, message, message.label, self._next(leg, source, message.label))

    def _next(self, leg: str, source: str, what: str) -> int:
        self._counts[leg, source, what] = number = self._counts.get((leg, source, what), 0) + 1
        return number


def ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Return numbers as ranges of first and last number, such as `[[1, 512], [514, 600]]`."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found
