"""Whole sessions from the greeting to LOGOUT, as octets."""

from __future__ import annotations

import pytest

from lemonade_imap.store.base import StoreError
from lemonade_imap.testing.world import World

LISTED = (
    b"IMAP4rev1 LITERAL+ ID IDLE UNSELECT CHILDREN NAMESPACE ENABLE UIDPLUS MOVE CONDSTORE"
    b" BINARY MULTIAPPEND CATENATE ESEARCH URLAUTH URLAUTH=BINARY METADATA"
)
FETCHED = b"* 1 FETCH ("


def test_greeting_to_logout(world: World) -> None:
    client = world.server.connect()
    assert client.receive_data(b"a NOOP\r\nb CAPABILITY\r\n") == (
        b"* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID AUTH=SCRAM-SHA-256 AUTH=PLAIN AUTH=ANONYMOUS]"
        b" imap.example.com ready\r\n"
        b"a OK NOOP completed\r\n"
        b"* CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID AUTH=SCRAM-SHA-256 AUTH=PLAIN AUTH=ANONYMOUS\r\n"
        b"b OK CAPABILITY completed\r\n"
    )
    assert client.receive_data(b"c LOGIN joe secret\r\nd CAPABILITY\r\n") == (
        b"c OK [CAPABILITY " + LISTED + b"] logged in\r\n* CAPABILITY " + LISTED + b"\r\nd OK CAPABILITY completed\r\n"
    )
    assert client.receive_data(b"e SELECT inbox\r\n") == (
        b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n"
        b"* 1 EXISTS\r\n"
        b"* 1 RECENT\r\n"
        b"* OK [UNSEEN 1] first unseen\r\n"
        b"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] flags that stay\r\n"
        b"* OK [UIDVALIDITY 1] UIDs are valid\r\n"
        b"* OK [UIDNEXT 2] next UID\r\n"
        b"* OK [HIGHESTMODSEQ 2] highest mod-sequence\r\n"
        b"* OK [URLMECH INTERNAL] mechanisms of GENURLAUTH\r\n"
        b"e OK [READ-WRITE] SELECT completed\r\n"
    )
    assert client.receive_data(b"f UID SEARCH ALL\r\ng UID FETCH 1 (BODYSTRUCTURE)\r\n") == (
        b"* SEARCH 1\r\nf OK SEARCH completed\r\n"
        b'* 1 FETCH (UID 1 BODYSTRUCTURE (("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 9 0 NIL NIL NIL NIL)'
        b'("AUDIO" "BASIC" NIL NIL NIL "BASE64" 700 NIL NIL NIL NIL)'
        b'("AUDIO" "BASIC" NIL NIL NIL "X-UNKNOWN" 4 NIL NIL NIL NIL)'
        b' "MIXED" ("BOUNDARY" "b1") NIL NIL NIL))\r\n'
        b"g OK UID FETCH completed\r\n"
    )
    assert client.receive_data(b"h CLOSE\r\ni LOGOUT\r\n") == (
        b"h OK CLOSE completed\r\n* BYE until next time\r\ni OK LOGOUT completed\r\n"
    )
    assert client.ended


