"""The configuration file of the relay (JSON): seed and rules, and for each role its address, front and ports; faults.

{"seed": "7", "rules": [{"leg": "client-media", "lose": "RTP 5 %"}],
 "ends": {"client": {"address": "127.64.1.3", "front": "127.64.1.13", "udp": ["5060", "20000-20100"], "tcp": ["5060"]}}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lemonade_testbed.relay.rules import Plan, Rule, parse_rule, parse_seed
from lemonade_wire.faults import Fault, FaultList


@dataclass(frozen=True)
class End:
    """The addresses of one role.

    `address` is the node's own; `front` is the relay's address that the node's peers use for it. `udp` and `tcp` are
    the ports of the front, each `A` or `A-B`.
    """

    address: str
    front: str
    udp: tuple[str, ...] = ()
    tcp: tuple[str, ...] = ()


@dataclass(frozen=True)
class RelayConfig:
    """The content of the configuration file: the plan (seed and rules), and the addresses by role."""

    plan: Plan
    ends: Mapping[str, End]

    def role_of(self, address: str) -> str | None:
        """Return the role of the node that has this address, or None."""
        return next((role for role, end in self.ends.items() if end.address == address), None)

    def write(self, path: Path) -> None:
        """Write the configuration to a file that `read_config` can read."""
        record = {
            "seed": str(self.plan.seed),
            "rules": [dict(rule.words) for rule in self.plan.rules],
            "ends": {role: vars(end) for role, end in self.ends.items()},
        }
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def read_config(path: Path) -> RelayConfig:
    """Read a configuration file; raises ValueError, which says what is not valid."""
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
    """Return all ports of ranges `A` and `A-B`; raises ValueError if one is no number."""
    found: list[int] = []
    for text in ranges:
        first, dash, last = text.partition("-")
        found += range(int(first), int(last if dash else first) + 1)
    return found


class RelayFault(Fault):
    """A fault of the relay: it changes the rules that the relay applies."""

    breaks = ()

    def obeyed(self, rules: Sequence[Rule]) -> tuple[Rule, ...]:
        """Return the rules that the relay applies instead of `rules`; without a change, all of them."""
        return tuple(rules)


class PassesAll(RelayFault):
    """The relay applies no rule: every message is passed on unchanged."""

    name = "passes-all"
    summary = "obeys no rule: everything passes unchanged"

    def obeyed(self, rules: Sequence[Rule]) -> tuple[Rule, ...]:
        """Return no rule."""
        return ()


class LosesEveryCopy(RelayFault):
    """The relay ignores `times`: retransmissions of a lost message are lost too."""

    name = "loses-every-copy"
    summary = "knows no `times`: what a rule may lose once is lost each time"

    def obeyed(self, rules: Sequence[Rule]) -> tuple[Rule, ...]:
        """Return the rules without their `times`."""
        return tuple(replace(rule, times=None) for rule in rules)


FAULTS = FaultList.of(PassesAll, LosesEveryCopy)
