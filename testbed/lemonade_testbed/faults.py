"""Reads the faults that each node's program offers; scenarios and `--fault` may name no other.

A node with a fault breaks the protocol on purpose in one way, so that the judge can be shown to report it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches

from lemonade_testbed.errors import EnvironmentBroken

_PATIENCE = 60.0
_LINE = re.compile(r"([a-z][a-z0-9-]*)\s+(\S.*)")


class UnknownFaultError(ValueError):
    """A text names no fault of a node; the message names the allowed nodes, or the fault with the most similar name."""


def known_faults(programs: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str]]:
    """Run each node's program with `--faults`, in parallel, and return what they list.

    `programs` maps a role to its command. The result maps a role to its faults: name to one line with the clauses that
    the fault breaks and what the node does. Raises EnvironmentBroken if a program cannot be run or fails.
    """
    with ThreadPoolExecutor(len(programs)) as pool:
        listed = list(pool.map(_listed, programs.values()))
    return dict(zip(programs, listed, strict=True))


def _listed(command: Sequence[str]) -> dict[str, str]:
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
    return {found[1]: " ".join(found[2].split()) for line in answer.stdout.splitlines() if (found := _LINE.match(line))}


def read_fault(
    text: str, known: Mapping[str, Collection[str]], kinds: Mapping[str, str] | None = None
) -> tuple[str, str]:
    """Read `NODE=FAULT` and return the two; the node is a role, or a name that `kinds` maps to its role.

    Raises UnknownFaultError if the node or the fault is not known; its message says what is allowed.
    """
    node, _, name = text.partition("=")
    role = (kinds or {}).get(node, node)
    if role not in known:
        nodes = ", ".join(dict.fromkeys([*known, *(kinds or ())]))
        raise UnknownFaultError(f"{text!r} is no fault: NODE=NAME is expected, with one of {nodes}")
    if name not in known[role]:
        near = get_close_matches(name, known[role], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UnknownFaultError(f"the {node} node has no fault {name!r}{hint} (lemonade-{role} --faults lists them)")
    return node, name
