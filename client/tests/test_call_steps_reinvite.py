"""Re-INVITEs of both sides in a script's call, with a user agent that records its calls."""

import pytest

from lemonade_client.testing.bench import TICKET, TICKET_STEPS, Bench, sip_info
from lemonade_wire.sdp.description import Direction, SessionDescription
from lemonade_wire.sip.event import (
    ReinviteAnswered,
    ReinviteConfirmed,
    ReinviteReceived,
)
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.netann import AnnouncementUri

IVR = "  - ivr: {skip: 4 s, ff: '6', url: 'imap://x'}\n"

# The arguments of `reinvite`; then the m-line's port and formats, its direction, the address in c=, the version.
OFFERS = [
    ("{}", (20000, ("0", "8"), Direction.RECVONLY, "127.0.0.3", 1)),
    ("{hold: direction}", (20000, ("0", "8"), Direction.INACTIVE, "127.0.0.3", 2)),
    ("{hold: address}", (20000, ("0", "8"), Direction.RECVONLY, "0.0.0.0", 2)),  # noqa: S104  a word of SDP
    ("{offer: [PCMA/8000]}", (20000, ("8",), Direction.RECVONLY, "127.0.0.3", 2)),
    ("{move: yes}", (20004, ("0", "8"), Direction.RECVONLY, "127.0.0.3", 2)),
]


@pytest.mark.parametrize(("words", "expected"), OFFERS)
def test_reinvite_offers_what_the_step_says(words: str, expected: tuple[object, ...]) -> None:
    run = Bench(f"  - announce: {{url: 'imap://x'}}\n  - reinvite: {words}\n").start().answered()
    first = SessionDescription.parse(run.last("INVITE").body)
    offer = SessionDescription.parse(run.last("re-INVITE").body)
    (line,) = offer.media
    assert offer.connection is not None
    seen = (line.port, line.formats, line.direction(offer), offer.connection.address, offer.origin.version)
    assert seen == expected
    assert offer.origin.session_id == first.origin.session_id
    assert run.states == ["1 done"]
    run.reinvite_answered()
    assert run.states == ["1 done", "2 done"]


def test_hold_of_an_ivr_call_is_sendonly_and_each_change_raises_the_version() -> None:
    run = Bench(IVR + "  - reinvite: {hold: direction, after: 2 s}\n  - reinvite: {}\n").start().answered()
    run.info_answered().hear(1.9)
    assert not any(asked.what == "re-INVITE" for asked in run.phone.asked)
    run.hear(2.0)
    held = SessionDescription.parse(run.last("re-INVITE").body)
    assert held.media[0].direction(held) is Direction.SENDONLY
    assert any(fmt.codec.is_telephone_event for fmt in held.media[0].rtp_formats())
    run.reinvite_answered()
    back = SessionDescription.parse(run.last("re-INVITE").body)
    assert (back.media[0].direction(back), back.origin.version) == (Direction.SENDRECV, 3)


@pytest.mark.parametrize(
    ("words", "status", "body", "why"),
    [
        ("{}", 488, "", "the re-INVITE got 488 Reason; 200 is expected"),
        ("{expect: 488}", 200, "", "the re-INVITE got 200 Reason; 488 is expected"),
        ("{}", 200, "rubbish", "the answer's SDP: not a line of SDP: 'rubbish'"),
    ],
)
def test_reinvite_fails_on_another_status_or_answer(words: str, status: int, body: str, why: str) -> None:
    run = Bench(f"  - announce: {{url: 'imap://x'}}\n  - reinvite: {words}\n").start().answered()
    run.reinvite_answered(status, body)
    assert run.why == why


def test_reinvite_without_an_answer_or_a_port_fails() -> None:
    run = Bench("  - announce: {url: 'imap://x'}\n  - reinvite: {}\n").start().answered()
    asked = run.last("re-INVITE")
    run.sip(ReinviteAnswered(asked.target, asked.name, None))
    assert run.why == "the re-INVITE got no answer; 200 is expected"
    run = Bench("  - announce: {url: 'imap://x'}\n  - reinvite: {move: yes}\n").start()
    run.media.full = True
    assert "no RTP port is free" in run.answered().why


