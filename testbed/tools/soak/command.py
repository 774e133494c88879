"""Carries out `make soak`: puts load on the nodes for a given time, and reports whether what they use grows."""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from soak.calls import Caller
from soak.mail import SoakError, log_in, provision
from soak.nodes import UNLIMITED, SoakNode, nodes
from soak.usage import GROWTH, KINDS, GrowthVerdict, NodeUsage, judge, usage_of

HOURS = 0.05
RATE = 25.0
"""Calls that are begun in a second, and logins likewise, as far as the machine can."""
MOST_CALLS = 20
"""Calls at a time."""
_WARM_UP = 0.25
"""The part of the time before the first sample counts: tables and caches reach their size."""
_SAMPLES = 36
_SETTLED = 10.0
"""Seconds within which all calls must be over when a sample is taken."""


class Logins(threading.Thread):
    """Logs in to the IMAP server again and again, at RATE at most, and keeps the newest ticket in `ticket`.

    `pause` stops it between two sessions. `failed` counts sessions that failed, and `why` is the last reason.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(daemon=True)
        self._address = address
        self.ended, self.failed, self.why = 0, 0, ""
        self.ticket = log_in(address, scram=True)
        self.pause, self.over = threading.Lock(), threading.Event()

    def run(self) -> None:
        """Log in until `over` is set."""
        due = time.monotonic()
        while not self.over.wait(max(0.0, due - time.monotonic())):
            due = max(due + 1 / RATE, time.monotonic() - 1)
            with self.pause:
                try:
                    self.ticket = log_in(self._address, scram=bool(self.ended % 2))
                except (SoakError, OSError) as problem:
                    self.failed, self.why = self.failed + 1, str(problem)
                self.ended += 1


@dataclass
class Soak:
    """One soak: the nodes, the load, and the samples by node. The soak's own process counts as the node `caller`."""

    nodes: Sequence[SoakNode]
    caller: Caller
    logins: Logins
    samples: dict[str, list[NodeUsage]] = field(default_factory=dict)

    def load(self, until: float) -> None:
        """Begin calls at RATE until the time `until` (monotonic), and carry out those that are begun."""
        due = time.monotonic()
        while (now := time.monotonic()) < until:
            if now >= due:
                self.caller.call(self.logins.ticket)
                due = max(due + 1 / RATE, now - 1)
            self.caller.step(max(0.0, min(due - now, 0.05)))

    def sample(self) -> None:
        """Stop the load, wait until all calls are over, and read what each node uses; raises SoakError."""
        with self.logins.pause:
            deadline = time.monotonic() + _SETTLED
            while self.caller.active:
                self.caller.step(0.05)
                if time.monotonic() > deadline:
                    raise SoakError(f"{self.caller.active} calls did not end")
            for node in self.nodes:
                try:
                    self.samples.setdefault(node.name, []).append(usage_of(node.process.pid))
                except OSError as problem:
                    raise SoakError(f"{node.name} has ended") from problem
            self.samples.setdefault("caller", []).append(usage_of(os.getpid(), alone=True))

    @property
    def failed(self) -> int:
        """The number of calls and logins that failed."""
        return self.caller.counts.failed + self.logins.failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and carry it out; returns exit code 1 if a node grows or fails, else 0."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=HOURS, help=f"default: {HOURS}")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder for figures and logs (default: runs)")
    options = parser.parse_args(arguments)
    folder = options.runs / "soak" / time.strftime("%Y-%m-%d_%H-%M-%S")
    folder.mkdir(parents=True)
    return run_soak(options.hours * 3600, folder)


def run_soak(seconds: float, folder: Path) -> int:
    """Run a soak for so many seconds; prints a table, writes `soak.json` into `folder`, returns the exit code."""
    print(f"limits for one address are off: {' '.join(UNLIMITED)}", flush=True)
    try:
        with nodes(folder) as (imap, media):
            provision(imap.address)
            logins = Logins(imap.address)
            with closing(Caller(media.address, MOST_CALLS)) as caller:
                soak = Soak((imap, media), caller, logins)
                logins.start()
                try:
                    _run(soak, seconds)
                finally:
                    logins.over.set()
                    logins.join()
    except (SoakError, OSError) as problem:
        print(f"FAILED: {problem}; logs are in {folder}")
        return 1
    verdicts = [verdict for name, samples in soak.samples.items() for verdict in judge(name, samples)]
    _report(soak, verdicts, folder)
    return 1 if soak.failed or not all(verdict.flat for verdict in verdicts) else 0


def _run(soak: Soak, seconds: float) -> None:
    began = time.monotonic()
    soak.load(began + _WARM_UP * seconds)
    for number in range(1, _SAMPLES + 1):
        soak.load(began + seconds * (_WARM_UP + (1 - _WARM_UP) * number / _SAMPLES))
        soak.sample()


def _report(soak: Soak, verdicts: Sequence[GrowthVerdict], folder: Path) -> None:
    calls, logins = soak.caller.counts, soak.logins
    print(
        f"{calls.ended} calls, {calls.reinvites} re-INVITEs, {logins.ended} logins; {soak.failed} failed {logins.why}"
    )
    print(f"{'node':8} {'kind':12} {'before':>12} {'after':>12} {'growth':>8}")
    for one in verdicts:
        word = "flat" if one.flat else f"GROWS above {GROWTH:.0%}"
        print(f"{one.node:8} {one.kind:12} {one.before:12.0f} {one.after:12.0f} {one.growth:+8.1%}  {word}")
    figures = {
        "calls": asdict(calls),
        "logins": {"ended": logins.ended, "failed": logins.failed},
        "limits_off": UNLIMITED,
        "kinds": KINDS,
        "verdicts": [asdict(one) | {"growth": one.growth, "flat": one.flat} for one in verdicts],
        "samples": {name: [asdict(sample) for sample in samples] for name, samples in soak.samples.items()},
    }
    (folder / "soak.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(f"figures: {folder / 'soak.json'}")
