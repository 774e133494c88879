"""Re-INVITEs that move a call to another service by its service indicator (RFC 5022 section 3), in memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lemonade_media.decoding.decode import EncodedMedia
from lemonade_media.faults.calls import MOVE_IGNORED
from lemonade_media.model.commands import AbortFetch, CloseMedia, ModifyStream, PlayMedia, StartFetch, StopMedia
from lemonade_media.model.failures import Failure, FailureKind
from lemonade_media.testing import CALLER, Replay
from lemonade_wire.faults import Fault
from lemonade_wire.mscml.document import CONTENT_TYPE, parse_document, write_document
from lemonade_wire.mscml.messages import Audio, MscmlResponse, PlayRequest, Prompt
from lemonade_wire.sdp.codec import PCMA, PCMU, Codec
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.event import ByeReceived, CallEnded, InfoReceived, ReinviteAnswered, RequestAnswered
from lemonade_wire.sip.message import SipResponse
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.netann import AnnouncementUri

FIRST, SECOND = (
    f"imap://joe@imap.example.com/INBOX;UIDVALIDITY=9/;UID={uid};URLAUTH=anonymous:INTERNAL:{'0a' * 32}"
    for uid in (1, 2)
)
ANNC, OTHER = (AnnouncementUri(url).uri("media.example.net") for url in (FIRST, SECOND))
IVR = SipUri.parse("sip:ivr@media.example.net")
GONE = Failure(FailureKind.NOT_FOUND, "gone")


class Talk:
    """A confirmed call. With `waits`, the fetch of SECOND waits for `brought`."""

    def __init__(
        self, uri: SipUri, second: Failure | None = None, *, waits: bool = False, fault: Fault | None = None
    ) -> None:
        self.second, self.waits = second, waits
        self.replay = Replay(fetch=self._fetch, fault=fault)
        self.call = self.replay.invite(uri, bytes(make_offer("192.0.2.3", 20000, [PCMU, PCMA])))
        self.jobs: list[StartFetch] = []

    def _fetch(self, command: StartFetch) -> EncodedMedia | Failure | None:
        media = EncodedMedia(command.law, bytes(96000), command.plan.url)
        if command.plan.url == FIRST:
            return media
        if self.waits:
            self.jobs.append(command)
            return None
        return self.second or media

    def move(self, uri: SipUri, port: int = 20000, codecs: tuple[Codec, ...] = (PCMU, PCMA)) -> SipResponse | None:
        """Send a re-INVITE to a service; returns its status, None if there is no answer yet."""
        offer = make_offer("192.0.2.3", port, codecs, version=2)
        self.replay.caller.reinvite(self.call, bytes(offer), now=self.replay.now, uri=uri)
        self.replay.settle()
        return self.answer

    @property
    def answer(self) -> SipResponse | None:
        answers = [event.response for event in self.replay.heard if isinstance(event, ReinviteAnswered)]
        return answers[-1] if answers else None

    @property
    def status(self) -> int | None:
        return self.answer.status if self.answer else None

    def play(self, url: str = FIRST) -> int:
        """Send `<play>` by INFO; returns the status of the INFO."""
        body = write_document(PlayRequest(Prompt((Audio(url),)), id="1"))
        self.replay.caller.info(self.call, body, CONTENT_TYPE, now=self.replay.now)
        self.replay.settle()
        answered = [event for event in self.replay.heard if isinstance(event, RequestAnswered)][-1]
        assert answered.response is not None
        return answered.response.status

    def brought(self) -> None:
        """Complete the fetch that waits."""
        for command in self.jobs:
            media = EncodedMedia(command.law, bytes(96000), command.plan.url)
            self.replay.server.fetched(command.job, media, self.replay.now)
        self.replay.settle()

    def stopped(self) -> None:
        """Report that the player stopped."""
        (call,) = {command.call for command in self.replay.commands if isinstance(command, PlayMedia)}
        self.replay.server.playing_ended(call, 1000, 1000, self.replay.now)
        self.replay.settle()

    def responses(self) -> list[tuple[str, str | None]]:
        """Answer the INFO requests that came; returns the MSCML responses in them."""
        told = [event for event in self.replay.heard if isinstance(event, InfoReceived)]
        for event in told:
            self.replay.caller.respond(event.transaction, 200, now=self.replay.now)
        self.replay.settle()
        documents = [parse_document(event.request.body) for event in told]
        return [(one.request, one.reason) for one in documents if isinstance(one, MscmlResponse)]

    @property
    def did(self) -> list[str]:
        """What was commanded that is heard."""
        kinds = (PlayMedia, StopMedia, ModifyStream, AbortFetch, CloseMedia)
        return [
            f"play {command.media[0].key.partition(';UID=')[2][0]}"
            if isinstance(command, PlayMedia)
            else type(command).__name__
            for command in self.replay.commands
            if isinstance(command, kinds)
        ]


def test_a_call_moves_from_ivr_to_an_announcement() -> None:
    talk = Talk(IVR)
    answer = talk.move(ANNC)
    assert answer is not None
    assert (answer.status, answer.contact and answer.contact.uri) == (200, "sip:annc@192.0.2.2:5060")
    assert talk.did == ["play 1"]
    assert talk.replay.log.index("StartFetch") < talk.replay.log.index("PlayMedia")
    assert talk.play() == 488, "an announcement takes no requests"
    talk.stopped()
    assert any(isinstance(event, ByeReceived) for event in talk.replay.heard), "it ends as announcements do"
    assert talk.replay.server.idle


def test_a_call_moves_from_an_announcement_to_ivr() -> None:
    talk = Talk(ANNC)
    assert talk.play(SECOND) == 488
    answer = talk.move(IVR)
    assert answer is not None
    assert (answer.status, answer.contact and answer.contact.uri) == (200, "sip:ivr@192.0.2.2:5060")
    assert talk.did == ["play 1", "StopMedia"]
    talk.stopped()
    assert not talk.replay.server.idle, "the announcement that was left hangs up no more"
    assert talk.play(SECOND) == 200
    assert talk.did[-1] == "play 2"
    talk.stopped()
    assert talk.responses() == [("play", "EOF")]


def test_fault_move_ignored() -> None:
    talk = Talk(ANNC, fault=MOVE_IGNORED)
    assert [talk.move(IVR), talk.status] == [talk.answer, 200]
    assert (talk.did, talk.play(SECOND)) == (["play 1"], 488)


def test_a_call_moves_to_another_announcement_and_back() -> None:
    talk = Talk(ANNC)
    assert [talk.move(OTHER), talk.status] == [talk.answer, 200]
    assert talk.did == ["play 1", "StopMedia", "play 2"]
    talk.move(ANNC)
    assert talk.did[3:] == ["StopMedia", "play 1"]


@pytest.mark.parametrize(
    "uri", [ANNC, SipUri.parse("sip:annc@192.0.2.2:5060"), SipUri.parse("sip:192.0.2.2"), SipUri.parse("sip:ANNC@h")]
)
def test_a_reinvite_to_the_same_service_moves_nothing(uri: SipUri) -> None:
    talk = Talk(ANNC)
    talk.move(uri)
    assert talk.status == 200
    assert talk.did == ["play 1"]
    assert talk.replay.log.count("StartFetch") == 1


def test_a_reinvite_to_ivr_leaves_an_ivr_call_as_it_is() -> None:
    talk = Talk(IVR)
    talk.play()
    talk.move(SipUri.parse("sip:IVR@192.0.2.2"))
    assert talk.status == 200
    assert talk.did == ["play 1"]


def test_the_response_to_the_running_request_comes_before_the_answer() -> None:
    talk = Talk(IVR)
    talk.play()
    assert talk.move(OTHER) is None
    assert talk.did == ["play 1", "StopMedia"]
    talk.stopped()
    assert talk.status == 200
    assert talk.responses() == [("play", "stopped")]
    kinds = [type(event) for event in talk.replay.heard]
    assert kinds.index(InfoReceived) < kinds.index(ReinviteAnswered)
    assert talk.did[2:] == ["play 2"]


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        (OTHER, 404),
        (SipUri.parse("sip:annc@media.example.net;play="), 400),
        (SipUri.parse("sip:conf=7@media.example.net"), 488),
        (SipUri.parse("sip:annc@media.example.net;play=imap://evil.example/x%3BUID=1"), 404),
    ],
)
@pytest.mark.parametrize("start", [ANNC, IVR])
def test_a_move_that_is_refused_leaves_everything_as_it_was(start: SipUri, uri: SipUri, status: int) -> None:
    """RFC 3261 section 14.2."""
    talk = Talk(start, GONE)
    if start is IVR:
        talk.play()
    talk.move(uri)
    assert talk.status == status
    assert talk.did == ["play 1"]
    talk.stopped()
    assert talk.replay.server.idle == (start is ANNC)
    assert talk.responses() == ([] if start is ANNC else [("play", "EOF")])


def test_no_common_codec_refuses_the_move_before_any_fetch() -> None:
    talk = Talk(IVR)
    talk.move(ANNC, codecs=(Codec("G729", 8000),))
    assert talk.status == 488
    assert "StartFetch" not in talk.replay.log


def test_media_go_where_the_offer_that_moves_says_in_its_codec() -> None:
    talk = Talk(ANNC)
    talk.move(OTHER, port=20010, codecs=(PCMA,))
    assert talk.status == 200
    change = next(command for command in talk.replay.commands if isinstance(command, ModifyStream))
    assert (change.port, change.payload_type) == (20010, 8)
    played = [command for command in talk.replay.commands if isinstance(command, PlayMedia)][-1]
    assert played.media[0].law == "PCMA"


def test_without_an_offer_the_answer_comes_with_the_ack() -> None:
    talk = Talk(IVR)
    ack = next(data for data in talk.replay.sent if data.startswith(b"ACK")).decode().partition("Content-Length")[0]
    head = ack.replace("branch=z9hG4bK", "branch=z9hG4bKx").replace("CSeq: 1 ACK", "CSeq: 2 {}")
    head = head.replace("ACK sip:ivr@192.0.2.2:5060", f"{{}} {ANNC}")
    answer = bytes(make_offer("192.0.2.3", 20020, [PCMA], version=3))
    for method, more in (("INVITE", f"Contact: <sip:{CALLER}>\r\n"), ("ACK", "Content-Type: application/sdp\r\n")):
        body = answer if method == "ACK" else b""
        octets = f"{head.format(method, method)}{more}Content-Length: {len(body)}\r\n\r\n".encode() + body
        talk.replay.callee.datagram_received(octets, CALLER, talk.replay.now)
        talk.replay.settle()
        assert talk.did == ([] if method == "INVITE" else ["ModifyStream", "play 1"])


def test_a_request_to_the_former_service_during_a_move_is_stopped_too() -> None:
    talk = Talk(IVR, waits=True)
    talk.move(OTHER)
    talk.play()
    assert (talk.status, talk.did) == (None, ["play 1"]), "until the other is ready the call is as it was"
    talk.brought()
    assert talk.did[1:] == ["StopMedia"]
    talk.stopped()
    assert talk.responses() == [("play", "stopped")]
    assert (talk.status, talk.did[2:]) == (200, ["play 2"])


def cancelled(talk: Talk) -> None:
    invite = [data for data in talk.replay.sent if data.startswith(b"INVITE")][-1]
    head = invite.partition(b"\r\nContent-Type")[0].replace(b"INVITE", b"CANCEL")
    talk.replay.callee.datagram_received(head + b"\r\nContent-Length: 0\r\n\r\n", CALLER, talk.replay.now)
    talk.replay.settle()


def hung_up(talk: Talk) -> None:
    talk.replay.caller.bye(talk.call, now=talk.replay.now)
    talk.replay.settle()


def shut_down(talk: Talk) -> None:
    talk.replay.server.shut_down(talk.replay.now)
    talk.replay.settle()


@pytest.mark.parametrize("end", [cancelled, hung_up, shut_down, Talk.stopped])
def test_the_end_of_a_call_or_reinvite_aborts_the_fetch_of_the_move(end: Callable[[Talk], None]) -> None:
    talk = Talk(ANNC, waits=True)
    talk.move(OTHER)
    end(talk)
    assert "AbortFetch" in talk.did
    assert talk.status == (None if end is hung_up else 487)
    assert talk.replay.server.idle == (end is not cancelled)
    talk.brought()
    assert "play 2" not in talk.did
    if end is cancelled:
        talk.stopped()
        assert talk.replay.server.idle, "it was as it had been, and hangs up"


def test_a_move_does_not_extend_the_longest_duration_of_a_call() -> None:
    talk = Talk(IVR)
    for number in range(1, 5):
        talk.replay.advance(3600 - (number == 4))
        assert not talk.replay.server.idle
        talk.move(ANNC if number % 2 else IVR)
    talk.replay.advance(2)
    assert talk.replay.server.idle
    assert isinstance(talk.replay.heard[-1], CallEnded)
