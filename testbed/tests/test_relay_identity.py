"""Identities of messages: what they depend on, and what they do not depend on."""

from __future__ import annotations

from lemonade_testbed.relay.identity import IdentifiedMessage, Identities, ranges
from lemonade_testbed.relay.reading import RelayedMessage

LEG = "client-media"


def packet(sequence: int, *, marker: bool = False, ssrc: int = 1, payload_type: int = 0) -> RelayedMessage:
    return RelayedMessage("RTP", sequence=sequence, ssrc=ssrc, payload_type=payload_type, marker=marker)


def places(*messages: RelayedMessage) -> list[tuple[str, int]]:
    identities = Identities()
    arrivals = [identities.identify(LEG, "client", message) for message in messages]
    return [(one.of, one.nth) for one in arrivals]


def test_a_packet_is_its_place_behind_the_marker_across_a_wrap() -> None:
    one = "RTP 0 stream 1 start 1"
    assert places(packet(65534), packet(65535), packet(0), packet(2)) == [(one, 1), (one, 2), (one, 3), (one, 5)]
    assert places(packet(5), packet(6, marker=True), packet(6, marker=True), packet(5), packet(7)) == [
        (one, 1),
        ("RTP 0 stream 1 start 2", 1),
        ("RTP 0 stream 1 start 2", 1),
        (one, 1),
        ("RTP 0 stream 1 start 2", 2),
    ]
    assert places(packet(5, marker=True), packet(3)) == [(one, 1), (one, -1)]


def test_the_number_of_packets_before_the_marker_does_not_matter() -> None:
    few, many = (
        places(*[packet(number, marker=number == 0) for number in range(count)], packet(count, marker=True))
        for count in (10, 11)
    )
    assert few[-1] == many[-1] == ("RTP 0 stream 1 start 2", 1)


def test_streams_are_told_by_their_first_payload_type_and_then_by_their_order() -> None:
    sound, video, key = packet(1), packet(1, ssrc=2, payload_type=34), packet(2, payload_type=101)
    again = packet(9, ssrc=3)
    names = [
        ("RTP 0 stream 1 start 1", 1),
        ("RTP 34 stream 1 start 1", 1),
        ("RTP 0 stream 1 start 1", 2),
        ("RTP 0 stream 2 start 1", 1),
    ]
    assert places(sound, video, key, again) == names
    assert sorted(places(video, sound, key, again)) == sorted(names)


def test_copies_of_a_sip_message_are_counted_and_other_messages_do_not_matter() -> None:
    invite, info = (
        RelayedMessage("SIP", method=method, request=f"c {n}") for n, method in enumerate(("INVITE", "INFO"), 1)
    )
    next_info = RelayedMessage("SIP", method="INFO", request="c 3")
    assert places(invite, invite, info, next_info, info) == [
        ("SIP INVITE 1", 1),
        ("SIP INVITE 1", 2),
        ("SIP INFO 1", 1),
        ("SIP INFO 2", 1),
        ("SIP INFO 1", 2),
    ]


def test_rtcp_and_other_datagrams_are_counted_by_leg_and_sender() -> None:
    identities = Identities()
    assert [
        identities.identify(LEG, source, RelayedMessage("RTCP")).nth for source in ("client", "media", "client")
    ] == [
        1,
        1,
        2,
    ]


def test_a_drawn_number_depends_on_seed_rule_and_identity_alone() -> None:
    arrival = IdentifiedMessage(LEG, "client", packet(5), "RTP 0 stream 1 start 1", 3)
    same = IdentifiedMessage(LEG, "client", packet(77, ssrc=9), "RTP 0 stream 1 start 1", 3)
    assert arrival.drawn(7, 1) == same.drawn(7, 1)
    assert 0 <= arrival.drawn(7, 1) < 1
    other = IdentifiedMessage(LEG, "client", packet(5), "RTP 0 stream 1 start 1", 4)
    assert len({arrival.drawn(7, 1), arrival.drawn(8, 1), arrival.drawn(7, 2), other.drawn(7, 1)}) == 4


def test_numbers_as_ranges() -> None:
    assert ranges([3, 1, 2, 7, -1]) == [[-1, -1], [1, 3], [7, 7]]
    assert ranges([]) == []
