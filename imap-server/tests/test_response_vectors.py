"""Every kind of response of the server, parsed by the wire package's client side, has the intended values."""

from __future__ import annotations

from typing import Any

from lemonade_imap.testing import LoopbackConnection
from lemonade_imap.testing.world import World
from lemonade_wire.imap.framing import FramerRole, ImapLiteral, LineFramer, LineReceived
from lemonade_wire.imap.lexer import Atom, ListValue, Quoted
from lemonade_wire.imap.response import (
    CapabilityResponse,
    Continuation,
    Exists,
    FetchedUrl,
    FetchResponse,
    GenUrlAuthResponse,
    Listed,
    Metadata,
    Other,
    Response,
    SearchResponse,
    StatusResponse,
    UrlFetchResponse,
    parse_response,
)

SYSTEM = ["\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"]


def value(read: object) -> Any:  # noqa: ANN401  text, octets, a list of them, or what was read
    """Return a parsed value as a Python value: atoms as text, strings as octets, lists as lists."""
    match read:
        case Atom(text):
            return text
        case Quoted(data) | ImapLiteral(data):
            return data
        case ListValue(items):
            return [value(item) for item in items]
        case _:
            return read


def shape(response: Response) -> Any:  # noqa: ANN401  a tuple of any values, or the response
    """Return a response in a short form for comparisons."""
    match response:
        case StatusResponse(tag, result, code):
            return (tag or "*", result, code)
        case Other(name, number, values):
            return (name, number, *map(value, values))
        case FetchResponse(number, items=items):
            return ("FETCH", number, {name: value(item) for name, item in items.items()})
        case _:
            return response


def told(client: LoopbackConnection, command: bytes) -> list[Any]:
    """Send a command and return the responses as the client's side parses them."""
    framer = LineFramer(FramerRole.CLIENT)
    framer.receive_data(client.receive_data(command + b"\r\n"))
    found = []
    while (event := framer.next_event()) is not None:
        assert isinstance(event, LineReceived)
        found.append(shape(parse_response(event.line)))
    assert framer.buffered == 0
    return found


def test_responses_of_login_capability_and_id(world: World) -> None:
    client = world.server.connect()
    assert told(client, b"a FROB") == [
        ("*", "OK", "CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID AUTH=SCRAM-SHA-256 AUTH=PLAIN AUTH=ANONYMOUS"),
        ("a", "BAD", None),
    ]
    assert told(client, b"a LOGIN joe wrong") == [("a", "NO", "AUTHENTICATIONFAILED")]
    assert told(client, b"a AUTHENTICATE PLAIN") == [Continuation("")]
    assert told(client, b"AGpvZQBzZWNyZXQ=")[0][:2] == ("a", "OK")
    capability, answer = told(client, b"a CAPABILITY")
    assert isinstance(capability, CapabilityResponse)
    assert {"IMAP4REV1", "URLAUTH=BINARY", "UIDPLUS"} < capability.names
    assert answer == ("a", "OK", None)
    ((name, number, fields), _) = told(client, b"a ID NIL")
    assert (name, number, fields[:3]) == ("ID", None, [b"name", b"lemonade-imap", b"version"])
    assert told(client, b"a NAMESPACE")[0] == ("NAMESPACE", None, [[b"", b"/"]], "NIL", "NIL")
    assert told(client, b"a ENABLE CONDSTORE X-NONE METADATA")[0] == ("ENABLED", None, "CONDSTORE", "METADATA")
    assert told(client, b"a ENABLE X-NONE")[0] == ("ENABLED", None)
    assert told(client, b"a LOGOUT") == [("*", "BYE", None), ("a", "OK", None)]


def test_responses_about_mailbox_names(world: World) -> None:
    joe = world.joe
    assert told(joe, b'a CREATE "a \\\\ b/F&APw-&-"') == [("a", "OK", None)]
    assert told(joe, b'a CREATE "a \\\\ b/F&APw-&-"') == [("a", "NO", "ALREADYEXISTS")]
    below = "a \\ b/F\u00fc&"
    assert told(joe, b'a LIST "" *') == [
        Listed("INBOX", "/", ("\\HasNoChildren",)),
        Listed("a \\ b", "/", ("\\Noselect", "\\HasChildren")),
        Listed(below, "/", ("\\HasNoChildren",)),
        ("a", "OK", None),
    ]
    assert told(joe, b'a LIST "" ""')[0] == Listed("", "/", ("\\Noselect",))
    told(joe, b'a SUBSCRIBE "a \\\\ b/F&APw-&-"')
    assert told(joe, b'a LSUB "" *')[0] == Listed(below, "/", ())
    assert told(joe, b'a LSUB "" %')[0] == Listed("a \\ b", "/", ("\\Noselect",))
    counts = ["MESSAGES", "0", "RECENT", "0", "UIDNEXT", "1", "UIDVALIDITY", "2", "UNSEEN", "0", "HIGHESTMODSEQ", "1"]
    asked = b'a STATUS "a \\\\ b/F&APw-&-" (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)'
    assert told(joe, asked)[0] == ("STATUS", None, b"a \\ b/F&APw-&-", counts)
    assert told(joe, b"a STATUS x (MESSAGES)") == [("a", "NO", "NONEXISTENT")]


