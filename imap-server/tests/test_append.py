"""APPEND as a client sees it: continuations, refusals before the octets are sent, and no rest after a refusal."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_imap.config import ServerConfig
from lemonade_imap.store.base import NewMessage, StoredMailbox, StoredMessage, StoreError
from lemonade_imap.testing import LoopbackConnection, LoopbackServer
from lemonade_imap.testing.memory_store import MemoryArrival, MemoryStore
from lemonade_imap.testing.messages import mailbox_of

OK = re.compile(rb"a OK \[APPENDUID 1 ([0-9,:]+)\] APPEND completed\r\n\Z")


class CountingStore(MemoryStore):
    """A store that counts the messages that are neither appended nor discarded."""

    def __init__(self) -> None:
        super().__init__()
        self.open: set[int] = set()
        self.largest = 0
        self.ended = 0
        self.fails = False

    def arrive(self) -> MemoryArrival:
        store = self

        class Counted(MemoryArrival):
            def write(self, chunk: bytes) -> None:
                if store.fails:
                    raise StoreError("the disk is full")
                store.largest = max(store.largest, len(chunk))
                super().write(chunk)

            def end(self) -> None:
                store.ended += 1
                super().end()

            def discard(self) -> None:
                store.open.discard(id(self))
                super().discard()

        arrival = Counted()
        self.open.add(id(arrival))
        return arrival

    def append(self, mailbox: StoredMailbox, arrivals: Sequence[NewMessage]) -> list[StoredMessage]:
        for arriving in arrivals:
            self.open.discard(id(arriving.arrival))
        return super().append(mailbox, arrivals)


CONFIG = ServerConfig(passwords={"joe": "secret", "ann": "secret"}, max_message=1000, max_literal=100)


class Room:
    """A server with small limits and joe's session; `take` sends octets, `messages` returns the messages of INBOX."""

    def __init__(self, config: ServerConfig = CONFIG) -> None:
        self.store = CountingStore()
        self.server = LoopbackServer(config, self.store)
        self.joe = self.login("joe")

    def login(self, user: str) -> LoopbackConnection:
        client = self.server.connect()
        assert b"l OK " in client.receive_data(f"l LOGIN {user} secret\r\n".encode())
        return client

    def take(self, octets: bytes) -> bytes:
        return self.joe.receive_data(octets)

    def messages(self) -> list[bytes]:
        messages = self.store.messages(mailbox_of(self.store))
        return [b"".join(self.store.read(message, 0, message.size)) for message in messages]


@pytest.fixture
def room() -> Room:
    return Room()


def test_a_message_is_stored_as_it_was_sent(room: Room) -> None:
    assert room.take(b"a APPEND INBOX (\\flagged $x \\Recent) {6}\r\n") == b"+ go on\r\n"
    assert room.take(b"ab\r\n") == b""
    assert room.take(b"cd") == b""
    assert room.take(b"\r\n") == b"a OK [APPENDUID 1 1] APPEND completed\r\n"
    assert room.messages() == [b"ab\r\ncd"]
    assert b"FLAGS ($x \\Flagged \\Recent)" in room.take(b"s EXAMINE INBOX\r\nf FETCH 1 FLAGS\r\n")
    assert not room.store.open


def test_a_message_is_ended_before_the_next_one(room: Room) -> None:
    room.take(b"a APPEND INBOX {1+}\r\na {1+}\r\nb {1+}\r\n")
    assert (len(room.store.open), room.store.ended) == (3, 2)
    assert OK.search(room.take(b"c\r\n"))
    assert room.messages() == [b"a", b"b", b"c"]


def test_the_messages_of_a_command_have_a_limited_number_of_parts() -> None:
    room = Room(replace(CONFIG, max_message=100_000))
    large = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 998  # 1,000 parts with the end
    two = b"a APPEND INBOX {%d+}\r\n%s {%d+}\r\n%s" % (len(large), large, len(large), large)
    assert OK.search(room.take(two + b" {%d+}\r\n%s\r\n" % (len(large), large)))
    more = b" {%d+}\r\n%s {1+}\r\nx\r\n" % (len(large), large)
    assert b"a NO [LIMIT] the messages of a command have at most 2000 parts\r\n" in room.take(two + more)
    assert len(room.messages()) == 3
    assert not room.store.open


