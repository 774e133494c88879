"""How much is taken on: calls in all and of one address, transactions, octets of a body. Sans-IO."""

from __future__ import annotations

import argparse
import math
from collections import OrderedDict
from dataclasses import dataclass

from lemonade_wire.nodecli import NodeParser
from lemonade_wire.nodesettings import add_number, whole

FULL_SECONDS = 10
"""Retry-After where all calls or ports are taken."""
STOPPING_SECONDS = 60
"""Retry-After where the server is about to stop."""
MAX_ADDRESSES = 10_000


@dataclass(frozen=True)
class Limits:
    """The limits of a media server.

    `calls` at a time; `calls_per_minute` that one address may begin (None: any number); `transactions` at a time, as
    `UaSettings` counts them; `body` octets of a message's body. A call is ended after `call_seconds`, since a caller
    may be gone without a BYE.
    """

    calls: int = 1000
    calls_per_minute: int | None = None
    transactions: int = 10_000
    body: int = 65_536
    call_seconds: int = 14_400


class CallRate:
    """A token bucket for every address: so many calls at once, and as many again in a minute.

    Addresses that have been quiet for a minute are forgotten; of more than `MAX_ADDRESSES` the longest known ones.
    """

    def __init__(self, per_minute: int | None) -> None:
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # address: tokens left, and when

    def wait(self, address: str, now: float) -> int:
        """Take a call from an address; returns 0, or the whole seconds after which one would be taken."""
        if self._per_minute is None:
            return 0
        self._forget(now)
        tokens, at = self._buckets.pop(address, (float(self._per_minute), now))
        tokens = min(tokens + (now - at) * self._per_minute / 60, float(self._per_minute))
        taken = tokens >= 1
        self._buckets[address] = (tokens - taken, now)
        return 0 if taken else math.ceil((1 - tokens) * 60 / self._per_minute)

    def _forget(self, now: float) -> None:
        while self._buckets:
            address, (_, at) = next(iter(self._buckets.items()))
            if now - at < 60 and len(self._buckets) < MAX_ADDRESSES:
                return
            del self._buckets[address]

    def __len__(self) -> int:
        return len(self._buckets)


def retry_after(seconds: int) -> tuple[tuple[str, str], ...]:
    """Return the Retry-After header."""
    return (("Retry-After", str(seconds)),)


def add_options(parser: NodeParser) -> None:
    """Add the limits to a parser."""
    limits = Limits()
    many = whole(1, 1_000_000_000)
    add_number(parser, "--max-calls", many, "calls at a time; INVITE and OPTIONS get 503 then", limits.calls)
    add_number(parser, "--call-rate", many, "calls that one address may begin in a minute; others get 503")
    what = "SIP transactions at a time; new requests get 503 then"
    add_number(parser, "--max-transactions", many, what, limits.transactions)
    what = "largest body of a SIP message; others get 413"
    add_number(parser, "--max-body", many, what, limits.body, metavar="OCTETS")
    what = "longest a call lasts; it gets BYE then"
    add_number(parser, "--max-call", whole(1, 604_800), what, limits.call_seconds, metavar="SECONDS")


def limits_from(options: argparse.Namespace) -> Limits:
    """Return the limits that were asked for."""
    return Limits(options.max_calls, options.call_rate, options.max_transactions, options.max_body, options.max_call)
