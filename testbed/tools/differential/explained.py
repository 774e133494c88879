"""The table of explained differences between servers: reads it, compares it with what was found, writes it as a page.

Run as a program it prints the page, `docs/differences.md`, as Markdown.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lemonade_wire.script import bind, load_yaml_file
from lemonade_wire.script.yamltext import ListNode

TABLE = Path(__file__).parent / "explained.yaml"
"""The file of the table; the scripts of the sessions are in `sessions/` beside it."""
ANYWHERE = "at any step"
Verdict = Literal["allowed", "wrong", "lacking", "ours"]
"""`allowed`: the specification allows both answers; `wrong`: it forbids the peer's answer; `lacking`: the peer lacks a
feature; `ours`: the reference server lacks a feature.
"""
_HEADINGS: dict[Verdict, str] = {
    "wrong": "The peer is not as the text has it",
    "allowed": "Both are as the text has it",
    "lacking": "The peer lacks it",
    "ours": "The reference server lacks it",
}
_HEAD = """# What Dovecot and Cyrus answer otherwise

The same IMAP sessions are run on the reference server, on Dovecot 2.4 and on Cyrus, and their answers are compared.
Each session is a section of a file in `testbed/tools/differential/sessions/`, and every answer is cut into short facts,
without what differs by nature (texts for people, UIDVALIDITY, mod-sequences, order that is free). What one of the peers
answers otherwise stands in `testbed/tools/differential/explained.yaml`, fact by fact, with the reason. `make test
ARGS="testbed -k differential"` runs all of it again: it fails where a difference has no explanation, and where an
explanation has no difference any more. It prints what is missing in the form that the file has.

This page is made of that file, from the root of a clone. The numbers say at how many steps the answers differ for this
reason.

```
PYTHONPATH=testbed/tools .venv/bin/python -m differential.explained >docs/differences.md
```
"""
_IN_COMMON = """
## Where all three deviate from a "should"

A server should answer BAD to a sequence number beyond the mailbox, and to `*` in an empty mailbox (RFC 3501, 9,
seq-number). In SEARCH, Dovecot and Cyrus answer OK, and such a number matches no message. The reference server
deviates knowingly in the same way, in SEARCH alone: clients send `SEARCH 1:9` or `UID SEARCH 1:*` without knowing how
many messages there are. In FETCH, STORE, COPY and MOVE it answers BAD.
"""
"""What the page says about answers that do not differ, and that deviate from the specification all the same."""


class Explanation(BaseModel):
    """One reason why servers answer differently, and all places at which they do.

    `rule` is the clause that decides which answer is right. `where` maps a server and a step to the facts that only one
    side states: `-` begins a fact of the reference server, `+` a fact of the peer. `always` maps a server to such facts
    that may occur at any step.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    why: str = Field(min_length=1)
    rule: str = Field(min_length=1)
    verdict: Verdict
    where: dict[str, dict[str, tuple[str, ...]]] = Field(default_factory=dict)
    always: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if not self.where and not self.always:
            raise ValueError("`where` or `always` is missing")
        return self


@dataclass(frozen=True, order=True)
class ExplainedDifference:
    """A fact that only one of two servers states, at the step `at`.

    `fact` begins with `-` for the reference server, and with `+` for the peer.
    """

    server: str
    at: str
    fact: str


def read_explanations(path: Path) -> list[Explanation]:
    """Read the table of explanations; raises ScriptError, which names the line that is not valid."""
    root = load_yaml_file(path)
    if not isinstance(root, ListNode):
        raise root.place.error("a list of explanations is expected")
    return [bind(item, Explanation) for item in root.items]


def differences(server: str, at: str, ours: Sequence[str], theirs: Sequence[str]) -> list[ExplainedDifference]:
    """Return the facts that only one of two servers states at a step; `ours` are the reference server's facts."""
    own, other = Counter(ours), Counter(theirs)
    told = [f"- {fact}" for fact in (own - other).elements()] + [f"+ {fact}" for fact in (other - own).elements()]
    return [ExplainedDifference(server, at, fact) for fact in told]


def listed(explanations: Iterable[Explanation]) -> Counter[ExplainedDifference]:
    """Return every difference that the table lists at a step, with the number of times that it is listed."""
    return Counter(
        ExplainedDifference(server, at, fact)
        for one in explanations
        for server, steps in one.where.items()
        for at, told in steps.items()
        for fact in told
    )


def compared(
    found: Iterable[ExplainedDifference], explanations: Sequence[Explanation]
) -> tuple[list[ExplainedDifference], list[ExplainedDifference]]:
    """Return the differences that the table does not explain, and those of the table that were not found."""
    there, known = Counter(found), listed(explanations)
    left = there - known
    always = {(server, fact) for one in explanations for server, told in one.always.items() for fact in told}
    met = {(one.server, one.fact) for one in left}
    unexplained = [one for one in left.elements() if (one.server, one.fact) not in always]
    unmet = [ExplainedDifference(server, ANYWHERE, fact) for server, fact in always - met]
    return sorted(unexplained), sorted([*(known - there).elements(), *unmet])


def as_table(found: Iterable[ExplainedDifference]) -> str:
    """Return differences as YAML, in the form that the table has below `where`."""
    servers: dict[str, dict[str, list[str]]] = {}
    for one in found:
        servers.setdefault(one.server, {}).setdefault(one.at, []).append(one.fact)
    return "\n".join(_lines(servers))


def _lines(servers: Mapping[str, Mapping[str, Sequence[str]]]) -> Iterable[str]:
    for server, steps in servers.items():
        yield f"    {server}:"
        for at, told in steps.items():
            yield f"      {_single(at)}:"
            yield from (f"        - {_single(fact)}" for fact in told)


def _single(text: str) -> str:
    """Return text as a YAML scalar in single quotes, in which only the single quote is special."""
    return "'" + text.replace("'", "''") + "'"


def page(explanations: Sequence[Explanation]) -> str:
    """Return the page as Markdown: a table for each verdict, and what all servers answer against a "should"."""
    text = _HEAD
    for verdict, heading in _HEADINGS.items():
        rows = [_row(one) for one in explanations if one.verdict == verdict]
        if rows:
            text += f"\n## {heading}\n\n| what is different | rule | where |\n|---|---|---|\n{''.join(rows)}"
    return text + _IN_COMMON


def _row(one: Explanation) -> str:
    where = ", ".join(
        f"{server.capitalize()} {'everywhere' if server in one.always else len(one.where[server])}"
        for server in sorted({*one.where, *one.always})
    )
    cells = (cell.replace("|", "\\|") for cell in (one.why, one.rule, where))
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    sys.stdout.write(page(read_explanations(TABLE)))
