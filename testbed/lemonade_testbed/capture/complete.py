"""Tells whether a capture is whole: what was captured against what the kernel and the interface counted.

`world.json` holds under `capture`: `packets` (that were written), `received` (that the kernel handed to the capture),
`dropped` (by the kernel for want of room), `interface_dropped`, and `interface` with the packets that the interface
counted while the capture ran. A capture that misses packets is the testbed's own trouble, never a node's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_DROPPED = {"dropped": "the kernel", "interface_dropped": "the interface"}
_CROSSED = {"packets": "were captured", "interface": "crossed the interface"}


def incomplete(counts: Mapping[str, Any] | None, packets: int) -> Iterator[str]:
    """Yield what shows that a capture of `packets` packets is not whole."""
    if counts is None:
        yield "the capture is not known to be whole: world.json says nothing of it"
        return
    missing = [name for name in (*_DROPPED, *_CROSSED) if _count(counts, name) is None]
    if missing:
        yield f"the capture is not known to be whole: world.json lacks its counts of {', '.join(missing)}"
    for name, by in _DROPPED.items():
        if dropped := _count(counts, name):
            yield f"{by} dropped {dropped} packets of the capture"
    for name, what in _CROSSED.items():
        if (crossed := _count(counts, name) or 0) > packets:
            yield f"the capture holds {packets} packets of {crossed} that {what}"


def _count(counts: Mapping[str, Any], name: str) -> int | None:
    value = counts.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
