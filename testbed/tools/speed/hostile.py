"""`lemonade bench hostile`: what attacks by strangers do to the reference nodes, and to a call beside them.

The nodes run as processes on a loopback network, with the limits that they have by default. Each attack has a node and
a process of its own and runs for a few seconds. The table has one line for each attack, and one for each parser.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from lemonade_testbed.places import Places, UsageError
from lemonade_testbed.run import EXIT_FAILED, EXIT_OK
from speed.growth import measure_growth
from speed.hostile_control import ImapControl, SipControl, watch
from speed.hostile_imap import IMAP_ATTACKS, Attack, run_attack
from speed.hostile_media import MAIL_PORT, MEDIA_ATTACKS
from speed.hostile_nodes import imap_node, media_node, place

ATTACKS: Sequence[Attack] = (*IMAP_ATTACKS, *MEDIA_ATTACKS)
PARSERS = "parsers"
_LIMITS = {"stall": ("ms", 50.0), "memory": ("MB", 64.0), "decoder": ("MB", 128.0), "lost": ("packets", 0.0)}
_RATIO = 12.0
_AFTER = 0.5
"""Seconds in which the node is watched after the end of the attack."""


@dataclass(frozen=True)
class HostileFigure:
    """One figure of an attack or a parser, and the highest value that is allowed, None for any."""

    measure: str
    figure: str
    unit: str
    value: float
    limit: float | None = None

    @property
    def met(self) -> bool:
        """Whether the value is allowed."""
        return self.limit is None or self.value <= self.limit


def run_hostile(names: Sequence[str], runs: Path | None) -> int:
    """Carry out the attacks of these names, by default all and the parsers; returns 1 if a target is missed, else 0.

    Prints a table, and keeps the figures in `bench/TIME/bench.json` of the folder `runs`. Raises UsageError for an
    unknown name, and ServerFailedError if a node does not start or ends.
    """
    attacks = _chosen(names)
    folder = Places.find(runs=runs).runs / "bench" / time.strftime("%Y-%m-%d_%H-%M-%S")
    console = Console()
    figures: list[HostileFigure] = []
    try:
        for attack in attacks:
            figures += _told(console, attack.title, attack.name, _attacked(attack))
        if not names or PARSERS in names:
            for growth in measure_growth():
                ratio = HostileFigure(growth.name, "ratio", "at 8n to n", growth.ratio, _RATIO)
                times = f"{growth.small_ms:.3g} ms and {growth.large_ms:.3g} ms of CPU time"
                figures += _told(console, times, growth.name, [ratio])
    finally:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"figures": [asdict(figure) | {"met": figure.met} for figure in figures]}, indent=1)
        (folder / "bench.json").write_text(text + "\n", encoding="utf-8")
    missed = [figure for figure in figures if not figure.met]
    targets = sum(figure.limit is not None for figure in figures)
    met = f"{targets - len(missed)} of {targets} targets met"
    console.print(f"{met}; figures: {folder / 'bench.json'}", soft_wrap=True)
    return EXIT_FAILED if missed else EXIT_OK


def _chosen(names: Sequence[str]) -> list[Attack]:
    known = {attack.name: attack for attack in ATTACKS}
    for name in names:
        if name not in known and name != PARSERS:
            raise UsageError(f"there is no attack {name!r}: known are {', '.join([*known, PARSERS])}")
    return [known[name] for name in names if name in known] if names else list(ATTACKS)


def _told(console: Console, title: str, name: str, figures: Sequence[HostileFigure]) -> Sequence[HostileFigure]:
    cells = [
        f"{one.figure} {one.value:.3g} {one.unit}" + ("" if one.met else f" (MISSED: at most {one.limit:g})")
        for one in figures
    ]
    console.print(f"{name:34} {'; '.join(cells)}  [{title}]", soft_wrap=True, highlight=False, markup=False)
    return figures


def _attacked(attack: Attack) -> list[HostileFigure]:
    """Carry out an attack on nodes of its own; returns its figures."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="lemonade-hostile-")))
        at = stack.enter_context(place(folder))
        if attack.node == "imap":
            node = stack.enter_context(imap_node(at))
            control: ImapControl | SipControl = ImapControl(at)
        else:
            node = stack.enter_context(media_node(at, (at.source(0), MAIL_PORT)))
            control = SipControl(at)
        stack.callback(control.close)
        attack.prepare(at)
        watch(node, control, lambda: True, _AFTER)
        node.begin()
        attacking = multiprocessing.get_context("fork").Process(target=run_attack, args=(attack, at), daemon=True)
        attacking.start()
        began = time.monotonic()
        tally = watch(node, control, attacking.is_alive, attack.seconds)
        ran = time.monotonic() - began
        attacking.kill()
        attacking.join()
        after = watch(node, control, lambda: True, _AFTER)
        longest, seen = max(tally.longest, after.longest), max(tally.seen, after.seen)
        values = {"stall": 1000 * longest, "memory": node.growth}
        if isinstance(control, SipControl):
            values |= {"decoder": node.decoder_growth, "lost": float(control.rtp.lost)}
        found = [
            HostileFigure(attack.name, name, _LIMITS[name][0], value, _limit(attack, name))
            for name, value in values.items()
        ]
        found.append(HostileFigure(attack.name, "seen", "ms", 1000 * seen))
        found.append(HostileFigure(attack.name, "ran", "s", ran))
        if isinstance(control, SipControl):
            found.append(HostileFigure(attack.name, "latest packet", "ms", 1000 * control.rtp.late))
        return found


def _limit(attack: Attack, name: str) -> float:
    return _LIMITS[name][1] + (2 * attack.fetched if name == "memory" else 0.0)
