"""The kinds of faults of the IMAP server whose members are rows of a table: one decision replaced, or one line edited.

The other modules of this package have the rows, and a class for each fault that is more than one such change.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, Generic, ParamSpec, TypeVar

from lemonade_imap.behaviour import ImapBehaviour
from lemonade_wire.faults import Fault

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class DecisionFault(Fault, ImapBehaviour, Generic[P, R]):
    """A fault that replaces one decision, which is a method of `ImapBehaviour`.

    `wrong` is called in the place of `decision`, with the same arguments but without `self`.
    """

    name: str
    summary: str
    breaks: tuple[str, ...]
    decision: Callable[Concatenate[ImapBehaviour, P], R]
    wrong: Callable[P, R]

    def __post_init__(self) -> None:
        setattr(self, self.decision.__name__, self.wrong)


def always(answer: R) -> Callable[..., R]:
    """Return a function that returns `answer` for all arguments."""
    return lambda *_args, **_keywords: answer


def without(capability: str) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    """Return a function that takes one capability out of a list of capabilities."""
    return lambda names: tuple(name for name in names if name != capability)


@dataclass
class LineFault(Fault, ImapBehaviour):
    """A fault that changes the response lines of the command with this name, or does not send them.

    `pattern` is searched in what comes before the first literal of a line. Where it is found, `replacement` is put in
    its place (with groups, as `re.sub` does); with None the line is not sent.
    """

    name: str
    summary: str
    breaks: tuple[str, ...]
    command: str
    pattern: bytes
    replacement: bytes | None = None

    edits_lines = True

    def edit_line(self, command: str, tag: str, text: bytes) -> bytes | None:
        """Change the lines of one command."""
        if command != self.command or not re.search(self.pattern, text, re.DOTALL):
            return text
        return None if self.replacement is None else re.sub(self.pattern, self.replacement, text, flags=re.DOTALL)