@pytest.mark.parametrize(
    ("commands", "answer"),
    [
        # RFC 4616: authzid NUL authcid NUL password; RFC 4959: with the command
        (b"a AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ=\r\n", b"a OK [CAPABILITY IMAP4rev1 LITERAL+ ID IDLE UNSELECT"),
        (
            b"a AUTHENTICATE PLAIN\r\nam9lAGpvZQBzZWNyZXQ=\r\n",
            b"+ \r\na OK [CAPABILITY IMAP4rev1 LITERAL+ ID IDLE UNSELECT",
        ),
        (b"a AUTHENTICATE PLAIN AGpvZQB3cm9uZw==\r\n", b"a NO [AUTHENTICATIONFAILED]"),
        (b"a AUTHENTICATE PLAIN am9l\r\n", b"a BAD "),
        (b"a LOGIN joe wrong\r\n", b"a NO [AUTHENTICATIONFAILED]"),
        (b"a LOGIN nobody secret\r\n", b"a NO [AUTHENTICATIONFAILED]"),
        (b"a LOGIN Anonymous admin@example.net\r\n", b"a OK [CAPABILITY IMAP4rev1 LITERAL+ ID URLAUTH URLAUTH=BINARY"),
        # RFC 5092's example of a trace
        (
            b"a AUTHENTICATE ANONYMOUS\r\nc2hlcmlkYW5AYmFieWxvbjUuZXhhbXBsZS5vcmc=\r\n",
            b"+ \r\na OK [CAPABILITY IMAP4rev1 LITERAL+ ID URLAUTH URLAUTH=BINARY",
        ),
        (b"a AUTHENTICATE ANONYMOUS =\r\n", b"a OK "),
        (b"a AUTHENTICATE ANONYMOUS AAAA\r\n", b"a NO [AUTHENTICATIONFAILED]"),
        (b"a AUTHENTICATE ANONYMOUS //79\r\n", b"a BAD "),
        # an administrator may act for joe; ann may not
        (b"a AUTHENTICATE PLAIN am9lAGFkbWluAHNlY3JldA==\r\nb SELECT INBOX\r\n", b"a OK "),
        (b"a AUTHENTICATE PLAIN am9lAGFubgBzZWNyZXQ=\r\n", b"a NO [AUTHORIZATIONFAILED]"),
    ],
)
def test_logging_in(world: World, commands: bytes, answer: bytes) -> None:
    assert world.connect().receive_data(commands).startswith(answer)
    assert not any("secret" in line or "wrong" in line for line in world.log)


@pytest.mark.parametrize(
    "command",
    [b"SELECT INBOX", b"APPEND INBOX {1+}\r\nx", b'LIST "" *', b"CREATE x", b"RESETKEY", b"STATUS INBOX (UIDNEXT)"],
)
def test_an_anonymous_session_has_no_mailboxes(world: World, command: bytes) -> None:
    assert world.anonymous().receive_data(b"a " + command + b"\r\n").startswith(b"a BAD ")


