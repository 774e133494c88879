"""Every fault is wrong in one way, and says which clause that breaks. What each does is shown beside what it spoils."""

import re
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message
from typing import Any

import pytest

from lemonade_client.behaviour import CORRECT, Behaviour
from lemonade_client.faults import FAULTS
from lemonade_wire.address import Address
from lemonade_wire.mscml.document import CONTENT_TYPE, write_document
from lemonade_wire.mscml.request import Audio, Play, PlayCollect, Prompt
from lemonade_wire.sip.event import SendDatagram
from lemonade_wire.sip.header import NameAddr
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.uri import SipUri

SEAMS = [name for name in vars(Behaviour) if not name.startswith("_")]


@pytest.mark.parametrize("name", sorted(FAULTS.faults))
def test_a_fault_differs_in_one_seam_and_names_its_clauses(name: str) -> None:
    fault = FAULTS.faults[name]
    assert [seam for seam in SEAMS if getattr(fault, seam) is not getattr(Behaviour, seam)] != []
    assert len([seam for seam in SEAMS if seam in vars(fault)]) == 1
    assert fault.breaks
    assert all(re.fullmatch(r"(LS|SM)-[0-9.]+-[0-9]+", clause) for clause in fault.breaks)
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


def test_play_has_the_prompt_and_no_keys() -> None:
    assert pick("plays-only").request_to_send(PLAYS) == Play(PLAYS.prompt)


SERVER = Address("127.0.0.2", 5060)


def invite_of(behaviour: Behaviour) -> bytes:
    """Return the INVITE as it goes out, with a body of 30 octets."""
    agent = behaviour.user_agent(UaSettings(Address("127.0.0.3", 5060)))
    agent.invite(SipUri.parse("sip:annc@media.example.net"), next_hop=SERVER, now=1.0, body=b"v=0\r\n" * 6)
    [sent] = [one for one in agent.outputs() if isinstance(one, SendDatagram)]
    return sent.data


@pytest.mark.parametrize(("name", "length"), [("length-too-small", b"23"), ("length-too-large", b"37")])
def test_lengths_that_are_not_the_bodys(name: str, length: bytes) -> None:
    assert b"\r\nContent-Length: 30\r\n" in invite_of(CORRECT)
    sent = invite_of(pick(name))
    assert b"\r\nContent-Length: " + length + b"\r\n" in sent
    assert sent.endswith(b"\r\n\r\n" + b"v=0\r\n" * 6)


def test_the_drafts_headers_are_there_and_no_others_that_a_request_needs() -> None:
    sent = invite_of(pick("draft-headers"))
    for missing in (b"\r\nVia:", b"\r\nMax-Forwards:", b";tag="):
        assert missing in invite_of(CORRECT)
        assert missing not in sent
    for there in (b"\r\nFrom: <sip:", b"\r\nTo: ", b"\r\nCall-ID: ", b"\r\nCSeq: 1 INVITE\r\n", b"\r\nContact: "):
        assert there in sent
    assert sent.endswith(b"\r\n\r\n" + b"v=0\r\n" * 6)


def test_the_drafts_sequence_has_gaps_and_its_ack_goes_to_the_record() -> None:
    us, them = NameAddr.parse("<sip:joe@x>;tag=1"), NameAddr.parse("<sip:ivr@ms>;tag=2")
    dialog = pick("draft-sequence").dialog_factory("1", us, them, "sip:ivr@127.0.0.2", "<sip:joe@x>", (), 1, None, 1)
    assert (dialog.ack().target, str(dialog.ack().cseq)) == ("sip:ivr@ms", "1 ACK")
    assert [dialog.request(method).cseq.number for method in ("INFO", "BYE")] == [5, 9]


def test_a_request_goes_out_as_another_type(bench: Callable[..., Any]) -> None:
    run = bench("  - ivr: {url: 'imap://x'}\n", behaviour=pick("mscml-as-text")).start().answered()
    assert run.last("INFO").kind == "text/xml"


def test_the_service_that_is_asked_for_first() -> None:
    assert [CORRECT.service_to_ask(named) for named in (None, "annc", "ivr")] == ["ivr", "annc", "ivr"]
    assert [pick("annc-first").service_to_ask(named) for named in (None, "annc", "ivr")] == ["annc", "annc", "ivr"]
    assert [pick("service-ignored").service_to_ask(named) for named in (None, "annc", "ivr")] == ["ivr"] * 3


def test_a_client_that_gives_up_calls_once(bench: Callable[..., Any]) -> None:
    run = bench("  - stream: {}\n", behaviour=pick("gives-up")).start().answered(488)
    assert [one.what for one in run.phone.asked] == ["INVITE"]
    assert run.states == ["1 failed"]
