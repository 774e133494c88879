"""Draws ladders: side by side in the line styles of the draft (`-` IMAP, `=` SIP, `+` RTP), and as Mermaid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from lemonade_testbed.ladder.model import ROLES, Arrow, Bindings, Ladder, LadderResult, Observed, ObservedMessage

_HEADS = {"client": "Client", "imap": "IMAP Server", "media": "Media Server"}
_APART = 26.5
"""Characters from the line of one node to that of the next."""
_GAP = 3
_STYLES = {"IMAP": "-", "SIP": "=", "RTP": "+"}
Row = tuple[Arrow | None, ObservedMessage | None, bool]


def rows_of(ladder: Ladder, observed: Observed, result: LadderResult) -> list[Row]:
    """Return the pairs of expected and observed arrow, in order; True marks the first pair that differs.

    A message stands beside the arrow that it matched. An optional arrow that did not occur has nothing beside it.
    """
    arrows = {arrow.index: arrow for arrow in ladder.arrows}
    taken = {index for index in result.arrows if index is not None}
    rows: list[Row] = []
    done: set[int] = set()
    matched = sum(index is not None for index in result.arrows)
    for index, seen in zip(result.arrows[:matched], observed.messages[:matched], strict=True):
        if index is None:
            break
        rows += [(arrows[skip], None, False) for skip in sorted(arrows) if skip < index and skip not in done | taken]
        done |= {skip for skip in arrows if skip < index and skip not in taken} | {index}
        rows.append((arrows[index], seen, False))
    left = [arrow for index, arrow in arrows.items() if index not in done]
    if result.mismatch is not None:
        due = result.mismatch.index
        rows += [(arrow, None, False) for arrow in left if arrow.index < due]
        left = [arrow for arrow in left if arrow.index >= due]
    right = observed.messages[matched:]
    for place, (arrow, seen_or_none) in enumerate(zip_longest(left, right)):
        rows.append((arrow, seen_or_none, place == 0 and result.mismatch is not None))
    return rows


def nodes_of(ladder: Ladder, observed: Observed) -> tuple[str, ...]:
    """Return the nodes of a ladder from left to right: the three roles, or client and others in order of appearance."""
    arrows: list[Arrow | ObservedMessage] = [*ladder.arrows, *observed.messages]
    met = dict.fromkeys(("client", *(name for arrow in arrows for name in (arrow.source, arrow.target))))
    return ROLES if met.keys() <= {*ROLES} else tuple(met)


def draw(ladder: Ladder, observed: Observed, result: LadderResult) -> str:
    """Return the expected and the observed ladder side by side; `>>` marks where they first differ.

    With three nodes it has 114 columns.
    """
    canvas = _Canvas(nodes_of(ladder, observed))
    heads = canvas.heads()
    lines = [_beside(f"{'expected':^{canvas.width}}", "", f"{'observed':^{canvas.width}}"), _beside(heads, "", heads)]
    for arrow, seen, marked in rows_of(ladder, observed, result):
        left = canvas.lines(arrow.source, arrow.target, arrow.words) if arrow else (canvas.empty(), canvas.empty())
        right = canvas.empty(), canvas.empty()
        if seen is not None:
            right = canvas.lines(seen.source, seen.target, tuple(seen.label(result.bindings).split()))
        lines += [_beside(left[0], "", right[0]), _beside(left[1], ">>" if marked else "", right[1])]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _beside(left: str, mark: str, right: str) -> str:
    return f"{mark:2} {left}{'':{_GAP}}{right}"


class _Canvas:
    """The positions of the vertical lines of some nodes."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self._columns = {name: int(place * _APART) for place, name in enumerate(nodes)}
        self.width = max(self._columns.values()) + 1

    def empty(self) -> str:
        """Return a line that has no arrow."""
        line = [" "] * self.width
        for column in self._columns.values():
            line[column] = "|"
        return "".join(line)

    def heads(self) -> str:
        """Return the names above the lines: the first left-aligned, the last right-aligned, the others centred."""
        line = [" "] * self.width
        for name, column in self._columns.items():
            head = _HEADS.get(name, name)
            at = min(max(0, column - len(head) // 2), self.width - len(head))
            line[at : at + len(head)] = head
        return "".join(line)

    def lines(self, source: str, target: str, words: Sequence[str]) -> tuple[str, str]:
        """Return the line with the label of an arrow, and the line with the arrow itself."""
        low, high = sorted((self._columns[source], self._columns[target]))
        style = _STYLES[words[0]]
        label = " ".join(words[1:] if words[0] == "IMAP" else words)
        space = high - low - 1
        if len(label) > space:
            label = label[: space - 3] + "..."
        above, line = list(self.empty()), list(self.empty())
        above[low + 1 : high] = f"{label:^{space}}"
        line[low + 1 : high] = style * space
        if self._columns[source] < self._columns[target]:
            line[high - 1] = ">"
        else:
            line[low + 1] = "<"
        return "".join(above), "".join(line)


def mermaid(ladder: Ladder, observed: Observed, bindings: Bindings, title: str) -> str:
    """Return Markdown with the expected and the observed ladder as Mermaid diagrams."""
    expected = [line.partition("%%")[0].strip() for line in ladder.source.splitlines()]
    seen = [message.text(bindings) for message in observed.messages]
    nodes = nodes_of(ladder, observed)
    before, after = _fenced(expected, nodes), _fenced(seen, nodes)
    parts = [f"# {title}", "", "## Expected", "", *before, "", "## Observed", "", *after, ""]
    return "\n".join(parts)


def _fenced(lines: Sequence[str], nodes: Sequence[str]) -> Iterator[str]:
    yield "```mermaid"
    yield "sequenceDiagram"
    yield from (f"    participant {name}" for name in nodes)
    yield from (f"    {_escaped(line)}" for line in lines if line)
    yield "```"


def _escaped(line: str) -> str:
    """Escape what has a meaning in Mermaid: `;` ends a line, `#` begins an entity, `<` begins a tag."""
    return line.replace("#", "#35;").replace(";", "#59;").replace("#35#59;", "#35;").replace("<", "#lt;")