@pytest.mark.parametrize("mark", [b"{3}", b"{3+}", b"~{3}", b"~{3+}"])
def test_every_kind_of_literal(room: Room, mark: bytes) -> None:
    said = room.take(b"a APPEND inbox " + mark + b"\r\na\xffb\r\n")
    assert OK.search(said), said
    assert said.startswith(b"+ go on\r\n") is (b"+" not in mark)
    assert room.messages() == [b"a\xffb"]


def test_several_messages_are_appended_in_their_order(room: Room) -> None:
    said = room.take(b'a APPEND INBOX (a) {1+}\r\n1 " 1-Jan-2026 00:00:00 +0000" {1+}\r\n2 {1+}\r\n3\r\n')
    assert said == b"a OK [APPENDUID 1 1:3] APPEND completed\r\n"
    assert room.messages() == [b"1", b"2", b"3"]


def test_too_long_refused_literals_close_the_connection() -> None:
    room = Room(replace(CONFIG, max_passed=500))
    assert room.take(b"a APPEND nowhere {500+}\r\n").startswith(b"a NO [TRYCREATE]")
    assert room.take(b"x" * 500 + b"\r\nb NOOP\r\n") == b"b OK NOOP completed\r\n"
    said = room.take(b"c APPEND nowhere {501+}\r\n" + b"x" * 501 + b"\r\nd NOOP\r\n").split(b"\r\n")
    assert [line[:7] for line in said] == [b"c NO [T", b"* BYE [", b""]
    assert room.joe.ended
    assert not room.store.open