def test_responses_of_select(world: World) -> None:
    assert told(world.joe, b"a SELECT INBOX") == [
        ("FLAGS", None, SYSTEM),
        Exists(1),
        ("RECENT", 1),
        ("*", "OK", "UNSEEN 1"),
        ("*", "OK", f"PERMANENTFLAGS ({' '.join(SYSTEM)} \\*)"),
        ("*", "OK", "UIDVALIDITY 1"),
        ("*", "OK", "UIDNEXT 2"),
        ("*", "OK", "HIGHESTMODSEQ 2"),
        ("*", "OK", "URLMECH INTERNAL"),
        ("a", "OK", "READ-WRITE"),
    ]
    examined = told(world.joe, b"a EXAMINE INBOX")
    assert ("*", "OK", "PERMANENTFLAGS ()") in examined
    assert examined[-1] == ("a", "OK", "READ-ONLY")


def test_fetch_responses(world: World, sound: bytes) -> None:
    joe = world.joe
    told(joe, b"a SELECT INBOX")
    fetched, _ = told(joe, b"a FETCH 1 (UID FLAGS INTERNALDATE RFC822.SIZE)")
    assert fetched == (
        "FETCH",
        1,
        {"UID": "1", "FLAGS": ["\\Recent"], "INTERNALDATE": b"22-Nov-2026 00:00:00 +0000", "RFC822.SIZE": "1111"},
    )
    ((_, _, items), _) = told(joe, b"a FETCH 1 ENVELOPE")
    alice, me = [b"Alice", "NIL", b"alice", b"example.net"], ["NIL", "NIL", b"joe", b"imap.example.com"]
    assert items["ENVELOPE"] == [
        b"Tue, 17 Nov 2026 08:12:44 +0100",
        b"Voice message",
        *[[alice]] * 3,
        [me],
        *["NIL"] * 4,
    ]
    ((_, _, items), _) = told(
        joe,
        b'a FETCH 1 (BODY.PEEK[HEADER.FIELDS ("Subject" To)] BODY.PEEK[1]<6.9> BODY.PEEK[9]'
        b" BINARY.PEEK[2] BINARY.SIZE[2])",
    )
    assert items == {
        "BODY[HEADER.FIELDS (SUBJECT TO)]": b"To: joe@imap.example.com\r\nSubject: Voice message\r\n\r\n",
        "BODY[1]<6>": b"Joe",
        "BODY[9]": "NIL",
        "BINARY[2]": sound,
        "BINARY.SIZE[2]": "512",
    }
    ((_, _, items), _) = told(joe, b"a FETCH 1 BODYSTRUCTURE")
    assert items["BODYSTRUCTURE"] == [
        [b"TEXT", b"PLAIN", [b"CHARSET", b"us-ascii"], "NIL", "NIL", b"7BIT", "9", "0", *["NIL"] * 4],
        [b"AUDIO", b"BASIC", "NIL", "NIL", "NIL", b"BASE64", "700", *["NIL"] * 4],
        [b"AUDIO", b"BASIC", "NIL", "NIL", "NIL", b"X-UNKNOWN", "4", *["NIL"] * 4],
        b"MIXED",
        [b"BOUNDARY", b"b1"],
        *["NIL"] * 3,
    ]
    assert told(joe, b"a FETCH 1 BINARY.PEEK[3]")[-1] == ("a", "NO", "UNKNOWN-CTE")
    assert told(joe, b"a FETCH 1 BODY[TEXT]<0.2>")[0] == (
        "FETCH",
        1,
        {"BODY[TEXT]<0>": b"--", "FLAGS": ["\\Recent", "\\Seen"]},
    )


def test_search_responses(world: World) -> None:
    joe = world.joe
    told(joe, b"a SELECT INBOX")
    assert told(joe, b"a SEARCH ALL") == [SearchResponse((1,)), ("a", "OK", None)]
    assert told(joe, b"a UID SEARCH DRAFT")[0] == SearchResponse(())
    assert told(joe, b"a SEARCH MODSEQ 1") == [("*", "OK", "HIGHESTMODSEQ 2"), SearchResponse((1,)), ("a", "OK", None)]
    answer = ["UID", "MIN", "1", "MAX", "1", "ALL", "1", "COUNT", "1", "MODSEQ", "2"]
    assert told(joe, b"a.b UID SEARCH RETURN (MIN MAX ALL COUNT) MODSEQ 1")[0] == (
        "ESEARCH",
        None,
        ["TAG", b"a.b"],
        *answer,
    )
    assert told(joe, b"a SEARCH RETURN (MIN) DRAFT")[0] == ("ESEARCH", None, ["TAG", b"a"])
    ((_, result, code), *_) = told(joe, b"a SEARCH CHARSET x ALL")
    assert (result, code.split()[0]) == ("NO", "BADCHARSET")


