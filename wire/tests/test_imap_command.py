from __future__ import annotations

import pytest

from lemonade_wire.imap import command
from lemonade_wire.imap.command import join, line_of, nstring, text_string
from lemonade_wire.imap.framing import ImapLiteral, LogicalLine


def test_strings_and_lists() -> None:
    assert nstring(None) == [b"NIL"]
    assert text_string('a"') == [b'"a\\""']
    parts = join(b"(", [nstring("x"), text_string("ü"), [b"1"]], b")")
    assert line_of([b"* X ", *parts]) == LogicalLine.of(b'* X ("x" ', ImapLiteral.of("ü".encode()), b" 1)")
    assert line_of(parts).octets() == b'("x" {2}\r\n\xc3\xbc 1)\r\n'


def test_an_empty_list_of_items() -> None:
    assert line_of(join(b"(", [], b")")) == LogicalLine.of(b"()")


@pytest.mark.parametrize(
    ("one", "octets"),
    [
        (command.logout(), b"LOGOUT\r\n"),
        (command.examine("A B"), b'EXAMINE "A B"\r\n'),
        (command.create("x"), b'CREATE "x"\r\n'),
        (command.list_mailboxes(), b'LIST "" "*"\r\n'),
        (command.resetkey(), b"RESETKEY\r\n"),
        (command.resetkey("INBOX"), b'RESETKEY "INBOX"\r\n'),
        (command.setmetadata("/shared/x", b"v"), b'SETMETADATA "" ("/shared/x" "v")\r\n'),
        (command.setmetadata("/shared/x", None), b'SETMETADATA "" ("/shared/x" NIL)\r\n'),
        (command.urlfetch("imap://h/a%20b/;UID=1"), b'URLFETCH "imap://h/a%20b/;UID=1"\r\n'),
        (command.raw("uid fetch 1 (FLAGS)"), b"uid fetch 1 (FLAGS)\r\n"),
    ],
)
def test_commands_on_the_wire(one: command.ImapCommand, octets: bytes) -> None:
    assert one.line.octets() == octets


def test_raw_commands_have_a_name_and_no_line_break() -> None:
    assert command.raw("uid fetch 1 FLAGS").name == "UID FETCH"
    assert command.raw("Noop").name == "NOOP"
    with pytest.raises(ValueError, match="one line"):
        command.raw("NOOP\r\nLOGOUT")


def test_a_command_does_not_show_its_secrets() -> None:
    assert "secret" not in repr(command.login("joe", "secret"))
    assert "secret" not in repr(command.authenticate_plain("joe", "secret"))


def test_sasl_messages_on_the_wire() -> None:
    assert command.sasl_line(b"\0joe\0secret") == b"AGpvZQBzZWNyZXQ="
    assert command.sasl_line(b"") == b""
    assert command.sasl_line(b"", initial=True) == b"="


class CopiedOnce(bytes):
    """A text that refuses to be added to another one: each sum would copy all the texts before it again."""

    def __add__(self, other: object) -> bytes:
        raise AssertionError("the texts are joined at once")

    __radd__ = __add__


def test_a_line_of_many_texts_is_joined_at_once() -> None:
    literal = ImapLiteral.of(b"x")
    texts = [CopiedOnce(b"ab")] * 50000
    assert line_of(texts).parts == (b"ab" * 50000,)
    assert line_of([literal, *texts, literal, literal]).parts == (b"", literal, b"ab" * 50000, literal, literal)
    assert line_of([]).parts == (b"",)
