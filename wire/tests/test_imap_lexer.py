from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.framing import FramerRole, ImapLiteral, LineFramer, LineReceived, LogicalLine
from lemonade_wire.imap.lexer import (
    MAX_DEPTH,
    Atom,
    Lexer,
    ListValue,
    Quoted,
    as_nstring,
    as_number,
    as_octets,
    as_text,
    quote,
)
from lemonade_wire.imap.section import FetchItem, MessageSection


def lexer(*parts: bytes | ImapLiteral) -> Lexer:
    return Lexer(LogicalLine.of(*parts))


def test_command_is_read_token_by_token() -> None:
    reader = lexer(b'a.1 login "j\\"o\\\\e" ', ImapLiteral.of(b"p w"), b" NIL (\\Seen $x) 17 1:*,5")
    assert reader.tag() == "a.1"
    reader.space()
    assert reader.atom() == "login"
    reader.space()
    assert reader.astring() == b'j"o\\e'
    reader.space()
    assert reader.peek() == "{"
    assert reader.text() == "p w"
    reader.space()
    assert reader.nstring() is None
    reader.space()
    reader.expect("(")
    assert reader.flag() == "\\Seen"
    reader.space()
    assert reader.flag() == "$x"
    reader.expect(")")
    reader.space()
    assert reader.number() == 17
    reader.space()
    assert reader.sequence_set() == "1:*,5"
    reader.end()
    assert reader.at_end


def test_an_unquoted_url_is_an_astring_as_far_as_it_goes() -> None:
    reader = lexer(b"imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+joe INTERNAL")
    assert reader.astring() == b"imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+joe"
    reader = lexer(b"imap://joe@example.com/Voice%20Mail")
    assert reader.astring() == b"imap://joe@example.com/Voice"
    assert not reader.at_end


def test_list_patterns_may_hold_wildcards() -> None:
    assert lexer(b"~/Mail/%").list_mailbox() == b"~/Mail/%"
    assert lexer(b'"*"').list_mailbox() == b"*"


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("UID", FetchItem("UID")),
        ("body.peek[1.2.MIME]<0.20>", FetchItem("BODY.PEEK", MessageSection((1, 2), "MIME"), 0, 20)),
        ("BODY[]", FetchItem("BODY", MessageSection())),
        ("BODY[HEADER.FIELDS (DATE FROM)]", FetchItem("BODY", MessageSection((), "HEADER.FIELDS", ("DATE", "FROM")))),
        ("BINARY.SIZE[4.2]", FetchItem("BINARY.SIZE", MessageSection((4, 2)))),
        ("BODY[4.1.TEXT]<7>", FetchItem("BODY", MessageSection((4, 1), "TEXT"), 7)),
    ],
)
def test_fetch_items_are_read_and_written(text: str, item: FetchItem) -> None:
    reader = lexer(text.encode() + b" FLAGS")
    assert reader.fetch_item() == item
    reader.space()
    assert reader.fetch_item() == FetchItem("FLAGS")
    assert FetchItem.parse(str(item)) == item


def test_field_names_may_be_strings_and_literals() -> None:
    reader = lexer(b'BODY[1.HEADER.FIELDS (a "b]c" ', ImapLiteral.of(b"Subject"), b")]<0.20>")
    assert reader.fetch_item() == FetchItem(
        "BODY", MessageSection((1,), "HEADER.FIELDS", ("a", "b]c", "Subject")), 0, 20
    )
    assert reader.at_end


@pytest.mark.parametrize(
    "item", [b"BODY[HEADER.FIELDS (a", b"BODY[HEADER.FIELDS ()]", b'BODY[TEXT ("a")]', b"BODY[1 2]"]
)
def test_items_that_end_too_early(item: bytes) -> None:
    with pytest.raises(ImapParseError):
        lexer(item).fetch_item()


def test_a_word_is_read_only_if_it_is_next() -> None:
    reader = lexer(b"Return returned ", ImapLiteral.of(b"RETURN"))
    assert reader.take_word("RETURN")
    reader.space()
    assert not reader.take_word("RETURN")
    assert reader.atom() == "returned"
    reader.space()
    assert not reader.take_word("RETURN")


@pytest.mark.parametrize("literal", [ImapLiteral.of(b"a\0b"), ImapLiteral.of(b"ab", binary=True)])
def test_an_astring_has_no_nul_and_is_no_literal8(literal: ImapLiteral) -> None:
    # RFC 3501 section 9: CHAR8 has no NUL; RFC 4466 section 2: literal8 only where the grammar names it
    with pytest.raises(ImapParseError):
        lexer(literal).astring()
    assert lexer(literal).literal() == literal
    with pytest.raises(ImapParseError):
        lexer(b'"ab"').literal()


