r"""FETCH: the flag `\Seen`, calls of the store, and BINARY; `test_odd_messages` tests items and sections."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from lemonade_imap.store.thread import InlineRunner
from lemonade_imap.testing import LoopbackConnection
from lemonade_imap.testing.world import World

TEXT = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"


def fetch(client: LoopbackConnection, items: str) -> bytes:
    return bytes(client.receive_data(f"f FETCH {items}\r\n".encode()))


@pytest.mark.parametrize(
    ("items", "marks"),
    [
        ("BODY[]", True),
        ("BODY[1]<0.1>", True),
        ("BODY[HEADER]", True),
        ("RFC822", True),
        ("RFC822.TEXT", True),
        ("BINARY[1]", True),
        ("RFC822.HEADER", False),
        ("BODY.PEEK[]", False),
        ("BINARY.PEEK[1]", False),
        ("BINARY.SIZE[1]", False),
        ("(BODY BODYSTRUCTURE ENVELOPE)", False),
        ("ALL", False),
    ],
)
def test_which_items_set_seen(world: World, items: str, marks: bool) -> None:
    world.joe.receive_data(b"s SELECT INBOX\r\n")
    assert (b"FLAGS (\\Recent \\Seen))\r\n" in fetch(world.joe, f"1 {items}")) is marks
    assert (b"\\Seen" in fetch(world.joe, "1 FLAGS")) is marks
    # no flags are sent for a message that has \Seen already
    assert (b"\\Seen" in fetch(world.joe, "1 BODY[1]")) is not marks


def test_other_sessions_receive_the_flag_seen(world: World) -> None:
    other = world.login("joe")
    other.receive_data(b"s SELECT INBOX\r\n")
    world.joe.receive_data(b"s SELECT INBOX\r\nf FETCH 1 BODY[1]\r\n")
    assert b"* 1 FETCH (FLAGS (\\" in other.receive_data(b"n NOOP\r\n")


def test_modseq_is_sent_with_flags_after_condstore_is_enabled(world: World) -> None:
    world.append(b"Subject: two\r\n\r\n")
    world.joe.receive_data(b"s SELECT INBOX (CONDSTORE)\r\n")
    before = int(fetch(world.joe, "1 MODSEQ").split(b"MODSEQ (")[1].split(b")")[0])
    said = fetch(world.joe, "1 BODY[1]")
    after = int(said.split(b"MODSEQ (")[1].split(b")")[0])
    assert after > before
    changed = world.joe.receive_data(b"c UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d)\r\n" % (after - 1))
    assert changed == b"* 1 FETCH (UID 1 MODSEQ (%d) FLAGS (\\Recent \\Seen))\r\nc OK UID FETCH completed\r\n" % after
    # the same with items that a summary does not contain
    changed = world.joe.receive_data(b"c FETCH 1:* BODY.PEEK[1] (CHANGEDSINCE %d)\r\n" % (after - 1))
    assert changed == b"* 1 FETCH (MODSEQ (%d) BODY[1] {9}\r\nHello Joe)\r\nc OK FETCH completed\r\n" % after


@pytest.mark.parametrize("numbers", ["2", "1:2", "2:*", "1,3"])
def test_a_number_that_no_message_has_is_bad(world: World, numbers: str) -> None:
    world.joe.receive_data(b"s SELECT INBOX\r\n")
    assert fetch(world.joe, f"{numbers} UID").startswith(b"f BAD ")
    assert world.joe.receive_data(f"f UID FETCH {numbers} UID\r\n".encode()).endswith(b"f OK UID FETCH completed\r\n")


def test_binary_of_an_undecodable_part_is_left_out(world: World) -> None:
    world.joe.receive_data(b"s SELECT INBOX\r\n")
    said = fetch(world.joe, "1 (UID BINARY[3] BINARY.SIZE[3] BINARY.SIZE[2])")
    assert said.startswith(b"* 1 FETCH (UID 1 BINARY.SIZE[2] 512")
    assert b"\r\nf NO [UNKNOWN-CTE] " in said
    assert fetch(world.joe, "1 BINARY[3]").startswith(b"* 1 FETCH (UID 1")


def test_binary_with_nul_is_a_literal8(world: World, sound: bytes) -> None:
    world.joe.receive_data(b"s EXAMINE INBOX\r\n")
    assert b"BINARY[2] ~{512}\r\n" + sound + b")\r\n" in fetch(world.joe, "1 BINARY[2]")
    assert b"BINARY[2]<254> {2}\r\n\xfe\xff)\r\n" in fetch(world.joe, "1 BINARY[2]<254.2>")
    assert b"BINARY[1]<6> {3}\r\nJoe)\r\n" in fetch(world.joe, "1 BINARY[1]<6.100>")


def test_long_text_is_sent_with_crlf_and_the_size_counts_it(world: World) -> None:
    plain = b"fifteen octets\n" * 30000
    world.append(TEXT + base64.encodebytes(plain).replace(b"\n", b"\r\n"))
    world.joe.receive_data(b"s EXAMINE INBOX\r\n")
    wanted = plain.replace(b"\n", b"\r\n")
    assert b"BINARY.SIZE[1] %d)" % len(wanted) in fetch(world.joe, "2 BINARY.SIZE[1]")
    assert b"BINARY[1] {%d}\r\n%s)\r\n" % (len(wanted), wanted) in fetch(world.joe, "2 BINARY[1]")
    assert b"BINARY[1]<400000> {20}\r\n%s)\r\n" % wanted[400000:400020] in fetch(world.joe, "2 BINARY[1]<400000.20>")


def test_many_messages_need_few_calls_of_the_store(make_world: type[World], monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world()
    for number in range(200):
        world.append(b"Subject: %d\r\n\r\n" % number)
    world.joe.receive_data(b"s SELECT INBOX\r\n")
    visits = 0
    call = InlineRunner.call

    async def counted(self: InlineRunner, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  those of `call`
        nonlocal visits
        visits += 1
        return await call(self, *args, **kwargs)

    monkeypatch.setattr(InlineRunner, "call", counted)
    assert fetch(world.joe, "1:* (FLAGS UID)").count(b" FETCH (") == 201
    assert visits <= 3
    visits = 0
    assert fetch(world.joe, "1:* (ENVELOPE BODY[HEADER])").count(b" FETCH (") == 201
    assert visits < 12
    visits = 0
    assert world.joe.receive_data(b"f SEARCH SUBJECT 7\r\n").startswith(b"* SEARCH 9 ")
    assert visits < 6
