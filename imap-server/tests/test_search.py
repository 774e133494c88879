"""SEARCH: its answers, flags and reads of the store; `test_odd_messages` tests texts and charsets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_imap.serving.matching import found_in
from lemonade_imap.store.base import StoredMessage
from lemonade_imap.testing import LoopbackConnection
from lemonade_imap.testing.memory_store import MemoryStore
from lemonade_imap.testing.world import World


@pytest.fixture
def joe(world: World) -> LoopbackConnection:
    """joe's session with messages 1 to 5 without 3, which was removed; 2 is flagged, 4 and 5 have a keyword."""
    for flags in (b"\\Flagged", b"\\Flagged \\Deleted", b"$Junk", b"$junk \\Seen"):
        message = b"Subject: %s\r\n\r\nbody" % flags
        world.joe.receive_data(b"a APPEND INBOX (%s) {%d+}\r\n%s\r\n" % (flags, len(message), message))
    world.joe.receive_data(b"s SELECT INBOX\r\nx EXPUNGE\r\n")
    return world.joe


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        ("SEARCH FLAGGED", b"* SEARCH 2"),
        ("SEARCH RETURN () ALL", b'* ESEARCH (TAG "t.1") ALL 1:4'),
        ("UID SEARCH RETURN () ALL", b'* ESEARCH (TAG "t.1") UID ALL 1:2,4:5'),
        ("SEARCH RETURN (MIN) UNSEEN", b'* ESEARCH (TAG "t.1") MIN 1'),
        ("UID SEARCH RETURN (MIN MAX) 2:4", b'* ESEARCH (TAG "t.1") UID MIN 2 MAX 5'),
        ("SEARCH RETURN (COUNT all) KEYWORD $JUNK", b'* ESEARCH (TAG "t.1") ALL 3:4 COUNT 2'),
        ("SEARCH RETURN (MIN MAX ALL COUNT) DRAFT", b'* ESEARCH (TAG "t.1") COUNT 0'),
        ("UID SEARCH RETURN (ALL) DRAFT", b'* ESEARCH (TAG "t.1") UID'),
        ("SEARCH RECENT", b"* SEARCH 1 2 3 4"),
        ("SEARCH NEW", b"* SEARCH 1 2 3"),
        ("SEARCH OLD", b"* SEARCH"),
        ("SEARCH UID 3:*", b"* SEARCH 3 4"),
        ("SEARCH UID 99", b"* SEARCH"),
        ("SEARCH UID 99:*", b"* SEARCH 4"),
        ("SEARCH *", b"* SEARCH 4"),
        ("SEARCH OR (1 NOT FLAGGED) (KEYWORD $junk SEEN)", b"* SEARCH 1 4"),
        ("SEARCH NOT (OR FLAGGED SEEN)", b"* SEARCH 1 3"),
        ("SEARCH SINCE 22-Nov-2026 BEFORE 23-Nov-2026", b"* SEARCH 1 2 3 4"),
        ("SEARCH ON 21-Nov-2026", b"* SEARCH"),
    ],
)
def test_each_search_has_this_answer(joe: LoopbackConnection, keys: str, answer: bytes) -> None:
    assert joe.receive_data(f"t.1 {keys}\r\n".encode()) == answer + b"\r\nt.1 OK SEARCH completed\r\n"


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ("5", b""),
        ("1:5", b" 1 2 3 4"),
        ("5:*", b" 4"),
        ("NOT 5", b" 1 2 3 4"),
        ("OR 2 (SEEN 9)", b" 2"),
        ("4294967295", b""),
    ],
)
def test_a_number_that_no_message_has_matches_nothing(joe: LoopbackConnection, keys: str, found: bytes) -> None:
    answer = b"* SEARCH" + found + b"\r\na OK SEARCH completed\r\n"
    assert joe.receive_data(f"a SEARCH {keys}\r\n".encode()) == answer


@pytest.mark.parametrize("keys", ["1:*", "*", "1", "UID 1:*", "UID *"])
def test_in_an_empty_mailbox_each_number_matches_nothing(joe: LoopbackConnection, keys: str) -> None:
    joe.receive_data(b"c CREATE empty\r\ns SELECT empty\r\n")
    for word in ("SEARCH", "UID SEARCH"):
        assert joe.receive_data(f"a {word} {keys}\r\n".encode()) == b"* SEARCH\r\na OK SEARCH completed\r\n"
    assert joe.receive_data(b"f FETCH 1 UID\r\n").startswith(b"f BAD ")
    assert joe.receive_data(b"f STORE 1 FLAGS x\r\n").startswith(b"f BAD ")
    assert joe.receive_data(b"f COPY 1 INBOX\r\n").startswith(b"f BAD ")


