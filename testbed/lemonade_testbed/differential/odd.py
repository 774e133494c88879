"""The odd messages that the reference server's own tests know, as a section: each in a mailbox of its own.

Asked are the questions that stand with a message there, and the same few of every one. The answers that stand there are
for those tests: here other servers say what they think is right.
"""

from __future__ import annotations

import re
from pathlib import Path

from lemonade_testbed.differential.script import Section, Step, octets, step

TITLE = "odd messages"
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
_STRING = re.compile(r'"[^"]*\\x[^"]*"|[^ "]*\\x[^ ]*')


def odd_section(path: Path) -> Section:
    """Read the table; raises OSError."""
    text = path.read_text(encoding="utf-8") + "\n"
    messages: dict[str, bytes] = {}
    steps: list[Step] = []
    for number, entry in enumerate(re.split("^=== ", text, flags=re.MULTILINE)[1:], 1):
        written, *questions = re.split("^--- ", entry.removesuffix("\n\n") + "\n", flags=re.MULTILINE)
        name, *lines = written.split("\n")
        messages[f"odd {number}"] = _message(lines)
        asked = [question.partition("\n")[0] for question in questions]
        said = [f"CREATE odd{number}", f"APPEND odd{number} {{odd {number}}}", f"EXAMINE odd{number}"]
        said += [_command(items) for items in dict.fromkeys([*OF_ALL, *asked])]
        for one in said:
            steps.append(step(steps, "1", one, note=f"{name}, "))
    return Section(TITLE, tuple(steps), messages)


def _message(lines: list[str]) -> bytes:
    r"""Return lines as the octets they stand for: `\n` is a bare line feed, a last `\c` takes a line end away."""
    text = "\r\n".join(lines).replace("\\n\r\n", "\n").replace("\\n", "\n")
    return octets(text).removesuffix(b"\\c\r\n")


def _command(items: str) -> str:
    """Return the command, with strings of eight bits as literals."""
    if not items.startswith("SEARCH"):
        return f"FETCH 1 ({items})"
    return _STRING.sub(lambda word: '{"' + word[0].strip('"') + '"}', items)
