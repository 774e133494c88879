"""Every fault is wrong in one way, and says which clause that breaks. What each does is shown beside what it spoils."""

import re
from dataclasses import fields, replace
from email import message_from_bytes
from email.message import Message

import pytest

from lemonade_client.behaviour import CORRECT, ClientBehaviour
from lemonade_client.faults.registry import FAULTS
from lemonade_client.testing.bench import Bench, behaviour_of
from lemonade_wire.address import Address
from lemonade_wire.faults import FaultRow
from lemonade_wire.mscml.document import CONTENT_TYPE, write_document
from lemonade_wire.mscml.messages import Audio, PlayCollectRequest, PlayRequest, Prompt
from lemonade_wire.sip.event import SendDatagram
from lemonade_wire.sip.message.fault import MessageFault
from lemonade_wire.sip.message.header_values import NameAddr
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent

SEAMS = [field.name for field in fields(ClientBehaviour) if field.name not in {one.name for one in fields(FaultRow)}]


BEHAVIOURS = {name: fault for name, fault in FAULTS.faults.items() if isinstance(fault, ClientBehaviour)}


@pytest.mark.parametrize("name", sorted(FAULTS.faults))
def test_a_fault_names_its_clauses(name: str) -> None:
    fault = FAULTS.faults[name]
    assert fault.breaks
    assert all(re.fullmatch(r"(LS|SM)-[0-9.]+-[0-9]+|RFC[0-9]+-[0-9.]+(-[0-9])?", clause) for clause in fault.breaks)
    assert fault.summary


@pytest.mark.parametrize("name", sorted(BEHAVIOURS))
def test_a_fault_of_behaviour_differs_in_one_seam(name: str) -> None:
    assert len([seam for seam in SEAMS if getattr(BEHAVIOURS[name], seam) != getattr(CORRECT, seam)]) == 1


def test_correct_behaviour_changes_nothing() -> None:
    assert CORRECT.ticket_life(3.0) == 3.0
    assert CORRECT.url_to_hand_over("imap://x") == CORRECT.url_to_escape("imap://x") == "imap://x"
    assert CORRECT.key_to_send("6") == "6"


def test_the_wrong_key_is_never_the_right_one() -> None:
    wrong = FAULTS.pick("dtmf-wrong-key")
    assert isinstance(wrong, ClientBehaviour)
    assert all(wrong.key_to_send(key) != key for key in "0123456789*#ABCD")


PLAYS = PlayCollectRequest(Prompt((Audio("imap://x"),), stop_on_error=True), first_digit_ms=0, interdigit_ms=0)


def test_requests_that_the_draft_does_not_want() -> None:
    assert CORRECT.request_to_send(PLAYS) == PLAYS
    waits = behaviour_of("timers-not-zero").request_to_send(PLAYS)
    assert isinstance(waits, PlayCollectRequest)
    assert waits.first_digit_ms == 100
    twice = behaviour_of("two-audios").request_to_send(PLAYS).prompt
    assert twice is not None
    assert twice.items == (Audio("imap://x"),) * 2
    careless = behaviour_of("plays-on-error").request_to_send(PLAYS).prompt
    assert careless is not None
    assert not careless.stop_on_error


def test_a_request_has_other_keys_and_another_start() -> None:
    request = PlayCollectRequest(Prompt((Audio("imap://x"),)), ff_key="6", rw_key="4")
    swapped = FAULTS.pick("keys-swapped")
    late = FAULTS.pick("begins-late")
    assert isinstance(swapped, ClientBehaviour)
    assert isinstance(late, ClientBehaviour)
    assert swapped.request_to_send(request) == replace(request, ff_key="4", rw_key="6")
    assert late.request_to_send(request) == replace(request, prompt=Prompt((Audio("imap://x"),), offset_ms=300))


def test_an_invite_with_a_request_is_a_multipart_that_others_read() -> None:
    assert CORRECT.invite_body(b"v=0", b"<x/>") == ("application/sdp", b"v=0")
    kind, body = behaviour_of("mscml-in-invite").invite_body(b"v=0\r\n", write_document(PLAYS))
    parts = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body).get_payload()
    assert isinstance(parts, list)
    assert [part.get_content_type() for part in parts if isinstance(part, Message)] == ["application/sdp", CONTENT_TYPE]


