from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_imap.grammar import commands as c
from lemonade_imap.grammar.append import AppendMessage, AppendReader, TextPart, UrlPart
from lemonade_imap.grammar.parser import CommandError, parse_command
from lemonade_imap.grammar.search import SearchKey
from lemonade_imap.grammar.sequence import SequenceSet
from lemonade_imap.grammar.session import sasl_message
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.framing import Announced, FramerRole, ImapLiteral, LineFramer, LiteralPlan, LogicalLine
from lemonade_wire.imap.lexer import Lexer
from lemonade_wire.imap.section import FetchItem, MessageSection

ONE = SequenceSet(((1, 1),))
RECENT = SearchKey("FLAG", text="\\recent")
URL = "imap://joe@h/INBOX/;UID=1;URLAUTH=anonymous"
ARGUMENT = c.UrlFetchArgument

GOOD: dict[str, c.ParsedCommand] = {
    "noop": c.Noop(),
    "CAPABILITY": c.Capability(),
    "Logout": c.Logout(),
    "CHECK": c.CheckCommand(),
    'LOGIN joe "se\\"cret"': c.Login("joe", 'se"cret'),
    "AUTHENTICATE anonymous": c.Authenticate("ANONYMOUS"),
    "AUTHENTICATE ANONYMOUS bWU=": c.Authenticate("ANONYMOUS", b"me"),
    "AUTHENTICATE ANONYMOUS =": c.Authenticate("ANONYMOUS", b""),
    'LIST "" *': c.ListMailboxes("", "*"),
    'LSUB "a/" %': c.ListSubscribed("a/", "%"),
    "SELECT inbox": c.Select("INBOX"),
    'EXAMINE "F&APwA3w-e"': c.Select("Füße", read_only=True),
    "CREATE a/b/": c.Create("a/b"),
    "DELETE a": c.Delete("a"),
    "STATUS INBOX (messages UIDNEXT)": c.Status("INBOX", ("MESSAGES", "UIDNEXT")),
    "FETCH 1 FLAGS": c.Fetch(ONE, (FetchItem("FLAGS"),)),
    "UID FETCH 1:* (UID BODYSTRUCTURE)": c.Fetch(
        SequenceSet(((1, None),)), (FetchItem("UID"), FetchItem("BODYSTRUCTURE")), by_uid=True
    ),
    "FETCH 1 fast": c.Fetch(ONE, (FetchItem("FLAGS"), FetchItem("INTERNALDATE"), FetchItem("RFC822.SIZE"))),
    "FETCH 1 BODY.PEEK[1.2.MIME]<0.20>": c.Fetch(ONE, (FetchItem("BODY.PEEK", MessageSection((1, 2), "MIME"), 0, 20),)),
    "FETCH 1 (BODY[HEADER.FIELDS (From To)])": c.Fetch(
        ONE, (FetchItem("BODY", MessageSection((), "HEADER.FIELDS", ("From", "To"))),)
    ),
    "FETCH 1 (BINARY[1.2]<0.20> BINARY.PEEK[] BINARY.SIZE[3] MODSEQ)": c.Fetch(
        ONE,
        (
            FetchItem("BINARY", MessageSection((1, 2)), 0, 20),
            FetchItem("BINARY.PEEK", MessageSection()),
            FetchItem("BINARY.SIZE", MessageSection((3,))),
            FetchItem("MODSEQ"),
        ),
    ),
    "UID FETCH 1 (FLAGS) (CHANGEDSINCE 12345)": c.Fetch(ONE, (FetchItem("FLAGS"),), by_uid=True, changed_since=12345),
    "SEARCH ALL": c.Search(SearchKey("ALL")),
    "SEARCH RETURN () ALL": c.Search(SearchKey("ALL"), results=("ALL",)),
    "UID SEARCH RETURN (MIN count) CHARSET KOI8-R SMALLER 5": c.Search(
        SearchKey("SMALLER", size=5), by_uid=True, results=("MIN", "COUNT")
    ),
    "SEARCH CHARSET klingon ALL": c.Search(SearchKey("ALL"), charset="klingon"),
    "SEARCH MODSEQ 620162338": c.Search(SearchKey("MODSEQ", size=620162338)),
    'SEARCH MODSEQ "/flags/\\\\draft" all 620162338': c.Search(SearchKey("MODSEQ", size=620162338)),
    "SEARCH RECENT": c.Search(RECENT),
    "SEARCH OLD": c.Search(SearchKey("NOT", (RECENT,))),
    "SEARCH NEW": c.Search(
        SearchKey("AND", (RECENT, SearchKey("NOT", (SearchKey("FLAG", text="\\seen"),)))),
    ),
    "SEARCH UNKEYWORD $Junk": c.Search(SearchKey("NOT", (SearchKey("FLAG", text="$junk"),))),
    'SEARCH HEADER X-Spam "" SENTON 01-Feb-2026': c.Search(
        SearchKey(
            "AND",
            (
                SearchKey("HEADER", name="X-Spam"),
                SearchKey("SENTON", day=datetime(2026, 2, 1, tzinfo=UTC).date()),
            ),
        )
    ),
    'APPEND drafts (\\Draft) CATENATE (URL "/INBOX/;UID=1" url x)': c.Append(
        "drafts", (AppendMessage(("\\Draft",), None, (UrlPart(b"/INBOX/;UID=1"), UrlPart(b"x"))),)
    ),
    "UID SEARCH CHARSET utf-8 UID 1 UNSEEN": c.Search(
        SearchKey(
            "AND",
            (
                SearchKey("UID", numbers=ONE),
                SearchKey("NOT", (SearchKey("FLAG", text="\\seen"),)),
            ),
        ),
        by_uid=True,
    ),
    "SEARCH CC joe": c.Search(SearchKey("ADDRESS", name="CC", text="joe")),
    "SEARCH OR (FROM a 1) NOT SINCE 1-Feb-2026": c.Search(
        SearchKey(
            "OR",
            (
                SearchKey("AND", (SearchKey("ADDRESS", name="FROM", text="a"), SearchKey("NUMBERS", numbers=ONE))),
                SearchKey("NOT", (SearchKey("SINCE", day=datetime(2026, 2, 1, tzinfo=UTC).date()),)),
            ),
        )
    ),
    "STORE 1 +FLAGS.SILENT (\\Seen work)": c.StoreFlags(ONE, "+", ("\\Seen", "work"), silent=True),
    "UID STORE 1 flags \\Deleted x": c.StoreFlags(ONE, "", ("\\Deleted", "x"), by_uid=True),
    "CLOSE": c.Close(),
    "UNSELECT": c.Close(expunge=False),
    "EXPUNGE": c.Expunge(),
    'GETMETADATA "" /shared/mediaServers': c.GetMetadata("", ("/shared/mediaServers",)),
    'GETMETADATA (MAXSIZE 10 DEPTH infinity) "" (/a /b)': c.GetMetadata("", ("/a", "/b"), 10, "INFINITY"),
    'GETMETADATA "" (DEPTH 1) (/a)': c.GetMetadata("", ("/a",), None, "1"),
    'GETMETADATA "" /a /b': c.GetMetadata("", ("/a", "/b")),
    'SETMETADATA "" (/a NIL /b "x")': c.SetMetadata("", (("/a", None), ("/b", b"x"))),
    "RESETKEY": c.ResetKey(),
    "RESETKEY INBOX INTERNAL": c.ResetKey("INBOX"),
    f'GENURLAUTH "{URL}" INTERNAL "{URL}" x': c.GenUrlAuth(((URL.encode(), "INTERNAL"), (URL.encode(), "x"))),
    f"URLFETCH {URL}": c.UrlFetch((ARGUMENT(URL.encode()),)),
    f'URLFETCH ("{URL}" BODYPARTSTRUCTURE binary)': c.UrlFetch(
        (ARGUMENT(URL.encode(), ("BODYPARTSTRUCTURE", "BINARY")),)
    ),
    # E-31: the draft's blanks; RFC 5524's example has two before the first
    f'URLFETCH  ( "{URL}" BODYPARTSTRUCTURE BINARY ) ("{URL}") "{URL}"': c.UrlFetch(
        (
            ARGUMENT(URL.encode(), ("BODYPARTSTRUCTURE", "BINARY")),
            ARGUMENT(URL.encode()),
            ARGUMENT(URL.encode()),
        )
    ),
}
BAD = {
    "nothing": "",
    "no such command": "FROBNICATE",
    "no such UID command": "UID LOGOUT",
    "argument too many": "NOOP now",
    "password missing": "LOGIN joe",
    "initial response that is no base64": "AUTHENTICATE PLAIN !!!",
    "status item": "STATUS INBOX (SIZE)",
    "status without items": "STATUS INBOX ()",
    "append without a literal": 'APPEND INBOX "text"',
    "append with a wrong date": 'APPEND INBOX "99-Foo-2026 00:00:00 +0000" x',
    "message zero": "FETCH 0 FLAGS",
    "unknown fetch item": "FETCH 1 SIZE",
    "section of BINARY with a word": "FETCH 1 BINARY[1.MIME]",
    "partial of BINARY.SIZE": "FETCH 1 BINARY.SIZE[1]<0.1>",
    "BINARY without a section": "FETCH 1 BINARY",
    "macro in a list": "FETCH 1 (FAST)",
    "unknown modifier of FETCH": "FETCH 1 FLAGS (VANISHED)",
    "mod-sequence above 63 bits": "FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775808)",
    "mod-sequence of twenty digits": "STORE 1 (UNCHANGEDSINCE 10000000000000000000) FLAGS x",
    "modifier without its parenthesis": "FETCH 1 FLAGS (CHANGEDSINCE 1",
    "unknown result": "SEARCH RETURN (SAVE) ALL",
    "results without keys": "SEARCH RETURN ()",
    "charset without keys": "SEARCH CHARSET UTF-8",
    "charset before results": "SEARCH CHARSET UTF-8 RETURN () ALL",
    "search keys without a space": "SEARCH (SEEN)(DRAFT)",
    "search list without a key": "SEARCH ()",
    "search with a flag as keyword": "SEARCH KEYWORD \\Seen",
    "search date of another kind": "SEARCH ON 2026-02-01",
    "search entry of another kind": 'SEARCH MODSEQ "/comment" all 1',
    "too many search keys": "SEARCH " + "ALL " * 600 + "ALL",
    "append of nothing": "APPEND INBOX",
    "append of an atom": "APPEND INBOX text",
    "catenate of nothing": "APPEND INBOX CATENATE ()",
    "catenate without parentheses": 'APPEND INBOX CATENATE URL "/INBOX/;UID=1"',
    "catenate of something else": 'APPEND INBOX CATENATE (FILE "x")',
    "catenate without its end": 'APPEND INBOX CATENATE (URL "/INBOX/;UID=1"',
    "catenate of text as a string": 'APPEND INBOX CATENATE (TEXT "x")',
    "catenate without a space": 'APPEND INBOX CATENATE (URL "/INBOX/;UID=1"URL "/INBOX/;UID=1")',
    "empty partial": "FETCH 1 BODY[]<0.0>",
    "partial without a length": "FETCH 1 BODY[]<0>",
    "unknown section": "FETCH 1 BODY[FOOT]",
    "no items": "FETCH 1 ()",
    "unknown search key": "SEARCH COLOUR blue",
    "search without a key": "SEARCH ",
    "search date": "SEARCH SINCE 31-Feb-2026",
    "search nested too deep": "SEARCH " + "(" * 40 + "ALL" + ")" * 40,
    "store without flags": "STORE 1 FLAGS",
    "metadata option": 'GETMETADATA (SIZE 1) "" /a',
    "metadata entry with a star": 'GETMETADATA "" "/a*"',
    "metadata entry that ends in a slash": 'GETMETADATA "" /a/',
    "metadata entry without a slash": 'GETMETADATA "" a',
    "genurlauth without a mechanism": f'GENURLAUTH "{URL}"',
    "genurlauth without a URL": "GENURLAUTH",
    "urlfetch without a URL": "URLFETCH",
    "urlfetch with an unknown parameter": f'URLFETCH ("{URL}" SIZE)',
    "urlfetch with a parameter twice": f'URLFETCH ("{URL}" BODY BODY)',
    "urlfetch with BODY beside BINARY": f'URLFETCH ("{URL}" BODY BINARY)',
    "urlfetch without its parenthesis": f'URLFETCH ("{URL}" BODY',
    "resetkey with another mechanism": "RESETKEY INBOX XSAMPLE",
}


