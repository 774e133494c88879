"""Draws ladders: side by side in the draft's own line styles (`-` IMAP, `=` SIP, `+` RTP), and as Mermaid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from lemonade_testbed.ladder.model import Arrow, Bindings, Ladder, Observed, Seen
from lemonade_testbed.verdict import LadderResult

_COLUMNS = {"client": 0, "imap": 26, "media": 53}
_HEADS = {"client": "Client", "imap": "IMAP Server", "media": "Media Server"}
_WIDTH = 54
_GAP = 3
_STYLES = {"IMAP": "-", "SIP": "=", "RTP": "+"}
Row = tuple[Arrow | None, Seen | None, bool]


def rows_of(ladder: Ladder, observed: Observed, result: LadderResult) -> list[Row]:
    """Return expected and observed arrows side by side; True marks the place where they part.

    What the match took stands beside its arrow; an optional arrow that did not come has nothing beside it.
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


def draw(ladder: Ladder, observed: Observed, result: LadderResult) -> str:
    """Return expected and observed ladder side by side, 114 columns wide; `>>` marks where they part."""
    lines = [_beside(f"{'expected':^{_WIDTH}}", "", f"{'observed':^{_WIDTH}}"), _beside(_heads(), "", _heads())]
    for arrow, seen, marked in rows_of(ladder, observed, result):
        left = _lines(arrow.source, arrow.target, arrow.words) if arrow else (_empty(), _empty())
        right = _empty(), _empty()
        if seen is not None:
            right = _lines(seen.source, seen.target, tuple(seen.label(result.bindings).split()))
        lines += [_beside(left[0], "", right[0]), _beside(left[1], ">>" if marked else "", right[1])]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _beside(left: str, mark: str, right: str) -> str:
    return f"{mark:2} {left}{'':{_GAP}}{right}"


def _empty() -> str:
    line = [" "] * _WIDTH
    for column in _COLUMNS.values():
        line[column] = "|"
    return "".join(line)


def _heads() -> str:
    client, imap, media = _HEADS.values()
    return f"{client:20}{imap:^13}{media:>21}"


def _lines(source: str, target: str, words: Sequence[str]) -> tuple[str, str]:
    """Return an arrow's label line and its line proper."""
    low, high = sorted((_COLUMNS[source], _COLUMNS[target]))
    style = _STYLES[words[0]]
    label = " ".join(words[1:] if words[0] == "IMAP" else words)
    space = high - low - 1
    if len(label) > space:
        label = label[: space - 3] + "..."
    above, line = list(_empty()), list(_empty())
    above[low + 1 : high] = f"{label:^{space}}"
    line[low + 1 : high] = style * space
    if _COLUMNS[source] < _COLUMNS[target]:
        line[high - 1] = ">"
    else:
        line[low + 1] = "<"
    return "".join(above), "".join(line)


def mermaid(ladder: Ladder, observed: Observed, bindings: Bindings, title: str) -> str:
    """Return Markdown with the expected and the observed ladder as Mermaid diagrams."""
    expected = [line.partition("%%")[0].strip() for line in ladder.source.splitlines()]
    seen = [message.text(bindings) for message in observed.messages]
    parts = [f"# {title}", "", "## Expected", "", *_fenced(expected), "", "## Observed", "", *_fenced(seen), ""]
    return "\n".join(parts)


def _fenced(lines: Sequence[str]) -> Iterator[str]:
    yield "```mermaid"
    yield "sequenceDiagram"
    yield from (f"    participant {role}" for role in _COLUMNS)
    yield from (f"    {_escaped(line)}" for line in lines if line)
    yield "```"


def _escaped(line: str) -> str:
    """Write what Mermaid would take for its own: `;` ends a line, `#` begins an entity, `<` a tag."""
    return line.replace("#", "#35;").replace(";", "#59;").replace("#35#59;", "#35;").replace("<", "#lt;")
