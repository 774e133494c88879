"""What the relay process is told: the plan, and for each role its address, its front and the ports there (JSON).

{"seed": "7", "rules": [{"leg": "client-media", "lose": "RTP 5 %"}],
 "ends": {"client": {"address": "127.64.1.3", "front": "127.64.1.13", "udp": ["5060", "20000-20100"], "tcp": ["5060"]}}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lemonade_testbed.relay.rules import Plan, parse_rule, parse_seed


@dataclass(frozen=True)
class End:
    """One role: `address` is its own, `front` the one that its peers use and the relay owns; ports are `A` or `A-B`."""

    address: str
    front: str
    udp: tuple[str, ...] = ()
    tcp: tuple[str, ...] = ()


@dataclass(frozen=True)
class RelayConfig:
    """The plan, and the ends by role."""

    plan: Plan
    ends: Mapping[str, End]

    def role_of(self, address: str) -> str | None:
        """Return the role whose own address this is."""
        return next((role for role, end in self.ends.items() if end.address == address), None)

    def write(self, path: Path) -> None:
        """Write the file that `read_config` reads."""
        record = {
            "seed": str(self.plan.seed),
            "rules": [dict(rule.words) for rule in self.plan.rules],
            "ends": {role: vars(end) for role, end in self.ends.items()},
        }
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def read_config(path: Path) -> RelayConfig:
    """Read the file; raises ValueError with what is wrong."""
    try:
        record: dict[str, Any] = json.loads(path.read_text("utf-8"))
        rules = tuple(parse_rule(words, number) for number, words in enumerate(record["rules"], 1))
        ends = {
            role: End(end["address"], end["front"], tuple(end["udp"]), tuple(end["tcp"]))
            for role, end in record["ends"].items()
        }
        for end in ends.values():
            ports(end.udp), ports(end.tcp)
        return RelayConfig(Plan(parse_seed(record["seed"]), rules), ends)
    except OSError as problem:
        raise ValueError(f"{path}: {problem.strerror}") from problem
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        raise ValueError(f"{path}: not the relay's configuration ({type(problem).__name__}: {problem})") from problem


def ports(ranges: tuple[str, ...]) -> list[int]:
    """Return every port of `A` and `A-B`; raises ValueError."""
    found: list[int] = []
    for text in ranges:
        first, dash, last = text.partition("-")
        found += range(int(first), int(last if dash else first) + 1)
    return found
