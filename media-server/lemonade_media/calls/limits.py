"""Limits of the media server's load: calls in all and of one address, transactions, octets of a body. No I/O."""

from __future__ import annotations

import argparse
import math
from collections import OrderedDict

from lemonade_media.config import Limits
from lemonade_wire.address import read_network
from lemonade_wire.nodecli import NodeParser, add_number, setting, whole

FULL_SECONDS = 10
"""The Retry-After value in seconds while all calls or RTP ports are in use."""
STOPPING_SECONDS = 60
"""The Retry-After value in seconds while the server is stopping."""
MAX_ADDRESSES = 10_000
"""The largest number of addresses whose calls are counted."""


class CallRate:
    """Limits the calls of each address with a token bucket: `per_minute` calls at once, and so many more each minute.

    An address that made no call for a minute is forgotten. Above `MAX_ADDRESSES` the address whose last call is the
    oldest is forgotten.
    """

    def __init__(self, per_minute: int | None) -> None:
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # address: tokens left, and when

    def wait(self, address: str, now: float) -> int:
        """Count a call from an address. Returns 0 if it is accepted, else the whole seconds until one would be."""
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
    """Return the Retry-After header (RFC 3261 section 20.33) for so many seconds."""
    return (("Retry-After", str(seconds)),)


def add_options(parser: NodeParser) -> None:
    """Add the command-line options of the limits to a parser."""
    limits = Limits()
    many = whole(1, 1_000_000_000)
    add_number(parser, "--max-calls", many, "calls at a time; INVITE and OPTIONS get 503 then", limits.calls)
    some = whole(0, 1_000_000_000)
    what = "calls that one address may begin in a minute, others get 503; 0: any number"
    add_number(parser, "--call-rate", some, what, limits.calls_per_minute)
    what = "TCP connections for SIP, above which the one idle the longest is closed; 0: any number"
    add_number(parser, "--max-connections", some, what, limits.streams)
    what = "the same for one address; 0: any number"
    add_number(parser, "--max-connections-per-address", some, what, limits.streams_per_address)
    parser.add_argument(
        "--unlimited",
        type=setting(read_network),
        metavar="ADDRESS[/BITS]",
        action="append",
        default=[],
        help="proxies, for which --call-rate and the limits of connections do not hold (repeatable)",
    )
    what = "SIP transactions at a time; new requests get 503 then"
    add_number(parser, "--max-transactions", many, what, limits.transactions)
    what = "largest body of a SIP message; others get 413"
    add_number(parser, "--max-body", many, what, limits.body, metavar="OCTETS")
    what = "longest a call lasts; it gets BYE then"
    add_number(parser, "--max-call", whole(1, 604_800), what, limits.call_seconds, metavar="SECONDS")


def limits_from(options: argparse.Namespace) -> Limits:
    """Return the limits that the command line sets."""
    return Limits(
        options.max_calls,
        options.call_rate or None,
        options.max_transactions,
        options.max_body,
        options.max_call,
        options.max_connections,
        options.max_connections_per_address,
        tuple(options.unlimited),
    )