@pytest.mark.parametrize(
    ("items", "answer"),
    [
        (b"UID", b"UID 1"),
        (b"FLAGS", b"FLAGS (\\Recent)"),
        (b"INTERNALDATE", b'INTERNALDATE "22-Nov-2026 00:00:00 +0000"'),
        (b"BODY.PEEK[1]", b"BODY[1] {9}\r\nHello Joe"),
        (b"BODY.PEEK[1]<6.100>", b"BODY[1]<6> {3}\r\nJoe"),
        (b"BODY.PEEK[1]<100.1>", b'BODY[1]<100> ""'),
        (b"BODY.PEEK[9]", b"BODY[9] NIL"),
        (
            b"BODY.PEEK[2.MIME]",
            b"BODY[2.MIME] {64}\r\nContent-Type: audio/basic\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        ),
        (
            b"BODY.PEEK[HEADER.FIELDS (SUBJECT)]",
            b"BODY[HEADER.FIELDS (SUBJECT)] {26}\r\nSubject: Voice message\r\n\r\n",
        ),
        (
            b"ENVELOPE",
            b'ENVELOPE ("Tue, 17 Nov 2026 08:12:44 +0100" "Voice message" (("Alice" NIL "alice" "example.net"))'
            b' (("Alice" NIL "alice" "example.net")) (("Alice" NIL "alice" "example.net"))'
            b' ((NIL NIL "joe" "imap.example.com")) NIL NIL NIL NIL)',
        ),
        (b"BODY[1]", b"BODY[1] {9}\r\nHello Joe FLAGS (\\Recent \\Seen)"),
        (b"(RFC822.SIZE RFC822.TEXT)<", None),
    ],
)
def test_each_fetch_item_has_this_answer(world: World, items: bytes, answer: bytes | None) -> None:
    world.joe.receive_data(b"s SELECT INBOX\r\n")
    said = world.joe.receive_data(b"f FETCH 1 " + items + b"\r\n")
    if answer is None:
        assert said.startswith(b"f BAD ")
    else:
        assert said == FETCHED + answer + b")\r\nf OK FETCH completed\r\n"


def test_fetch_returns_whole_messages_octet_for_octet(world: World, voice: bytes) -> None:
    world.joe.receive_data(b"s EXAMINE INBOX\r\n")
    size = b"{%d}\r\n" % len(voice)
    for item, label in ((b"BODY[]", b"BODY[]"), (b"RFC822", b"RFC822"), (b"BODY.PEEK[]", b"BODY[]")):
        assert world.joe.receive_data(b"f FETCH * " + item + b"\r\n") == (
            FETCHED + label + b" " + size + voice + b")\r\nf OK FETCH completed\r\n"
        )
    # the mailbox is read-only, so that \Seen was not set
    assert world.joe.receive_data(b"g UID FETCH 1 FLAGS\r\n").startswith(b"* 1 FETCH (UID 1 FLAGS (\\Recent))")


def test_append_keeps_flags_and_date_and_other_sessions_see_the_message(world: World) -> None:
    other = world.login("joe")
    other.receive_data(b"s SELECT INBOX\r\n")
    date = b'" 1-Feb-2026 01:02:03 -0130"'
    assert world.joe.receive_data(b"a APPEND INBOX (\\seen x) " + date + b" {4}\r\n") == b"+ go on\r\n"
    assert world.joe.receive_data(b"a\r\nb\r\n") == b"a OK [APPENDUID 1 2] APPEND completed\r\n"
    assert other.receive_data(b"n NOOP\r\nf FETCH 2 (FLAGS INTERNALDATE)\r\n") == (
        b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft x)\r\n"
        b"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft x \\*)] flags that stay\r\n"
        b"* 2 EXISTS\r\n* 2 RECENT\r\nn OK NOOP completed\r\n"
        b'* 2 FETCH (FLAGS (\\Recent \\Seen x) INTERNALDATE " 1-Feb-2026 01:02:03 -0130")\r\nf OK FETCH completed\r\n'
    )


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"APPEND nowhere {1+}\r\nx", b"a NO [TRYCREATE]"),
        (b"APPEND INBOX {0+}\r\n", b"a NO [CANNOT]"),
        (b"SELECT nowhere", b"a NO [NONEXISTENT]"),
        (b"STATUS nowhere (UIDNEXT)", b"a NO [NONEXISTENT]"),
        (b"STATUS INBOX (MESSAGES UNSEEN UIDNEXT)", b'* STATUS "INBOX" (MESSAGES 1 UNSEEN 1 UIDNEXT 2)\r\na OK'),
        (b"CREATE INBOX", b"a NO [ALREADYEXISTS]"),
        (b'CREATE ""', b"a NO [CANNOT]"),
        (b"DELETE INBOX", b"a NO [CANNOT]"),
        (b"DELETE nowhere", b"a NO [NONEXISTENT]"),
        (b'LIST "" ""', b'* LIST (\\Noselect) "/" ""\r\na OK'),
    ],
)
def test_each_command_has_this_answer(world: World, command: bytes, answer: bytes) -> None:
    assert world.joe.receive_data(b"a " + command + b"\r\n").startswith(answer)


