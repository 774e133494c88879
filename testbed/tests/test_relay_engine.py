"""The relay's engine with explicit times and seeds: what it sends when, and that a seed determines all decisions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_testbed.relay.engine import HOLD, EndStream, RelayDatagram, RelayEngine, RelayFlow, SendOctets
from lemonade_testbed.relay.rules import parse_rule

RTP = RelayFlow("media", "client", 16384, 20000)
RTCP = RelayFlow("media", "client", 16385, 20001)
SIP = RelayFlow("client", "media", 5060, 5060)
INVITE = b"INVITE sip:x SIP/2.0\r\n\r\n"


def engine(*rules: dict[str, str], seed: int = 7) -> RelayEngine:
    return RelayEngine(seed, [parse_rule({"leg": "client-media"} | words, n) for n, words in enumerate(rules, 1)])


def packet(number: int) -> bytes:
    return b"\x80\x00" + number.to_bytes(2, "big") + bytes(8) + b"sound"


def sent(relay: RelayEngine) -> list[bytes]:
    return [one.data for one in relay.outputs() if isinstance(one, RelayDatagram)]


def numbers(relay: RelayEngine) -> list[int]:
    return [int.from_bytes(data[2:4], "big") for data in sent(relay)]


def states(relay: RelayEngine) -> list[tuple[str, str]]:
    return [(did.state, did.arrival.message.label) for did in relay.impaired()]


def play(relay: RelayEngine, count: int, start: float = 0.0) -> None:
    for number in range(count):
        relay.datagram_received(RTP, packet(number), start + number * 0.02)


def test_a_message_is_lost_as_often_as_the_rule_says_and_then_passes() -> None:
    relay = engine({"from": "client", "lose": "SIP INVITE", "times": "2"})
    for copy in range(3):
        relay.datagram_received(SIP, INVITE, copy * 0.5)
        assert sent(relay) == ([INVITE] if copy == 2 else [])
    relay.datagram_received(RelayFlow("media", "client", 5060, 5060), INVITE, 2.0)
    assert sent(relay) == [INVITE]
    assert states(relay) == [("lost", "SIP INVITE")] * 2
    assert relay.decided == {
        "client-media from client: SIP INVITE 1": {1, 2, 3},
        "client-media from media: SIP INVITE 1": {1},
    }


def test_a_lost_message_is_reported_by_its_identity() -> None:
    relay = engine({"from": "media", "lose": "RTP 30 %"}, {"from": "client", "lose": "SIP", "times": "1"})
    for number in range(20):
        relay.datagram_received(RTCP, b"\x81\xc8" + bytes(26), number * 0.02)
        relay.datagram_received(RTP, packet(500 + number), number * 0.02)
    relay.datagram_received(SIP, INVITE, 1.0)
    lost = [did.arrival for did in relay.impaired()]
    assert len(lost) > 3
    assert {one.of for one in lost[:-1]} == {"RTP 0 stream 1 start 1"}
    assert [one.nth for one in lost[:-1]] == [(one.message.sequence or 0) - 499 for one in lost[:-1]]
    assert (lost[-1].of, lost[-1].nth) == ("SIP INVITE 1", 1)


def test_delay_and_jitter_keep_the_order() -> None:
    relay = engine({"delay": "50 ms"}, {"jitter": "RTP 60 ms"})
    times: list[float] = []
    play(relay, 50)
    order = numbers(relay)
    while (at := relay.next_timer()) is not None:
        relay.handle_timer(at)
        left = numbers(relay)
        order += left
        times += [at] * len(left)
    assert order == list(range(50))
    late = [at - number * 0.02 for number, at in zip(order[-len(times) :], times, strict=True)]
    assert min(late) >= 0.05 - 1e-9
    assert max(late) <= 0.11 + 1e-9
    assert max(late) - min(late) > 0.03  # it does vary
    relay.datagram_received(SIP, INVITE, 10.0)
    assert relay.next_timer() == pytest.approx(10.05)


def test_a_duplicated_datagram_is_sent_twice() -> None:
    relay = engine({"duplicate": "RTP", "times": "1"})
    play(relay, 2)
    assert numbers(relay) == [0, 0, 1]
    assert states(relay) == [("duplicated", "RTP")]


def test_a_reordered_datagram_is_overtaken_by_the_next_of_its_flow() -> None:
    relay = engine({"reorder": "RTP", "times": "1"})
    relay.datagram_received(RTP, packet(0), 0.0)
    relay.datagram_received(RTCP, packet(100), 0.01)
    relay.datagram_received(RTP, packet(1), 0.02)
    assert numbers(relay) == [100, 1, 0]
    relay.handle_timer(1.0)
    assert numbers(relay) == []


def test_a_reordered_datagram_that_nothing_overtakes_leaves_in_the_end() -> None:
    relay = engine({"reorder": "RTP", "times": "1"})
    relay.datagram_received(RTP, packet(0), 1.0)
    assert numbers(relay) == []
    assert relay.next_timer() == pytest.approx(1.0 + HOLD)
    relay.handle_timer(1.0 + HOLD)
    assert numbers(relay) == [0]


def test_a_share_of_rtp_is_lost() -> None:
    relay = engine({"from": "media", "lose": "RTP 5 %"})
    play(relay, 2000)
    assert 70 <= 2000 - len(numbers(relay)) <= 130


def verdict_of(seed: int) -> tuple[list[int], list[tuple[str, str]]]:
    relay = engine(
        {"lose": "RTP 5 %"}, {"duplicate": "RTP 2 %"}, {"reorder": "RTP 2 %"}, {"jitter": "RTP 20 ms"}, seed=seed
    )
    play(relay, 600)
    relay.handle_timer(100.0)
    return numbers(relay), states(relay)


def test_ten_runs_with_one_seed_are_equal() -> None:
    assert len({str(verdict_of(7)) for _ in range(10)}) == 1
    assert verdict_of(7) != verdict_of(8)


def test_what_is_lost_of_rtp_does_not_depend_on_reports_and_signalling() -> None:
    alone, among = (engine({"lose": "30 %"}) for _ in range(2))
    left = []
    for relay, others in ((alone, 0), (among, 3)):
        for number in range(300):
            for _ in range(others):
                relay.datagram_received(RTCP, b"\x80\xc8" + bytes(26), number * 0.02)
                relay.datagram_received(SIP, INVITE, number * 0.02)
            relay.datagram_received(RTP, packet(number), number * 0.02)
        left.append([one for one in relay.outputs() if isinstance(one, RelayDatagram) and one.flow == RTP])
    assert left[0] == left[1]
    assert 150 < len(left[0]) < 270


def test_a_decision_does_not_depend_on_times_and_earlier_messages() -> None:
    """Packets come 50 ms apart, so that the next but one after a held packet comes just before or after `HOLD`."""
    rules = ({"lose": "RTP 40 %"}, {"duplicate": "RTP 40 %"}, {"reorder": "RTP 40 %"})
    decisions = []
    for first, step in ((0, 0.0499), (65530, 0.0501)):
        relay = engine(*rules)
        for number in range(100):
            relay.datagram_received(RTP, packet((first + number) % 65536), number * step)
        decisions.append([(did.state, did.rule, did.arrival.nth) for did in relay.impaired()])
    assert decisions[0] == decisions[1]
    assert {state for state, *_ in decisions[0]} == {"lost", "duplicated", "reordered"}


def test_each_copy_of_a_sip_message_is_decided_on_separately() -> None:
    relay = engine({"lose": "SIP 50 %"})
    for copy in range(40):
        relay.datagram_received(SIP, INVITE, copy * 0.5)
    assert 8 < len(sent(relay)) < 32


def test_datagrams_are_cut_off_until_the_leg_heals() -> None:
    relay = engine({"cut": "UDP after 1 s", "heal": "500 ms"})
    play(relay, 100, start=5.0)
    relay.handle_timer(9.0)
    assert numbers(relay) == [*range(50), *range(75, 100)]
    told = states(relay)
    assert told == [("cut", "UDP"), *[("cut-off", "RTP")] * 25, ("healed", "UDP")]


def test_datagrams_are_cut_after_octets_and_for_good() -> None:
    relay = engine({"cut": "after 40 octets", "from": "media"})
    relay.datagram_received(SIP, INVITE, 0.0)
    play(relay, 10)
    assert len(sent(relay)) == 1 + 3  # of 17 octets each
    assert relay.next_timer() is None


MAIL = {"leg": "media-imap", "from": "imap"}


def test_a_stream_is_cut_at_the_octet_and_refused_until_it_heals() -> None:
    relay = engine(MAIL | {"cut": "after 10 octets", "heal": "2 s"})
    assert relay.stream_opened(1, "media", "imap", 0.0)
    relay.stream_received(1, "media", b"a URLFETCH which does not count\r\n", 0.1)
    relay.stream_received(1, "imap", b"1234567", 0.2)
    relay.stream_received(1, "imap", b"890 too much", 0.3)
    relay.stream_received(1, "imap", b"more", 0.4)
    assert relay.outputs() == [
        SendOctets(1, "imap", b"a URLFETCH which does not count\r\n"),
        SendOctets(1, "media", b"1234567"),
        SendOctets(1, "media", b"890"),
        EndStream(1, "media", cut=True),
        EndStream(1, "imap", cut=True),
    ]
    assert not relay.stream_opened(2, "media", "imap", 2.2)
    assert relay.stream_opened(3, "client", "imap", 2.2)  # another leg
    assert relay.stream_opened(4, "media", "imap", 2.3)
    relay.stream_received(4, "imap", b"far more than ten octets", 2.4)
    assert relay.outputs() == [SendOctets(4, "media", b"far more than ten octets")]
    assert [state for state, _ in states(relay)] == ["cut", "refused", "healed"]


def test_the_end_of_a_stream_is_sent_behind_delayed_octets() -> None:
    relay = engine({"delay": "1 s"})
    relay.stream_opened(1, "client", "media", 0.0)
    relay.stream_received(1, "client", b"late", 0.0)
    relay.stream_ended(1, "client", 0.1)
    assert relay.outputs() == []
    relay.handle_timer(1.0)
    assert relay.outputs() == [SendOctets(1, "media", b"late"), EndStream(1, "media")]


INFO = b"INFO sip:x SIP/2.0\r\nCSeq: 2 INFO\r\nContent-Length: 10\r\n\r\nSignal=6\r\n"
BYE = b"BYE sip:x SIP/2.0\r\nCSeq: 3 BYE\r\nContent-Length: 0\r\n\r\n"


def through(relay: RelayEngine, *pieces: bytes) -> list[bytes]:
    relay.stream_opened(1, "client", "media", 0.0)
    for place, data in enumerate(pieces):
        relay.stream_received(1, "client", data, place * 0.01)
    return [one.data for one in relay.outputs() if isinstance(one, SendOctets)]


def test_a_sip_message_is_taken_out_of_a_stream_whole() -> None:
    relay = engine({"from": "client", "lose": "SIP INFO", "times": "1"})
    assert through(relay, INFO[:30], INFO[30:] + BYE + INFO, b"\r\n") == [BYE, INFO, b"\r\n"]
    (did,) = relay.impaired()
    assert (did.state, did.arrival.message.label, did.arrival.nth, did.octets) == ("lost", "SIP INFO", 1, len(INFO))
    assert relay.decided == {
        "client-media from client: SIP INFO 1": {1, 2},
        "client-media from client: SIP BYE 1": {1},
    }


def test_messages_of_a_stream_come_twice_and_in_another_order() -> None:
    assert through(engine({"duplicate": "SIP BYE"}), INFO + BYE) == [INFO, BYE, BYE]
    assert through(engine({"reorder": "SIP INFO", "times": "1"}), INFO + BYE) == [BYE, INFO]


def test_a_late_message_holds_up_its_stream() -> None:
    relay = engine({"delay": "SIP INFO 1 s"})
    assert through(relay, INFO + BYE) == []
    assert relay.next_timer() == pytest.approx(1.0)


@pytest.mark.parametrize("rule", [{"lose": "50 %"}, {"lose": "RTP"}, {"duplicate": "UDP"}])
def test_a_rule_for_datagrams_leaves_a_sip_stream_alone(rule: dict[str, str]) -> None:
    pieces = (INFO[:30], INFO[30:], BYE)
    assert through(engine(rule, {"lose": "SIP 404"}), *pieces) == [INFO, BYE]
    assert through(engine(rule), *pieces) == [*pieces]  # no rule names SIP: octets go on at once


def test_held_octets_are_sent_before_the_end_of_their_stream() -> None:
    relay = engine({"reorder": "SIP INFO"})
    through(relay, INFO + BYE[:20])
    relay.stream_ended(1, "client", 0.05)
    assert relay.outputs() == [SendOctets(1, "media", INFO), SendOctets(1, "media", BYE[:20]), EndStream(1, "media")]
    relay.handle_timer(1.0)
    assert relay.outputs() == []
    relay = engine({"lose": "SIP INFO"}, {"cut": "TCP after 20 octets"})
    relay.stream_opened(1, "client", "media", 0.0)
    relay.stream_received(1, "client", BYE, 0.1)
    to_media = [one for one in relay.outputs() if not isinstance(one, RelayDatagram) and one.target == "media"]
    assert to_media == [SendOctets(1, "media", BYE[:20]), EndStream(1, "media", cut=True)]


RULES = st.lists(
    st.sampled_from(
        [
            {"delay": "50 ms"},
            {"jitter": "40 ms"},
            {"delay": "TCP 10 ms"},
            {"lose": "30 %"},
            {"reorder": "30 %"},
            {"duplicate": "30 %"},
            {"delay": "SIP 30 ms"},
            {"cut": "after 60 octets"},
            {"cut": "TCP after 300 ms", "heal": "100 ms"},
        ]
    ),
    max_size=4,
)
OCTETS = st.one_of(st.binary(min_size=1, max_size=30), st.sampled_from([INFO, BYE, INFO[:50], BYE + INFO]))
PIECES = st.lists(st.tuples(st.sampled_from(["client", "media"]), OCTETS), max_size=20)


@settings(max_examples=100, deadline=None)
@given(RULES, PIECES, st.integers(0, 3))
def test_octets_of_a_stream_can_only_be_delayed_or_cut_off(
    rules: list[dict[str, str]], pieces: list[tuple[str, bytes]], seed: int
) -> None:
    relay = engine(*rules, seed=seed)
    relay.stream_opened(1, "client", "media", 0.0)
    for place, (source, data) in enumerate(pieces):
        relay.stream_received(1, source, data, place * 0.02)
    for source in ("client", "media"):
        relay.stream_ended(1, source, 1.0)
    relay.handle_timer(100.0)
    arrived = {"client": b"", "media": b""}
    ended: set[str] = set()
    cut: list[str] = []
    for one in relay.outputs():
        if isinstance(one, SendOctets):
            assert one.target not in ended
            arrived[one.target] += one.data
        elif isinstance(one, EndStream):
            ended.add(one.target)
            cut += [one.target] if one.cut else []
    assert ended == {"client", "media"}
    for target, source in (("client", "media"), ("media", "client")):
        whole = b"".join(data for sender, data in pieces if sender == source)
        assert whole.startswith(arrived[target])
        assert arrived[target] == whole or sorted(cut) == ["client", "media"]


@settings(max_examples=50, deadline=None)
@given(PIECES, st.integers(0, 3))
def test_without_rules_all_octets_pass_at_once_and_unchanged(pieces: list[tuple[str, bytes]], seed: int) -> None:
    relay = engine(seed=seed)
    relay.stream_opened(1, "client", "media", 0.0)
    for place, (source, data) in enumerate(pieces):
        target = "media" if source == "client" else "client"
        relay.stream_received(1, source, data, place * 0.02)
        assert relay.outputs() == [SendOctets(1, target, data)]
        flow = RelayFlow(source, target, 7, 9)
        relay.datagram_received(flow, data, place * 0.02)
        assert relay.outputs() == [RelayDatagram(flow, data)]
    assert relay.impaired() == []
    assert relay.next_timer() is None
