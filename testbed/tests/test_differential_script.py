from __future__ import annotations

from pathlib import Path

import pytest

from differential.script import OF_ALL, filled, line_of, octets, odd_section, read_sections
from lemonade_wire.imap.framing import ImapLiteral

FILE = r"""# a remark
--- mail
Subject: x

body
---

=== first: of two
1: SELECT INBOX
x< DONE
1: SELECT INBOX
=== second
2: APPEND a$/b {mail}
"""
ODD_MESSAGES = r"""About it.

=== first of all
Subject: x\c
--- ENVELOPE
ENVELOPE (...)
--- SEARCH CHARSET UTF-8 SUBJECT "gr\xC3\xBC"
1

=== second
Subject: unix\n\nbody\xFC\n
"""


def test_a_file_is_read_into_sections(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_text(FILE)
    first, second = read_sections(path)
    assert first.title == "first: of two"
    assert [(one.connection, one.text, one.kind, one.logs_in) for one in first.steps] == [
        ("1", "SELECT INBOX", ":", True),
        ("x", "DONE", "<", False),
        ("1", "SELECT INBOX", ":", True),
    ]
    assert [one.at for one in first.steps] == ["1: SELECT INBOX", "x< DONE", "1: SELECT INBOX #2"]
    assert second.messages["mail"] == b"Subject: x\r\n\r\nbody\r\n"


@pytest.mark.parametrize("line", ["SELECT INBOX", "1 SELECT", "==="])
def test_an_invalid_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "s.txt"
    path.write_text(f"=== a\n1: NOOP\n{line}\n")
    with pytest.raises(ValueError, match=r"s.txt:3"):
        read_sections(path)


def test_a_step_outside_a_section_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_text("1: NOOP\n")
    with pytest.raises(ValueError, match=r"s.txt:1"):
        read_sections(path)


def test_every_kind_of_literal_is_read() -> None:
    line = line_of(r'APPEND {"a b"} (\Seen) {+mail} ~{"x\x00\r\n\"\\"}', {"mail": b"octets"})
    assert line.parts == (
        b"APPEND ",
        ImapLiteral.of(b"a b"),
        rb" (\Seen) ",
        ImapLiteral.of(b"octets", synchronising=False),
        b" ",
        ImapLiteral.of(b'x\0\r\n"\\', binary=True),
        b"",
    )
    assert line_of("FETCH {12}", {}).parts == (b"FETCH {12}",)
    with pytest.raises(KeyError):
        line_of("{nobody}", {})


def test_variables_are_replaced_by_their_values() -> None:
    assert filled(r"a$/b $A(3) $user $x \x41", {"/": ".", "user": "joe"}) == r"a.b AAA joe $x \x41"
    with pytest.raises(KeyError):
        filled("$url", {})


def test_escapes_become_octets_and_the_rest_utf_8() -> None:
    assert octets(r"gr\xC3\xBC ü \Seen") == "grü ü \\Seen".encode()


def test_every_odd_message_has_its_mailbox_and_its_questions(tmp_path: Path) -> None:
    path = tmp_path / "odd.txt"
    path.write_text(ODD_MESSAGES)
    section = odd_section(path)
    assert section.messages == {"odd 1": b"Subject: x", "odd 2": b"Subject: unix\n\nbody\xfc\n"}
    texts = [one.text for one in section.steps]
    assert texts[:4] == ["CREATE odd1", "APPEND odd1 {odd 1}", "EXAMINE odd1", "FETCH 1 (ENVELOPE)"]
    assert len(texts) == 2 * (3 + len(OF_ALL)) + 1
    search = next(text for text in texts if text.startswith("SEARCH"))
    assert line_of(search, section.messages).parts == (
        b"SEARCH CHARSET UTF-8 SUBJECT ",
        ImapLiteral.of("grü".encode()),
        b"",
    )
    assert section.steps[3].at == "first of all, 1: FETCH 1 (ENVELOPE)"
