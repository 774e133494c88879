"""Parses a ladder: a sequence diagram in the syntax of Mermaid, whose labels consist of words of a closed list.

Lines are `A->>B: LABEL` (request), `A-->>B: LABEL` (response), `opt`, `alt` and `else`, `par` and `and`, `loop`, `end`,
`Note over A,B: text`, and comments from `%%` on. The comment of an arrow may name clauses (`%% LS-2.5-5`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from difflib import get_close_matches

from lemonade_testbed.ladder.keytext import KEYS
from lemonade_testbed.ladder.model import ROLES, Alt, Arrow, Bound, Ladder, Loop, Node, Opt, Par, RtpLabel, Sequence
from lemonade_testbed.ladder.sdptext import TELEPHONE_EVENT

TAGGED = frozenset({"OK", "NO", "BAD"})
CLAUSE = re.compile(r"\b(?:(?:LS|SM)-[0-9]+(?:\.[0-9]+)?-[0-9]+|RFC[0-9]+-[0-9]+(?:\.[0-9]+)*(?:-[0-9]+)?)\b")
"""The id of a clause.

It is that of a draft (`LS-2.5-5`), or of an RFC that the drafts build on (`RFC3261-8.1.1.6`). A section with several
rules has numbers (`RFC3261-8.1.1.7-2`).
"""
STATUS = re.compile(r"[1-6](?:[0-9]{2}|xx)")
VARIABLE = re.compile(r"\$[a-z][a-z0-9-]*")
_ARROW = re.compile(r"(?P<source>[^\s:>-]+)\s*(?P<kind>-->>|->>)\s*(?P<target>[^\s:]+)\s*:\s*(?P<label>.*)")
_NOTE = re.compile(r"note\s+over\s+([a-z0-9]+)(?:\s*,\s*([a-z0-9]+))?\s*:.*", re.IGNORECASE)
_RANGE = re.compile(r"(?P<low>[^\s.]\S*?)\.\.(?P<high>\S+)")
_TERM = re.compile(r"([+-]?)(?:([0-9]+(?:\.[0-9]+)?)(\*media)?|(media))")
_SPLITS = {"alt": "else", "par": "and"}
_BLOCKS = frozenset({"opt", "alt", "par", "loop"})
_KEYWORDS = _BLOCKS | {"else", "and", "end", "Note"}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SIP_METHODS = _words(
    """
    INVITE ACK BYE CANCEL OPTIONS INFO UPDATE PRACK SUBSCRIBE NOTIFY REFER MESSAGE REGISTER PUBLISH
    """
)
INFO_KINDS = _words(
    """
    playcollect play playrecord configure_leg configure_conference managecontent faxplay faxrecord stop
    response keypress dtmf-relay dtmf encrypted other
    """
)
IGNORED_COMMANDS = _words(
    """
    LOGIN AUTHENTICATE CAPABILITY STARTTLS ENABLE ID NAMESPACE LIST STATUS SELECT EXAMINE SEARCH NOOP
    CREATE COPY UNSELECT CLOSE LOGOUT
    """
)
"""Commands that a ladder leaves out if it does not name them, with their replies (and the greeting)."""
IGNORED_ITEMS = _words("FLAGS UID ENVELOPE INTERNALDATE RFC822.SIZE")
"""Items of FETCH that a ladder leaves out if it does not name them: neither structure nor content."""
IMAP_COMMANDS = IGNORED_COMMANDS | _words(
    """
    FETCH GENURLAUTH URLFETCH RESETKEY GETMETADATA SETMETADATA GETANNOTATION SETANNOTATION APPEND STORE
    MOVE EXPUNGE IDLE DELETE RENAME SUBSCRIBE UNSUBSCRIBE LSUB CHECK SETACL GETACL MYRIGHTS
    LISTRIGHTS DELETEACL
    """
)


def nearest(word: str, allowed: frozenset[str] | tuple[str, ...]) -> str:
    """Return a hint about an unknown word: the nearest allowed word, or all allowed words."""
    near = get_close_matches(word, sorted(allowed), n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(sorted(allowed))}"


class LadderError(ValueError):
    """A line of a ladder is wrong; `line` is its number in the text of the ladder, from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"ladder line {line}: {problem}")
        self.line = line
        self.problem = problem


