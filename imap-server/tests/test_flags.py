# ruff: noqa: ANN401  the class of `world` lives in conftest, which importlib mode does not let tests import
"""STORE, EXPUNGE, COPY, MOVE, CONDSTORE, and what two sessions on one mailbox tell each other, as octets."""

from __future__ import annotations

from typing import Any

import pytest

from lemonade_imap.serving.mirror import KEPT

SYSTEM = b"\\Answered \\Flagged \\Deleted \\Seen \\Draft"


def filled(world: Any, count: int) -> tuple[Any, Any]:
    r"""Return two sessions of joe's with INBOX selected, of `count` messages; `\Recent` went to neither of them."""
    for _ in range(count - 1):
        world.append(b"Subject: x\r\n\r\n")
    world.joe.receive_data(b"s SELECT INBOX\r\n")
    one, other = world.login("joe"), world.login("joe")
    one.receive_data(b"s SELECT INBOX\r\n")
    other.receive_data(b"s SELECT INBOX\r\n")
    return one, other


def said(client: Any, command: str) -> bytes:
    """Return what is answered, without the tagged line, which must be OK."""
    answer: bytes = client.receive_data(f"t {command}\r\n".encode())
    head, mark, tail = (b"\r\n" + answer).rpartition(b"\r\nt ")
    assert mark, answer
    assert tail.startswith(b"OK "), answer
    return head[2:] + b"\r\n" * bool(head)


def test_store_in_all_its_forms(world: Any) -> None:
    one, _ = filled(world, 3)
    assert said(one, "STORE 1 FLAGS (\\Seen \\Draft)") == b"* 1 FETCH (FLAGS (\\Draft \\Seen))\r\n"
    assert said(one, "STORE 1:2 +FLAGS \\Flagged") == (
        b"* 1 FETCH (FLAGS (\\Draft \\Flagged \\Seen))\r\n* 2 FETCH (FLAGS (\\Flagged))\r\n"
    )
    assert said(one, "STORE 1 -FLAGS (\\Draft \\Flagged)") == b"* 1 FETCH (FLAGS (\\Seen))\r\n"
    assert said(one, "STORE 1 FLAGS.SILENT ()") == b""
    assert said(one, "STORE 3,1 +FLAGS.SILENT \\Seen \\Draft") == b""
    assert said(one, "STORE 1 -FLAGS.SILENT \\DRAFT") == b""
    # nothing changes, and the client is told what is there all the same
    assert said(one, "STORE 1 +FLAGS \\Seen") == b"* 1 FETCH (FLAGS (\\Seen))\r\n"
    assert said(one, "UID STORE 3,99 -FLAGS \\Draft") == b"* 3 FETCH (UID 3 FLAGS (\\Seen))\r\n"
    assert said(one, "UID STORE 99 FLAGS \\Draft") == b""


def test_keywords_are_told_before_they_are_used_and_have_no_case(world: Any) -> None:
    one, other = filled(world, 1)
    flags = b"* FLAGS (" + SYSTEM + b" Work)\r\n* OK [PERMANENTFLAGS (" + SYSTEM + b" Work \\*)] flags that stay\r\n"
    assert said(one, "STORE 1 +FLAGS Work") == flags + b"* 1 FETCH (FLAGS (Work))\r\n"
    assert said(other, "NOOP") == flags + b"* 1 FETCH (FLAGS (Work))\r\n"
    assert said(one, "STORE 1 +FLAGS WORK") == b"* 1 FETCH (FLAGS (Work))\r\n"
    assert said(one, "STORE 1 -FLAGS work") == b"* 1 FETCH (FLAGS ())\r\n"


