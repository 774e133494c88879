"""MSCML that comes encrypted, replayed in memory: read, answered encrypted, and refused (RFC 3261 section 23)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lemonade_media.commands import LogLine
from lemonade_media.failures import Failure, FailureKind
from lemonade_media.faults import AnswersInClear, UndecipherablePassedOver
from lemonade_media.replay import CALLER, CONFIG, Replay
from lemonade_wire.faults import Fault
from lemonade_wire.mscml.document import CONTENT_TYPE, parse_document, write_document
from lemonade_wire.mscml.request import Audio, PlayCollect, Prompt, Request, Stop
from lemonade_wire.mscml.response import Keypress, Response
from lemonade_wire.sdp.codec import PCMU
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.event import InfoReceived, RequestAnswered
from lemonade_wire.sip.keyring import Keyring
from lemonade_wire.sip.message import Response as SipResponse
from lemonade_wire.sip.smime import Identity, MimeBody, Opening, Smime, seal, shown_certificates
from lemonade_wire.sip.uri import SipUri

TOKEN = "0a" * 32
URL = f"imap://joe@imap.example.com/INBOX;UIDVALIDITY=9/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:{TOKEN}"
IVR = SipUri.parse("sip:ivr@media.example.net")
OFFER = bytes(make_offer("192.0.2.3", 20000, [PCMU]))
PLAY = PlayCollect(Prompt((Audio(URL),), stop_on_error=True), "1", first_digit_ms=0)
SECRETS = (b"MediaServerControl version", b"imap://", TOKEN.encode())


class Talk:
    """A call to the IVR service by somebody with a certificate; `wire` is all that crossed."""

    def __init__(
        self,
        smime: Callable[[str], Any],
        *,
        caller: str = CALLER.host,
        server: str = "yes",
        fault: Fault | None = None,
        fetch: Callable[[Any], Any] | None = None,
    ) -> None:
        self.caller, self.media = (_identity(smime, name) for name in (f"joe@{caller}", "ivr@media.example.net"))
        peers = Keyring((self.caller.certificate,))
        made = Smime(self.media, peers) if server == "yes" else Smime(None, peers)
        self.wire: list[bytes] = []

        def deliver(data: bytes) -> bool:
            self.wire.append(data)
            return True

        self.replay = Replay(config=replace(CONFIG, smime=made), fault=fault, fetch=fetch, deliver=deliver)
        self.replay.caller.settings = replace(self.replay.caller.settings, contact_user="joe")
        self.call = self.replay.invite(IVR, OFFER)

    def ask(self, request: Request) -> SipResponse:
        return self.send(write_document(request))

    def send(self, content: bytes, kind: str = CONTENT_TYPE, to: Identity | None = None) -> SipResponse:
        return self.info(seal(content, kind, (to or self.media).certificate))

    def info(self, body: MimeBody) -> SipResponse:
        self.replay.caller.info(self.call, body.octets, body.content_type, now=self.replay.now, headers=body.headers)
        self.replay.settle()
        answered = [event.response for event in self.replay.heard if isinstance(event, RequestAnswered)]
        assert answered[-1] is not None
        return answered[-1]

    def told(self) -> list[tuple[bool, Response | Keypress]]:
        """Answer the server's INFOs, and return what they hold, True: encrypted for the caller."""
        found = []
        while waiting := [event for event in self.replay.heard if isinstance(event, InfoReceived)]:
            self.replay.heard.remove(waiting[0])
            opening = Opening(self.caller)
            (part,) = opening.understood(waiting[0].request, lambda one: one.media.name == CONTENT_TYPE)
            document = parse_document(part.content)
            assert isinstance(document, Response | Keypress)
            found.append((opening.opened, document))
            self.replay.caller.respond(waiting[0].transaction, 200, now=self.replay.now)
            self.replay.settle()
        return found

    @property
    def log(self) -> str:
        return " ".join(command.text for command in self.replay.commands if isinstance(command, LogLine))

    @property
    def shows(self) -> list[bytes]:
        """What of the secrets crossed in the clear, over UDP and TCP."""
        return [secret for secret in SECRETS if any(secret in data for data in self.wire)]


def _identity(smime: Callable[[str], Any], name: str) -> Identity:
    issued = smime(name)
    return Identity.read(issued.certificate, issued.key)


@pytest.fixture
def talk(smime: Callable[[str], Any]) -> Talk:
    return Talk(smime)


def test_an_encrypted_request_is_carried_out_and_answered_encrypted(talk: Talk) -> None:
    assert talk.ask(PLAY).status == 200
    assert {"StartFetch", "PlayMedia"} <= set(talk.replay.log)
    talk.replay.server.playing_ended("call-1", 6000, 6000, talk.replay.now)
    talk.replay.settle()
    ((encrypted, response),) = talk.told()
    assert encrypted
    assert isinstance(response, Response)
    assert (response.request, response.id, response.code, response.reason) == ("playcollect", "1", 200, "timeout")
    assert talk.shows == []