@dataclass
class _Block:
    """A block that is not closed yet: its word, its first line, its title, its closed branches and the open one."""

    word: str
    line: int
    title: str = ""
    branches: list[Sequence] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)

    def split(self, line: int) -> None:
        if not self.items:
            raise LadderError(line, f"this branch of the {self.word!r} of line {self.line} has no arrow")
        self.branches.append(Sequence(tuple(self.items)))
        self.items = []


def parse_ladder(text: str, *, first_line: int = 1, nodes: Collection[str] = ROLES) -> Ladder:
    """Read a ladder between `nodes`; the lines of its arrows are counted from `first_line`.

    Raises LadderError, whose lines are counted from 1.
    """
    stack = [_Block("", 0)]
    count = 0
    for number, raw in enumerate(text.splitlines(), 1):
        line, _, comment = raw.partition("%%")
        line = line.strip()
        if not line or _NOTE.fullmatch(line):
            _check_note(line, number, nodes)
            continue
        word, _, rest = line.partition(" ")
        if "->>" in line:
            count += 1
            arrow = _arrow(line, number, count, first_line, nodes)
            stack[-1].items.append(_with_clauses(arrow, comment))
        elif word in _BLOCKS:
            stack.append(_Block(word, number, rest.strip()))
        elif word == "end" and not rest:
            _close(stack, number)
        elif word in _SPLITS.values():
            if _SPLITS.get(stack[-1].word) != word:
                opener = next(opener for opener, split in _SPLITS.items() if split == word)
                raise LadderError(number, f"{word!r} without an open {opener!r}")
            stack[-1].split(number)
        else:
            raise LadderError(number, f"not a line of a ladder: {line!r}; {_line_hint(word)}")
    if len(stack) > 1:
        raise LadderError(stack[-1].line, f"this {stack[-1].word!r} has no 'end'")
    if not count:
        raise LadderError(1, "a ladder has at least one arrow, such as client->>imap: IMAP FETCH BODYSTRUCTURE")
    return Ladder(Sequence(tuple(stack[0].items)), text)


def _check_note(line: str, number: int, nodes: Collection[str]) -> None:
    note = _NOTE.fullmatch(line)
    for name in note.groups() if note else ():
        if name is not None:
            _node(name, number, nodes)


def _line_hint(word: str) -> str:
    if "->" in word or "-" in word:
        return "an arrow is A->>B: LABEL (request) or A-->>B: LABEL (response)"
    return nearest(word, frozenset(_KEYWORDS)) + " (or an arrow, A->>B: LABEL)"


def _close(stack: list[_Block], number: int) -> None:
    if len(stack) == 1:
        raise LadderError(number, "'end' without an open block")
    block = stack.pop()
    block.split(number)
    node: Node
    match block.word:
        case "opt":
            node = Opt(block.branches[0], block.title)
        case "loop":
            node = Loop(block.branches[0], block.title)
        case "alt":
            node = Alt(tuple(block.branches), block.title)
        case _:
            node = Par(tuple(block.branches), block.title)
    stack[-1].items.append(node)


def _with_clauses(arrow: Arrow, comment: str) -> Arrow:
    clauses = tuple(dict.fromkeys(CLAUSE.findall(comment)))
    return Arrow(arrow.index, arrow.line, arrow.source, arrow.target, arrow.response, arrow.words, arrow.rtp, clauses)


def _node(name: str, number: int, nodes: Collection[str]) -> str:
    if name not in nodes:
        raise LadderError(number, f"unknown node {name!r}; {nearest(name, tuple(nodes))}")
    return name