@pytest.mark.parametrize("modseq", [10**18, 2**63 - 1])
def test_a_mod_sequence_has_63_bits(joe: LoopbackConnection, modseq: int) -> None:
    assert joe.receive_data(b"a SEARCH MODSEQ %d\r\n" % modseq).endswith(b"* SEARCH\r\na OK SEARCH completed\r\n")
    assert joe.receive_data(b"a FETCH 1:* FLAGS (CHANGEDSINCE %d)\r\n" % modseq) == b"a OK FETCH completed\r\n"
    said = joe.receive_data(b"a STORE 1 (UNCHANGEDSINCE %d) +FLAGS x\r\n" % modseq)
    assert said.endswith(b"\r\na OK STORE completed\r\n")


def test_changedsince_zero_selects_every_message(joe: LoopbackConnection) -> None:
    assert joe.receive_data(b"a FETCH 1:* UID (CHANGEDSINCE 0)\r\n").count(b" FETCH (MODSEQ (") == 4


def test_an_unknown_charset_is_refused_with_badcharset(joe: LoopbackConnection) -> None:
    said = joe.receive_data(b"a SEARCH CHARSET klingon SUBJECT x\r\n")
    assert said.startswith(b"a NO [BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ")


def test_a_second_session_finds_no_recent_message(world: World, joe: LoopbackConnection) -> None:
    other = world.login("joe")
    other.receive_data(b"s SELECT INBOX\r\n")
    assert other.receive_data(b"a SEARCH RECENT\r\nb SEARCH OLD\r\n").startswith(
        b"* SEARCH\r\na OK SEARCH completed\r\n* SEARCH 1"
    )


def test_search_by_modseq_and_the_modseq_of_esearch(joe: LoopbackConnection) -> None:
    def modseqs() -> list[int]:
        lines = joe.receive_data(b"f FETCH 1:* MODSEQ\r\n").split(b"MODSEQ (")[1:]
        return [int(line.split(b")")[0]) for line in lines]

    joe.receive_data(b"e ENABLE CONDSTORE\r\ns STORE 2 +FLAGS.SILENT x\r\n")
    first, second, _, last = modseqs()
    assert second == max(modseqs())
    assert joe.receive_data(b"a SEARCH MODSEQ %d\r\n" % second).startswith(b"* SEARCH 2 (MODSEQ %d)\r\n" % second)
    assert joe.receive_data(b"a SEARCH MODSEQ %d\r\n" % (second + 1)).startswith(b"* SEARCH\r\n")
    # RFC 4731, 3.2: with MIN and MAX only, the mod-sequence is that of the returned messages
    for results, wanted in (("MIN", first), ("MAX", last), ("MIN MAX", max(first, last)), ("MIN COUNT", second)):
        said = joe.receive_data(f'a SEARCH RETURN ({results}) MODSEQ "/flags/\\\\draft" all 1\r\n'.encode())
        assert said.startswith(b"* ESEARCH ")
        assert b" MODSEQ %d\r\n" % wanted in said


@pytest.mark.parametrize(
    ("keys", "read"),
    [
        ("UNSEEN LARGER 1 SINCE 1-Jan-2026", 0),
        ("SENTON 17-Nov-2026", 0),
        ("BODY nowhere SEEN DRAFT", 0),
        ("OR ALL TEXT nowhere", 0),
        ("FROM alice", 200),
        ("BODY hello", 9),
        # no octet of the two audio parts is read
        ("BODY nowhere", 9),
    ],
)
def test_search_reads_no_more_than_its_keys_need(
    world: World, monkeypatch: pytest.MonkeyPatch, keys: str, read: int
) -> None:
    world.joe.receive_data(b"s SELECT INBOX\r\n")
    lengths = []
    plain = MemoryStore.read

    def counted(self: MemoryStore, message: StoredMessage, offset: int, length: int) -> Iterator[bytes]:
        lengths.append(length)
        return plain(self, message, offset, length)

    monkeypatch.setattr(MemoryStore, "read", counted)
    assert b"a OK" in world.joe.receive_data(f"a SEARCH {keys}\r\n".encode())
    assert sum(lengths) <= read
    assert bool(lengths) is bool(read)


def test_long_text_is_found_across_chunks(world: World) -> None:
    text = b"x" * 131070 + "gr\u00fc\u00dfe".encode() + b"y" * 131072 + b"end"
    world.append(b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text)
    world.joe.receive_data(b"s SELECT INBOX\r\n")
    for needle in ("xGR\u00dcSSEy", "yEND"):
        octets = needle.encode()
        said = world.joe.receive_data(b"a SEARCH CHARSET UTF-8 BODY {%d+}\r\n%s\r\n" % (len(octets), octets))
        assert said.startswith(b"* SEARCH 2\r\n")


@given(st.lists(st.text(alphabet="abß", max_size=4), max_size=6), st.text(alphabet="abßS", max_size=4))
def test_a_search_in_pieces_finds_what_a_search_in_the_whole_text_finds(pieces: list[str], wanted: str) -> None:
    folded = wanted.casefold()
    assert any(found_in([*pieces, ""], folded)) is (folded in "".join(pieces).casefold())
