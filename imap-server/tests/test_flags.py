"""STORE, EXPUNGE, COPY, MOVE and CONDSTORE, and the updates between two sessions on one mailbox, as octets."""

from __future__ import annotations

import pytest

from lemonade_imap.serving.mailbox_cache import KEPT
from lemonade_imap.testing import LoopbackConnection
from lemonade_imap.testing.world import World

SYSTEM = b"\\Answered \\Flagged \\Deleted \\Seen \\Draft"


def filled(world: World, count: int) -> tuple[LoopbackConnection, LoopbackConnection]:
    r"""Return two sessions of joe with INBOX selected, which has `count` messages; `\Recent` in neither of them."""
    for _ in range(count - 1):
        world.append(b"Subject: x\r\n\r\n")
    world.joe.receive_data(b"s SELECT INBOX\r\n")
    one, other = world.login("joe"), world.login("joe")
    one.receive_data(b"s SELECT INBOX\r\n")
    other.receive_data(b"s SELECT INBOX\r\n")
    return one, other


def said(client: LoopbackConnection, command: str) -> bytes:
    """Return the answer without the tagged line, which must be OK."""
    answer = client.receive_data(f"t {command}\r\n".encode())
    head, mark, tail = (b"\r\n" + answer).rpartition(b"\r\nt ")
    assert mark, answer
    assert tail.startswith(b"OK "), answer
    return head[2:] + b"\r\n" * bool(head)


def test_store_in_all_its_forms(world: World) -> None:
    one, _ = filled(world, 3)
    assert said(one, "STORE 1 FLAGS (\\Seen \\Draft)") == b"* 1 FETCH (FLAGS (\\Draft \\Seen))\r\n"
    assert said(one, "STORE 1:2 +FLAGS \\Flagged") == (
        b"* 1 FETCH (FLAGS (\\Draft \\Flagged \\Seen))\r\n* 2 FETCH (FLAGS (\\Flagged))\r\n"
    )
    assert said(one, "STORE 1 -FLAGS (\\Draft \\Flagged)") == b"* 1 FETCH (FLAGS (\\Seen))\r\n"
    assert said(one, "STORE 1 FLAGS.SILENT ()") == b""
    assert said(one, "STORE 3,1 +FLAGS.SILENT \\Seen \\Draft") == b""
    assert said(one, "STORE 1 -FLAGS.SILENT \\DRAFT") == b""
    # nothing changes, but the client still receives the flags
    assert said(one, "STORE 1 +FLAGS \\Seen") == b"* 1 FETCH (FLAGS (\\Seen))\r\n"
    assert said(one, "UID STORE 3,99 -FLAGS \\Draft") == b"* 3 FETCH (UID 3 FLAGS (\\Seen))\r\n"
    assert said(one, "UID STORE 99 FLAGS \\Draft") == b""


def test_new_keywords_are_announced_before_use_and_ignore_letter_case(world: World) -> None:
    one, other = filled(world, 1)
    flags = b"* FLAGS (" + SYSTEM + b" Work)\r\n* OK [PERMANENTFLAGS (" + SYSTEM + b" Work \\*)] flags that stay\r\n"
    assert said(one, "STORE 1 +FLAGS Work") == flags + b"* 1 FETCH (FLAGS (Work))\r\n"
    assert said(other, "NOOP") == flags + b"* 1 FETCH (FLAGS (Work))\r\n"
    assert said(one, "STORE 1 +FLAGS WORK") == b"* 1 FETCH (FLAGS (Work))\r\n"
    assert said(one, "STORE 1 -FLAGS work") == b"* 1 FETCH (FLAGS ())\r\n"


def test_keywords_that_differ_in_letter_case_are_one_keyword(world: World) -> None:
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
def test_refused_commands_change_nothing(world: World, command: str, answer: str) -> None:
    one, _ = filled(world, 1)
    assert one.receive_data(f"t {command}\r\n".encode()).decode().startswith(f"t {answer}")
    assert said(one, "FETCH 1 FLAGS") == b"* 1 FETCH (FLAGS ())\r\n"


@pytest.mark.parametrize("command", ["STORE 1 FLAGS x", "EXPUNGE", "UID EXPUNGE 1", "MOVE 1 INBOX"])
def test_examine_changes_nothing(world: World, command: str) -> None:
    world.joe.receive_data(b"e EXAMINE INBOX\r\n")
    assert world.joe.receive_data(f"t {command}\r\n".encode()).startswith(b"t NO [READ-ONLY] ")
    assert said(world.joe, "COPY 1 INBOX").startswith(b"* 2 EXISTS\r\n")


