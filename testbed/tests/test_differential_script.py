from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_testbed.differential.script import filled, line_of, octets, read_sections
from lemonade_wire.imap.framing import Literal

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
def test_a_line_that_means_nothing_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "s.txt"
    path.write_text(f"=== a\n1: NOOP\n{line}\n")
    with pytest.raises(ValueError, match=r"s.txt:3"):
        read_sections(path)


def test_a_step_stands_in_a_section(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_text("1: NOOP\n")
    with pytest.raises(ValueError, match=r"s.txt:1"):
        read_sections(path)


def test_literals_of_all_kinds() -> None:
    line = line_of(r'APPEND {"a b"} (\Seen) {+mail} ~{"x\x00\r\n\"\\"}', {"mail": b"octets"})
    assert line.parts == (
        b"APPEND ",
        Literal.of(b"a b"),
        rb" (\Seen) ",
        Literal.of(b"octets", synchronising=False),
        b" ",
        Literal.of(b'x\0\r\n"\\', binary=True),
        b"",
    )
    assert line_of("FETCH {12}", {}).parts == (b"FETCH {12}",)
    with pytest.raises(KeyError):
        line_of("{nobody}", {})


def test_variables() -> None:
    assert filled(r"a$/b $A(3) $user $x \x41", {"/": ".", "user": "joe"}) == r"a.b AAA joe $x \x41"
    with pytest.raises(KeyError):
        filled("$url", {})


def test_octets() -> None:
    assert octets(r"gr\xC3\xBC ü \Seen") == "grü ü \\Seen".encode()
