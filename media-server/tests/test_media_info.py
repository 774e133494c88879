"""INFO itself, without its content: INFO packages, and refusals of the server's own INFO (RFC 6086 section 4.2)."""

from __future__ import annotations

import pytest

from lemonade_media.model.commands import LogLine
from lemonade_media.testing import Replay
from lemonade_wire.mscml.document import CONTENT_TYPE, write_document
from lemonade_wire.mscml.messages import StopRequest
from lemonade_wire.sdp.codec import PCMU
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.event import CallEnded, InfoReceived, RequestAnswered
from lemonade_wire.sip.message.uri import SipUri

IVR = SipUri.parse("sip:ivr@media.example.net")
OFFER = bytes(make_offer("192.0.2.3", 20000, [PCMU]))


def responded(replay: Replay) -> tuple[str, InfoReceived]:
    """Make a call and send `<stop>`; returns the call, and the server's INFO with the response."""
    call = replay.invite(IVR, OFFER)
    replay.caller.info(call, write_document(StopRequest(id="1")), CONTENT_TYPE, now=replay.now)
    replay.settle()
    info = replay.heard[-1]
    assert isinstance(info, InfoReceived)
    return call, info


def log_of(replay: Replay) -> str:
    return " ".join(command.text for command in replay.commands if isinstance(command, LogLine))


@pytest.mark.parametrize(("status", "ends"), [(500, False), (415, False), (481, True), (408, True)])
def test_a_refused_info_is_logged_and_481_or_408_ends_the_call(status: int, ends: bool) -> None:
    replay = Replay()
    _, info = responded(replay)
    replay.caller.respond(info.transaction, status, now=replay.now)
    replay.settle()
    assert f"a request of ours was answered {status}" in log_of(replay)
    assert replay.server.idle is ends
    assert ("server BYE" in replay.log) is (status == 408)


def test_an_info_without_an_answer_is_logged_and_ends_the_call() -> None:
    replay = Replay()
    call, _ = responded(replay)
    replay.advance(33)
    assert "a request of ours was answered by no response" in log_of(replay)
    assert replay.server.idle
    assert replay.heard[-1] == CallEnded(call, "bye-received")


def test_an_info_package_is_refused_and_the_call_continues() -> None:
    replay = Replay()
    call, info = responded(replay)
    replay.caller.respond(info.transaction, 200, now=replay.now)
    replay.caller.info(
        call, write_document(StopRequest(id="2")), CONTENT_TYPE, now=replay.now, headers=[("Info-Package", "mscml")]
    )
    replay.settle()
    answered = replay.heard[-1]
    assert isinstance(answered, RequestAnswered)
    assert answered.response is not None
    assert answered.response.status == 469
    assert not replay.server.idle
