"""Parses the RFCs' examples, invalid commands with their errors, and the commands that the wire package writes.

`test_parser` has the rest of RFC 3501; a `{n+}` in a vector is a non-synchronising literal (RFC 7888).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from lemonade_imap.grammar import commands as c
from lemonade_imap.grammar.append import AppendMessage, AppendReader, TextPart, UrlPart
from lemonade_imap.grammar.parser import CommandError, parse_command
from lemonade_imap.grammar.search import SearchKey
from lemonade_imap.grammar.sequence import SequenceSet
from lemonade_wire.imap import command as client
from lemonade_wire.imap.framing import Announced, FramerRole, LineFramer, LineReceived, LiteralPlan
from lemonade_wire.imap.section import FetchItem

RUMP = b"imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred"
TICKET = RUMP + b":internal:91354a473744909de610943775f92038"
FLAGGED = SearchKey("FLAG", text="\\flagged")
SMITH = SearchKey("NOT", (SearchKey("ADDRESS", name="FROM", text="Smith"),))
SINCE = SearchKey("SINCE", day=date(1994, 2, 1))
FEBRUARY = datetime(1994, 2, 7, 21, 52, 25, tzinfo=timezone(timedelta(hours=-8)))

GOOD: dict[bytes, c.ParsedCommand] = {
    # RFC 3501, 6.3.5 to 6.3.7
    b"RENAME blurdybloop sarasoop": c.Rename("blurdybloop", "sarasoop"),
    b"RENAME INBOX old-mail": c.Rename("INBOX", "old-mail"),
    b'rename "a b" {3+}\r\nc d': c.Rename("a b", "c d"),
    b"RENAME a F&APwA3w-e/": c.Rename("a", "F\u00fc\u00dfe"),
    b"SUBSCRIBE #news.comp.mail.mime": c.Subscribe("#news.comp.mail.mime"),
    b"UNSUBSCRIBE #news.comp.mail.mime": c.Unsubscribe("#news.comp.mail.mime"),
    b"SUBSCRIBE inbox/a": c.Subscribe("INBOX/a"),
    # RFC 3501, 6.4.7; RFC 6851, 4.3
    b"COPY 2:4 MEETING": c.Copy(SequenceSet(((2, 4),)), "MEETING"),
    b"UID COPY 1,4:* a]": c.Copy(SequenceSet(((1, 1), (4, None))), "a]", by_uid=True),
    b"MOVE * {1+}\r\na": c.Move(SequenceSet(((None, None),)), "a"),
    b"UID MOVE 42:69 foo": c.Move(SequenceSet(((42, 69),)), "foo", by_uid=True),
    # RFC 4315, 2.1
    b"UID EXPUNGE 3000:3002": c.Expunge(SequenceSet(((3000, 3002),))),
    # RFC 5161, 3.1; RFC 2342, 5; RFC 2971, 3.1
    b"ENABLE CONDSTORE X-GOOD-IDEA": c.Enable(("CONDSTORE", "X-GOOD-IDEA")),
    b"enable condstore": c.Enable(("CONDSTORE",)),
    b"NAMESPACE": c.Namespace(),
    b"ID NIL": c.Id(()),
    b"ID ()": c.Id(()),
    b'ID ("name" "sodr" "version" "19.34" "vendor" NIL)': c.Id(
        (("name", "sodr"), ("version", "19.34"), ("vendor", None))
    ),
    b'ID ("os" {2+}\r\nx\xff)': c.Id((("os", "x\ufffd"),)),
    # RFC 7162, 3.1.8, 3.1.3 and 3.1.4
    b"SELECT INBOX (CONDSTORE)": c.Select("INBOX", condstore=True),
    b"EXAMINE a ( condstore )": c.Select("a", read_only=True, condstore=True),
    b"UID STORE 6,4,8 (UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\\Deleted)": c.StoreFlags(
        SequenceSet(((6, 6), (4, 4), (8, 8))),
        "+",
        ("\\Deleted",),
        silent=True,
        by_uid=True,
        unchanged_since=12121230045,
    ),
    b"STORE 100:150 (UNCHANGEDSINCE 212030000000) +FLAGS.SILENT ($Processed)": c.StoreFlags(
        SequenceSet(((100, 150),)), "+", ("$Processed",), silent=True, unchanged_since=212030000000
    ),
    b"STORE 12 (UNCHANGEDSINCE 0) -FLAGS ()": c.StoreFlags(SequenceSet(((12, 12),)), "-", (), unchanged_since=0),
    b"STORE 1:* FLAGS.silent \\seen x": c.StoreFlags(SequenceSet(((1, None),)), "", ("\\Seen", "x"), silent=True),
    b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345)": c.Fetch(
        SequenceSet(((1, None),)), (FetchItem("FLAGS"),), by_uid=True, changed_since=12345
    ),
    b"FETCH 1,2 MODSEQ (changedsince 999999999999999999)": c.Fetch(
        SequenceSet(((1, 1), (2, 2))), (FetchItem("MODSEQ"),), changed_since=999999999999999999
    ),
    # RFC 4731, 4
    b'SEARCH RETURN (MIN COUNT) FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"': c.Search(
        SearchKey("AND", (FLAGGED, SINCE, SMITH)), results=("MIN", "COUNT")
    ),
    b'SEARCH RETURN () FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"': c.Search(
        SearchKey("AND", (FLAGGED, SINCE, SMITH)), results=("ALL",)
    ),
    b"UID SEARCH RETURN (MIN MAX) CHARSET UTF-8 FLAGGED": c.Search(FLAGGED, by_uid=True, results=("MIN", "MAX")),
    # RFC 3501, 6.3.11; RFC 3502, 6.3.11; RFC 3516, 4.4
    b'APPEND saved-messages (\\Seen) "07-Feb-1994 21:52:25 -0800" {2+}\r\nab': c.Append(
        "saved-messages", (AppendMessage(("\\Seen",), FEBRUARY, (TextPart(2),)),)
    ),
    b'APPEND saved-messages (\\Seen) {1+}\r\na (\\Seen) " 7-Feb-1994 22:43:04 -0800" {2+}\r\nbc': c.Append(
        "saved-messages",
        (
            AppendMessage(("\\Seen",), None, (TextPart(1),)),
            AppendMessage(("\\Seen",), FEBRUARY.replace(hour=22, minute=43, second=4), (TextPart(2),)),
        ),
    ),
    b"APPEND a () ~{2+}\r\na\0": c.Append("a", (AppendMessage((), None, (TextPart(2, binary=True),)),)),
    b"APPEND a (\\Recent \\seen) {1+}\r\na": c.Append("a", (AppendMessage(("\\Seen",), None, (TextPart(1),)),)),
    b"APPEND {1+}\r\na {1+}\r\nb": c.Append("a", (AppendMessage((), None, (TextPart(1),)),)),
    # RFC 4469, 7
    b"APPEND Drafts (\\Seen \\Draft $MDNSent) CATENATE"
    b' (URL "/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER" TEXT {2+}\r\nab'
    b' URL "/Drafts;UIDVALIDITY=385759045/;UID=30" TEXT {1+}\r\nc)': c.Append(
        "Drafts",
        (
            AppendMessage(
                ("\\Seen", "\\Draft", "$MDNSent"),
                None,
                (
                    UrlPart(b"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER"),
                    TextPart(2),
                    UrlPart(b"/Drafts;UIDVALIDITY=385759045/;UID=30"),
                    TextPart(1),
                ),
            ),
        ),
    ),
    # RFC 5464, 4.2 and 4.3: options in both places (erratum 2785)
    b'GETMETADATA "" /shared/comment': c.GetMetadata("", ("/shared/comment",)),
    b'GETMETADATA (MAXSIZE 1024) "INBOX" (/shared/comment /private/comment)': c.GetMetadata(
        "INBOX", ("/shared/comment", "/private/comment"), 1024
    ),
    b'GETMETADATA "INBOX" (MAXSIZE 1024) (/shared/comment /private/comment)': c.GetMetadata(
        "INBOX", ("/shared/comment", "/private/comment"), 1024
    ),
    b'GETMETADATA (DEPTH infinity MAXSIZE 0) "INBOX" /private/filters/values': c.GetMetadata(
        "INBOX", ("/private/filters/values",), 0, "INFINITY"
    ),
    b'GETMETADATA "INBOX" (DEPTH 1) (/private/filters/values)': c.GetMetadata(
        "INBOX", ("/private/filters/values",), None, "1"
    ),
    b"SETMETADATA INBOX (/private/comment {3+}\r\na\r\n)": c.SetMetadata("INBOX", (("/private/comment", b"a\r\n"),)),
    b"SETMETADATA INBOX (/private/comment NIL)": c.SetMetadata("INBOX", (("/private/comment", None),)),
    b'SETMETADATA "" (/private/comment "My comment" /shared/comment ~{2+}\r\n\0\xff)': c.SetMetadata(
        "", (("/private/comment", b"My comment"), ("/shared/comment", b"\0\xff"))
    ),
    # RFC 4467, 7; RFC 5524, 3.1
    b'GENURLAUTH "' + RUMP + b'" INTERNAL': c.GenUrlAuth(((RUMP, "INTERNAL"),)),
    b"GENURLAUTH {%d+}\r\n%s x " % (len(RUMP), RUMP) + RUMP + b" y": c.GenUrlAuth(((RUMP, "x"), (RUMP, "y"))),
    b'URLFETCH "' + TICKET + b'" {%d+}\r\n%s' % (len(TICKET), TICKET): c.UrlFetch(
        (c.UrlFetchArgument(TICKET), c.UrlFetchArgument(TICKET))
    ),
    b'URLFETCH ("' + TICKET + b'" BODY bodypartstructure)': c.UrlFetch(
        (c.UrlFetchArgument(TICKET, ("BODY", "BODYPARTSTRUCTURE")),)
    ),
    b"RESETKEY": c.ResetKey(),
    b"RESETKEY INBOX": c.ResetKey("INBOX"),
    b"RESETKEY {5+}\r\ninbox internal INTERNAL": c.ResetKey("INBOX"),
}

BAD: dict[bytes, str] = {
    b"FETCH 1 (" + b"UID " * 1000 + b"UID)": "at most 1000 items are fetched at once",
    b"RENAME a": "a space is expected at the end",
    b"RENAME a b c": "the end of the line is expected",
    b"RENAME (a) b": "a mailbox name is expected",
    b"RENAME a ~{1+}\r\nb": "no literal8, is expected",
    b"SUBSCRIBE": "a space is expected at the end",
    b"SUBSCRIBE &": "a mailbox name has & without its -",
    b'UNSUBSCRIBE "a': "a string is expected",
    b"COPY 1": "a space is expected at the end",
    b"COPY 0 a": "a set of numbers such as 1,3:5,9:* is expected",
    b"COPY 4294967296 a": "at most 32 bits",
    b"COPY a b": "a sequence set is expected",
    b"UID COPY 1:2:3 a": "a sequence set is expected",
    b"MOVE 1, a": "a sequence set is expected",
    b"UID MOVE 1": "a space is expected at the end",
    b"UID EXPUNGE": "a space is expected at the end",
    b"ENABLE": "a space is expected at the end",
    b'ENABLE "CONDSTORE"': "an atom is expected",
    b"NAMESPACE x": "the end of the line is expected",
    b"ID": "a space is expected at the end",
    b"ID x": "a string or NIL is expected",
    b'ID "x"': "a list of fields or NIL is expected",
    b'ID ("name")': "a space is expected",
    b'ID (NIL "x")': "a string is expected",
    b'ID ("a" "1" "A" "2")': "each once",
    b"ID (" + b" ".join(b'"%d" "x"' % number for number in range(31)) + b")": "at most 30 fields",
    b'ID ("%s" "x")' % (b"n" * 31): "at most 30 octets",
    b'ID ("n" "%s")' % (b"v" * 1025): "at most 1024 octets",
    b"SELECT INBOX CONDSTORE": "'(' is expected",
    b"SELECT INBOX (QRESYNC (1 2))": "an atom is expected",
    b"EXAMINE INBOX (QRESYNC)": "SELECT and EXAMINE know the parameter CONDSTORE",
    b"SELECT INBOX (CONDSTORE CONDSTORE)": "SELECT and EXAMINE know the parameter CONDSTORE",
    b"STORE 1 (UNCHANGEDSINCE 1 FLAGS x": "')' is expected",
    b"STORE 1 (UNCHANGEDSINCE -1) FLAGS x": "a number is expected",
    b"STORE 1 (UNCHANGEDSINCE 1)FLAGS x": "a space is expected",
    b"STORE 1 (CHANGEDSINCE 1) FLAGS x": "STORE knows the modifier UNCHANGEDSINCE",
    b"STORE 1 ANNOTATION x": "STORE knows FLAGS and FLAGS.SILENT",
    b"STORE 1 FLAGS": "a space is expected at the end",
    b'STORE 1 FLAGS "x"': "a flag is expected",
    b"STORE 1 FLAGS (x(y))": "a space or ) is expected",
    b"STORE 1 FLAGS \\Recent": "the system flags are \\Answered",
    b"STORE 1 FLAGS (\\*)": "a flag is expected",
    b"FETCH 1 FLAGS (CHANGEDSINCE)": "a space is expected",
    b"FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)": "')' is expected",
    b"FETCH 1 FLAGS CHANGEDSINCE 1": "'(' is expected",
    b"SEARCH": "a space is expected at the end",
    b"SEARCH RETURN (SAVE) ALL": "RETURN knows MIN, MAX, ALL and COUNT",
    b"SEARCH RETURN MIN ALL": "'(' is expected",
    b"SEARCH RETURN (MIN)": "a space is expected at the end",
    b"SEARCH NOT": "a space is expected at the end",
    b"SEARCH OR ALL": "a space is expected at the end",
    b"SEARCH (ALL": "is expected",
    b"SEARCH FUZZY x": "a search key such as",
    b"SEARCH SINCE yesterday": "a date such as 1-Jan-2026 is expected",
    b"SEARCH LARGER big": "a number is expected",
    b"APPEND": "a space is expected at the end",
    b"APPEND x": "a space is expected at the end",
    b"APPEND x (\\Answer) {1+}\r\na": "the system flags are \\Answered",
    b'APPEND x "1-Jan-26 00:00:00 +0000" {1+}\r\na': "a date such as 17-Nov-2026 08:12:44 +0100 is expected",
    b"APPEND x y {1+}\r\na": "APPEND takes its message as a literal, or CATENATE",
    b"APPEND x CATENATE ()": "an atom is expected",
    b"APPEND x CATENATE (BLOB {1+}\r\na)": "CATENATE takes TEXT with a literal, and URL with a string",
    b"APPEND x CATENATE (TEXT ~{1+}\r\na)": "CATENATE takes no literal8",
    b'APPEND x CATENATE (URL "/a" URL "/b"': "a space or ) is expected",
    b'GETMETADATA ""': "a space is expected at the end",
    b'GETMETADATA "" ()': "GETMETADATA needs the name of an entry",
    b'GETMETADATA (DEPTH 2) "" /a': "MAXSIZE number and DEPTH 0, 1 or infinity",
    b'GETMETADATA (MAXSIZE x) "" /a': "MAXSIZE number and DEPTH 0, 1 or infinity",
    b'GETMETADATA (MAXSIZE) "" /a': "MAXSIZE number and DEPTH 0, 1 or infinity",
    b'GETMETADATA (DEPTH 1) "" (DEPTH 1) /a': "the name of an entry, such as /shared/mediaServers, is expected",
    b'GETMETADATA "" comment': "the name of an entry, such as /shared/mediaServers, is expected",
    b'GETMETADATA "" "/a*"': "the name of an entry, such as /shared/mediaServers, is expected",
    b'GETMETADATA "" /a//b': "the name of an entry, such as /shared/mediaServers, is expected",
    b'SETMETADATA ""': "a space is expected at the end",
    b'SETMETADATA "" /a NIL': "'(' is expected",
    b'SETMETADATA "" ()': "an astring is expected",
    b'SETMETADATA "" (/a)': "a space is expected",
    b'SETMETADATA "" (/a 1)': "a string or NIL is expected",
    b'SETMETADATA "" (/a NIL /A NIL)': "an entry may be named only once",
    b'SETMETADATA "" (/a/ NIL)': "the name of an entry, such as /shared/mediaServers, is expected",
    b"GENURLAUTH": "GENURLAUTH needs a URL and a mechanism",
    b"GENURLAUTH " + RUMP: "a space is expected at the end",
    b"GENURLAUTH " + RUMP + b' "INTERNAL"': "an atom is expected",
    b"URLFETCH": "URLFETCH needs a URL",
    b'URLFETCH "a\xff"': "a URL must be printable ASCII",
    b"URLFETCH (" + TICKET + b" BODY BINARY)": "a parameter may be given only once, and BODY not together with BINARY",
    b"URLFETCH (" + TICKET + b" BODY BODY)": "a parameter may be given only once, and BODY not together with BINARY",
    b"URLFETCH (" + TICKET + b" HEADER)": "URLFETCH knows BODY, BINARY and BODYPARTSTRUCTURE",
    b"URLFETCH (" + TICKET + b" BODY": "a space is expected at the end",
    b"RESETKEY INBOX OTHER": "INTERNAL is the only mechanism",
    b"RESETKEY INBOX (INTERNAL)": "an atom is expected",
    # commands of extensions that this server does not have
    b'SETQUOTA "" (STORAGE 512)': "this command is not known",
    b"GETQUOTAROOT INBOX": "this command is not known",
    b"SETACL INBOX joe lrs": "this command is not known",
    b"SORT (DATE) UTF-8 ALL": "this command is not known",
    b"UID THREAD REFERENCES UTF-8 ALL": "this command is not known",
    b"COMPRESS DEFLATE": "this command is not known",
    b"UID": "a space is expected at the end",
    b"UID CLOSE": "this command is not known",
}


def plan(announced: Announced) -> LiteralPlan:
    """Plan a literal as a session does: the octets of a message do not become a part of the line."""
    return LiteralPlan.KEEP if AppendReader().coming(announced) is None else LiteralPlan.STREAM


def parse(octets: bytes) -> c.ParsedCommand:
    """Return the command of octets without their tag and CRLF."""
    framer = LineFramer(FramerRole.SERVER, plan)
    framer.receive_data(b"a1 " + octets + b"\r\n")
    while not isinstance(event := framer.next_event(), LineReceived):
        assert event is not None
    assert framer.buffered == 0
    tagged = parse_command(event.line)
    assert tagged.tag == "a1"
    return tagged.command


@pytest.mark.parametrize("octets", GOOD)
def test_octets_become_a_command(octets: bytes) -> None:
    command = parse(octets)
    assert command == GOOD[octets] or (type(command) is type(GOOD[octets]) and not vars(command))


@pytest.mark.parametrize("octets", BAD)
def test_an_invalid_command_is_refused_with_this_reason(octets: bytes) -> None:
    with pytest.raises(CommandError) as caught:
        parse(octets)
    assert caught.value.tag == "a1"
    assert BAD[octets] in str(caught.value)


MESSAGE = AppendMessage(("\\Seen", "x"), None, (TextPart(9),))
SENT: list[tuple[Callable[..., client.ImapCommand], tuple[object, ...], c.ParsedCommand]] = [
    (client.capability, (), c.Capability()),
    (client.starttls, (), c.StartTls()),
    (client.noop, (), c.Noop()),
    (client.logout, (), c.Logout()),
    (
        client.login,
        ('j"oe', "se\\cret\u00fc"),
        c.Login('j"oe', "se\\cret\u00fc"),
    ),
    (
        client.authenticate_plain,
        ("joe", "secret"),
        c.Authenticate("PLAIN"),
    ),
    (client.authenticate_scram, ("joe", "secret"), c.Authenticate("SCRAM-SHA-256")),
    (client.authenticate_anonymous, ("me@example.net",), c.Authenticate("ANONYMOUS")),
    (client.select, ("F\u00fc\u00dfe & co",), c.Select("F\u00fc\u00dfe & co")),
    (client.examine, ('a"b\\c',), c.Select('a"b\\c', read_only=True)),
    (client.create, ("a/b",), c.Create("a/b")),
    (
        client.list_mailboxes,
        ("a/", "*\u00fc%"),
        c.ListMailboxes("a/", "*\u00fc%"),
    ),
    (
        client.append,
        ("a b", b"x: y\r\n\r\nz", ("\\Seen", "x")),
        c.Append("a b", (MESSAGE,)),
    ),
    (client.uid_search, ("UNSEEN",), c.Search(SearchKey("NOT", (SearchKey("FLAG", text="\\seen"),)), by_uid=True)),
    (client.uid_fetch_bodystructure, (7,), c.Fetch(SequenceSet(((7, 7),)), (FetchItem("BODYSTRUCTURE"),), by_uid=True)),
    (client.genurlauth, (RUMP.decode(),), c.GenUrlAuth(((RUMP, "INTERNAL"),))),
    (client.urlfetch, (TICKET.decode(),), c.UrlFetch((c.UrlFetchArgument(TICKET),))),
    (
        client.urlfetch,
        (TICKET.decode(), ("BODYPARTSTRUCTURE", "BINARY")),
        c.UrlFetch((c.UrlFetchArgument(TICKET, ("BODYPARTSTRUCTURE", "BINARY")),)),
    ),
    (client.resetkey, (), c.ResetKey()),
    (client.resetkey, ("INBOX",), c.ResetKey("INBOX")),
    (client.getmetadata, ("/shared/x",), c.GetMetadata("", ("/shared/x",))),
    (
        client.setmetadata,
        ("/shared/x", None, "a"),
        c.SetMetadata("a", (("/shared/x", None),)),
    ),
    (
        client.setmetadata,
        ("/shared/x", b"\0\r\n\xff"),
        c.SetMetadata("", (("/shared/x", b"\0\r\n\xff"),)),
    ),
    (client.raw, ("ID NIL",), c.Id(())),
]


@pytest.mark.parametrize(("maker", "arguments", "read"), SENT)
def test_commands_of_the_wire_package_are_parsed_to_their_values(
    maker: Callable[..., client.ImapCommand], arguments: tuple[object, ...], read: c.ParsedCommand
) -> None:
    command = parse(maker(*arguments).line.octets().removesuffix(b"\r\n"))
    assert command == read or (type(command) is type(read) and not vars(command))


def test_every_command_of_the_wire_package_is_tested() -> None:
    makers = {
        name
        for name, maker in inspect.getmembers(client, inspect.isfunction)
        if maker.__module__ == client.__name__ and inspect.signature(maker).return_annotation == "ImapCommand"
    }
    assert {name for name in makers if not name.startswith("_")} == {maker.__name__ for maker, _, _ in SENT}


def test_a_date_time_keeps_its_zone() -> None:
    command = parse(b'APPEND a "22-Nov-2026 10:00:00 +0000" {1+}\r\na')
    assert isinstance(command, c.Append)
    assert command.messages[0].received == datetime(2026, 11, 22, 10, tzinfo=UTC)
