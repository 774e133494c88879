"""The grammar of an IMAP server's lines: what breaks RFC 3501 is charged to the server, and variations are not."""

from __future__ import annotations

import pytest

from lemonade_testbed.checks.imap_grammar import is_readable
from lemonade_testbed.checks.registry import find_check
from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.testing.flow import Flow

ANNC = load_scenario(SCENARIOS / "announcement-service.yaml")


@pytest.mark.parametrize("line", [
    "* 1 FETCH(UID 20)", "* 1 FETCH  (UID 20)", "* 1 FETCH (UID 20", "* 0 FETCH (UID 20)", "* FETCH 1 (UID 20)",
    "* EXISTS 1", "* 1  EXISTS", "* 1 EXISTS now", "* 0 EXPUNGE", "*1 EXISTS",
    "* FLAGS \\Answered \\Seen)", "* FLAGS (\\Seen", "* FLAGS",
    "* SEARCH 0", "* SEARCH 1 x", "* SEARCH  1", "SEARCH 1", "* CAPABILITY",
    '* GENURLAUTH"imap://joe@imap.example.com/INBOX"', "* URLFETCH", "* ", "*",
    "a1 OK", "a1 OK ", "a1 OKAY done", "a1", "a1 DONE now", "", "* OK [UIDVALIDITY 0] valid", "a1 OK [UIDNEXT 0] next",
])  # fmt: skip
def test_a_line_that_breaks_the_grammar_cannot_be_read(line: str) -> None:
    assert not is_readable(line)


@pytest.mark.parametrize("line", [
    "* 1 FETCH (UID 20 BODY[] {5})", "* 12 fetch (FLAGS ())", "* 0 EXISTS", "* 3 RECENT", "* 1 EXPUNGE", "* FLAGS ()",
    "* FLAGS (\\Seen $Forwarded)", "* SEARCH", "* SEARCH ", "* SEARCH 1 20", "* SEARCH 1 (MODSEQ 5)",
    '* ESEARCH (TAG "a1") UID ALL 1', "* CAPABILITY IMAP4rev1", "* OK hello", "* OK [ALERT] hello", "* BYE so long",
    "* BYE",
    "* PREAUTH in", "* OK [UIDVALIDITY 7] valid", "* OK [UNSEEN 1] first", '* LIST (\\Noselect) "/" x',
    '* STATUS INBOX (MESSAGES 1)', "* VANISHED 4", "* ID NIL", "* ENABLED", '* METADATA "" (/shared/x NIL)',
    "* GENURLAUTH imap://joe@imap.example.com/INBOX", '* 5 XNEW something', "* XNEW", "+ go on", "+ ", "+",
    "a1 OK done", "a1 ok done", "a1 OK [READ-WRITE] done", "a1 NO no", "a1 BAD what", "***",
    "* 1 FETCH (BODY[] {7}\r\na\r\nb\r\n)",
])  # fmt: skip
def test_a_line_by_the_grammar_can_be_read(line: str) -> None:
    assert is_readable(line)


@pytest.mark.parametrize(("old", "new"), [("FETCH (", "FETCH("), ("FETCH (", "FETCH  (")])
def test_the_server_is_charged_for_its_line(annc: Flow, old: str, new: str) -> None:
    check, file = find_check("imap responses can be read")
    assert check.run(ANNC, annc.evidence(), file).ok
    annc.change("fetch-data", old, new)
    breaches = check.run(ANNC, annc.evidence(), file).breaches
    assert {(one.node, one.clauses) for one in breaches} == {("imap", ("RFC3501-7",))}
