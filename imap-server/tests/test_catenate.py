"""CATENATE: the octets that URLs name, and URLs that are refused with BADURL (RFC 4469)."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lemonade_imap.testing.world import World

HEADER = b"Subject: joined\r\n\r\n"


def joined(world: World, *parts: bytes, mailbox: bytes = b"INBOX") -> bytes:
    """Append a message from these parts; returns the stored message, or the refusal."""
    said = world.joe.receive_data(b"a APPEND %s CATENATE (%s)\r\n" % (mailbox, b" ".join(parts)))
    found = re.fullmatch(rb"(?:\* \d+ EXISTS\r\n)?a OK \[APPENDUID 1 (\d+)\] APPEND completed\r\n", said)
    if not found:
        return said
    world.joe.receive_data(b"s EXAMINE INBOX\r\n")
    fetched = world.joe.receive_data(b"f UID FETCH %s BODY.PEEK[]\r\n" % found[1])
    begin, _, rest = fetched.partition(b"}\r\n")
    return rest[: int(begin.rpartition(b"{")[2])]


def text(octets: bytes) -> bytes:
    return b"TEXT {%d+}\r\n%s" % (len(octets), octets)


def url(path: str) -> bytes:
    return f'URL "{path}"'.encode()


@pytest.mark.parametrize(
    ("path", "octets"),
    [
        ("/INBOX/;UID=1/;SECTION=1", b"Hello Joe"),
        ("/inbox;UIDVALIDITY=1/;uid=1/;section=1", b"Hello Joe"),
        ("/INBOX/;UID=1/;SECTION=1/;PARTIAL=6.2", b"Jo"),
        ("/INBOX/;UID=1/;SECTION=1/;PARTIAL=6", b"Joe"),
        ("/INBOX/;UID=1/;SECTION=1.MIME", b"Content-Type: text/plain; charset=us-ascii\r\n\r\n"),
        ("/INBOX/;UID=1/;SECTION=HEADER.FIELDS%20(Subject)", b"Subject: Voice message\r\n\r\n"),
        ("/INBOX/;UID=1/;SECTION=HEADER.FIELDS%20(Subject)/;PARTIAL=9.5", b"Voice"),
        ("imap://joe@imap.example.com/INBOX/;UID=1/;SECTION=1", b"Hello Joe"),
        ("imap://IMAP.example.com:143/INBOX/;UID=1/;SECTION=1", b"Hello Joe"),
    ],
)
def test_a_url_names_the_octets_that_fetch_returns(world: World, path: str, octets: bytes) -> None:
    assert joined(world, text(HEADER), url(path), text(b"\r\n")) == HEADER + octets + b"\r\n"
    # no message got the flag \Seen
    assert b"FLAGS (\\Recent)" in world.joe.receive_data(b"f FETCH 1 FLAGS\r\n")


def test_a_whole_message_and_long_parts_are_copied(world: World, voice: bytes) -> None:
    long = b"Subject: long\r\n\r\n" + b"0123456789abcd\r\n" * 150000
    world.append(long)
    assert joined(world, url("/INBOX/;UID=1"), url("/INBOX/;UID=2/;SECTION=TEXT")) == voice + long[17:]


def test_a_url_without_a_mailbox_names_a_message_of_the_selected_one(world: World) -> None:
    world.joe.receive_data(b"c CREATE F&APwA3w-e\r\na APPEND F&APwA3w-e {5+}\r\n\r\nabc\r\ns SELECT F&APwA3w-e\r\n")
    assert joined(world, text(HEADER), url(";UID=1/;SECTION=TEXT")) == HEADER + b"abc"
    assert b"a NO [BADURL " in joined(world, text(HEADER), url(";UID=9"))


BAD = [
    "/INBOX/;UID=9",
    "/INBOX/;UID=1/;SECTION=9",
    "/INBOX;UIDVALIDITY=2/;UID=1",
    "/nowhere/;UID=1",
    "/INBOX",
    "INBOX/;UID=1",
    ";UID=1",
    "//imap.example.com/INBOX/;UID=1",
    "imap://other.example.com/INBOX/;UID=1",
    "imap://ann@imap.example.com/INBOX/;UID=1",
    "http://imap.example.com/INBOX/;UID=1",
    "/INBOX/;UID=1;URLAUTH=anonymous",
    "imap://joe@imap.example.com/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL:" + "0" * 66,
    "",
    "%",
]


@pytest.mark.parametrize("path", BAD)
def test_badurl_names_the_first_bad_url_and_nothing_is_stored(world: World, path: str) -> None:
    said = joined(world, text(HEADER), url("/INBOX/;UID=1"), url(path), url("/INBOX/;UID=77"))
    assert said.startswith(f'a NO [BADURL "{path}"] '.encode())
    assert said.count(b"\r\n") == 1
    assert b"MESSAGES 1" in world.joe.receive_data(b"t STATUS INBOX (MESSAGES)\r\n")


def test_badurl_encodes_octets_that_a_response_code_cannot_contain(world: World) -> None:
    said = world.joe.receive_data(b'a APPEND INBOX CATENATE (URL {7+}\r\n/]\xff\r\n"\\)\r\n')
    assert said.startswith(b'a NO [BADURL "/%5D%FF%0D%0A%22%5C"] ')


def test_a_ticket_gives_another_user_access(world: World) -> None:
    ticket = world.authorise("user+ann")
    ann = world.login("ann")
    said = ann.receive_data(b'a APPEND INBOX CATENATE (TEXT {2+}\r\n\r\n URL "%s")\r\n' % ticket.encode())
    assert b"a OK [APPENDUID " in said
    assert b"RFC822.SIZE 702" in ann.receive_data(b"s EXAMINE INBOX\r\nf FETCH 1 RFC822.SIZE\r\n")
    # joe may not use the ticket, which names ann
    assert b"a NO [BADURL " in joined(world, url(ticket))
    assert not any(ticket.rpartition(":")[2] in line for line in world.log)


def test_a_bad_url_is_refused_before_the_literal_behind_it(world: World) -> None:
    said = world.joe.receive_data(b'a APPEND INBOX CATENATE (URL "/INBOX/;UID=9" TEXT {99}\r\nz NOOP\r\n')
    assert re.fullmatch(rb'a NO \[BADURL "/INBOX/;UID=9"\] [^\r]*\r\nz OK NOOP completed\r\n', said)


def test_the_size_of_a_catenated_message_is_limited(make_world: type[World], voice: bytes) -> None:
    world = make_world()
    world = make_world(config=replace(world.config, max_message=2 * len(voice) - 1))
    assert joined(world, url("/INBOX/;UID=1"), url("/INBOX/;UID=1")).startswith(b"a NO [TOOBIG]")
