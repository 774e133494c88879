"""Faults: named errors that a reference node makes on purpose, so that a check can be shown to fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches


class Fault:
    """Base class of the faults. A fault is a subclass with these attributes, or a value that has them as fields.

    `name` is the argument of `--fault`, `summary` is one line of English, and `breaks` has the ids of the clauses that
    the fault violates.
    """

    name: str
    summary: str
    breaks: tuple[str, ...]


@dataclass(frozen=True)
class FaultList:
    """The faults of a node, by name."""

    faults: Mapping[str, Fault | type[Fault]]

    @classmethod
    def of(cls, *faults: Fault | type[Fault]) -> FaultList:
        """Collect faults: values without state, and classes of which each `pick` makes a new value."""
        return cls({fault.name: fault for fault in faults})

    def pick(self, name: str) -> Fault:
        """Return the fault of that name; raises ValueError, whose text suggests the nearest name."""
        if name in self.faults:
            found = self.faults[name]
            return found if isinstance(found, Fault) else found()
        near = get_close_matches(name, self.faults, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"no fault {name!r}{hint} (--faults lists them)")

    def listing(self) -> str:
        """Return one line per fault: name, clauses, summary."""
        return "".join(
            f"{name:28} {' '.join(fault.breaks):20} {fault.summary}\n" for name, fault in sorted(self.faults.items())
        )


@dataclass(frozen=True)
class FaultRow(Fault):
    """A fault that is a value, as a row of a table; a node compares its fault with it where it takes the decision."""

    name: str
    summary: str
    breaks: tuple[str, ...]