def test_responses_about_changes_of_messages(world: World) -> None:
    joe, other = world.joe, world.login("joe")
    told(joe, b"a SELECT INBOX")
    told(other, b"a SELECT INBOX (CONDSTORE)")
    told(joe, b"a STORE 1 +FLAGS.SILENT (\\Flagged)")
    assert told(other, b"a NOOP")[0] == ("FETCH", 1, {"FLAGS": ["\\Flagged"], "MODSEQ": ["3"]})
    assert told(joe, b"a STORE 1 FLAGS (Work \\Deleted)") == [
        ("FLAGS", None, [*SYSTEM, "Work"]),
        ("*", "OK", f"PERMANENTFLAGS ({' '.join(SYSTEM)} Work \\*)"),
        ("FETCH", 1, {"FLAGS": ["Work", "\\Deleted", "\\Recent"]}),
        ("a", "OK", None),
    ]
    assert told(other, b"a UID STORE 1 (UNCHANGEDSINCE 3) +FLAGS.SILENT x")[-1] == ("a", "OK", "MODIFIED 1")
    assert told(joe, b"a COPY 1 INBOX") == [Exists(2), ("RECENT", 2), ("a", "OK", "COPYUID 1 1 2")]
    assert told(other, b"a IDLE")[-1] == Exists(2)
    assert told(joe, b"a EXPUNGE") == [("EXPUNGE", 2), ("EXPUNGE", 1), ("RECENT", 0), ("a", "OK", None)]
    assert told(other, b"DONE") == [("EXPUNGE", 2), ("EXPUNGE", 1), ("a", "OK", None)]
    assert told(joe, b"a APPEND INBOX {1+}\r\nx {1+}\r\ny") == [
        Exists(2),
        ("RECENT", 2),
        ("a", "OK", "APPENDUID 1 3:4"),
    ]
    assert told(joe, b"a MOVE 1 INBOX") == [("*", "OK", "COPYUID 1 3 5"), ("EXPUNGE", 1), Exists(2), ("a", "OK", None)]
    told(joe, b"a CREATE x")
    told(other, b"a SELECT x")
    told(joe, b"a DELETE x")
    assert told(other, b"a NOOP") == [("*", "BYE", None), ("a", "OK", None)]


def test_responses_about_tickets(world: World, sound: bytes) -> None:
    rump = "imap://joe@imap.example.com/INBOX/;UID=1/;SECTION=2;URLAUTH=anonymous"
    authorised, answer = told(world.joe, f'a GENURLAUTH "{rump}" INTERNAL'.encode())
    assert isinstance(authorised, GenUrlAuthResponse)
    (url,) = authorised.urls
    assert url.startswith(f"{rump}:INTERNAL:01")
    assert answer == ("a", "OK", None)
    fetched, refused, answer = told(world.joe, f'a URLFETCH ("{url}" BODYPARTSTRUCTURE BINARY) "{url}0"'.encode())
    assert isinstance(fetched, UrlFetchResponse)
    (content,) = fetched.fetched
    assert (content.url, content.binary, content.binary_came, content.body_came) == (url, sound, True, False)
    assert content.structure is not None
    assert (content.structure.encoding, content.structure.size) == ("BINARY", 512)
    assert refused == UrlFetchResponse((FetchedUrl(f"{url}0", refused=True, body_came=True),))
    assert answer == ("a", "OK", None)
    told(world.joe, b"a SELECT INBOX")
    other = world.login("joe")
    assert told(other, b"a RESETKEY INBOX") == [("a", "OK", "URLMECH INTERNAL")]
    assert told(world.joe, b"a NOOP") == [("*", "OK", "URLMECH INTERNAL"), ("a", "OK", None)]


def test_metadata_responses(world: World) -> None:
    joe, other = world.joe, world.login("joe")
    told(other, b"a ENABLE METADATA")
    assert told(joe, b'a GETMETADATA "" /shared/mediaServers')[0] == Metadata(
        "", {"/shared/mediaservers": b"<sip:ivr@media.example.net>:authuser"}
    )
    assert told(joe, b"a SETMETADATA INBOX (/private/x {3+}\r\n\xff\r\n /private/y ~{1+}\r\n\0)") == [("a", "OK", None)]
    assert told(joe, b"a GETMETADATA (MAXSIZE 2) INBOX (/private/x /private/y /private/z)") == [
        Metadata("INBOX", {"/private/y": b"\0", "/private/z": None}),
        ("a", "OK", "METADATA LONGENTRIES 3"),
    ]
    assert told(joe, b"a GETMETADATA INBOX /private/x")[0] == Metadata("INBOX", {"/private/x": b"\xff\r\n"})
    assert told(other, b"a NOOP")[0] == Metadata("INBOX", {}, ("/private/x", "/private/y"))
    assert told(joe, b'a SETMETADATA "" (/shared/x "1")') == [("a", "NO", "NOPERM")]