def test_play_has_the_prompt_and_no_keys() -> None:
    assert behaviour_of("plays-only").request_to_send(PLAYS) == PlayRequest(PLAYS.prompt)


SERVER = Address("127.0.0.2", 5060)


def invite_of(name: str = "") -> bytes:
    """Return the INVITE as it goes out with a fault, with a body of 30 octets."""
    agent = UserAgent(UaSettings(Address("127.0.0.3", 5060)))
    agent.invite(SipUri.parse("sip:annc@media.example.net"), next_hop=SERVER, now=1.0, body=b"v=0\r\n" * 6)
    [sent] = [one for one in agent.outputs() if isinstance(one, SendDatagram)]
    if not name:
        return sent.data
    fault = FAULTS.pick(name)
    assert isinstance(fault, MessageFault)
    return fault.rewrite(sent.data)


@pytest.mark.parametrize(("name", "length"), [("length-too-small", b"23"), ("length-too-large", b"37")])
def test_lengths_that_are_not_the_bodys(name: str, length: bytes) -> None:
    assert b"\r\nContent-Length: 30\r\n" in invite_of()
    sent = invite_of(name)
    assert b"\r\nContent-Length: " + length + b"\r\n" in sent
    assert sent.endswith(b"\r\n\r\n" + b"v=0\r\n" * 6)


ACK = (
    b"ACK sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKother\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>;tag=2\r\n"
    b"CSeq: 1 ACK\r\n\r\n"
)
CONTACT = b"INVITE sip:a SIP/2.0\r\nCSeq: 1 INVITE\r\nContact: <sip:joe@127.0.0.1:5060>\r\n\r\n"
MSCML = b"INFO sip:a SIP/2.0\r\nCSeq: 2 INFO\r\nContent-Type: " + CONTENT_TYPE.encode() + b"\r\n\r\n<a b='=' />"


@pytest.mark.parametrize(
    ("name", "data", "old", "new"),
    [
        ("ack-without-cookie", ACK, b"z9hG4bKother", b"other"),
        ("ack-of-another-method", ACK, b"1 ACK", b"1 INVITE"),
        ("bye-number-jumps", ACK.replace(b"ACK", b"BYE"), b"1 BYE", b"5 BYE"),
        ("cancel-other-branch", ACK.replace(b"ACK", b"CANCEL"), b"z9hG4bK", b"z9hG4bKnew"),
        ("copy-changed", ACK.replace(b"ACK", b"INVITE"), b"\r\n\r\n", b"\r\nMax-Forwards: 70\r\n\r\n"),
        (
            "announcement-cut",
            ACK.replace(b"sip:a SIP", b"sip:annc@h;play=imap://x SIP"),
            b"imap://x SIP",
            b"imap://x;duration=1000 SIP",
        ),
        ("contact-elsewhere", CONTACT, b"@127.0.0.1", b"@192.0.2.7"),
        (
            "offers-sendonly",
            CONTACT + b"v=0\r\na=recvonly\r\n",
            b"\r\n\r\nv=0\r\na=recvonly",
            b"\r\nContent-Length: 17\r\n\r\nv=0\r\na=sendonly",
        ),
        (
            "bodies-in-base64",
            MSCML,
            b"\r\n\r\n<a b='=' />",
            b"\r\nContent-Transfer-Encoding: base64\r\nContent-Length: 18\r\n\r\nPGEgYj0nPScgLz4=\r\n",
        ),
        (
            "bodies-in-quoted-printable",
            MSCML,
            b"\r\n\r\n<a b='=' />",
            b"\r\nContent-Transfer-Encoding: quoted-printable\r\nContent-Length: 15\r\n\r\n<a b=3D'=3D' />",
        ),
    ],
)
def test_a_message_goes_out_changed_in_one_place(name: str, data: bytes, old: bytes, new: bytes) -> None:
    fault = FAULTS.pick(name)
    assert isinstance(fault, MessageFault)
    assert fault.rewrite(data) == data.replace(old, new)


