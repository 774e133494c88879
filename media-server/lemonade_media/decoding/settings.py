"""The limits of the decoding processes, and their command-line options."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from lemonade_wire.nodecli import NodeParser, add_number, whole


@dataclass(frozen=True)
class DecodeLimits:
    """How many parts are decoded at a time, and what the decoding of one part may take.

    `processes`: decoding processes. `memory`: octets of memory that a process may take while it decodes. `cpu_seconds`:
    processor time for one part. `seconds`: time for one part; a part also waits no longer than that for a process.
    """

    processes: int = 4
    memory: int = 128_000_000
    cpu_seconds: int = 20
    seconds: int = 30


def add_options(parser: NodeParser) -> None:
    """Add the command-line options of the limits to a parser."""
    limits = DecodeLimits()
    for option, read, what, default, metavar in (
        ("--decoders", whole(1, 64), "processes that decode parts, one part each at a time", limits.processes, "N"),
        ("--decode-memory", whole(16_000_000), "memory that decoding a part may take", limits.memory, "OCTETS"),
        ("--decode-cpu", whole(1, 3600), "processor time that a part may take", limits.cpu_seconds, "SECONDS"),
        ("--decode-time", whole(1, 3600), "a part is decoded, or waits for a process", limits.seconds, "SECONDS"),
    ):
        add_number(parser, option, read, what, default, metavar=metavar)


def decode_limits_from(options: argparse.Namespace) -> DecodeLimits:
    """Return the limits that the command line sets."""
    return DecodeLimits(options.decoders, options.decode_memory, options.decode_cpu, options.decode_time)