def test_close_expunges_and_unselect_and_examine_do_not(world: World) -> None:
    deleted = b"s SELECT INBOX\r\na STORE 1 +FLAGS \\Deleted\r\n"
    world.joe.receive_data(deleted + b"u UNSELECT\r\ns EXAMINE INBOX\r\nc CLOSE\r\n")
    assert b"MESSAGES 1" in world.joe.receive_data(b"t STATUS INBOX (MESSAGES)\r\n")
    world.joe.receive_data(deleted + b"c CLOSE\r\n")
    assert b"MESSAGES 0" in world.joe.receive_data(b"t STATUS INBOX (MESSAGES)\r\n")
    assert world.joe.receive_data(b"s EXAMINE INBOX\r\nx STORE 1 FLAGS x\r\n").endswith(b"read-only\r\n")


@pytest.mark.parametrize("word", [b"SELECT", b"EXAMINE"])
def test_select_of_another_mailbox_sends_closed(world: World, word: bytes) -> None:
    # RFC 7162, 3.2.11: CLOSED separates the responses about the old mailbox from those about the new one
    assert b"[CLOSED]" not in world.joe.receive_data(b"s %s INBOX\r\n" % word)
    assert world.joe.receive_data(b"s %s INBOX\r\n" % word).startswith(
        b"* OK [CLOSED] the previous mailbox is closed\r\n* FLAGS"
    )
    assert b"[CLOSED]" not in world.joe.receive_data(b"u UNSELECT\r\ns %s INBOX\r\n" % word)


def test_after_a_failed_select_no_mailbox_is_selected(world: World) -> None:
    world.joe.receive_data(b"s SELECT INBOX\r\n")
    assert world.joe.receive_data(b"t SELECT nowhere\r\n").startswith(
        b"* OK [CLOSED] the previous mailbox is closed\r\nt NO "
    )
    assert world.joe.receive_data(b"f FETCH 1 UID\r\n").startswith(b"f BAD ")


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ("ALL", "1 2"),
        ("1", "1"),
        ("*", "2"),
        ("UID 2:*", "2"),
        ("SUBJECT voice", "1"),
        ("SUBJECT grüße", "2"),
        ("FROM alice", "1"),
        ("TO joe@", "1"),
        ('HEADER X-Test ""', "2"),
        ("BODY hello", "1"),
        ("TEXT x-test", "2"),
        ("BODY x-test", ""),
        ("SINCE 22-Nov-2026", "1"),
        ("BEFORE 22-Nov-2026", "2"),
        ("ON 1-Feb-2026", "2"),
        ("SENTSINCE 17-Nov-2026", "1"),
        ("SENTBEFORE 1-Jan-2027", "1"),
        ("SEEN", "2"),
        ("UNSEEN", "1"),
        ("KEYWORD work", "2"),
        ("UNKEYWORD work", "1"),
        ("LARGER 200", "1"),
        ("SMALLER 200", "2"),
        ("NOT 1", "2"),
        ("OR 1 SEEN", "1 2"),
        ("(1 UNSEEN) SUBJECT voice", "1"),
        ("NEW", "1"),
        ("OLD", ""),
    ],
)
def test_search(world: World, keys: str, found: str) -> None:
    second = b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nX-Test: y\r\n\r\nbody"
    world.joe.receive_data(
        b'a APPEND INBOX (\\Seen work) "01-Feb-2026 00:00:00 +0000" {%d+}\r\n%s\r\n' % (len(second), second)
    )
    world.joe.receive_data(b"s SELECT INBOX\r\n")
    keys = keys.replace("grüße", "{7+}\r\ngrüße")
    said = world.joe.receive_data(f"f SEARCH CHARSET UTF-8 {keys}\r\n".encode())
    assert said == f"* SEARCH{' ' * bool(found)}{found}\r\nf OK SEARCH completed\r\n".encode()


def test_an_error_of_the_store_is_answered_no(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_args: object) -> None:
        raise StoreError("cannot keep the message: No space left on device")

    monkeypatch.setattr(world.server.store, "append", fails)
    assert world.joe.receive_data(b"a APPEND INBOX {1+}\r\nx\r\n") == (
        b"a NO [SERVERBUG] cannot keep the message: No space left on device\r\n"
    )
