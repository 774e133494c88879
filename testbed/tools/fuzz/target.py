"""What is fuzzed: a function that takes octets, what it may raise, and the octets that the fuzzer begins with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


class PropertyBrokenError(Exception):
    """A parser took an input and gave a wrong result, such as a value that its writer cannot write."""


@dataclass(frozen=True)
class FuzzTarget:
    """A parser to fuzz.

    `run` gives the octets to the parser and tests the result. `allowed` are the exceptions that are the right answer to
    bad input; every other one is an error. `seeds` are valid inputs. `most` is the length of the longest input in
    octets. `memory` is the limit for the fuzzing process in MB (2^20 octets).
    """

    name: str
    run: Callable[[bytes], object]
    seeds: Sequence[bytes]
    allowed: tuple[type[Exception], ...] = ()
    most: int = 4096
    memory: int = 1024

    def call(self, octets: bytes) -> None:
        """Run the target once; raises what is neither a result nor allowed, and PropertyBrokenError."""
        try:
            self.run(octets)
        except self.allowed:
            return


def require(holds: bool, what: str) -> None:
    """Raise PropertyBrokenError with the text `what` unless a property holds."""
    if not holds:
        raise PropertyBrokenError(what)


def in_pieces(octets: bytes) -> list[bytes]:
    """Return octets as a stream may deliver them: the first octet decides on the length of all pieces."""
    size = octets[0] + 1 if octets else 1
    return [octets[at : at + size] for at in range(1, len(octets), size)]