REFUSED = {
    "no such mailbox": (b"a APPEND nowhere {3}\r\n", b"a NO [TRYCREATE]"),
    "no such mailbox, octets that come all the same": (b"a APPEND nowhere {3+}\r\nxyz\r\n", b"a NO [TRYCREATE]"),
    "too big": (b"a APPEND INBOX {1001}\r\n", b"a NO [TOOBIG]"),
    "too big, octets that come all the same": (b"a APPEND INBOX {1001+}\r\n" + b"x" * 1001 + b"\r\n", b"a NO [TOOBIG]"),
    "the second too big": (b"a APPEND INBOX {1+}\r\nx {1001}\r\n", b"a NO [TOOBIG]"),
    "the second too big, with octets": (
        b"a APPEND INBOX {1+}\r\nx {1001+}\r\n" + b"x" * 1001 + b" {1+}\r\nx\r\n",
        b"a NO [TOOBIG]",
    ),
    "empty": (b"a APPEND INBOX {0+}\r\n\r\n", b"a NO [CANNOT]"),
    "the second empty: taken back": (b"a APPEND INBOX {1+}\r\nx {0+}\r\n\r\n", b"a NO [CANNOT]"),
    "NUL in a literal": (b"a APPEND INBOX {3+}\r\na\0b\r\n", b"a BAD "),
    "NUL in a literal8": (b"a APPEND INBOX ~{3+}\r\na\0b\r\n", b"a NO [UNKNOWN-CTE]"),
    "something behind it": (b"a APPEND INBOX {1+}\r\nx y\r\n", b"a BAD "),
    "nothing between": (b"a APPEND INBOX {1+}\r\nx(a) {1+}\r\ny\r\n", b"a BAD "),
    "a line too long behind it": (b"a APPEND INBOX {1+}\r\nx" + b" " * 70000 + b"\r\n", b"a BAD "),
    "a mailbox's name too long": (b"a APPEND {101}\r\n", b"a NO [TOOBIG]"),
    "too many messages": (b"a APPEND INBOX" + b" {1+}\r\nx" * 101 + b"\r\n", b"a BAD "),
    "parts too big together": (
        b"a APPEND INBOX CATENATE (TEXT {600+}\r\n" + b"x" * 600 + b" TEXT {600}\r\n",
        b"a NO [TOOBIG]",
    ),
    "a flag that no standard has": (b"a APPEND INBOX (\\Seen \\foo) {3+}\r\nxyz\r\n", b"a BAD the system flags are "),
    "such a flag before a message that would be streamed": (
        b"a APPEND INBOX (\\foo) {500+}\r\n" + b"x" * 500 + b"\r\n",
        b"a BAD the system flags are ",
    ),
    "a flag without a name": (b"a APPEND INBOX (\\) {500}\r\n", b"a BAD a flag is expected"),
    "literal8 in CATENATE": (b"a APPEND INBOX CATENATE (TEXT ~{1+}\r\nx)\r\n", b"a BAD "),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_append_leaves_no_message(room: Room, name: str) -> None:
    octets, answer = REFUSED[name]
    said = room.take(octets + b"z NOOP\r\n")
    assert said.startswith(answer), said
    # There is one answer without a continuation, and the next command is understood.
    assert re.fullmatch(rb"a [^\r\n]*\r\nz OK NOOP completed\r\n", said), said
    assert room.messages() == []
    assert not room.store.open


def test_before_login_no_literal_is_stored(room: Room) -> None:
    client = room.server.connect()
    said = client.receive_data(b"a APPEND INBOX {50+}\r\n" + b"x" * 50 + b"\r\n")
    assert b"\r\na BAD " in said
    assert not room.store.open


def test_a_dropped_connection_leaves_no_message(room: Room) -> None:
    assert room.take(b"a APPEND INBOX {1+}\r\nx {500}\r\n") == b"+ go on\r\n"
    room.take(b"half")
    assert len(room.store.open) == 2
    room.joe.drop()
    assert room.messages() == []
    assert not room.store.open


def test_a_full_disk_is_answered_after_the_octets_of_the_message(make_room: Callable[..., Room]) -> None:
    room = make_room(replace(CONFIG, max_message=10**6))
    room.store.fails = True
    said = room.take(b"a APPEND INBOX {400000+}\r\n" + b"x" * 400000 + b"\r\nz NOOP\r\n")
    assert said == b"a NO [SERVERBUG] the disk is full\r\nz OK NOOP completed\r\n"
    assert room.messages() == []
    assert not room.store.open


@pytest.fixture
def make_room() -> Callable[..., Room]:
    return Room


def test_octets_go_to_the_store_in_chunks(make_room: Callable[..., Room]) -> None:
    room = make_room(replace(CONFIG, max_message=10**7))
    message = b"Subject: x\r\n\r\n" + b"0123456789abcde\n" * 60000
    assert room.take(b"a APPEND INBOX {%d}\r\n" % len(message)) == b"+ go on\r\n"
    for at in range(0, len(message), 50000):
        room.take(message[at : at + 50000])
    assert OK.search(room.take(b"\r\n"))
    assert room.messages() == [message]
    assert room.store.largest < 400000


def test_append_to_a_mailbox_that_is_deleted_meanwhile_is_refused(room: Room) -> None:
    room.take(b"c CREATE x\r\na APPEND x {3}\r\nab")
    assert b"d OK" in room.login("joe").receive_data(b"d DELETE x\r\n")
    assert room.take(b"c\r\n").startswith(b"a NO [TRYCREATE]")
    assert not room.store.open


# The commands have literals, names as literals, two messages, refusals and invalid arguments.
PIECES = [
    b"a APPEND INBOX {3}\r\nx\r\n\r\n",
    b"a APPEND INBOX (\\Seen) {3+}\r\nx\0y\r\n",
    b"a APPEND {5+}\r\nINBOX ~{2+}\r\nxy {1+}\r\nz\r\n",
    b"a APPEND INBOX {1+}\r\nx {2000+}\r\n" + b"y" * 2000 + b"\r\n",
    b"a APPEND nowhere {4+}\r\n{9}\n (x) {2+}\r\nab\r\n",
    b'a APPEND INBOX CATENATE (TEXT {2+}\r\nab URL "/INBOX/;UID=1" URL {13+}\r\n/INBOX/;UID=1)\r\n',
    b'a APPEND INBOX CATENATE (URL "/INBOX/;UID=99" TEXT {2+}\r\nab)\r\n',
    b"a APPEND INBOX {2+}\r\nab)\r\n",
    b"a APPEND INBOX CATENATE (TEXT {2+}\r\n",
    b"s SELECT INBOX\r\n",
    b"f FETCH 1:* (RFC822.SIZE BODY[]<0.3>)\r\n",
    b"n NOOP\r\n",
    b"{3}\r\n",
]


@settings(max_examples=80)
@given(st.lists(st.sampled_from(PIECES), max_size=6))
def test_appends_get_the_same_answers_in_one_piece_and_octet_by_octet(pieces: list[bytes]) -> None:
    octets = b"".join(pieces)
    whole, slow = Room(), Room()
    said = whole.take(octets)
    assert said == b"".join(slow.take(octets[at : at + 1]) for at in range(len(octets)))
    assert whole.messages() == slow.messages()
    for room in (whole, slow):
        room.joe.drop()
        assert not room.store.open
