"""Encrypted MSCML in memory: it is read, answered encrypted, or refused (RFC 3261 section 23)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lemonade_media.decoding.decode import EncodedMedia
from lemonade_media.faults.mscml import ANSWERS_IN_CLEAR, UNDECIPHERABLE_PASSED_OVER
from lemonade_media.model.commands import LogLine, StartFetch
from lemonade_media.model.failures import Failure, FailureKind
from lemonade_media.testing import CALLER, CONFIG, Replay
from lemonade_testbed.authority import Issued
from lemonade_wire.faults import Fault
from lemonade_wire.mscml.document import CONTENT_TYPE, parse_document, write_document
from lemonade_wire.mscml.messages import (
    Audio,
    Keypress,
    MscmlResponse,
    PlayCollectRequest,
    Prompt,
    Request,
    StopRequest,
)
from lemonade_wire.sdp.codec import PCMU
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.event import RequestAnswered
from lemonade_wire.sip.message import SipResponse
from lemonade_wire.sip.message.keyring import Keyring
from lemonade_wire.sip.message.smime import MimeBody, Opening, Smime, SmimeIdentity, seal, shown_certificates
from lemonade_wire.sip.message.uri import SipUri

TOKEN = "0a" * 32
URL = f"imap://joe@imap.example.com/INBOX;UIDVALIDITY=9/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:{TOKEN}"
IVR = SipUri.parse("sip:ivr@media.example.net")
OFFER = bytes(make_offer("192.0.2.3", 20000, [PCMU]))
PLAY = PlayCollectRequest(Prompt((Audio(URL),), stop_on_error=True), "1", first_digit_ms=0)
SECRETS = (b"MediaServerControl version", b"imap://", TOKEN.encode())


class Talk:
    """A call to the IVR service by a caller with a certificate."""

    def __init__(
        self,
        smime: Callable[[str], Issued],
        *,
        caller: str = CALLER.host,
        server: str = "yes",
        fault: Fault | None = None,
        fetch: Callable[[StartFetch], EncodedMedia | Failure | None] | None = None,
    ) -> None:
        self.caller, self.media = (_identity(smime, name) for name in (f"joe@{caller}", "ivr@media.example.net"))
        peers = Keyring((self.caller.certificate,))
        made = Smime(self.media, peers) if server == "yes" else Smime(None, peers)
        self.replay = Replay(config=replace(CONFIG, smime=made), fault=fault, fetch=fetch, contact_user="joe")
        self.call = self.replay.invite(IVR, OFFER)

    def ask(self, request: Request) -> SipResponse:
        return self.send(write_document(request))

    def send(self, content: bytes, kind: str = CONTENT_TYPE, to: SmimeIdentity | None = None) -> SipResponse:
        return self.info(seal(content, kind, (to or self.media).certificate))

    def info(self, body: MimeBody) -> SipResponse:
        self.replay.caller.info(self.call, body.octets, body.content_type, now=self.replay.now, headers=body.headers)
        self.replay.settle()
        answered = [event.response for event in self.replay.heard if isinstance(event, RequestAnswered)]
        assert answered[-1] is not None
        return answered[-1]

    def told(self) -> list[tuple[bool, MscmlResponse | Keypress]]:
        """Answer the server's INFO requests; returns their content, each with whether it was encrypted."""
        found = []
        for event in self.replay.answer_infos():
            opening = Opening(self.caller)
            (part,) = opening.understood(event.request, lambda one: one.media.name == CONTENT_TYPE)
            document = parse_document(part.content)
            assert isinstance(document, MscmlResponse | Keypress)
            found.append((opening.opened, document))
        return found

    @property
    def log(self) -> str:
        return " ".join(command.text for command in self.replay.commands if isinstance(command, LogLine))

    @property
    def shows(self) -> list[bytes]:
        """The secrets that were sent in the clear, over UDP and TCP."""
        return [secret for secret in SECRETS if any(secret in data for data in self.replay.sent)]


def _identity(smime: Callable[[str], Issued], name: str) -> SmimeIdentity:
    issued = smime(name)
    return SmimeIdentity.read(issued.certificate, issued.key)


@pytest.fixture
def talk(smime: Callable[[str], Issued]) -> Talk:
    return Talk(smime)


def test_an_encrypted_request_is_carried_out_and_answered_encrypted(talk: Talk) -> None:
    assert talk.ask(PLAY).status == 200
    assert {"StartFetch", "PlayMedia"} <= set(talk.replay.log)
    talk.replay.server.playing_ended("call-1", 6000, 6000, talk.replay.now)
    talk.replay.settle()
    ((encrypted, response),) = talk.told()
    assert encrypted
    assert isinstance(response, MscmlResponse)
    assert (response.request, response.id, response.code, response.reason) == ("playcollect", "1", 200, "timeout")
    assert talk.shows == []


