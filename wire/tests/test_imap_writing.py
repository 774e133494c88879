from __future__ import annotations

from lemonade_wire.imap.framing import Literal, LogicalLine
from lemonade_wire.imap.writing import join, line_of, nstring, text_string


def test_strings_and_lists() -> None:
    assert nstring(None) == [b"NIL"]
    assert text_string('a"') == [b'"a\\""']
    parts = join(b"(", [nstring("x"), text_string("ü"), [b"1"]], b")")
    assert line_of([b"* X ", *parts]) == LogicalLine.of(b'* X ("x" ', Literal.of("ü".encode()), b" 1)")
    assert line_of(parts).octets() == b'("x" {2}\r\n\xc3\xbc 1)\r\n'


def test_an_empty_list_of_items() -> None:
    assert line_of(join(b"(", [], b")")) == LogicalLine.of(b"()")
