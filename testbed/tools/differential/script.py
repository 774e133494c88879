r"""Reads scripts of IMAP sessions: the commands of several connections, written as they are sent.

A file holds sections, each with an account of its own. A line is one of these:

    # a remark
    === title                       a section begins
    --- name                        a message begins, up to a line `---`; its lines end in CRLF
    1: SELECT INBOX                 connection 1 sends a command; a tag is put before it
    1< DONE                         connection 1 sends this line as it is
    1? EXISTS                       connection 1 waits for a line with this word; the next step shows it
    x: NOOP                         a connection whose name is no number has not logged in

In a line that is sent, `{name}` is a literal with the message of that name, and `{"text"}` a literal with the text
(`\r`, `\n` and `\xNN` are octets). `{+...}` is a non-synchronising literal (RFC 7888), and `~{...}` a literal8 (RFC
3516). `\xNN` is an octet outside of literals too. `$user` is the section's account, `$plain` its initial response for
AUTHENTICATE PLAIN, `$/` the server's hierarchy separator, `$url` the last URL that the server authorised, `$modseq` the
last mod-sequence that it returned, and `$A(70000)` stands for 70,000 letters A.

The table of odd messages of the IMAP server's tests becomes a section too (`odd_section`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lemonade_wire.imap.framing import ImapLiteral, LogicalLine, Part

_STEP = re.compile(r"(?P<connection>[0-9]|[a-z]+)(?P<kind>[:<?]) ?(?P<text>.*)")
_LITERAL = re.compile(r'(?P<binary>~?)\{(?P<plus>\+?)(?:"(?P<text>(?:[^"\\]|\\.)*)"|(?P<name>[a-z][a-z 0-9-]*))\}')
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|[rn\\\"])")
_OCTET = re.compile(r"\\x([0-9A-Fa-f]{2})")
_VARIABLE = re.compile(r"\$(?:A\((?P<count>[0-9]+)\)|(?P<name>user|plain|url|modseq|/))")
ODD_TITLE = "odd messages"
OF_ALL = (
    "ENVELOPE",
    "BODYSTRUCTURE",
    "RFC822.SIZE",
    "BODY.PEEK[HEADER]",
    "BODY.PEEK[TEXT]",
    "BODY.PEEK[1]",
    "BODY.PEEK[1.MIME]",
    "BINARY.PEEK[1]",
    "BINARY.SIZE[1]",
)
"""FETCH items that are sent for every odd message."""
_ODD_STRING = re.compile(r'"[^"]*\\x[^"]*"|[^ "]*\\x[^ ]*')


@dataclass(frozen=True)
class DialogueStep:
    """One step of a connection.

    `kind` is `:` to send `text` with a tag, `<` to send it without one, `?` to wait for a line with it. `at` is the
    name of the step within its section.
    """

    connection: str
    kind: str
    text: str
    at: str

    @property
    def logs_in(self) -> bool:
        """Whether the step's connection is logged in before its first step: its name is then a number."""
        return self.connection.isdigit()


@dataclass(frozen=True)
class AccountSteps:
    """One section: the steps of one account, in order; `messages` maps the names in literals to octets."""

    title: str
    steps: tuple[DialogueStep, ...]
    messages: Mapping[str, bytes]


def read_sections(path: Path) -> list[AccountSteps]:
    """Read a file of sections; raises ValueError, which names the line that is not valid."""
    sections: list[AccountSteps] = []
    messages: dict[str, bytes] = {}
    steps: list[DialogueStep] = []
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
            sections.append(AccountSteps(text[4:].strip(), (), messages))
        elif text and not text.startswith("#"):
            found = _STEP.fullmatch(text)
            if found is None or not sections:
                raise ValueError(f"{path.name}:{number}: neither a section, nor a message, nor a step")
            steps.append(step(steps, found["connection"], found["text"], found["kind"]))
            sections[-1] = AccountSteps(sections[-1].title, tuple(steps), messages)
    return sections