def test_other_sessions_receive_changed_flags_once(world: World) -> None:
    one, other = filled(world, 2)
    said(one, "STORE 1 +FLAGS.SILENT \\Seen")
    assert said(one, "NOOP") == b""
    assert said(other, "NOOP") == b"* 1 FETCH (FLAGS (\\Seen))\r\n"
    assert said(other, "NOOP") == b""
    # A change of the other session is sent, even though the own change is silent (RFC 3501, 6.4.6).
    said(other, "STORE 1 +FLAGS.SILENT \\Draft")
    assert said(one, "STORE 1 +FLAGS.SILENT \\Flagged") == b"* 1 FETCH (FLAGS (\\Draft \\Seen))\r\n"
    assert said(other, "CHECK") == b"* 1 FETCH (FLAGS (\\Draft \\Flagged \\Seen))\r\n"
    # FETCH sets \Seen, which both the own and other sessions receive once.
    assert said(one, "FETCH 2 BODY[TEXT]") == b'* 2 FETCH (BODY[TEXT] "" FLAGS (\\Seen))\r\n'
    assert said(one, "NOOP") == b""
    assert said(other, "NOOP") == b"* 2 FETCH (FLAGS (\\Seen))\r\n"


def test_a_keyword_of_another_session_is_announced_with_the_fetch_that_sets_seen(world: World) -> None:
    one, other = filled(world, 1)
    said(other, "STORE 1 +FLAGS.SILENT Work")
    answer = said(one, "FETCH 1 BODY[TEXT]<0.5>")
    assert b"FLAGS (Work \\Seen)" in answer
    assert b"* FLAGS (" + SYSTEM + b" Work)\r\n" in answer


@pytest.mark.parametrize("command", ["FETCH 2 UID", "STORE 2 +FLAGS.SILENT \\Seen", "SEARCH UID 2"])
def test_commands_with_sequence_numbers_get_no_expunge(world: World, command: str) -> None:
    one, other = filled(world, 3)
    assert said(one, "STORE 1 +FLAGS.SILENT \\Deleted") == b""
    assert said(one, "EXPUNGE") == b"* 1 EXPUNGE\r\n"
    assert b"EXPUNGE" not in said(other, command)
    assert said(other, "NOOP") == b"* 1 EXPUNGE\r\n"
    assert b"* 1 EXPUNGE" not in said(other, "NOOP")


@pytest.mark.parametrize(
    "command", ["UID FETCH 2 UID", "UID STORE 2 +FLAGS.SILENT \\Seen", "UID SEARCH UID 2", "CHECK"]
)
def test_commands_by_uid_get_expunge(world: World, command: str) -> None:
    one, other = filled(world, 3)
    said(one, "STORE 1 +FLAGS.SILENT \\Deleted")
    said(one, "EXPUNGE")
    assert said(other, command).endswith(b"* 1 EXPUNGE\r\n")


def test_commands_with_sequence_numbers_get_exists(world: World) -> None:
    one, other = filled(world, 1)
    said(one, "COPY 1 INBOX")
    assert said(other, "FETCH 1 UID") == b"* 1 FETCH (UID 1)\r\n* 2 EXISTS\r\n"


def test_one_session_gets_recent_and_examine_does_not_claim_it(world: World) -> None:
    reader, one = world.login("joe"), world.login("joe")
    assert b"* 1 RECENT\r\n" in said(reader, "EXAMINE INBOX")
    assert said(reader, "FETCH 1 FLAGS") == b"* 1 FETCH (FLAGS (\\Recent))\r\n"
    assert b"* 1 RECENT\r\n" in said(one, "SELECT INBOX")
    assert b"* 0 RECENT\r\n" in said(world.joe, "SELECT INBOX")
    world.append(b"Subject: x\r\n\r\n")
    # joe's own session was informed first, so that the message is recent there
    assert said(one, "NOOP") == b"* 2 EXISTS\r\n"
    assert said(world.joe, "FETCH 2 FLAGS") == b"* 2 FETCH (FLAGS (\\Recent))\r\n"
    assert said(one, "FETCH 1:* FLAGS") == b"* 1 FETCH (FLAGS (\\Recent))\r\n* 2 FETCH (FLAGS ())\r\n"
    assert b"(RECENT 0)" in said(one, "STATUS INBOX (RECENT)")
    assert said(one, "SEARCH RECENT") == b"* SEARCH 1\r\n"


def test_expunge_removes_deleted_messages_and_uid_expunge_only_those_named(world: World) -> None:
    one, other = filled(world, 5)
    said(one, "STORE 1,3:4 +FLAGS.SILENT \\Deleted")
    assert said(one, "UID EXPUNGE 2:3") == b"* 3 EXPUNGE\r\n"
    # The flag does not count if another session removes it before EXPUNGE.
    said(other, "STORE 1 -FLAGS.SILENT \\Deleted")
    assert said(one, "EXPUNGE") == b"* 1 FETCH (FLAGS ())\r\n* 3 EXPUNGE\r\n"
    assert said(one, "UID FETCH 1:* UID") == (b"* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\n* 3 FETCH (UID 5)\r\n")