def parse(text: str) -> c.ParsedCommand:
    tagged = parse_command(LogicalLine.of(f"a1 {text}".encode()))
    assert tagged.tag == "a1"
    return tagged.command


@pytest.mark.parametrize("text", GOOD)
def test_each_line_becomes_this_command(text: str) -> None:
    command = parse(text)
    assert command == GOOD[text] or (type(command) is type(GOOD[text]) and not vars(command))


@pytest.mark.parametrize("name", BAD)
def test_an_invalid_command_is_refused_with_its_tag(name: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse(BAD[name])
    assert caught.value.tag == "a1"
    assert "\r" not in str(caught.value)


def test_the_text_of_a_refusal_contains_nothing_of_the_line() -> None:
    with pytest.raises(CommandError) as caught:
        parse('LOGIN joe "sesame" and more')
    assert "sesame" not in str(caught.value)
    assert "sesame" not in repr(parse("LOGIN joe sesame"))


@pytest.mark.parametrize("line", [b"", b" NOOP", b"+ NOOP", b'"a" NOOP', b"\xff\xfe"])
def test_a_line_without_a_tag_is_refused_without_a_tag(line: bytes) -> None:
    with pytest.raises(CommandError) as caught:
        parse_command(LogicalLine.of(line))
    assert caught.value.tag is None


MESSAGE = ImapLiteral(b"", 5, kept=False)
AT = datetime(2026, 11, 17, 8, 12, 44, tzinfo=timezone(timedelta(hours=1)))


def test_append_has_flags_dates_and_literals() -> None:
    date = b'"17-Nov-2026 08:12:44 +0100" '
    parts = (b"a APPEND ", ImapLiteral.of(b"F&APwA3w-e"), b" (\\Seen) " + date, MESSAGE, b" " + date, MESSAGE, b"")
    command = parse_command(LogicalLine(parts)).command
    first = AppendMessage(("\\Seen",), AT, (TextPart(5),))
    assert command == c.Append("Füße", (first, AppendMessage((), AT, (TextPart(5),))))
    # RFC 3516, 7: literal8
    command = parse_command(LogicalLine((b"a APPEND x ", ImapLiteral(b"", 5, binary=True, kept=False), b""))).command
    assert command == c.Append("x", (AppendMessage((), None, (TextPart(5, binary=True),)),))


CATENATE = b'a APPEND x CATENATE (URL "/x/;UID=1" TEXT '


def test_append_with_catenate_has_texts_and_urls() -> None:
    # RFC 4469, appendix A, with a second message behind it (RFC 3502)
    parts = (CATENATE, MESSAGE, b' URL "/x/;UID=2") (\\Seen) ', MESSAGE, b"")
    joined = AppendMessage((), None, (UrlPart(b"/x/;UID=1"), TextPart(5), UrlPart(b"/x/;UID=2")))
    assert parse_command(LogicalLine(parts)).command == c.Append(
        "x", (joined, AppendMessage(("\\Seen",), None, (TextPart(5),)))
    )


@pytest.mark.parametrize(
    ("before", "parts"),
    [
        ((b"a APPEND x ",), [1]),
        ((b'a append "x" (\\Seen) "17-Nov-2026 08:12:44 +0100" ',), [1]),
        ((b"a APPEND ", ImapLiteral.of(b"x"), b" "), [1]),
        ((b"a APPEND x ", MESSAGE, b" (a) "), [1, 1]),
        ((CATENATE,), [2]),
        ((CATENATE, MESSAGE, b' URL "/x/;UID=2") '), [3, 1]),
        ((CATENATE, MESSAGE, b" TEXT "), [3]),
        # literals that are not octets of a message: a name, a URL, or a literal of another command
        ((b"a APPEND ",), None),
        ((b"a APPEND x CATENATE (URL ",), None),
        ((b"a APPEND x CATENATE ",), None),
        ((b"a APPEND x (",), None),
        ((b"a APPEND x",), None),
        ((b"a LOGIN x ",), None),
        ((b"",), None),
    ],
)
def test_which_literals_are_octets_of_a_message(
    before: tuple[bytes | ImapLiteral, ...], parts: list[int] | None
) -> None:
    found = AppendReader().coming(Announced(before, 7, binary=False, synchronising=True))
    if parts is None:
        assert found is None
    else:
        assert found is not None
        tag, command = found
        assert tag == "a"
        assert [len(message.parts) for message in command.messages] == parts
        assert command.messages[-1].parts[-1] == TextPart(7)


def announcements(octets: bytes) -> list[tuple[bool, Announced]]:
    """Return the literals of octets as a session announces them, with whether each holds octets of a message."""
    found: list[tuple[bool, Announced]] = []
    reader = AppendReader()

    def plan(announced: Announced) -> LiteralPlan:
        found.append((reader.coming(announced) is not None, announced))
        return LiteralPlan.STREAM if found[-1][0] else LiteralPlan.KEEP

    framer = LineFramer(FramerRole.SERVER, plan)
    framer.receive_data(octets)
    while framer.next_event() is not None:
        pass
    return found


@pytest.mark.parametrize(
    ("octets", "streamed"),
    [
        (b"a APPEND {1+}\r\nx {1+}\r\ny {1+}\r\nz\r\n", [False, True, True]),
        (b"a APPEND x CATENATE (URL {1+}\r\n/ TEXT {1+}\r\ny URL {1+}\r\n/ TEXT {1+}\r\nz)\r\n", [False, True] * 2),
        (b"a APPEND x CATENATE (TEXT {1+}\r\ny) (a) {1+}\r\nz CATENATE (TEXT {1+}\r\ny)\r\n", [True] * 3),
        (b"a APPEND x (a) {1+}\r\nz (b {1+}\r\nc {1+}\r\nd\r\n", [True, False, False]),
        (b"a LOGIN {1+}\r\nz {1+}\r\nz\r\n", [False, False]),
    ],
)
def test_an_append_is_read_literal_by_literal_as_it_is_at_once(octets: bytes, streamed: list[bool]) -> None:
    found = announcements(octets)
    assert [is_streamed for is_streamed, _ in found] == streamed
    for is_streamed, announced in found:
        assert (AppendReader().coming(announced) is not None) is is_streamed


def test_each_text_of_an_append_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0
    match = Lexer._match

    def counting(lexer: Lexer, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        nonlocal read
        read += 1
        return match(lexer, pattern)

    monkeypatch.setattr(Lexer, "_match", counting)
    found = announcements(b"a APPEND x CATENATE (" + b"TEXT {0+}\r\n URL {1+}\r\n/ " * 400 + b"URL /)\r\n")
    assert [is_streamed for is_streamed, _ in found] == [True, False] * 400
    assert read <= 12 * 400


def test_the_strings_of_search_are_of_its_charset() -> None:
    parts = (
        b"a SEARCH CHARSET ISO-8859-1 SUBJECT ",
        ImapLiteral.of(b"Gr\xfc\xdfe"),
        b" TEXT ",
        ImapLiteral.of(b"\xe4"),
        b"",
    )
    command = parse_command(LogicalLine(parts)).command
    assert isinstance(command, c.Search)
    assert [key.text for key in command.key.keys] == ["Grüße", "ä"]
    with pytest.raises(CommandError):
        parse_command(LogicalLine((b"a SEARCH CHARSET UTF-8 SUBJECT ", ImapLiteral.of(b"\xfc"), b"")))
    with pytest.raises(CommandError):
        parse_command(LogicalLine((b"a SEARCH SUBJECT ", ImapLiteral.of(b"\xfc"), b"")))


def test_a_sasl_message_is_base64() -> None:
    assert sasl_message(b"AGpvZQBzZWNyZXQ=") == b"\0joe\0secret"
    with pytest.raises(ImapParseError):
        sasl_message(b"not base64")


@settings(max_examples=100)
@given(
    st.sampled_from([text.split()[0] for text in GOOD] + ["UID FETCH", "UID SEARCH", "UID STORE"]),
    st.lists(st.sampled_from(["(", ")", " ", '"', "\\", "1:*", "NIL", "BODY[", "]", "<0.1>", "a", URL, "ü", "{3}"])),
)
def test_any_octets_raise_only_command_error(word: str, pieces: list[str]) -> None:
    try:
        parse_command(LogicalLine((f"a {word} {''.join(pieces)}".encode(), ImapLiteral.of(b"\0\xff"), b"")))
        parse_command(LogicalLine.of(f"a {word} {''.join(pieces)}".encode()))
    except CommandError:
        pass
