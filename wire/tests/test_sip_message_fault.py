from __future__ import annotations

import pytest

from lemonade_wire.sip.message.fault import (
    BYE_UNANSWERED,
    REFUSAL,
    REQUEST,
    RESPONSE,
    CopiesWithheld,
    Edit,
    EditedMessage,
    ExtraMessage,
    MessageEdit,
    MessageFault,
    change_body,
    change_header,
    change_start,
    drop_header,
    put_header,
    set_status,
    withhold,
)

BYE = b"BYE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nVia: SIP/2.0/UDP i\r\nCSeq: 2 BYE\r\nContent-Length: 4\r\n\r\na\r\nb"
OK = b"SIP/2.0 200 OK\r\nCSeq: 2 BYE\r\n\r\n"
GONE = OK.replace(b"200 OK", b"481 Gone")


@pytest.mark.parametrize(("data", "kind"), [(BYE, "BYE"), (OK, "200 BYE")])
def test_what_is_not_changed_stays_as_it_is(data: bytes, kind: str) -> None:
    message = EditedMessage.parse(data)
    assert bytes(message) == data
    assert message.kind == kind


def test_headers_are_replaced_added_changed_and_left_out() -> None:
    message = EditedMessage.parse(BYE)
    message.put("CSeq", "3 BYE")
    message.put("Warning", "399")
    message.change("Via", "UDP", "TCP")
    assert message.header("CSeq") == "3 BYE"
    assert message.header("Nothing") == ""
    assert [value for name, value in message.rows if name == "Via"] == ["SIP/2.0/TCP h", "SIP/2.0/TCP i"]
    message.drop("Via")
    assert b"Via" not in bytes(message)
    assert bytes(message).endswith(b"CSeq: 3 BYE\r\nWarning: 399\r\n\r\na\r\nb")


def test_the_length_follows_the_body() -> None:
    message = EditedMessage.parse(BYE)
    message.change_body("^b$", "long")
    assert message.body == "a\r\nlong"
    assert message.header("Content-Length") == "7"


class _Withholds(MessageFault):
    def edit(self, message: EditedMessage) -> None:
        message.withheld = message.kind == "BYE"


def test_a_fault_changes_or_withholds_what_is_sent() -> None:
    assert _Withholds().rewrite(BYE) == b""
    assert _Withholds().rewrite(OK) == OK


class Copies(MessageFault):
    def behind(self, data: bytes) -> bytes:
        return data if EditedMessage.parse(data).kind == "BYE" else b""


def test_a_fault_may_send_something_behind_a_message() -> None:
    assert Copies().rewrite(BYE) == BYE
    assert Copies().behind(BYE) == BYE
    assert Copies().behind(OK) == b""


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        (drop_header("Via"), b"Via: SIP/2.0/UDP h\r\nVia: SIP/2.0/UDP i\r\n", b""),
        (put_header("CSeq", "3 BYE"), b"CSeq: 2 BYE\r\nContent-Length: 4", b"Content-Length: 4\r\nCSeq: 3 BYE"),
        (change_header("Via", "/UDP h", "/TCP h"), b"/UDP h", b"/TCP h"),
        (change_body("^b$", "long"), b"4\r\n\r\na\r\nb", b"7\r\n\r\na\r\nlong"),
        (change_start("sip:a", "sip:b"), b"sip:a", b"sip:b"),
        (change_start("$", "\r\nno header"), b"SIP/2.0\r\n", b"SIP/2.0\r\nno header\r\n"),
    ],
)
def test_an_edit_changes_one_thing_in_messages_of_its_kind(change: Edit, old: bytes, new: bytes) -> None:
    fault = MessageEdit("name", "summary", ("LS-1",), "BYE", change)
    assert old in BYE
    assert fault.rewrite(BYE) == BYE.replace(old, new, 1)
    assert fault.rewrite(OK) == OK


@pytest.mark.parametrize(("kind", "changed"), [(REQUEST, [BYE]), (RESPONSE, [OK, GONE]), (REFUSAL, [GONE])])
def test_the_kinds_of_many_messages(kind: str, changed: list[bytes]) -> None:
    fault = MessageEdit("name", "summary", ("LS-1",), kind, withhold)
    assert [data for data in (BYE, OK, GONE) if not fault.rewrite(data)] == changed


def test_a_response_gets_another_status_line() -> None:
    fault = MessageEdit("name", "summary", ("LS-1",), "200 BYE", set_status("481 Gone"))
    assert fault.rewrite(OK) == OK.replace(b"200 OK", b"481 Gone")


def test_a_changed_copy_is_sent_behind_a_message() -> None:
    fault = ExtraMessage("name", "summary", ("LS-1",), "BYE", lambda message: message.raise_cseq(1), pause=0.5)
    length = b"Content-Length: 4\r\n"
    assert fault.pause == 0.5
    assert fault.rewrite(BYE) == BYE
    assert fault.behind(BYE) == BYE.replace(b"CSeq: 2 BYE\r\n" + length, length + b"CSeq: 3 BYE\r\n")
    assert fault.behind(OK) == b""


class NoSecondBye(CopiesWithheld):
    kind = "BYE"
    identity = ("Via", "CSeq")


def test_copies_of_one_kind_are_withheld() -> None:
    fault = NoSecondBye()
    later = BYE.replace(b"2 BYE", b"3 BYE")
    assert [fault.rewrite(data) for data in (BYE, OK, BYE, later, OK)] == [BYE, OK, b"", later, OK]


def test_the_answer_to_bye_is_withheld() -> None:
    assert [BYE_UNANSWERED.rewrite(data) for data in (BYE, OK, GONE)] == [BYE, b"", b""]