def test_a_keyword_that_two_spelt_each_in_his_way_is_one(world: Any) -> None:
    one, other = filled(world, 2)
    said(one, "STORE 1 +FLAGS.SILENT Work")
    said(other, "STORE 2 +FLAGS.SILENT WORK")
    assert said(one, "STORE 1:2 -FLAGS work").endswith(b"* 1 FETCH (FLAGS ())\r\n* 2 FETCH (FLAGS ())\r\n")
    world.joe.receive_data(b"a APPEND INBOX (work WORK) {1+}\r\nx\r\n")
    said(one, "NOOP")
    assert said(one, "FETCH 3 FLAGS") == b"* 3 FETCH (FLAGS (WORK))\r\n"


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("STORE 1 +FLAGS \\Recent", "BAD"),
        ("STORE 1 +FLAGS \\Mine", "BAD"),
        ("STORE 2 +FLAGS \\Seen", "BAD"),
        ("STORE 1 *FLAGS x", "BAD"),
        ("STORE 1 (UNCHANGEDSINCE) FLAGS x", "BAD"),
        ("STORE 1 (CHANGEDSINCE 1) FLAGS x", "BAD"),
        ("COPY 2 INBOX", "BAD"),
        ("COPY 1", "BAD"),
        ("COPY 1 nowhere", "NO [TRYCREATE]"),
        ("UID COPY 1 nowhere", "NO [TRYCREATE]"),
        ("MOVE 1 nowhere", "NO [TRYCREATE]"),
        ("MOVE 1,5 INBOX", "BAD"),
        ("UID EXPUNGE", "BAD"),
        ("EXPUNGE 1", "BAD"),
    ],
)
def test_refusals(world: Any, command: str, answer: str) -> None:
    one, _ = filled(world, 1)
    assert one.receive_data(f"t {command}\r\n".encode()).decode().startswith(f"t {answer}")
    assert said(one, "FETCH 1 FLAGS") == b"* 1 FETCH (FLAGS ())\r\n"


@pytest.mark.parametrize("command", ["STORE 1 FLAGS x", "EXPUNGE", "UID EXPUNGE 1", "MOVE 1 INBOX"])
def test_examine_changes_nothing(world: Any, command: str) -> None:
    world.joe.receive_data(b"e EXAMINE INBOX\r\n")
    assert world.joe.receive_data(f"t {command}\r\n".encode()).startswith(b"t NO [READ-ONLY] ")
    assert said(world.joe, "COPY 1 INBOX").startswith(b"* 2 EXISTS\r\n")


def test_flags_are_told_to_others_once_and_not_to_who_set_them(world: Any) -> None:
    one, other = filled(world, 2)
    said(one, "STORE 1 +FLAGS.SILENT \\Seen")
    assert said(one, "NOOP") == b""
    assert said(other, "NOOP") == b"* 1 FETCH (FLAGS (\\Seen))\r\n"
    assert said(other, "NOOP") == b""
    # what the other did meanwhile is told though the own change is silent (RFC 3501, 6.4.6)
    said(other, "STORE 1 +FLAGS.SILENT \\Draft")
    assert said(one, "STORE 1 +FLAGS.SILENT \\Flagged") == b"* 1 FETCH (FLAGS (\\Draft \\Seen))\r\n"
    assert said(other, "CHECK") == b"* 1 FETCH (FLAGS (\\Draft \\Flagged \\Seen))\r\n"
    # reading marks as seen, which is told once to the reader, and to others
    assert said(one, "FETCH 2 BODY[TEXT]") == b'* 2 FETCH (BODY[TEXT] "" FLAGS (\\Seen))\r\n'
    assert said(one, "NOOP") == b""
    assert said(other, "NOOP") == b"* 2 FETCH (FLAGS (\\Seen))\r\n"


def test_a_keyword_of_anothers_is_told_where_the_reader_marked_the_message_meanwhile(world: Any) -> None:
    one, other = filled(world, 1)
    said(other, "STORE 1 +FLAGS.SILENT Work")
    answer = said(one, "FETCH 1 BODY[TEXT]<0.5>")
    assert b"FLAGS (Work \\Seen)" in answer
    assert b"* FLAGS (" + SYSTEM + b" Work)\r\n" in answer


