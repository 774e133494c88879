"""What `make soak` reads of a process, and when it says that a node grows."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from soak.usage import NodeUsage, judge, usage_of

HOLD = (
    "import os, sys, threading\nfiles = [open(os.devnull) for _ in range({files})]\nprint(flush=True)\nsys.stdin.read()"
)
PARENT = "import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', sys.argv[1]])\nchild.wait()"


def held(*command: str) -> tuple[NodeUsage, NodeUsage]:
    """Return the usage of a process that prints a line, with its descendants and alone."""
    program = [sys.executable, "-c", *command]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        return usage_of(process.pid), usage_of(process.pid, alone=True)


def test_descriptors_of_a_process_are_counted() -> None:
    few, many = held(HOLD.format(files=0))[0], held(HOLD.format(files=40))[0]
    assert many.descriptors - few.descriptors == 40
    assert few.threads == many.threads == 1
    assert few.memory > 1_000_000


def test_descendants_count_unless_the_process_is_read_alone() -> None:
    together, alone = held(PARENT, HOLD.format(files=40))
    assert together.descriptors >= alone.descriptors + 40
    assert (together.threads, alone.threads) == (2, 1)


def test_a_process_that_has_ended_is_an_error() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(OSError, match=str(process.pid)):
        usage_of(process.pid)
    assert usage_of(os.getpid()).threads >= 1


@pytest.mark.parametrize(
    ("last", "flat"),
    [(100, (True, True, True)), (105, (True, True, True)), (106, (False, False, False)), (50, (True, True, True))],
)
def test_growth_is_that_of_the_last_third_over_the_first(last: int, flat: tuple[bool, ...]) -> None:
    samples = [NodeUsage(one, one, one) for one in (100, 99, 101, 500, 500, 500, last, last, 1000)]
    verdicts = judge("imap", samples)
    assert [one.kind for one in verdicts] == ["memory", "descriptors", "threads"]
    assert tuple(one.flat for one in verdicts) == flat
    assert {one.before for one in verdicts} == {100}