@pytest.mark.parametrize(
    ("octets", "method"),
    [
        (b'"abc', "string"),
        (b'"a\\x"', "string"),
        (b"(", "atom"),
        (b"", "atom"),
        (b"+a", "tag"),
        (b"foo", "nstring"),
        (b"x", "number"),
        (b"9" * 19, "number"),
        (b"9" * 5000, "sequence_set"),
        (b",1", "sequence_set"),
        (b"[1]", "fetch_item"),
        (b'"\xff"', "text"),
        (b"x y", "end"),
        (b"x", "space"),
    ],
)
def test_bad_tokens_are_refused(octets: bytes, method: str) -> None:
    reader = lexer(octets)
    with pytest.raises(ImapParseError):
        getattr(reader, method)()


def test_an_error_does_not_quote_what_was_there() -> None:
    reader = lexer(b'"secret')
    with pytest.raises(ImapParseError) as caught:
        reader.string()
    assert "secret" not in str(caught.value)


def test_values_of_a_response() -> None:
    reader = lexer(
        b"(FLAGS (\\Seen) BODY[HEADER.FIELDS (A B)]<0> ", ImapLiteral.of(b"x"), b' "q" NIL 12) imap://h/%20;x=[1] ()'
    )
    assert reader.values() == [
        ListValue(
            (
                Atom("FLAGS"),
                ListValue((Atom("\\Seen"),)),
                Atom("BODY[HEADER.FIELDS (A B)]<0>"),
                ImapLiteral.of(b"x"),
                Quoted(b"q"),
                Atom("NIL"),
                Atom("12"),
            )
        ),
        Atom("imap://h/%20;x=[1]"),
        ListValue(()),
    ]


def test_a_section_may_name_fields_with_brackets_and_quotes() -> None:
    (value,) = lexer(rb'(BODY[HEADER.FIELDS ("X-a]b\"c" To)]<0> "x" UID 3)').values()
    assert value == ListValue(
        (Atom(r'BODY[HEADER.FIELDS ("X-a]b\"c" To)]<0>'), Quoted(b"x"), Atom("UID"), Atom("3")),
    )


def test_an_unclosed_list_ends_with_its_line() -> None:
    assert lexer(b"(BINARY ", ImapLiteral.of(b""), b"").values() == [ListValue((Atom("BINARY"), ImapLiteral.of(b"")))]


def test_deep_nesting_is_refused_before_python_gives_up() -> None:
    assert lexer(b"(" * MAX_DEPTH).values()
    with pytest.raises(ImapParseError):
        lexer(b"(" * 5000).values()


def test_values_are_converted_to_text_and_numbers() -> None:
    assert as_nstring(Atom("nil")) is None
    assert as_nstring(Quoted(b"NIL")) == b"NIL"
    assert as_octets(Atom("\xe4")) == b"\xe4"
    assert as_text(Quoted("ä".encode())) == "ä"
    assert as_text(Quoted(b"\xe4")) == "ä"
    assert as_number(Atom("12")) == 12
    for bad in (Atom("9" * 5000), Atom("x"), ListValue(()), Atom("-1")):
        with pytest.raises(ImapParseError):
            as_number(bad)


def test_strings_choose_their_form() -> None:
    assert quote(b'a"b\\c') == b'"a\\"b\\\\c"'
    assert quote(b"") == b'""'
    assert quote(b"a\r\nb") == ImapLiteral.of(b"a\r\nb")
    assert quote("ä".encode()) == ImapLiteral.of("ä".encode())
    assert quote(b"a\0") == ImapLiteral.of(b"a\0", binary=True)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_any_string_survives_writing_and_reading(data: bytes) -> None:
    written = LogicalLine.of(b"* X ", quote(data), b"")
    framer = LineFramer(FramerRole.CLIENT)
    framer.receive_data(written.octets())
    event = framer.next_event()
    assert isinstance(event, LineReceived)
    reader = Lexer(event.line)
    assert [as_octets(value) for value in reader.values()][2:] == [data]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40), st.binary(max_size=20))
def test_anything_raises_only_the_documented_error(first: bytes, second: bytes) -> None:
    for method in (
        "tag",
        "atom",
        "flag",
        "astring",
        "nstring",
        "text",
        "number",
        "fetch_item",
        "values",
        "end",
        "space",
    ):
        reader = lexer(first, ImapLiteral.of(second), first)
        try:
            for _ in range(4):
                getattr(reader, method)()
        except ImapParseError:
            pass
