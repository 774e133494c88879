from __future__ import annotations

from datetime import UTC, datetime

import pytest

from differential.facts import ToldFacts, facts, shown
from lemonade_wire.imap.framing import FramerRole, LineFramer, LineReceived, LogicalLine

NOW = datetime(2026, 11, 17, 12, 0, tzinfo=UTC)


def lines(text: bytes) -> list[LogicalLine]:
    framer = LineFramer(FramerRole.CLIENT)
    framer.receive_data(text.replace(b"\n", b"\r\n"))
    found = []
    while isinstance(event := framer.next_event(), LineReceived):
        found.append(event.line)
    return found


def told(text: bytes, separator: str = "/") -> list[str]:
    return facts(lines(text), "t1", separator, NOW)


SAME = {
    "human text": (b"t1 OK done\n", b"t1 OK [CAPABILITY IMAP4rev1] Done, thanks\n"),
    "order": (b"* 3 EXISTS\n* 1 RECENT\nt1 OK\n", b"* 1 RECENT\n* OK sorry\n* 3 EXISTS\nt1 OK\n"),
    "removal from either end": (b"* 3 EXPUNGE\n* 2 EXPUNGE\nt1 OK\n", b"* 2 EXPUNGE\n* 2 EXPUNGE\nt1 OK\n"),
    "numbers behind a removal": (
        b"* 3 FETCH (UID 3)\n* 1 EXPUNGE\nt1 OK\n",
        b"* 1 EXPUNGE\n* 2 FETCH (UID 3)\nt1 OK\n",
    ),
    "one line or two": (b"* 1 FETCH (UID 1 FLAGS ())\n", b"* 1 FETCH (FLAGS ())\n* 1 FETCH (UID 1)\n"),
    "quoted or literal": (b'* 1 FETCH (BODY[] "a")\n', b"* 1 FETCH (body[] {1}\na)\n"),
    "mod-sequences": (b"t1 OK [HIGHESTMODSEQ 4] x\n", b"t1 OK [HIGHESTMODSEQ 7] x\n"),
    "sets": (b"t1 OK [COPYUID 7 1:2 3:4] x\n", b"t1 OK [COPYUID 8 1,2 4:3] x\n"),
    "tokens": (
        b'* GENURLAUTH "imap://j@h/I/;UID=1;URLAUTH=anonymous:internal:00ff"\n',
        b"* GENURLAUTH imap://j@h/I/;UID=1;URLAUTH=anonymous:INTERNAL:11FF\n",
    ),
    "case of flags of the system": (b"* FLAGS (\\Seen key)\n", b"* FLAGS (key \\seen)\n"),
    "the hour of arrival": (
        b'* 1 FETCH (INTERNALDATE "17-Nov-2026 12:00:01 +0000")\n',
        b'* 1 FETCH (INTERNALDATE "17-Nov-2026 11:59:00 +0000")\n',
    ),
    "zones": (
        b'* 1 FETCH (INTERNALDATE " 1-Jan-2020 23:59:59 -0500")\n',
        b'* 1 FETCH (INTERNALDATE " 2-Jan-2020 05:59:59 +0100")\n',
    ),
    "order of numbers": (b"* SEARCH 2 1\n", b"* SEARCH 1 2\n"),
}
OTHER = {
    "results": (b"t1 OK done\n", b"t1 NO done\n"),
    "codes": (b"t1 NO [NONEXISTENT] a\n", b"t1 NO a\n"),
    "tags": (b"t1 OK done\n", b"t2 OK done\n"),
    "octets": (b'* 1 FETCH (BODY[] "a")\n', b'* 1 FETCH (BODY[] "b")\n'),
    "nothing and NIL": (b'* 1 FETCH (BODY[] "")\n', b"* 1 FETCH (BODY[] NIL)\n"),
    "flags": (b"* 1 FETCH (FLAGS (\\Seen))\n", b"* 1 FETCH (FLAGS ())\n"),
    "keywords' case": (b"* 1 FETCH (FLAGS (key))\n", b"* 1 FETCH (FLAGS (KEY))\n"),
    "who is gone": (b"* 1 EXPUNGE\n* 1 EXPUNGE\n", b"* 1 EXPUNGE\n* 2 EXPUNGE\n"),
    "days of arrival": (
        b'* 1 FETCH (INTERNALDATE " 1-Jan-2020 12:00:00 +0000")\n',
        b'* 1 FETCH (INTERNALDATE " 1-Jan-2020 12:00:00 +0100")\n',
    ),
    "ESEARCH's tag": (b'* ESEARCH (TAG "t1") COUNT 1\n', b'* ESEARCH (TAG "t2") COUNT 1\n'),
    "UID or number": (b'* ESEARCH (TAG "t1") UID COUNT 1\n', b'* ESEARCH (TAG "t1") COUNT 1\n'),
    "a presence of mod-sequences": (b"* SEARCH 1 (MODSEQ 3)\n", b"* SEARCH 1\n"),
    "attributes": (b'* LIST (\\Noselect) "/" a\n', b'* LIST () "/" a\n'),
}


