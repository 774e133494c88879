"""The inputs that are kept in the repository: a text file for each target, with one input in each line.

A line is the input in Latin-1 with the escapes of a Python string, such as `a LOGIN joe\\r\\n`. An input is kept if
it executes a line of the packages after another one than all inputs before it, the seeds included. Inputs that once
found an error stand in the same file, above a blank line, and are always kept.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any

from fuzz.target import FuzzTarget

FOLDER = Path(__file__).parent / "corpus"
MOST = 12_000
"""Characters of all inputs of one target that are kept, besides those that found an error."""
_PACKAGES = "/lemonade_"
Arc = tuple[str, int, int]


def escape(octets: bytes) -> str:
    """Return octets as a line of a corpus file."""
    return octets.decode("latin-1").encode("unicode_escape").decode("ascii")


def unescape(line: str) -> bytes:
    """Return the octets that a line of a corpus file stands for."""
    return line.encode("ascii").decode("unicode_escape").encode("latin-1")


def read_corpus(name: str, folder: Path = FOLDER) -> tuple[list[bytes], list[bytes]]:
    """Return the inputs of a target: those that found an error once, and the others."""
    path = folder / f"{name}.txt"
    text = path.read_text(encoding="ascii") if path.is_file() else "\n"
    found, _, others = text.partition("\n") if text.startswith("\n") else text.partition("\n\n")
    return _octets(found), _octets(others)


def write_corpus(name: str, found: Iterable[bytes], others: Iterable[bytes], folder: Path = FOLDER) -> None:
    """Write the inputs of a target; `found` are those that found an error once."""
    lines = [*map(escape, found), "", *map(escape, others)]
    (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="ascii")


def _octets(lines: str) -> list[bytes]:
    return [unescape(line) for line in lines.splitlines()]


def arcs_of(target: FuzzTarget, octets: bytes) -> set[Arc]:
    """Return which lines of the packages an input executes after which others: file, line before, line.

    Raises what the target raises.
    """
    arcs: set[Arc] = set()

    def trace(frame: FrameType, _event: str, _argument: Any) -> Any:  # noqa: ANN401  the signature of sys.settrace
        name = frame.f_code.co_filename
        if _PACKAGES not in name:
            return None
        before = 0

        def local(frame: FrameType, event: str, _argument: Any) -> Any:  # noqa: ANN401  the same
            nonlocal before
            if event == "line":
                arcs.add((name, before, frame.f_lineno))
                before = frame.f_lineno
            return local

        return local

    sys.settrace(trace)
    try:
        target.call(octets)
    finally:
        sys.settrace(None)
    return arcs


def minimise(target: FuzzTarget, known: Iterable[bytes], inputs: Iterable[bytes]) -> list[bytes]:
    """Return those inputs that execute what neither `known` nor a shorter kept input does, MOST characters at most."""
    covered: set[Arc] = set()
    for octets in known:
        covered |= arcs_of(target, octets)
    kept, size = [], 0
    for octets in sorted(set(inputs), key=lambda one: (len(one), one)):
        arcs = arcs_of(target, octets)
        size_with = size + len(escape(octets))
        if arcs <= covered or size_with > MOST:
            continue
        covered |= arcs
        size = size_with
        kept.append(octets)
    return kept
