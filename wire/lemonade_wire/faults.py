"""A fault makes a reference node wrong in one named way, so that a check can be shown to fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar


class Fault:
    """Base of the faults: each is one small class in the `faults.py` of its node, used at one seam.

    `name` is what `--fault` takes; `summary` one line of English; `breaks` the clauses that the fault violates.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    breaks: ClassVar[tuple[str, ...]]


@dataclass(frozen=True)
class FaultList:
    """The faults that a node knows, by name."""

    faults: Mapping[str, type[Fault]]

    @classmethod
    def of(cls, *faults: type[Fault]) -> FaultList:
        """Collect fault classes."""
        return cls({fault.name: fault for fault in faults})

    def pick(self, name: str) -> Fault:
        """Return the fault called `name`; raises ValueError that names the nearest one."""
        if name in self.faults:
            return self.faults[name]()
        near = get_close_matches(name, self.faults, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"no fault {name!r}{hint} (--faults lists them)")

    def listing(self) -> str:
        """Return one line per fault: name, clauses, summary."""
        return "".join(
            f"{name:28} {' '.join(fault.breaks):20} {fault.summary}\n" for name, fault in sorted(self.faults.items())
        )