@pytest.mark.parametrize("name", SAME)
def test_answers_that_may_differ_have_equal_facts(name: str) -> None:
    one, other = SAME[name]
    assert told(one) == told(other)


@pytest.mark.parametrize("name", OTHER)
def test_answers_that_must_not_differ_have_other_facts(name: str) -> None:
    one, other = OTHER[name]
    assert told(one) != told(other)


def test_mailbox_names_have_a_slash_as_separator() -> None:
    assert told(b'* LIST () "." a.b\n', ".") == told(b'* LIST () "/" a/b\n') == ["LIST a/b ()"]
    assert told(b"* STATUS a.b (MESSAGES 2 UIDVALIDITY 9)\n", ".") == ["STATUS a/b MESSAGES 2 UIDVALIDITY n"]


def test_a_structure_is_told_field_by_field() -> None:
    first = b'("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 5 1)'
    second = b'("a" "b" NIL NIL "d" "base64" 8 NIL ("inline" NIL) NIL NIL)'
    text = b'* 1 FETCH (BODYSTRUCTURE (%s%s "mixed" ("boundary" "x")))\n' % (first, second)
    assert told(text) == [
        "1 BODYSTRUCTURE 1 encoding 7BIT",
        "1 BODYSTRUCTURE 1 lines 1",
        '1 BODYSTRUCTURE 1 parameter CHARSET = "utf-8"',
        "1 BODYSTRUCTURE 1 size 5",
        "1 BODYSTRUCTURE 1 type TEXT/PLAIN",
        "1 BODYSTRUCTURE 2 4 extension fields",
        '1 BODYSTRUCTURE 2 description "d"',
        "1 BODYSTRUCTURE 2 disposition INLINE",
        "1 BODYSTRUCTURE 2 encoding BASE64",
        "1 BODYSTRUCTURE 2 size 8",
        "1 BODYSTRUCTURE 2 type A/B",
        "1 BODYSTRUCTURE whole 1 extension fields",
        '1 BODYSTRUCTURE whole parameter BOUNDARY = "x"',
        "1 BODYSTRUCTURE whole type MULTIPART/MIXED",
    ]


def test_an_envelope_is_told_field_by_field() -> None:
    text = b'* 1 FETCH (ENVELOPE (NIL "" (("J" NIL "j" "x")) NIL NIL NIL NIL NIL NIL "<1@x>"))\n'
    assert told(text) == ['1 ENVELOPE from ("J" NIL "j" "x")', '1 ENVELOPE message-id "<1@x>"', '1 ENVELOPE subject ""']
    assert "unreadable" in told(b"* 1 FETCH (ENVELOPE (NIL NIL))\n")[0]


def test_the_last_modseq_and_url_are_kept_as_variables() -> None:
    seen = ToldFacts({})
    seen.learn(lines(b"* 1 FETCH (MODSEQ (12))\n* GENURLAUTH imap://x/:internal:00\nt1 OK [HIGHESTMODSEQ 14] x\n"))
    assert seen.values == {"modseq": "14", "url": "imap://x/:internal:00"}


def test_octets_are_shown_in_one_line() -> None:
    assert shown(b'a\r\n\xfc\xc3\xbc\0\\"') == r'a\r\n\xfc\xc3\xbc\x00\\"'
    long = shown(b"a" * 500)
    assert long.startswith("a" * 160 + "... (500 octets, ")
    assert shown(b"a" * 499 + b"b") != long