@pytest.mark.parametrize("command", ["FETCH 2 UID", "STORE 2 +FLAGS.SILENT \\Seen", "SEARCH UID 2"])
def test_nobody_is_gone_while_sequence_numbers_are_in_use(world: Any, command: str) -> None:
    one, other = filled(world, 3)
    assert said(one, "STORE 1 +FLAGS.SILENT \\Deleted") == b""
    assert said(one, "EXPUNGE") == b"* 1 EXPUNGE\r\n"
    assert b"EXPUNGE" not in said(other, command)
    assert said(other, "NOOP") == b"* 1 EXPUNGE\r\n"
    assert b"* 1 EXPUNGE" not in said(other, "NOOP")


@pytest.mark.parametrize(
    "command", ["UID FETCH 2 UID", "UID STORE 2 +FLAGS.SILENT \\Seen", "UID SEARCH UID 2", "CHECK"]
)
def test_commands_by_uid_tell_who_is_gone(world: Any, command: str) -> None:
    one, other = filled(world, 3)
    said(one, "STORE 1 +FLAGS.SILENT \\Deleted")
    said(one, "EXPUNGE")
    assert said(other, command).endswith(b"* 1 EXPUNGE\r\n")


def test_new_messages_are_told_while_numbers_stay(world: Any) -> None:
    one, other = filled(world, 1)
    said(one, "COPY 1 INBOX")
    assert said(other, "FETCH 1 UID") == b"* 1 FETCH (UID 1)\r\n* 2 EXISTS\r\n"


def test_recent_is_told_to_one_session_and_examine_does_not_take_it(world: Any) -> None:
    reader, one = world.login("joe"), world.login("joe")
    assert b"* 1 RECENT\r\n" in said(reader, "EXAMINE INBOX")
    assert said(reader, "FETCH 1 FLAGS") == b"* 1 FETCH (FLAGS (\\Recent))\r\n"
    assert b"* 1 RECENT\r\n" in said(one, "SELECT INBOX")
    assert b"* 0 RECENT\r\n" in said(world.joe, "SELECT INBOX")
    world.append(b"Subject: x\r\n\r\n")
    # joe's own session was told first: the message is recent there
    assert said(one, "NOOP") == b"* 2 EXISTS\r\n"
    assert said(world.joe, "FETCH 2 FLAGS") == b"* 2 FETCH (FLAGS (\\Recent))\r\n"
    assert said(one, "FETCH 1:* FLAGS") == b"* 1 FETCH (FLAGS (\\Recent))\r\n* 2 FETCH (FLAGS ())\r\n"
    assert b"(RECENT 0)" in said(one, "STATUS INBOX (RECENT)")
    assert said(one, "SEARCH RECENT") == b"* SEARCH 1\r\n"


def test_expunge_removes_what_is_marked_and_uid_expunge_what_is_named_too(world: Any) -> None:
    one, other = filled(world, 5)
    said(one, "STORE 1,3:4 +FLAGS.SILENT \\Deleted")
    assert said(one, "UID EXPUNGE 2:3") == b"* 3 EXPUNGE\r\n"
    # a mark that another session takes off in time counts
    said(other, "STORE 1 -FLAGS.SILENT \\Deleted")
    assert said(one, "EXPUNGE") == b"* 1 FETCH (FLAGS ())\r\n* 3 EXPUNGE\r\n"
    assert said(one, "UID FETCH 1:* UID") == (b"* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\n* 3 FETCH (UID 5)\r\n")