def test_an_ack_is_told_by_its_branch_from_that_of_a_refusal() -> None:
    invite = ACK.replace(b"ACK", b"INVITE")
    for name, of_refusal, of_success in (
        ("refusal-ack-new-branch", ACK.replace(b"z9hG4bK", b"z9hG4bKnew"), ACK.replace(b"other", b"own")),
        ("refusal-unacknowledged", b"", ACK.replace(b"other", b"own")),
    ):
        fault = FAULTS.pick(name)
        assert isinstance(fault, MessageFault)
        assert fault.rewrite(invite) == invite
        assert fault.rewrite(ACK) == of_refusal
        assert fault.rewrite(ACK.replace(b"other", b"own")) == of_success


def test_identifiers_that_are_used_again() -> None:
    def twice(name: str) -> list[list[str]]:
        agent = behaviour_of(name).user_agent(UaSettings(Address("127.0.0.3", 5060)))
        for _ in range(2):
            agent.invite(SipUri.parse("sip:annc@media.example.net"), next_hop=SERVER, now=1.0)
        sent = [one.data.decode() for one in agent.outputs() if isinstance(one, SendDatagram)]
        found = [re.findall(r"branch=(\w+)|From:.*tag=(\w+)|Call-ID: (\S+)", one) for one in sent]
        return [["".join(one) for one in pair] for pair in zip(*found, strict=True)]

    branch, tag, call_id = (len(set(pair)) for pair in twice("reuses-call-id"))
    assert (branch, tag, call_id) == (2, 1, 1)
    branch, tag, call_id = (len(set(pair)) for pair in twice("reuses-from-tag"))
    assert (branch, tag, call_id) == (2, 1, 2)
    branch, tag, call_id = (len(set(pair)) for pair in twice("reuses-branch"))
    assert (branch, tag, call_id) == (1, 2, 2)


def test_the_drafts_headers_are_there_and_no_others_that_a_request_needs() -> None:
    sent = invite_of("draft-headers")
    for missing in (b"\r\nVia:", b"\r\nMax-Forwards:", b";tag="):
        assert missing in invite_of()
        assert missing not in sent
    for there in (b"\r\nFrom: <sip:", b"\r\nTo: ", b"\r\nCall-ID: ", b"\r\nCSeq: 1 INVITE\r\n", b"\r\nContact: "):
        assert there in sent
    assert sent.endswith(b"\r\n\r\n" + b"v=0\r\n" * 6)


def test_the_drafts_sequence_has_gaps_and_its_ack_goes_to_the_record() -> None:
    us, them = NameAddr.parse("<sip:joe@x>;tag=1"), NameAddr.parse("<sip:ivr@ms>;tag=2")
    dialog = behaviour_of("draft-sequence").dialog_factory(
        "1", us, them, "sip:ivr@127.0.0.2", "<sip:joe@x>", (), 1, None, 1
    )
    assert (dialog.ack().target, str(dialog.ack().cseq)) == ("sip:ivr@ms", "1 ACK")
    assert [dialog.request(method).cseq.number for method in ("INFO", "BYE")] == [5, 9]


def test_a_request_goes_out_as_another_type() -> None:
    run = Bench("  - ivr: {url: 'imap://x'}\n", behaviour=behaviour_of("mscml-as-text")).start().answered()
    assert run.last("INFO").kind == "text/xml"


def test_the_service_that_is_asked_for_first() -> None:
    assert [CORRECT.service_to_ask(named) for named in (None, "annc", "ivr")] == ["ivr", "annc", "ivr"]
    announces, ignores = behaviour_of("annc-first"), behaviour_of("service-ignored")
    assert [announces.service_to_ask(named) for named in (None, "annc", "ivr")] == ["annc", "annc", "ivr"]
    assert [ignores.service_to_ask(named) for named in (None, "annc", "ivr")] == ["ivr"] * 3


def test_a_client_that_gives_up_calls_once() -> None:
    run = Bench("  - stream: {}\n", behaviour=behaviour_of("gives-up")).start().answered(488)
    assert [one.what for one in run.phone.asked] == ["INVITE"]
    assert run.states == ["1 failed"]


def test_a_client_that_waits_for_the_silent_calls_once() -> None:
    two = {"GETMETADATA": '* METADATA "" (/public/mediaServers "<sip:annc@a>:authuser;<sip:annc@b>")\r\n'}
    run = Bench("  - stream: {}\n", behaviour=behaviour_of("waits-for-silent"), server=two).start().at(16.9)
    assert [one.what for one in run.phone.asked] == ["INVITE"]
    run.at(17.0)
    assert run.why == "the final response to INVITE did not come in time"
