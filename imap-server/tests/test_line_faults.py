"""Each fault in the lines of a session changes its own lines."""

from __future__ import annotations

import re

import pytest

from lemonade_imap.faults.lines import LINE_FAULTS
from lemonade_imap.faults.registry import FAULTS
from lemonade_imap.testing.world import World

FETCH = b"f UID FETCH 1 (FLAGS)\r\n"
SELECT = b"s SELECT INBOX\r\n"
SHOWN: dict[str, tuple[bytes, str, str]] = {
    "tag-changed": (FETCH, r"\r\nxf OK ", r"\r\nf OK "),
    "select-without-uidvalidity": (SELECT, r"\[READ-WRITE\]", r"UIDVALIDITY"),
    "fetch-unspaced": (FETCH, r"\* 1 FETCH\(", r"\* 1 FETCH \("),
    "exists-too-low": (SELECT, r"\* 0 EXISTS", r"\* 1 EXISTS"),
    "exists-too-high": (SELECT, r"\* 9 EXISTS", r"\* 1 EXISTS"),
    "search-finds-nothing": (b"h UID SEARCH ALL\r\n", r"\A\* SEARCH\r\n", r"\A\* SEARCH 1\r\n"),
    "seen-set-by-structure": (
        b"f FETCH 1 BODYSTRUCTURE\r\n",
        r"\A\* 1 FETCH \(FLAGS \(\\Seen\) BODYSTRUCTURE",
        r"\A\* 1 FETCH \(BODYSTRUCTURE",
    ),
    "genurlauth-url-twice": (
        b'g GENURLAUTH "imap://joe@imap.example.com/INBOX/;UID=1;URLAUTH=anonymous" INTERNAL\r\n',
        r"\A\* GENURLAUTH (\S+) \1\r\n",
        r"\A\* GENURLAUTH (\S+)\r\n",
    ),
    "search-unanswered": (b"h UID SEARCH ALL\r\n", r"\Ah OK ", r"\* SEARCH"),
    "fetch-unanswered": (FETCH, r"\Af OK ", r"\* 1 FETCH"),
    "uid-of-another": (FETCH, r"UID 99 ", r"UID 1 "),
    "capability-unanswered": (b"c CAPABILITY\r\n", r"\Ac OK \[CAPABILITY IMAP4rev1 ", r"\* CAPABILITY"),
    "capability-without-imap4rev1": (b"c CAPABILITY\r\n", r"\* CAPABILITY LITERAL", r"IMAP4rev1"),
    "create-idle": (b"c CREATE Box\r\nl SELECT Box\r\n", r"c OK .*\r\nl NO ", r"l OK"),
    "copy-idle": (b"c CREATE Box\r\nd UID COPY 1 Box\r\nl SELECT Box\r\n", r"d OK .*\* 0 EXISTS", r"\* 1 EXISTS"),
}
"""Of a fault: what is sent, what its answer holds, and what it does not hold, which is the other way round without."""


@pytest.mark.parametrize("name", SHOWN)
def test_a_fault_changes_its_line(make_world: type[World], name: str) -> None:
    asked, wrong, right = SHOWN[name]
    for fault in (FAULTS.pick(name), None):
        joe = make_world(fault).joe
        joe.receive_data(SELECT)
        said = joe.receive_data(asked).decode()
        assert bool(re.search(right, said, re.DOTALL)) == (fault is None), said
        assert fault is None or re.search(wrong, said, re.DOTALL), said


def test_uidvalidity_changes_with_each_select(make_world: type[World]) -> None:
    for fault, count in ((FAULTS.pick("uidvalidity-changes"), 2), (None, 1)):
        joe = make_world(fault).joe
        told = [re.search(rb"UIDVALIDITY (\d+)", joe.receive_data(SELECT)) for _ in range(2)]
        assert len({found[1] for found in told if found}) == count


def test_urlfetch_gets_no_answer(make_world: type[World]) -> None:
    world = make_world(FAULTS.pick("urlfetch-unanswered"))
    url = world.authorise("anonymous")
    assert world.joe.receive_data(f'u URLFETCH "{url}"\r\n'.encode()) == b""


def test_a_token_is_short(make_world: type[World]) -> None:
    url = make_world(FAULTS.pick("token-short")).authorise("anonymous")
    assert re.fullmatch("[0-9a-f]{16}", url.rpartition(":")[2])


def test_any_password_is_good(make_world: type[World]) -> None:
    for fault, result in ((FAULTS.pick("passwords-unchecked"), b"l OK"), (None, b"l NO")):
        stranger = make_world(fault).server.connect()
        assert b"l LOGIN" not in stranger.receive_data(b"")
        assert stranger.receive_data(b"l LOGIN joe another\r\n").startswith(result)


def test_a_right_password_is_refused_after_the_first_login(make_world: type[World]) -> None:
    for fault, second in ((FAULTS.pick("later-passwords-refused"), b"l NO"), (None, b"l OK")):
        world = make_world(fault)
        assert world.joe is not None  # the first login, which succeeds
        stranger = world.server.connect()
        stranger.receive_data(b"")
        assert stranger.receive_data(b"l LOGIN joe secret\r\n").startswith(second)


def test_every_fault_is_shown() -> None:
    others = {"uidvalidity-changes", "urlfetch-unanswered", "passwords-unchecked", "later-passwords-refused"}
    assert {fault.name for fault in LINE_FAULTS} == SHOWN.keys() | others