def test_messages_that_are_gone_answer_as_such(world: Any) -> None:
    one, other = filled(world, 2)
    said(one, "STORE 1 +FLAGS.SILENT \\Deleted")
    said(one, "EXPUNGE")
    assert other.receive_data(b"t STORE 1:2 +FLAGS \\Seen\r\n").endswith(
        b"t NO [EXPUNGEISSUED] some of the messages are there no more\r\n"
    )
    assert other.receive_data(b"t STORE 1:2 +FLAGS.SILENT \\Draft\r\n").startswith(b"t OK [EXPUNGEISSUED] ")
    assert other.receive_data(b"t COPY 1:2 INBOX\r\n").startswith(b"t NO [EXPUNGEISSUED] ")
    for items in ("UID", "(UID BODY.PEEK[TEXT])"):
        # RFC 2180, 4.1.2
        told = other.receive_data(f"t FETCH 1:2 {items}\r\n".encode())
        assert told.startswith(b"* 2 FETCH (UID 2"), told
        assert told.count(b"FETCH") == 1
        assert told.endswith(b"\r\nt NO [EXPUNGEISSUED] some of the messages are there no more\r\n")
    assert b"t OK FETCH" in other.receive_data(b"t FETCH 2 UID\r\n")
    assert b"t OK FETCH" in other.receive_data(b"t FETCH 2 (UID) (CHANGEDSINCE 1)\r\n")
    assert b"[COPYUID" in other.receive_data(b"t UID COPY 1:2 INBOX\r\n")
    assert b"MESSAGES 2" in said(one, "STATUS INBOX (MESSAGES)")


def test_copy_keeps_flags_and_dates_and_tells_both_uids(world: Any) -> None:
    one, _ = filled(world, 3)
    said(one, "CREATE a")
    validity = said(one, "STATUS a (UIDVALIDITY)").split(b"UIDVALIDITY ")[1].split(b")")[0]
    said(one, "STORE 3 +FLAGS.SILENT (\\Seen x)")
    assert one.receive_data(b"t COPY 1,3 a\r\n") == b"t OK [COPYUID " + validity + b" 1,3 1:2] COPY completed\r\n"
    assert one.receive_data(b"t UID COPY 99 a\r\n") == b"t OK UID COPY completed\r\n"
    said(one, "SELECT a")
    assert said(one, "FETCH 1:* (FLAGS INTERNALDATE)") == (
        b'* 1 FETCH (FLAGS (\\Recent) INTERNALDATE "22-Nov-2026 00:00:00 +0000")\r\n'
        b'* 2 FETCH (FLAGS (\\Recent \\Seen x) INTERNALDATE "22-Nov-2026 00:00:00 +0000")\r\n'
    )


def test_move_tells_the_uids_before_who_is_gone(world: Any) -> None:
    one, other = filled(world, 3)
    said(one, "CREATE a")
    validity = said(one, "STATUS a (UIDVALIDITY)").split(b"UIDVALIDITY ")[1].split(b")")[0]
    assert one.receive_data(b"t MOVE 1:2 a\r\n") == (
        b"* OK [COPYUID " + validity + b" 1:2 1:2] moved\r\n* 2 EXPUNGE\r\n* 1 EXPUNGE\r\nt OK MOVE completed\r\n"
    )
    assert said(other, "NOOP") == b"* 2 EXPUNGE\r\n* 1 EXPUNGE\r\n"
    assert one.receive_data(b"t UID MOVE 1,3 INBOX\r\n") == (
        b"* OK [COPYUID 1 3 4] moved\r\n* 1 EXPUNGE\r\n* 1 EXISTS\r\n* 1 RECENT\r\nt OK UID MOVE completed\r\n"
    )