def test_requests_in_the_clear_are_answered_in_the_clear(talk: Talk) -> None:
    """RFC 3261 section 23.2: no secured body for who sent none."""
    assert talk.info(MimeBody(CONTENT_TYPE, (), write_document(Stop(id="2")))).status == 200
    assert [encrypted for encrypted, _ in talk.told()] == [False]


def test_once_encrypted_a_call_is_answered_encrypted(talk: Talk) -> None:
    """What is told later may be about what was encrypted."""
    talk.ask(Stop(id="1"))
    talk.info(MimeBody(CONTENT_TYPE, (), write_document(Stop(id="2"))))
    assert [encrypted for encrypted, _ in talk.told()] == [True, True]


def test_key_presses_may_come_encrypted(talk: Talk) -> None:
    assert talk.send(b"Signal=5\r\nDuration=160\r\n", "application/dtmf-relay").status == 200


def test_errors_tell_the_url_to_none_but_the_caller(smime: Callable[[str], Any]) -> None:
    failure = Failure(FailureKind.NOT_FOUND, "gone")
    talk = Talk(smime, fetch=lambda _command: failure)
    talk.ask(PLAY)
    ((encrypted, response),) = talk.told()
    assert encrypted
    assert isinstance(response, Response)
    assert response.error_info is not None
    assert response.error_info.context == URL
    assert talk.shows == []


def test_a_caller_whose_certificate_is_unknown_is_answered_in_the_clear_without_the_url(
    smime: Callable[[str], Any],
) -> None:
    failure = Failure(FailureKind.NOT_FOUND, "gone")
    talk = Talk(smime, caller="elsewhere.example", fetch=lambda _command: failure)
    assert talk.ask(PLAY).status == 200
    ((encrypted, response),) = talk.told()
    assert not encrypted
    assert isinstance(response, Response)
    assert (response.code, response.error_info) == (404, None)
    assert set(talk.shows) == {b"MediaServerControl version"}
    assert "no certificate of the caller is known" in talk.log


def test_the_type_inside_counts(talk: Talk) -> None:
    refused = talk.send(b"<sms/>", "text/xml")
    assert refused.status == 415
    assert "application/pkcs7-mime" in (refused.headers.get("Accept") or "")


def test_without_a_key_it_is_a_type_like_any_other(smime: Callable[[str], Any]) -> None:
    talk = Talk(smime, server="no")
    refused = talk.ask(PLAY)
    assert refused.status == 415
    assert "pkcs7" not in (refused.headers.get("Accept") or "")
    assert talk.told() == []


def test_what_is_for_another_key_gets_493_with_the_certificate(smime: Callable[[str], Any], talk: Talk) -> None:
    refused = talk.send(write_document(PLAY), to=_identity(smime, "ivr@other.example.net"))
    assert (refused.status, refused.reason) == (493, "Undecipherable")
    assert shown_certificates(refused) == [talk.media.certificate]
    assert refused.headers.get("Content-Transfer-Encoding") == "binary"
    assert "No recipient found" in talk.log
    assert "StartFetch" not in talk.replay.log


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<MediaServerControl", CONTENT_TYPE),
        (b"<MediaServerControl version='1.0'><request><secret/></request></MediaServerControl>", CONTENT_TYPE),
        (b"x", "multipart/mixed"),
        (b"x", "nonsense"),
    ],
    ids=["cut", "unknown", "no-parts", "no-type"],
)
def test_what_cannot_be_read_inside_is_not_told_apart(talk: Talk, content: bytes, kind: str) -> None:
    """An answer for each guess would show, octet by octet, what others have encrypted."""
    refused = talk.send(content, kind)
    assert (refused.status, refused.reason) == (493, "Undecipherable")


def test_the_cap_on_bodies_holds_for_what_is_inside(smime: Callable[[str], Any]) -> None:
    """Nothing grows when it is deciphered, so that the cap on what comes is one on what is read."""
    talk = Talk(smime)
    limit = talk.replay.callee.settings.max_body
    assert talk.send(b"x" * (limit + 1)).status == 413
    assert len(seal(b"x" * 5000, CONTENT_TYPE, talk.media.certificate).octets) > 5000


@pytest.mark.parametrize("fault", [AnswersInClear(), UndecipherablePassedOver()], ids=lambda fault: fault.name)
def test_the_faults(smime: Callable[[str], Any], fault: Fault) -> None:
    talk = Talk(smime, fault=fault)
    talk.ask(Stop(id="1"))
    assert [encrypted for encrypted, _ in talk.told()] == [not isinstance(fault, AnswersInClear)]
    status = talk.send(b"", to=_identity(smime, "ivr@other.example.net")).status
    assert status == (200 if isinstance(fault, UndecipherablePassedOver) else 493)


def test_the_log_shows_no_more_than_of_requests_in_the_clear(talk: Talk) -> None:
    talk.ask(PLAY)
    assert "audio" not in talk.log
    assert "MediaServerControl" not in talk.log