def _arrow(line: str, number: int, index: int, first_line: int, nodes: Collection[str]) -> Arrow:
    match = _ARROW.fullmatch(line)
    if match is None:
        raise LadderError(number, f"not an arrow: {line!r}; A->>B: LABEL or A-->>B: LABEL is expected")
    source, target = (_node(match[end], number, nodes) for end in ("source", "target"))
    if source == target:
        raise LadderError(number, f"{source!r} sends nothing to itself")
    words = tuple(match["label"].split())
    if not words:
        raise LadderError(number, "an arrow has a label: SIP, IMAP or RTP, then what it is")
    response = match["kind"] == "-->>"
    reader = _READERS.get(words[0])
    if reader is None:
        raise LadderError(number, f"unknown protocol {words[0]!r}; {nearest(words[0], tuple(_READERS))}")
    for word in words:
        if word.startswith("$") and not VARIABLE.fullmatch(word):
            raise LadderError(number, f"{word!r} is not a name: $ and lower-case letters are expected")
    rtp = reader(words, response, number)
    return Arrow(index, first_line + number - 1, source, target, response, words, rtp)


def _sip(words: tuple[str, ...], response: bool, number: int) -> None:
    if len(words) > 1 and STATUS.fullmatch(words[1]):
        if not response:
            raise LadderError(number, f"SIP {words[1]} is a response: write -->>")
        if len(words) != 3:
            raise LadderError(number, "a SIP response is SIP STATUS METHOD")
        _known(words[2], SIP_METHODS, "SIP method", number)
        return
    if response:
        raise LadderError(number, "a SIP response is SIP STATUS METHOD, such as SIP 200 INVITE; a request is ->>")
    _known(words[1] if len(words) > 1 else "", SIP_METHODS, "SIP method", number)
    if words[1] == "INFO":
        _known(words[2] if len(words) > 2 else "", INFO_KINDS, "kind of INFO", number)


def _imap(words: tuple[str, ...], response: bool, number: int) -> None:
    if len(words) > 1 and words[1] in TAGGED:
        if not response:
            raise LadderError(number, f"IMAP {words[1]} is a response: write -->>")
        _known(words[2] if len(words) > 2 else "", IMAP_COMMANDS, "IMAP command", number)
        if len(words) > 3 and (words[2] != "URLFETCH" or words[3] not in {"data", "NIL"} or len(words) > 4):
            raise LadderError(number, "only URLFETCH says more in its answer: IMAP OK URLFETCH data, or NIL")
        return
    if response:
        raise LadderError(number, "an IMAP response is IMAP OK COMMAND, or NO, or BAD; a request is ->>")
    _known(words[1] if len(words) > 1 else "", IMAP_COMMANDS, "IMAP command", number)


def _known(word: str, allowed: frozenset[str], what: str, number: int) -> None:
    if word not in allowed:
        raise LadderError(number, f"unknown {what} {word!r}; {nearest(word, allowed)}")


def _rtp(words: tuple[str, ...], response: bool, number: int) -> RtpLabel | None:
    if response:
        raise LadderError(number, "RTP answers nothing: write ->>")
    if words[1:2] == (TELEPHONE_EVENT,):
        if len(words) != 3 or words[2] not in KEYS:
            raise LadderError(number, f"a key in RTP is RTP {TELEPHONE_EVENT} KEY, one of {' '.join(KEYS)}")
        return None
    continued = words[-1] == "continued"
    rest = words[1:-1] if continued else words[1:]
    span = _RANGE.fullmatch(rest[1]) if len(rest) == 3 and rest[2] == "s" else None
    if span is None:
        raise LadderError(number, "an RTP label is RTP CODEC LOW..HIGH s, and perhaps continued")
    low, high = _bound(span["low"], number), _bound(span["high"], number)
    if low.media == high.media and low.base > high.base:
        raise LadderError(number, f"{rest[1]!r} goes from more to less")
    return RtpLabel(rest[0], low, high, continued)


def _bound(text: str, number: int) -> Bound:
    base = media = 0.0
    position = 0
    while position < len(text):
        term = _TERM.match(text, position)
        if term is None or (position and not term[1]):
            raise LadderError(number, f"{text!r} is not a time: 2.8, media, media-0.1 or 0.5*media+1 is expected")
        sign = -1.0 if term[1] == "-" else 1.0
        if term[4] or term[3]:
            media += sign * float(term[2] or 1)
        else:
            base += sign * float(term[2])
        position = term.end()
    return Bound(round(base, 6), media)


_READERS: dict[str, Callable[[tuple[str, ...], bool, int], RtpLabel | None]] = {"SIP": _sip, "IMAP": _imap, "RTP": _rtp}