def test_requests_in_the_clear_are_answered_in_the_clear(talk: Talk) -> None:
    """RFC 3261 section 23.2: a peer that sent no secured body gets none."""
    assert talk.info(MimeBody(CONTENT_TYPE, (), write_document(StopRequest(id="2")))).status == 200
    assert [encrypted for encrypted, _ in talk.told()] == [False]


def test_once_encrypted_a_call_is_answered_encrypted(talk: Talk) -> None:
    """A later response may show content of the encrypted request."""
    talk.ask(StopRequest(id="1"))
    talk.info(MimeBody(CONTENT_TYPE, (), write_document(StopRequest(id="2"))))
    assert [encrypted for encrypted, _ in talk.told()] == [True, True]


def test_key_presses_may_come_encrypted(talk: Talk) -> None:
    assert talk.send(b"Signal=5\r\nDuration=160\r\n", "application/dtmf-relay").status == 200


def test_errors_show_the_url_to_the_caller_only(smime: Callable[[str], Issued]) -> None:
    failure = Failure(FailureKind.NOT_FOUND, "gone")
    talk = Talk(smime, fetch=lambda _command: failure)
    talk.ask(PLAY)
    ((encrypted, response),) = talk.told()
    assert encrypted
    assert isinstance(response, MscmlResponse)
    assert response.error_info is not None
    assert response.error_info.context == URL
    assert talk.shows == []


def test_a_caller_whose_certificate_is_unknown_is_answered_in_the_clear_without_the_url(
    smime: Callable[[str], Issued],
) -> None:
    failure = Failure(FailureKind.NOT_FOUND, "gone")
    talk = Talk(smime, caller="elsewhere.example", fetch=lambda _command: failure)
    assert talk.ask(PLAY).status == 200
    ((encrypted, response),) = talk.told()
    assert not encrypted
    assert isinstance(response, MscmlResponse)
    assert (response.code, response.error_info) == (404, None)
    assert set(talk.shows) == {b"MediaServerControl version"}
    assert "no certificate of the caller is known" in talk.log


def test_an_encrypted_body_of_an_unknown_type_gets_415(talk: Talk) -> None:
    refused = talk.send(b"<sms/>", "text/xml")
    assert refused.status == 415
    assert "application/pkcs7-mime" in (refused.headers.get("Accept") or "")


def test_without_a_key_an_encrypted_body_gets_415(smime: Callable[[str], Issued]) -> None:
    talk = Talk(smime, server="no")
    refused = talk.ask(PLAY)
    assert refused.status == 415
    assert "pkcs7" not in (refused.headers.get("Accept") or "")
    assert talk.told() == []


def test_a_body_for_another_key_gets_493_with_the_certificate(smime: Callable[[str], Issued], talk: Talk) -> None:
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
def test_unreadable_encrypted_bodies_all_get_the_same_answer(talk: Talk, content: bytes, kind: str) -> None:
    """Different answers would let an attacker find out another caller's encrypted content step by step."""
    refused = talk.send(content, kind)
    assert (refused.status, refused.reason) == (493, "Undecipherable")


def test_the_limit_of_bodies_holds_for_encrypted_ones(smime: Callable[[str], Issued]) -> None:
    """A body does not grow by decryption, so that the limit of encrypted bodies limits decrypted ones too."""
    talk = Talk(smime)
    limit = talk.replay.callee.settings.max_body
    assert talk.send(b"x" * (limit + 1)).status == 413
    assert len(seal(b"x" * 5000, CONTENT_TYPE, talk.media.certificate).octets) > 5000


@pytest.mark.parametrize("fault", [ANSWERS_IN_CLEAR, UNDECIPHERABLE_PASSED_OVER], ids=lambda fault: fault.name)
def test_the_faults_of_encrypted_mscml(smime: Callable[[str], Issued], fault: Fault) -> None:
    talk = Talk(smime, fault=fault)
    talk.ask(StopRequest(id="1"))
    assert [encrypted for encrypted, _ in talk.told()] == [fault is not ANSWERS_IN_CLEAR]
    status = talk.send(b"", to=_identity(smime, "ivr@other.example.net")).status
    assert status == (200 if fault is UNDECIPHERABLE_PASSED_OVER else 493)


def test_the_log_shows_no_more_than_of_requests_in_the_clear(talk: Talk) -> None:
    talk.ask(PLAY)
    assert "audio" not in talk.log
    assert "MediaServerControl" not in talk.log
