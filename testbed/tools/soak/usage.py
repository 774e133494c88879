"""Reads from /proc what a node uses: memory, file descriptors and threads of its processes, and judges their growth."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from lemonade_testbed.procfs import stat_fields

GROWTH = 0.05
"""How much more a node may use at the end than after the warm-up, as a fraction."""
KINDS = ("memory", "descriptors", "threads")


@dataclass(frozen=True)
class NodeUsage:
    """What the processes of a node use together: memory in octets (PSS: shared pages count once), and two numbers."""

    memory: int
    descriptors: int
    threads: int


@dataclass(frozen=True)
class GrowthVerdict:
    """The growth of one kind of usage of a node: medians of the samples after the warm-up and at the end."""

    node: str
    kind: str
    before: float
    after: float

    @property
    def growth(self) -> float:
        """The growth as a fraction of the value after the warm-up."""
        return (self.after - self.before) / self.before if self.before else float(self.after > 0)

    @property
    def flat(self) -> bool:
        """Whether the growth is within GROWTH."""
        return self.growth <= GROWTH


def usage_of(pid: int, *, alone: bool = False) -> NodeUsage:
    """Return what a process and its descendants use, or the process `alone`; raises OSError if the process has ended.

    A descendant that ends meanwhile does not count.
    """
    total = _one(pid)
    for child in [] if alone else _descendants(pid):
        try:
            one = _one(child)
        except OSError:
            continue
        total = NodeUsage(total.memory + one.memory, total.descriptors + one.descriptors, total.threads + one.threads)
    return total


def _one(pid: int) -> NodeUsage:
    place = Path("/proc") / str(pid)
    lines = (place / "smaps_rollup").read_text(encoding="ascii").splitlines()
    memory = sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return NodeUsage(memory * 1024, len(os.listdir(place / "fd")), len(os.listdir(place / "task")))


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        fields = stat_fields(int(entry.name)) if entry.name.isdigit() else None
        if fields is not None:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = list[int](), [pid]
    while waiting:
        waiting += (below := children.get(waiting.pop(), []))
        found += below
    return found


def judge(node: str, samples: Sequence[NodeUsage]) -> list[GrowthVerdict]:
    """Compare the first third of the samples after the warm-up with the last third, for each kind of usage."""
    third = max(1, len(samples) // 3)
    first, last = samples[:third], samples[-third:]
    return [
        GrowthVerdict(
            node,
            kind,
            median(getattr(sample, kind) for sample in first),
            median(getattr(sample, kind) for sample in last),
        )
        for kind in KINDS
    ]
