"""`repeat`, `delay` and `duration` to one packet (RFC 4240 section 3): from the Request-URI to the packets and the BYE.

The call is replayed in memory, with the real sender's engine in place of a clock: what is counted are 20 ms slots.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import pytest

from lemonade_media.decoding.decode import EncodedMedia
from lemonade_media.model.commands import PlayMedia, StartFetch
from lemonade_media.rtp.sender.protocol import ContentFinished
from lemonade_media.testing import CONFIG, Replay
from lemonade_media.testing.sender_bench import Bench
from lemonade_wire.profile import DRAFT_07, RFC_5616, Profile
from lemonade_wire.sdp.codec import PCMU
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.event import ByeReceived
from lemonade_wire.sip.message.uri import SipUri

PLAY = "sip:annc@media.example.net;play=imap://joe%40imap.example.com/INBOX/%3BUID%3D20"
OFFER = bytes(make_offer("192.0.2.3", 20000, [PCMU]))
LENGTH_MS = 100  # five packets


def invited(params: str, octets: int, profile: Profile = DRAFT_07, limit: int = 3600) -> Replay:
    def fetch(command: StartFetch) -> EncodedMedia:
        return EncodedMedia(command.law, bytes(octets), "content")

    replay = Replay(profile=profile, fetch=fetch, config=replace(CONFIG, max_announcement_seconds=limit))
    replay.invite(SipUri.parse(PLAY + params), OFFER)
    return replay


def heard(replay: Replay, bench: Bench) -> list[int]:
    """Play an announcement to its BYE; returns the lengths of its runs: packets, silent slots, packets and so on."""
    playing = [command for command in replay.commands if isinstance(command, PlayMedia)]
    if playing:
        (play,) = playing
        bench.play(limit_ms=play.limit_ms, plays=play.plays, delay_ms=play.delay_ms)
        while not bench.events or not isinstance(bench.events[-1], ContentFinished):
            due = bench.engine.next_due()
            assert due is not None
            assert not any(isinstance(event, ByeReceived) for event in replay.heard)
            bench.now = max(bench.now, due)
            bench.collect()
        end = bench.events[-1]
        replay.end_playing(end.played_ms, end.offset_ms)
    assert any(isinstance(event, ByeReceived) for event in replay.heard)
    assert replay.server.idle
    times = [*bench.times(), bench.now] if playing else []
    taken = {round((time - times[0]) / 0.02) for time in times[:-1]}
    slots = [slot in taken for slot in range(round((times[-1] - times[0]) / 0.02))] if times else []
    return [len(list(group)) for _, group in groupby(slots)]


@pytest.mark.parametrize("profile", [DRAFT_07, RFC_5616], ids=lambda profile: profile.name)
@pytest.mark.parametrize(
    ("params", "runs"),
    [
        ("", [5]),
        (";repeat=0", [5]),  # played once in both profiles, as `repeat="0"` of MSCML in the draft
        (";repeat=1", [5]),
        (";repeat=3", [15]),
        (";repeat=2;delay=0", [10]),
        (";delay=500", [5]),  # without a repetition there is no delay
        (";repeat=2;delay=1", [5, 1, 5]),
        (";repeat=2;delay=20", [5, 1, 5]),
        (";repeat=2;delay=21", [5, 2, 5]),
        (";repeat=3;delay=60", [5, 3, 5, 3, 5]),
        (";repeat=2;delay=1000", [5, 50, 5]),
        (";duration=0", []),
        (";duration=0;repeat=forever", []),
        (";duration=1", [1]),
        (";duration=20", [1]),
        (";duration=21", [2]),
        (";duration=99", [5]),
        (";duration=100", [5]),
        (";duration=5000", [5]),
        (";duration=150;repeat=2", [8]),
        (";duration=200;repeat=2", [10]),
        (";duration=1000;repeat=forever", [50]),
        (";duration=300;repeat=2;delay=1000", [5, 10]),  # ends within the silence
        (";duration=120;repeat=2;delay=20", [5, 1]),
        (";duration=140;repeat=2;delay=20", [5, 1, 1]),
        (";duration=0000000000140;repeat=2;delay=20", [5, 1, 1]),
        (";duration=500;repeat=forever;delay=40", [5, 2, 5, 2, 5, 2, 4]),
        (f";duration=300;repeat=2;delay={'9' * 30}", [5, 10]),
        (f";duration={'9' * 30};repeat=2", [10]),
    ],
)
def test_packets_and_silent_slots_follow_repeat_delay_and_duration(
    profile: Profile, params: str, runs: list[int]
) -> None:
    assert heard(invited(params, LENGTH_MS * 8, profile), Bench(media=bytes(LENGTH_MS * 8))) == runs


@pytest.mark.parametrize("params", [";repeat=forever", ";repeat=999999999", ";repeat=forever;duration=999999999"])
def test_an_endless_announcement_ends_at_the_servers_limit(params: str) -> None:
    assert heard(invited(params, LENGTH_MS * 8, limit=4), Bench(media=bytes(LENGTH_MS * 8))) == [200]


def test_a_short_last_packet_takes_a_whole_slot() -> None:
    octets = 250  # 31.25 ms: a packet, and a short one
    assert heard(invited(";repeat=4", octets), Bench(media=bytes(octets))) == [8]
    assert heard(invited(";repeat=forever;duration=1000", octets), Bench(media=bytes(octets))) == [50]
