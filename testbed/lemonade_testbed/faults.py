"""What the nodes say of their own faults: the closed lists that scenarios and `--fault` are checked against."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches

from lemonade_testbed.runtime.base import EnvironmentBroken

_PATIENCE = 60.0
_LINE = re.compile(r"([a-z][a-z0-9-]*)\s+\S")


class UnknownFaultError(ValueError):
    """No node has this fault; the message names the nearest one."""


def known_faults(programs: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Ask each node's program for its faults, side by side; returns role to names. Raises EnvironmentBroken."""
    with ThreadPoolExecutor(len(programs)) as pool:
        listed = list(pool.map(_listed, programs.values()))
    return dict(zip(programs, listed, strict=True))


def _listed(command: Sequence[str]) -> tuple[str, ...]:
    try:
        answer = subprocess.run(  # noqa: S603  the node's own program
            [*command, "--faults"],
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=True,
        )
    except OSError as problem:
        raise EnvironmentBroken(f"{command[0]} cannot be run ({problem.strerror}); `make setup` installs it") from None
    except subprocess.SubprocessError as problem:
        raise EnvironmentBroken(f"{command[0]} --faults does not answer: {problem}") from problem
    return tuple(found[1] for line in answer.stdout.splitlines() if (found := _LINE.match(line)))


def read_fault(text: str, known: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    """Read `role=name`; raises UnknownFaultError that says what is allowed."""
    role, _, name = text.partition("=")
    if role not in known:
        raise UnknownFaultError(f"{text!r} is no fault: ROLE=NAME is expected, with one of {', '.join(known)}")
    if name not in known[role]:
        near = get_close_matches(name, known[role], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UnknownFaultError(f"the {role} node has no fault {name!r}{hint} (lemonade-{role} --faults lists them)")
    return role, name
