r"""Sessions of IMAP as data: what is said on which connection, written as it stands on the wire.

A file holds sections, each with an account of its own. What a line means:

    # a remark
    === title                       a section begins
    --- name                        a message begins, up to a line `---`; its lines end in CRLF
    1: SELECT INBOX                 connection 1 sends a command; a tag is put before it
    1< DONE                         connection 1 sends this line as it is
    1? EXISTS                       connection 1 waits for a line with this word; the next step shows it
    x: NOOP                         a connection whose name is no number has not logged in

In what is sent, `{name}` is a literal of the message of that name, `{"text"}` one of the text (`\r`, `\n` and `\xNN`
are octets); `{+...}` does not wait for the server, `~{...}` is a literal8. `\xNN` is an octet outside of them too.
`$user` is the section's account, `$plain` how it logs in by PLAIN, `$/` the separator of the server's mailbox names,
`$url` the URL that it authorised last, `$modseq` the mod-sequence that it told last, and `$A(70000)` as many letters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lemonade_wire.imap.framing import Literal, LogicalLine, Part

_STEP = re.compile(r"(?P<connection>[0-9]|[a-z]+)(?P<kind>[:<?]) ?(?P<text>.*)")
_LITERAL = re.compile(r'(?P<binary>~?)\{(?P<plus>\+?)(?:"(?P<text>(?:[^"\\]|\\.)*)"|(?P<name>[a-z][a-z 0-9-]*))\}')
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|[rn\\\"])")
_OCTET = re.compile(r"\\x([0-9A-Fa-f]{2})")
_VARIABLE = re.compile(r"\$(?:A\((?P<count>[0-9]+)\)|(?P<name>user|plain|url|modseq|/))")


@dataclass(frozen=True)
class Step:
    """What one connection does with `text`: `:` says it with a tag, `<` without, `?` waits for it.

    `at` names the step within its section.
    """

    connection: str
    kind: str
    text: str
    at: str

    @property
    def logs_in(self) -> bool:
        """Whether its connection is logged in before its first step."""
        return self.connection.isdigit()


@dataclass(frozen=True)
class Section:
    """Steps that one account takes, one after the other; `messages` are the octets that literals name."""

    title: str
    steps: tuple[Step, ...]
    messages: Mapping[str, bytes]


def read_sections(path: Path) -> list[Section]:
    """Read a file of sections; raises ValueError with the line that means nothing."""
    sections: list[Section] = []
    messages: dict[str, bytes] = {}
    steps: list[Step] = []
    open_message: list[str] | None = None
    name = ""
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if open_message is not None:
            if text == "---":
                messages[name] = octets("".join(f"{part}\r\n" for part in open_message))
                open_message = None
            else:
                open_message.append(text)
        elif text.startswith("--- "):
            name, open_message = text[4:].strip(), []
        elif text.startswith("=== "):
            steps = []
            sections.append(Section(text[4:].strip(), (), messages))
        elif text and not text.startswith("#"):
            found = _STEP.fullmatch(text)
            if found is None or not sections:
                raise ValueError(f"{path.name}:{number}: neither a section, nor a message, nor a step")
            steps.append(step(steps, found["connection"], found["text"], found["kind"]))
            sections[-1] = Section(sections[-1].title, tuple(steps), messages)
    return sections


def step(before: list[Step], connection: str, text: str, kind: str = ":", *, note: str = "") -> Step:
    """Make the step that follows others; one that says the same again is told from them by a number."""
    at = f"{note}{connection}{kind} {text}"
    again = sum(1 for one in before if one.at == at or one.at.startswith(f"{at} #"))
    return Step(connection, kind, text, f"{at} #{again + 1}" if again else at)


def octets(text: str) -> bytes:
    r"""Return text with its `\xNN` as octets, and everything else in UTF-8."""
    pieces = _OCTET.split(text)
    return b"".join(bytes.fromhex(piece) if at % 2 else piece.encode() for at, piece in enumerate(pieces))


def filled(text: str, values: Mapping[str, str]) -> str:
    """Put values in place of variables; raises KeyError for one that has none yet."""

    def value(found: re.Match[str]) -> str:
        return "A" * int(found["count"]) if found["count"] else values[found["name"]]

    return _VARIABLE.sub(value, text)


def line_of(text: str, messages: Mapping[str, bytes]) -> LogicalLine:
    """Return the line that a step's text is, with its literals; raises KeyError for a message that is not there."""
    parts: list[Part] = []
    at = 0
    for found in _LITERAL.finditer(text):
        parts.append(octets(text[at : found.start()]))
        data = messages[found["name"]] if found["name"] else _unescaped(found["text"])
        parts.append(Literal.of(data, binary=bool(found["binary"]), synchronising=not found["plus"]))
        at = found.end()
    return LogicalLine((*parts, octets(text[at:])))


def _unescaped(text: str) -> bytes:
    pieces = _ESCAPE.split(text)
    known = {"r": b"\r", "n": b"\n", "\\": b"\\", '"': b'"'}
    return b"".join(
        piece.encode() if at % 2 == 0 else known[piece] if piece in known else bytes.fromhex(piece[1:])
        for at, piece in enumerate(pieces)
    )
