"""Every fault is wrong in one way, and says which clause that breaks. What each does is shown beside what it spoils."""

import re
from email import message_from_bytes
from email.message import Message

import pytest

from lemonade_client.faults import CORRECT, FAULTS, Behaviour
from lemonade_wire.mscml.document import CONTENT_TYPE, write_document
from lemonade_wire.mscml.request import Audio, PlayCollect, Prompt

SEAMS = [name for name in vars(Behaviour) if not name.startswith("_")]


@pytest.mark.parametrize("name", sorted(FAULTS.faults))
def test_a_fault_differs_in_one_seam_and_names_its_clauses(name: str) -> None:
    fault = FAULTS.faults[name]
    assert [seam for seam in SEAMS if getattr(fault, seam) is not getattr(Behaviour, seam)] != []
    assert len([seam for seam in SEAMS if seam in vars(fault)]) == 1
    assert fault.breaks
    assert all(re.fullmatch(r"LS-[0-9.]+-[0-9]+", clause) for clause in fault.breaks)
    assert fault.summary


def test_correct_behaviour_changes_nothing() -> None:
    assert CORRECT.ticket_life(3.0) == 3.0
    assert CORRECT.url_to_hand_over("imap://x") == CORRECT.url_to_escape("imap://x") == "imap://x"
    assert CORRECT.key_to_send("6") == "6"


def test_the_wrong_key_is_never_the_right_one() -> None:
    wrong = FAULTS.pick("dtmf-wrong-key")
    assert isinstance(wrong, Behaviour)
    assert all(wrong.key_to_send(key) != key for key in "0123456789*#ABCD")


PLAYS = PlayCollect(Prompt((Audio("imap://x"),), stop_on_error=True), first_digit_ms=0, interdigit_ms=0)


def pick(name: str) -> Behaviour:
    fault = FAULTS.pick(name)
    assert isinstance(fault, Behaviour)
    return fault


def test_requests_that_the_draft_does_not_want() -> None:
    assert CORRECT.request_to_send(PLAYS) == PLAYS
    assert pick("timers-not-zero").request_to_send(PLAYS).first_digit_ms == 100
    twice = pick("two-audios").request_to_send(PLAYS).prompt
    assert twice is not None
    assert twice.items == (Audio("imap://x"),) * 2
    careless = pick("plays-on-error").request_to_send(PLAYS).prompt
    assert careless is not None
    assert not careless.stop_on_error


def test_an_invite_with_a_request_is_a_multipart_that_others_read() -> None:
    assert CORRECT.invite_body(b"v=0", b"<x/>") == ("application/sdp", b"v=0")
    kind, body = pick("mscml-in-invite").invite_body(b"v=0\r\n", write_document(PLAYS))
    parts = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body).get_payload()
    assert isinstance(parts, list)
    assert [part.get_content_type() for part in parts if isinstance(part, Message)] == ["application/sdp", CONTENT_TYPE]