def test_a_select_with_condstore_tells_mod_sequences_from_then_on(world: Any) -> None:
    one, other = filled(world, 2)
    assert b"* OK [HIGHESTMODSEQ 3] " in said(other, "SELECT INBOX (CONDSTORE)")
    assert said(one, "STORE 1 +FLAGS \\Seen") == b"* 1 FETCH (FLAGS (\\Seen))\r\n"
    assert said(other, "NOOP") == b"* 1 FETCH (FLAGS (\\Seen) MODSEQ (4))\r\n"
    # a silent STORE tells those who know mod-sequences the new one (RFC 7162, 3.1.4.2, example 14)
    assert said(other, "UID STORE 2 +FLAGS.SILENT \\Seen") == b"* 2 FETCH (UID 2 MODSEQ (5))\r\n"
    assert said(other, "STORE 2 +FLAGS \\Draft") == b"* 2 FETCH (FLAGS (\\Draft \\Seen) MODSEQ (6))\r\n"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("FETCH 1 MODSEQ", b"* 1 FETCH (MODSEQ (2))\r\n"),
        ("FETCH 1:2 UID (CHANGEDSINCE 2)", b"* 2 FETCH (MODSEQ (3) UID 2)\r\n"),
        ("SEARCH MODSEQ 3", b"* SEARCH 2 (MODSEQ 3)\r\n"),
        ("STORE 1 (UNCHANGEDSINCE 2) +FLAGS.SILENT \\Seen", b"* 1 FETCH (MODSEQ (4))\r\n"),
        ("STATUS INBOX (HIGHESTMODSEQ)", b'* STATUS "INBOX" (HIGHESTMODSEQ 3)\r\n'),
        ("ENABLE CONDSTORE x-unknown condstore", b"* ENABLED CONDSTORE\r\n"),
    ],
)
def test_the_first_command_of_condstore_tells_the_highest_of_the_mailbox(world: Any, command: str, told: bytes) -> None:
    one, other = filled(world, 2)
    assert said(one, command) == b"* OK [HIGHESTMODSEQ 3] mod-sequences are told\r\n" + told
    said(other, "STORE 2 +FLAGS.SILENT \\Draft")
    assert b"MODSEQ (" in said(one, "NOOP")


def test_a_conditional_store_leaves_out_what_changed(world: Any) -> None:
    one, other = filled(world, 3)
    said(one, "ENABLE CONDSTORE")
    said(other, "STORE 2 +FLAGS.SILENT \\Draft")
    answer = one.receive_data(b"t STORE 1:3 (UNCHANGEDSINCE 4) +FLAGS.SILENT \\Seen\r\n")
    assert answer == (
        b"* 2 FETCH (FLAGS (\\Draft) MODSEQ (5))\r\n"
        b"* 1 FETCH (MODSEQ (6))\r\n* 3 FETCH (MODSEQ (6))\r\n"
        b"t OK [MODIFIED 2] STORE left out what changed\r\n"
    )
    assert one.receive_data(b"t UID STORE 1:3 (UNCHANGEDSINCE 0) FLAGS x\r\n").startswith(
        b"t OK [MODIFIED 1:3] UID STORE"
    )
    # nothing that is there already changes the mod-sequence (RFC 7162, 3.1.11)
    assert said(one, "STORE 3 +FLAGS.SILENT \\Seen") == b"* 3 FETCH (MODSEQ (6))\r\n"


def test_enable_names_what_is_new_alone(world: Any) -> None:
    assert said(world.joe, "ENABLE X-NOTHING") == b"* ENABLED\r\n"
    assert said(world.joe, "ENABLE condstore METADATA") == b"* ENABLED CONDSTORE METADATA\r\n"
    assert said(world.joe, "ENABLE CONDSTORE") == b"* ENABLED\r\n"


def test_close_says_nothing_of_what_it_removes_and_others_hear_of_it(world: Any) -> None:
    one, other = filled(world, 2)
    said(one, "STORE 1 +FLAGS.SILENT \\Deleted")
    assert said(one, "CLOSE") == b""
    assert said(other, "NOOP") == b"* 1 EXPUNGE\r\n"


def test_more_mailboxes_than_are_remembered_are_told_of_all_the_same(world: Any) -> None:
    one, other = filled(world, 2)
    said(other, "STORE 1 +FLAGS.SILENT \\Deleted")
    for number in range(KEPT + 1):
        said(world.joe, f"CREATE m{number}")
        said(world.joe, f"SELECT m{number}")
    said(other, "EXPUNGE")
    said(other, "STORE 1 +FLAGS.SILENT \\Seen")
    assert said(one, "NOOP") == b"* 2 FETCH (FLAGS (\\Seen))\r\n* 1 EXPUNGE\r\n"