def step(before: list[DialogueStep], connection: str, text: str, kind: str = ":", *, note: str = "") -> DialogueStep:
    """Make the step that follows the steps `before`; a step with the same text as one of them gets a number (`#2`)."""
    at = f"{note}{connection}{kind} {text}"
    again = sum(1 for one in before if one.at == at or one.at.startswith(f"{at} #"))
    return DialogueStep(connection, kind, text, f"{at} #{again + 1}" if again else at)


def octets(text: str) -> bytes:
    r"""Return text as octets: `\xNN` is one octet, and everything else is encoded in UTF-8."""
    pieces = _OCTET.split(text)
    return b"".join(bytes.fromhex(piece) if at % 2 else piece.encode() for at, piece in enumerate(pieces))


def filled(text: str, values: Mapping[str, str]) -> str:
    """Replace variables by their values; raises KeyError for a variable without a value."""

    def value(found: re.Match[str]) -> str:
        return "A" * int(found["count"]) if found["count"] else values[found["name"]]

    return _VARIABLE.sub(value, text)


def line_of(text: str, messages: Mapping[str, bytes]) -> LogicalLine:
    """Return a step's text as a line with literals; raises KeyError for the name of an unknown message."""
    parts: list[Part] = []
    at = 0
    for found in _LITERAL.finditer(text):
        parts.append(octets(text[at : found.start()]))
        data = messages[found["name"]] if found["name"] else _unescaped(found["text"])
        parts.append(ImapLiteral.of(data, binary=bool(found["binary"]), synchronising=not found["plus"]))
        at = found.end()
    return LogicalLine((*parts, octets(text[at:])))


def _unescaped(text: str) -> bytes:
    pieces = _ESCAPE.split(text)
    known = {"r": b"\r", "n": b"\n", "\\": b"\\", '"': b'"'}
    return b"".join(
        piece.encode() if at % 2 == 0 else known[piece] if piece in known else bytes.fromhex(piece[1:])
        for at, piece in enumerate(pieces)
    )


def odd_section(path: Path) -> AccountSteps:
    """Make a section of the table of odd messages: each is stored in a mailbox of its own; raises OSError.

    A message begins with a line `=== NAME`. Below its lines there is `--- ITEMS` for each question, with the reference
    server's answer, which is not used. The section sends these FETCH items and searches, and `OF_ALL` for each message.
    """
    text = path.read_text(encoding="utf-8") + "\n"
    messages: dict[str, bytes] = {}
    steps: list[DialogueStep] = []
    for number, entry in enumerate(re.split("^=== ", text, flags=re.MULTILINE)[1:], 1):
        written, *questions = re.split("^--- ", entry.removesuffix("\n\n") + "\n", flags=re.MULTILINE)
        name, *lines = written.split("\n")
        messages[f"odd {number}"] = _message(lines)
        asked = [question.partition("\n")[0] for question in questions]
        said = [f"CREATE odd{number}", f"APPEND odd{number} {{odd {number}}}", f"EXAMINE odd{number}"]
        said += [_command(items) for items in dict.fromkeys([*OF_ALL, *asked])]
        for one in said:
            steps.append(step(steps, "1", one, note=f"{name}, "))
    return AccountSteps(ODD_TITLE, tuple(steps), messages)


def _message(lines: list[str]) -> bytes:
    r"""Return the octets of a message's lines: `\n` is a bare line feed, and a last `\c` removes the last line end."""
    text = "\r\n".join(lines).replace("\\n\r\n", "\n").replace("\\n", "\n")
    return octets(text).removesuffix(b"\\c\r\n")


def _command(items: str) -> str:
    """Return the command for a question: FETCH of items, or SEARCH, with strings of 8-bit octets as literals."""
    if not items.startswith("SEARCH"):
        return f"FETCH 1 ({items})"
    return _ODD_STRING.sub(lambda word: '{"' + word[0].strip('"') + '"}', items)