# The call, the arguments of `reinvite`; then the Request-URI, the offer's direction, whether it has telephone-event.
MOVES = [
    ("announce", "{service: ivr}", ("sip:ivr@media.example.net", Direction.SENDRECV, True)),
    ("ivr", "{service: annc, url: 'imap://y/;UID=1'}",
     ("sip:annc@media.example.net;play=imap://y/%3BUID%3D1", Direction.RECVONLY, False)),
    ("announce", "{service: annc, url: 'imap://y'}",
     ("sip:annc@media.example.net;play=imap://y", Direction.RECVONLY, False)),
    ("announce", "{}", (None, Direction.RECVONLY, False)),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words", "expected"), MOVES)
def test_reinvite_calls_the_service_that_the_step_names(call: str, words: str, expected: tuple[object, ...]) -> None:
    run = Bench(f"  - {call}: {{url: 'imap://x'}}\n  - reinvite: {words}\n").start().answered()
    if call == "ivr":
        run.info_answered()
    asked = run.last("re-INVITE")
    offer = SessionDescription.parse(asked.body)
    (line,) = offer.media
    keys = any(fmt.codec.is_telephone_event for fmt in line.rtp_formats())
    assert (asked.uri, line.direction(offer), keys) == expected
    before, moved = run.call.service, "ivr" if "ivr" in words else "annc"
    assert before == ("ivr" if call == "ivr" else "annc")
    run.reinvite_answered()
    assert run.states == ["1 done", "2 done"]
    assert run.call.service == moved


def test_a_move_plays_the_authorised_url_by_default() -> None:
    run = Bench(TICKET_STEPS + "  - ivr: {}\n  - reinvite: {service: annc}\n").start().answered().info_answered()
    uri = run.last("re-INVITE").uri
    assert uri is not None
    assert AnnouncementUri.parse(SipUri.parse(uri)).play == TICKET
    run = Bench("  - ivr: {url: 'imap://x'}\n  - reinvite: {service: annc}\n").start().answered().info_answered()
    assert "$url" in run.why


def test_a_move_that_is_refused_leaves_the_service() -> None:
    steps = "  - announce: {url: 'imap://x'}\n  - reinvite: {service: ivr, expect: 488}\n  - reinvite: {}\n"
    run = Bench(steps).start().answered().reinvite_answered(488, "")
    assert run.call.service == "annc"
    offer = SessionDescription.parse(run.last("re-INVITE").body)
    assert offer.media[0].direction(offer) is Direction.RECVONLY


def test_a_refused_offer_leaves_the_session_as_it_was() -> None:
    steps = "  - reinvite: {offer: [PCMA/8000], hold: direction, move: yes, expect: 488}\n  - reinvite: {}\n"
    run = Bench("  - announce: {url: 'imap://x'}\n" + steps).start().answered().reinvite_answered(488, "")
    first, offer = (SessionDescription.parse(run.last(name).body) for name in ("INVITE", "re-INVITE"))
    assert (offer.media, offer.connection) == (first.media, first.connection)
    assert offer.origin.version == first.origin.version + 1  # of the refused one (RFC 3264 section 8)


def test_a_moved_call_gets_requests_by_info_and_counts_heard_time_anew() -> None:
    steps = "  - announce: {url: 'imap://x'}\n  - reinvite: {service: ivr, after: 1 s}\n" + IVR
    run = Bench(steps + "  - reinvite: {service: annc, url: 'imap://y'}\n  - reinvite: {after: 1 s}\n").start()
    run.answered().hear(1.0).reinvite_answered()
    assert len([one for one in run.phone.asked if one.what == "INVITE"]) == 1
    assert run.last("INFO").target == run.last("INVITE").name
    run.info_answered().response('id="1" code="200" reason="stopped"')
    run.hear(1.5).reinvite_answered()
    assert run.states == ["1 done", "2 done", "3 done", "4 done"]
    asked = run.last("re-INVITE")
    run.hear(2.4)
    assert run.last("re-INVITE") is asked, "the playing of the announcement began at 1.5 s"
    run.hear(2.5)
    assert run.last("re-INVITE").uri is None


def reinvite_of_the_server(run: Bench, body: str) -> Bench:
    kind = "application/sdp"
    return run.sip(ReinviteReceived("call-1", sip_info(body, kind)))


THEIRS = (
    "v=0\r\no=- 1 2 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio 17000 RTP/AVP 8\r\na=sendonly\r\n"
)


def test_a_reinvite_of_the_media_server_is_answered_with_the_codecs_of_the_call() -> None:
    run = Bench("  - announce: {url: 'imap://x'}\n  - listen: {until: bye}\n").start().answered()
    for version in (2, 2):
        answer = SessionDescription.parse(reinvite_of_the_server(run, THEIRS).last("accept").body)
        (line,) = answer.media
        assert (line.port, line.formats, line.direction(answer)) == (20000, ("8",), Direction.RECVONLY)
        assert answer.origin.version == version
        assert run.media.streams[0].remote_port == 17000


def test_a_reinvite_without_an_offer_gets_the_last_one_and_its_ack_is_used() -> None:
    run = Bench("  - announce: {url: 'imap://x'}\n  - listen: {until: bye}\n").start().answered()
    assert reinvite_of_the_server(run, "").last("accept").body == run.last("INVITE").body
    run.sip(ReinviteConfirmed("call-1", sip_info(THEIRS, "application/sdp")))
    assert run.media.streams[0].remote_port == 17000
    run.sip(ReinviteConfirmed("call-1", sip_info("rubbish", "application/sdp")))
    assert run.media.streams[0].remote_port == 17000


@pytest.mark.parametrize("body", ["rubbish", THEIRS.replace("RTP/AVP 8", "RTP/AVP 18")])
def test_a_reinvite_with_no_usable_offer_gets_488(body: str) -> None:
    run = Bench("  - announce: {url: 'imap://x'}\n  - listen: {until: bye}\n").start().answered()
    assert reinvite_of_the_server(run, body).last("refuse 488").target == "call-1"
