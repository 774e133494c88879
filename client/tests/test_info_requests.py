"""MSCML requests of the client: encrypted if a certificate is known, and then never in the clear."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from lemonade_client.behaviour import CORRECT, ClientBehaviour
from lemonade_client.faults.registry import FAULTS
from lemonade_client.testing.bench import TICKET_STEPS, Bench
from lemonade_testbed.authority import Issued
from lemonade_wire.mscml.document import CONTENT_TYPE
from lemonade_wire.sip.event import InfoReceived, RequestAnswered
from lemonade_wire.sip.message import SipRequest, SipResponse, build, parse_datagram
from lemonade_wire.sip.message.keyring import Keyring
from lemonade_wire.sip.message.smime import MimeBody, Opening, Smime, SmimeIdentity, seal

STOP = "  - mscml: {request: '<stop id=\"7\"/>'}\n"
LISTEN = "  - listen: {until: response}\n"
RESPONSE = (
    b'<MediaServerControl version="1.0"><response request="stop" id="7" code="200" text="OK"/></MediaServerControl>'
)


@pytest.fixture
def ids(smime: Callable[[str], Issued]) -> dict[str, SmimeIdentity]:
    names = {"ms": "ivr@media.example.net", "joe": "joe@127.0.0.3", "other": "ivr@other.example.net"}
    return {
        key: SmimeIdentity.read(issued.certificate, issued.key)
        for key, issued in ((k, smime(n)) for k, n in names.items())
    }


def asked(smime: Smime, steps: str = STOP, behaviour: ClientBehaviour = CORRECT) -> Bench:
    made = Bench(steps, behaviour=behaviour)
    made.session.smime = smime
    return made.start().answered_with_keys()


def sent(run: Bench) -> MimeBody:
    info = run.last("INFO")
    return MimeBody(info.kind, info.headers, info.body)


def opened(body: MimeBody, identity: SmimeIdentity) -> bytes:
    request = build("INFO", "sip:x", list(body.headers), body.octets, body.content_type)
    (part,) = Opening(identity).understood(request, lambda one: one.media.name == CONTENT_TYPE)
    return part.content


def informed(run: Bench, body: MimeBody) -> Bench:
    """Send an INFO with this body from the media server."""
    head = "INFO sip:c@127.0.0.3 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK2\r\nFrom: <sip:ivr@x>;tag=2\r\n"
    head += "To: <sip:c@127.0.0.3>;tag=1\r\nCall-ID: 1\r\nCSeq: 5 INFO\r\nMax-Forwards: 70\r\n"
    lines = [*body.headers, ("Content-Type", body.content_type), ("Content-Length", str(len(body.octets)))]
    head += "".join(f"{name}: {value}\r\n" for name, value in lines)
    request = parse_datagram(head.encode() + b"\r\n" + body.octets)
    assert isinstance(request, SipRequest)
    return run.sip(InfoReceived(run.last("INVITE").name, request, "peer-1"))


def infos(run: Bench) -> int:
    return sum(one.what == "INFO" for one in run.phone.asked)


def test_mscml_is_encrypted_for_the_media_servers_certificate(ids: dict[str, SmimeIdentity]) -> None:
    run = asked(Smime(peers=Keyring((ids["other"].certificate, ids["ms"].certificate))))
    body = sent(run)
    assert body.content_type.startswith("application/pkcs7-mime; smime-type=enveloped-data")
    assert b"stop" not in body.octets
    assert b'<stop id="7"/>' in opened(body, ids["ms"])
    assert run.info_answered().states == ["1 done"]


def test_mscml_of_a_moved_call_is_encrypted_for_its_new_service(ids: dict[str, SmimeIdentity]) -> None:
    steps = "  - announce: {url: 'imap://x'}\n  - reinvite: {service: ivr}\n" + STOP
    run = asked(Smime(peers=Keyring((ids["ms"].certificate,))), steps).reinvite_answered()
    assert b'<stop id="7"/>' in opened(sent(run), ids["ms"])


def test_mscml_is_sent_in_the_clear_if_there_are_no_certificates() -> None:
    assert sent(asked(Smime())).content_type == CONTENT_TYPE


def test_a_media_server_without_a_certificate_gets_no_mscml(ids: dict[str, SmimeIdentity]) -> None:
    run = asked(Smime(peers=Keyring((ids["other"].certificate,))))
    assert infos(run) == 0
    assert "nothing is sent in the clear" in run.why


@pytest.mark.parametrize("status", [415, 493])
def test_a_refused_encrypted_request_is_not_sent_in_the_clear(ids: dict[str, SmimeIdentity], status: int) -> None:
    run = asked(Smime(peers=Keyring((ids["ms"].certificate,)))).info_answered(status)
    assert run.states == ["1 failed"]
    assert f"got {status}" in run.why
    assert infos(run) == 1


@pytest.mark.parametrize("shown", [True, False])
def test_the_certificate_in_a_493_is_reported(ids: dict[str, SmimeIdentity], shown: bool) -> None:
    steps = STOP.replace("}", ', expect: "493"}')
    run = asked(Smime(peers=Keyring((ids["ms"].certificate,))), steps)
    body = ids["other"].shown()
    head = "SIP/2.0 493 Undecipherable\r\nVia: SIP/2.0/UDP 127.0.0.3;branch=z9hG4bK1\r\nFrom: <sip:c@x>;tag=1\r\n"
    head += "To: <sip:ivr@x>;tag=2\r\nCall-ID: 1\r\nCSeq: 2 INFO\r\n"
    octets = body.octets if shown else b""
    head += f"Content-Type: {body.content_type}\r\nContent-Length: {len(octets)}\r\n\r\n"
    final = parse_datagram(head.encode() + octets)
    assert isinstance(final, SipResponse)
    info = run.last("INFO")
    run.sip(RequestAnswered(info.target, info.name, final))
    assert run.states == ["1 done"]
    assert ("the certificate of ivr@other.example.net" if shown else "no certificate") in run.why


@pytest.mark.parametrize("secured", [True, False])
def test_an_encrypted_response_is_read_and_one_in_the_clear_is_reported(
    ids: dict[str, SmimeIdentity], secured: bool
) -> None:
    run = asked(Smime(ids["joe"], Keyring((ids["ms"].certificate,))), STOP + LISTEN).info_answered()
    clear = MimeBody(CONTENT_TYPE, (), RESPONSE)
    informed(run, seal(RESPONSE, CONTENT_TYPE, ids["joe"].certificate) if secured else clear)
    assert run.last("respond 200").target == "peer-1"
    assert run.states == ["1 done", "2 done"]
    assert ("in the clear though the request was encrypted" in run.why) is not secured


def test_an_info_that_cannot_be_decrypted_gets_493(ids: dict[str, SmimeIdentity]) -> None:
    run = asked(Smime(ids["joe"], Keyring((ids["ms"].certificate,))), STOP + LISTEN).info_answered()
    informed(run, seal(RESPONSE, CONTENT_TYPE, ids["other"].certificate))
    assert run.last("respond 493").target == "peer-1"
    assert run.states == ["1 done"]
    informed(run, seal(RESPONSE, CONTENT_TYPE, ids["joe"].certificate))
    assert run.last("respond 200").target == "peer-1"


def test_stream_makes_no_announcement_call_if_mscml_is_encrypted(
    ids: dict[str, SmimeIdentity],
) -> None:
    """An announcement's URI shows the ticket (LS-3-4)."""
    run = Bench(TICKET_STEPS + "  - stream: {}\n")
    run.session.smime = Smime(peers=Keyring((ids["ms"].certificate,)))
    run.start().answered(488)
    assert [one.sent_to[0] for one in run.phone.asked if one.what == "INVITE"] == ["sip:ivr@media.example.net"]
    assert run.states[-1] == "3 failed"


def fault(name: str) -> ClientBehaviour:
    made = FAULTS.pick(name)
    assert isinstance(made, ClientBehaviour)
    return made


def test_faults_of_encryption_and_transfer_encoding(ids: dict[str, SmimeIdentity]) -> None:
    smime = Smime(peers=Keyring((ids["ms"].certificate,)))
    assert sent(asked(smime, behaviour=fault("mscml-in-clear"))).content_type == CONTENT_TYPE
    coded = sent(asked(smime, behaviour=fault("smime-in-base64")))
    assert coded.octets.startswith(b"MII")
    assert b'<stop id="7"/>' in opened(coded, ids["ms"])
    clear = sent(asked(Smime(), behaviour=fault("mscml-in-base64")))
    assert clear.headers == (("Content-Transfer-Encoding", "base64"),)
    assert b'<stop id="7"/>' in base64.b64decode(clear.octets)
    run = asked(smime, behaviour=fault("falls-back-to-clear")).info_answered(415)
    assert (infos(run), sent(run).content_type) == (2, CONTENT_TYPE)
