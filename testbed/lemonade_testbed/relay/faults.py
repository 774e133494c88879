"""What can be wrong with the relay itself, so that what a scenario says of losses can be shown to fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from lemonade_testbed.relay.rules import Rule
from lemonade_wire.faults import Fault, FaultList


class RelayFault(Fault):
    """A fault changes the rules that the relay obeys."""

    breaks: ClassVar[tuple[str, ...]] = ()

    def obeyed(self, rules: Sequence[Rule]) -> tuple[Rule, ...]:
        """Return the rules that are obeyed in the end: all of them, where a fault does not say otherwise."""
        return tuple(rules)


class PassesAll(RelayFault):
    """The scenario runs as if it had no rules."""

    name: ClassVar[str] = "passes-all"
    summary: ClassVar[str] = "obeys no rule: everything passes unchanged"

    def obeyed(self, rules: Sequence[Rule]) -> tuple[Rule, ...]:
        """Return nothing."""
        return ()


class LosesEveryCopy(RelayFault):
    """A retransmission does not get through either."""

    name: ClassVar[str] = "loses-every-copy"
    summary: ClassVar[str] = "knows no `times`: what a rule may lose once is lost each time"

    def obeyed(self, rules: Sequence[Rule]) -> tuple[Rule, ...]:
        """Return the rules without their `times`."""
        return tuple(replace(rule, times=None) for rule in rules)


FAULTS = FaultList.of(PassesAll, LosesEveryCopy)
