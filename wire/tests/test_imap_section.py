from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.section import FetchItem, MessageSection


@pytest.mark.parametrize(
    ("text", "section"),
    [
        ("", MessageSection()),
        ("1", MessageSection((1,))),
        ("4.2.2.mime", MessageSection((4, 2, 2), "MIME")),
        ("Header", MessageSection((), "HEADER")),
        ("3.TEXT", MessageSection((3,), "TEXT")),
        ('HEADER.FIELDS.NOT (DATE "FROM")', MessageSection((), "HEADER.FIELDS.NOT", ("DATE", "FROM"))),
        ('2.HEADER.FIELDS ( "X-a]b" "q\\"r" )', MessageSection((2,), "HEADER.FIELDS", ("X-a]b", 'q"r'))),
    ],
)
def test_sections_are_read_and_written(text: str, section: MessageSection) -> None:
    assert MessageSection.parse(text) == section
    assert MessageSection.parse(str(section)) == section


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "1..2",
        "MIME",
        "1.",
        ".1",
        "HEADER.FIELDS",
        "TEXT (A)",
        "1MIME",
        "2.TEXT.1",
        "x",
        "1 ",
        "99999999999",
        "HEADER.FIELDS ()",
    ],
)
def test_sections_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(ImapParseError):
        MessageSection.parse(text)


@pytest.mark.parametrize("field", ["a b", "a:b", "", "\xe4", "a\r"])
def test_a_field_name_is_printable_ascii(field: str) -> None:
    with pytest.raises(ImapParseError):
        MessageSection.of("HEADER.FIELDS", (field,))


def test_field_names_that_are_no_atoms_are_written_as_strings() -> None:
    item = FetchItem("BODY", MessageSection((), "HEADER.FIELDS", ("Date", "X-a]b", 'q"r')), 0, 5)
    assert str(item) == 'BODY[HEADER.FIELDS (Date "X-a]b" "q\\"r")]<0.5>'
    assert FetchItem.parse(str(item)) == item


@pytest.mark.parametrize("text", ["", "BODY[", "BODY]", "BODY[1]<>", "BODY[1]<1.>", "BODY<1>", "BODY[x]", "BO DY"])
def test_malformed_fetch_items_are_refused(text: str) -> None:
    with pytest.raises(ImapParseError):
        FetchItem.parse(text)


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("BODY[]<>.12 HEADERMIXT()"), max_size=20))
def test_anything_raises_only_the_documented_error(text: str) -> None:
    try:
        item = FetchItem.parse(text)
    except ImapParseError:
        return
    assert FetchItem.parse(str(item)) == item
