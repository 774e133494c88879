"""MSCML from the client: encrypted where a certificate is known, and never in the clear then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lemonade_client.behaviour import Behaviour
from lemonade_client.faults import FAULTS
from lemonade_wire.mscml.document import CONTENT_TYPE
from lemonade_wire.sip.event import InfoReceived, RequestAnswered
from lemonade_wire.sip.keyring import Keyring
from lemonade_wire.sip.message import Request, Response, build, parse_datagram
from lemonade_wire.sip.smime import Identity, MimeBody, Opening, Smime, seal

STOP = "  - mscml: {request: '<stop id=\"7\"/>'}\n"
LISTEN = "  - listen: {until: response}\n"
RESPONSE = (
    b'<MediaServerControl version="1.0"><response request="stop" id="7" code="200" text="OK"/></MediaServerControl>'
)


@pytest.fixture
def ids(smime: Callable[[str], Any]) -> dict[str, Identity]:
    names = {"ms": "ivr@media.example.net", "joe": "joe@127.0.0.3", "other": "ivr@other.example.net"}
    return {
        key: Identity.read(issued.certificate, issued.key) for key, issued in ((k, smime(n)) for k, n in names.items())
    }


def asked(bench: Callable[..., Any], smime: Smime, steps: str = STOP, behaviour: Behaviour | None = None) -> Any:  # noqa: ANN401  the bench of conftest
    made = bench(steps, **({"behaviour": behaviour} if behaviour else {}))
    made.session.smime = smime
    return made.start().answered_with_keys()


def sent(bench: Any) -> MimeBody:  # noqa: ANN401  the same
    info = bench.last("INFO")
    return MimeBody(info.kind, info.headers, info.body)


def opened(body: MimeBody, identity: Identity) -> bytes:
    request = build("INFO", "sip:x", list(body.headers), body.octets, body.content_type)
    (part,) = Opening(identity).understood(request, lambda one: one.media.name == CONTENT_TYPE)
    return part.content


def informed(bench: Any, body: MimeBody) -> Any:  # noqa: ANN401  the same
    """Have the media server send an INFO."""
    head = "INFO sip:c@127.0.0.3 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK2\r\nFrom: <sip:ivr@x>;tag=2\r\n"
    head += "To: <sip:c@127.0.0.3>;tag=1\r\nCall-ID: 1\r\nCSeq: 5 INFO\r\nMax-Forwards: 70\r\n"
    lines = [*body.headers, ("Content-Type", body.content_type), ("Content-Length", str(len(body.octets)))]
    head += "".join(f"{name}: {value}\r\n" for name, value in lines)
    request = parse_datagram(head.encode() + b"\r\n" + body.octets)
    assert isinstance(request, Request)
    return bench.sip(InfoReceived(bench.last("INVITE").name, request, "peer-1"))


def infos(bench: Any) -> int:  # noqa: ANN401  the same
    return sum(one.what == "INFO" for one in bench.phone.asked)


def test_what_is_known_of_the_media_server_is_encrypted_for(
    bench: Callable[..., Any], ids: dict[str, Identity]
) -> None:
    run = asked(bench, Smime(peers=Keyring((ids["other"].certificate, ids["ms"].certificate))))
    body = sent(run)
    assert body.content_type.startswith("application/pkcs7-mime; smime-type=enveloped-data")
    assert b"stop" not in body.octets
    assert b'<stop id="7"/>' in opened(body, ids["ms"])
    assert run.info_answered().states == ["1 done"]


def test_a_call_that_was_moved_is_encrypted_for_the_service_it_is_with(
    bench: Callable[..., Any], ids: dict[str, Identity]
) -> None:
    steps = "  - announce: {url: 'imap://x'}\n  - reinvite: {service: ivr}\n" + STOP
    run = asked(bench, Smime(peers=Keyring((ids["ms"].certificate,))), steps).reinvite_answered()
    assert b'<stop id="7"/>' in opened(sent(run), ids["ms"])


def test_without_certificates_it_is_in_the_clear(bench: Callable[..., Any]) -> None:
    assert sent(asked(bench, Smime())).content_type == CONTENT_TYPE


def test_a_media_server_without_a_certificate_is_asked_for_nothing(
    bench: Callable[..., Any], ids: dict[str, Identity]
) -> None:
    run = asked(bench, Smime(peers=Keyring((ids["other"].certificate,))))
    assert infos(run) == 0
    assert "nothing is sent in the clear" in run.why


@pytest.mark.parametrize("status", [415, 493])
def test_a_refusal_is_told_and_nothing_goes_in_the_clear(
    bench: Callable[..., Any], ids: dict[str, Identity], status: int
) -> None:
    run = asked(bench, Smime(peers=Keyring((ids["ms"].certificate,)))).info_answered(status)
    assert run.states == ["1 failed"]
    assert f"got {status}" in run.why
    assert infos(run) == 1


@pytest.mark.parametrize("shown", [True, False])
def test_493_tells_whose_certificate_it_shows(bench: Callable[..., Any], ids: dict[str, Identity], shown: bool) -> None:
    steps = STOP.replace("}", ', expect: "493"}')
    run = asked(bench, Smime(peers=Keyring((ids["ms"].certificate,))), steps)
    body = ids["other"].shown()
    head = "SIP/2.0 493 Undecipherable\r\nVia: SIP/2.0/UDP 127.0.0.3;branch=z9hG4bK1\r\nFrom: <sip:c@x>;tag=1\r\n"
    head += "To: <sip:ivr@x>;tag=2\r\nCall-ID: 1\r\nCSeq: 2 INFO\r\n"
    octets = body.octets if shown else b""
    head += f"Content-Type: {body.content_type}\r\nContent-Length: {len(octets)}\r\n\r\n"
    final = parse_datagram(head.encode() + octets)
    assert isinstance(final, Response)
    info = run.last("INFO")
    run.sip(RequestAnswered(info.target, info.name, final))
    assert run.states == ["1 done"]
    assert ("the certificate of ivr@other.example.net" if shown else "no certificate") in run.why


@pytest.mark.parametrize("secured", [True, False])
def test_an_encrypted_response_is_read_and_one_in_the_clear_is_told(
    bench: Callable[..., Any], ids: dict[str, Identity], secured: bool
) -> None:
    run = asked(bench, Smime(ids["joe"], Keyring((ids["ms"].certificate,))), STOP + LISTEN).info_answered()
    clear = MimeBody(CONTENT_TYPE, (), RESPONSE)
    informed(run, seal(RESPONSE, CONTENT_TYPE, ids["joe"].certificate) if secured else clear)
    assert run.last("respond 200").target == "peer-1"
    assert run.states == ["1 done", "2 done"]
    assert ("in the clear though the request was encrypted" in run.why) is not secured


def test_what_cannot_be_deciphered_is_refused(bench: Callable[..., Any], ids: dict[str, Identity]) -> None:
    run = asked(bench, Smime(ids["joe"], Keyring((ids["ms"].certificate,))), STOP + LISTEN).info_answered()
    informed(run, seal(RESPONSE, CONTENT_TYPE, ids["other"].certificate))
    assert run.last("respond 493").target == "peer-1"
    assert run.states == ["1 done"]
    informed(run, seal(RESPONSE, CONTENT_TYPE, ids["joe"].certificate))
    assert run.last("respond 200").target == "peer-1"


def test_stream_announces_nothing_where_mscml_is_encrypted(
    bench: Callable[..., Any], ids: dict[str, Identity], ticket_steps: str
) -> None:
    """An announcement's URI shows the ticket (LS-3-4)."""
    run = bench(ticket_steps + "  - stream: {}\n")
    run.session.smime = Smime(peers=Keyring((ids["ms"].certificate,)))
    run.start().answered(488)
    assert [one.target[0] for one in run.phone.asked if one.what == "INVITE"] == ["sip:ivr@media.example.net"]
    assert run.states[-1] == "3 failed"


def fault(name: str) -> Behaviour:
    made = FAULTS.pick(name)
    assert isinstance(made, Behaviour)
    return made


def test_the_faults(bench: Callable[..., Any], ids: dict[str, Identity]) -> None:
    smime = Smime(peers=Keyring((ids["ms"].certificate,)))
    assert sent(asked(bench, smime, behaviour=fault("mscml-in-clear"))).content_type == CONTENT_TYPE
    coded = sent(asked(bench, smime, behaviour=fault("smime-in-base64")))
    assert coded.octets.startswith(b"MII")
    assert b'<stop id="7"/>' in opened(coded, ids["ms"])
    run = asked(bench, smime, behaviour=fault("falls-back-to-clear")).info_answered(415)
    assert (infos(run), sent(run).content_type) == (2, CONTENT_TYPE)
