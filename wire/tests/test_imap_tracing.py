from __future__ import annotations

import hashlib

import pytest

from lemonade_wire.imap.framing import ImapLiteral, LogicalLine
from lemonade_wire.imap.tracing import LiteralTally, command_form, literal_form, response_form


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (LogicalLine.of(b'a LOGIN joe "sec ret"'), "a LOGIN joe ***"),
        (LogicalLine.of(b'a login "jo\\"e" secret'), 'a login "jo\\"e" ***'),
        (LogicalLine.of(b"a LOGIN ", ImapLiteral.of(b"joe"), b" ", ImapLiteral.of(b"secret"), b""), "a LOGIN {3} ***"),
        (LogicalLine.of(b"a LOGIN joe ", ImapLiteral.of(b"secret"), b""), "a LOGIN joe ***"),
        (LogicalLine.of(b'a LOGIN "joe secret'), "a LOGIN ***"),
        (LogicalLine.of(b"a LOGINX joe ", ImapLiteral.of(b"secret"), b""), "***"),
        (LogicalLine.of(b"a LOGIN anonymously secret"), "a LOGIN anonymously ***"),
        (LogicalLine.of(b"a LOGIN anonymous ", ImapLiteral.of(b"post@x"), b""), "a LOGIN anonymous {6}"),
        (LogicalLine.of(b"a LOGIN"), "a LOGIN ***"),
        (LogicalLine.of(b"a AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ="), "a AUTHENTICATE PLAIN ***"),
        (LogicalLine.of(b"a authenticate ANONYMOUS"), "a authenticate ANONYMOUS"),
    ],
)
def test_no_password_is_shown(line: LogicalLine, text: str) -> None:
    assert command_form(line) == (text, [])


@pytest.mark.parametrize("line", [b'a LOGIN "Anonymous" "postmaster@example.net"', b"a login anonymous null"])
def test_the_password_of_anonymous_is_shown(line: bytes) -> None:
    assert command_form(LogicalLine.of(line)) == (line.decode(), [])


def test_literals_stand_as_their_marks_beside_their_digests() -> None:
    line = LogicalLine.of(
        b"* URLFETCH ", ImapLiteral.of(b"imap://h"), b" (BINARY ", ImapLiteral.of(b"\0\xff", binary=True), b")"
    )
    text, literals = response_form(line)
    assert text == "* URLFETCH {8} (BINARY ~{2})"
    assert literals == [
        {"size": 8, "sha256": hashlib.sha256(b"imap://h").hexdigest(), "text": "imap://h"},
        {"size": 2, "sha256": hashlib.sha256(b"\0\xff").hexdigest()},
    ]


def test_octets_that_are_no_text_are_shown_escaped() -> None:
    assert response_form(LogicalLine.of(b"* OK \xff")) == ("* OK \\xff", [])


def test_a_literal_that_was_streamed_past_has_its_size_alone() -> None:
    assert literal_form(ImapLiteral(b"", 7, kept=False)) == {"size": 7}


@pytest.mark.parametrize("data", [b"", b"abc", b"\xff", b"x" * 512, b"y" * 513, b"z" * 5000])
def test_chunks_give_the_same_form_as_the_whole_literal(data: bytes) -> None:
    tally = LiteralTally()
    for at in range(0, len(data), 7):
        tally.update(data[at : at + 7])
    assert tally.form() == literal_form(ImapLiteral.of(data))
    form = tally.form()
    assert isinstance(form, dict)
    assert ("text" in form) is (len(data) <= 512 and data != b"\xff")