def test_commands_on_expunged_messages_answer_expungeissued(world: World) -> None:
    one, other = filled(world, 2)
    said(one, "STORE 1 +FLAGS.SILENT \\Deleted")
    said(one, "EXPUNGE")
    assert other.receive_data(b"t STORE 1:2 +FLAGS \\Seen\r\n").endswith(
        b"t NO [EXPUNGEISSUED] some of the messages were expunged\r\n"
    )
    assert other.receive_data(b"t STORE 1:2 +FLAGS.SILENT \\Draft\r\n").startswith(b"t OK [EXPUNGEISSUED] ")
    assert other.receive_data(b"t COPY 1:2 INBOX\r\n").startswith(b"t NO [EXPUNGEISSUED] ")
    for items in ("UID", "(UID BODY.PEEK[TEXT])"):
        # RFC 2180, 4.1.2
        told = other.receive_data(f"t FETCH 1:2 {items}\r\n".encode())
        assert told.startswith(b"* 2 FETCH (UID 2"), told
        assert told.count(b"FETCH") == 1
        assert told.endswith(b"\r\nt NO [EXPUNGEISSUED] some of the messages were expunged\r\n")
    assert b"t OK FETCH" in other.receive_data(b"t FETCH 2 UID\r\n")
    assert b"t OK FETCH" in other.receive_data(b"t FETCH 2 (UID) (CHANGEDSINCE 1)\r\n")
    assert b"[COPYUID" in other.receive_data(b"t UID COPY 1:2 INBOX\r\n")
    assert b"MESSAGES 2" in said(one, "STATUS INBOX (MESSAGES)")


def test_copy_keeps_flags_and_dates_and_returns_both_uids(world: World) -> None:
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


def test_move_sends_copyuid_before_expunge(world: World) -> None:
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


def test_select_with_condstore_enables_mod_sequences(world: World) -> None:
    one, other = filled(world, 2)
    assert b"* OK [HIGHESTMODSEQ 3] " in said(other, "SELECT INBOX (CONDSTORE)")
    assert said(one, "STORE 1 +FLAGS \\Seen") == b"* 1 FETCH (FLAGS (\\Seen))\r\n"
    assert said(other, "NOOP") == b"* 1 FETCH (FLAGS (\\Seen) MODSEQ (4))\r\n"
    # After CONDSTORE a silent STORE still sends the new mod-sequence (RFC 7162, 3.1.4.2, example 14).
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
def test_the_first_command_with_mod_sequences_sends_highestmodseq(world: World, command: str, told: bytes) -> None:
    one, other = filled(world, 2)
    assert said(one, command) == b"* OK [HIGHESTMODSEQ 3] mod-sequences are enabled\r\n" + told
    said(other, "STORE 2 +FLAGS.SILENT \\Draft")
    assert b"MODSEQ (" in said(one, "NOOP")


def test_a_conditional_store_does_not_change_messages_that_changed_since(world: World) -> None:
    one, other = filled(world, 3)
    said(one, "ENABLE CONDSTORE")
    said(other, "STORE 2 +FLAGS.SILENT \\Draft")
    answer = one.receive_data(b"t STORE 1:3 (UNCHANGEDSINCE 4) +FLAGS.SILENT \\Seen\r\n")
    assert answer == (
        b"* 2 FETCH (FLAGS (\\Draft) MODSEQ (5))\r\n"
        b"* 1 FETCH (MODSEQ (6))\r\n* 3 FETCH (MODSEQ (6))\r\n"
        b"t OK [MODIFIED 2] STORE did not change the messages listed here\r\n"
    )
    assert one.receive_data(b"t UID STORE 1:3 (UNCHANGEDSINCE 0) FLAGS x\r\n").startswith(
        b"t OK [MODIFIED 1:3] UID STORE"
    )
    # Setting a flag that a message has already does not change its mod-sequence (RFC 7162, 3.1.11).
    assert said(one, "STORE 3 +FLAGS.SILENT \\Seen") == b"* 3 FETCH (MODSEQ (6))\r\n"


def test_enable_lists_only_newly_enabled_extensions(world: World) -> None:
    assert said(world.joe, "ENABLE X-NOTHING") == b"* ENABLED\r\n"
    assert said(world.joe, "ENABLE condstore METADATA") == b"* ENABLED CONDSTORE METADATA\r\n"
    assert said(world.joe, "ENABLE CONDSTORE") == b"* ENABLED\r\n"


def test_close_sends_no_expunge_but_other_sessions_get_it(world: World) -> None:
    one, other = filled(world, 2)
    said(one, "STORE 1 +FLAGS.SILENT \\Deleted")
    assert said(one, "CLOSE") == b""
    assert said(other, "NOOP") == b"* 1 EXPUNGE\r\n"


def test_updates_are_complete_with_more_mailboxes_than_the_cache_holds(world: World) -> None:
    one, other = filled(world, 2)
    said(other, "STORE 1 +FLAGS.SILENT \\Deleted")
    for number in range(KEPT + 1):
        said(world.joe, f"CREATE m{number}")
        said(world.joe, f"SELECT m{number}")
    said(other, "EXPUNGE")
    said(other, "STORE 1 +FLAGS.SILENT \\Seen")
    assert said(one, "NOOP") == b"* 2 FETCH (FLAGS (\\Seen))\r\n* 1 EXPUNGE\r\n"
