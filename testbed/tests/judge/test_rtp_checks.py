"""The checks of RTP: each rule is red at the sender for its own clause, and green for what the RFCs allow."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from lemonade_testbed.testing.checking import run_check
from lemonade_testbed.testing.flow import Flow, Message

NUMBERS = "rtp numbers and timestamps advance"
MARKER = "rtp marker is at starts"
PORTS = "rtp goes by the descriptions"
REPORTS = "rtcp reports on the stream"
ACK = "rtp waits for the ack"
KEYS = "key events are whole"
PACED = "rtp is paced"
EAR = "audio heard is the part"
ALL = (NUMBERS, MARKER, PORTS, REPORTS, ACK, KEYS, PACED, EAR)
Packet = dict[str, Any]


def twos(place: int, packet: Packet) -> None:
    packet["seq"] += place


def half_steps(place: int, packet: Packet) -> None:
    packet["ts"] -= 80 * place


def other_source(place: int, packet: Packet) -> None:
    packet["ssrc"] += place > 100


def marked(place: int, packet: Packet) -> None:
    packet["marker"] = place > 100


def unmarked_gap(place: int, packet: Packet) -> None:
    packet["ts"] += 4000 * (place > 100)
    packet["t"] = packet.get("t", 0)


def other_port(_place: int, packet: Packet) -> None:
    packet["remote"] = "127.9.8.2:9"


def astray(_place: int, packet: Packet) -> None:
    packet["local"] = "127.9.8.3:20010"


def softer(_place: int, packet: Packet) -> None:
    # A segment of mu-law is about 6 dB, and the codes of louder sound are lower.
    octets = base64.b64decode(packet["payload"])
    packet["payload"] = base64.b64encode(bytes(min(one & 0x7F, 0x5F) + 0x20 | one & 0x80 for one in octets)).decode()


RED: list[tuple[str, Callable[[int, Packet], None], str]] = [
    (NUMBERS, twos, "RFC3550-5.1-2"),
    (NUMBERS, half_steps, "RFC3550-5.1-3"),
    (NUMBERS, other_source, "RFC3550-8"),
    (MARKER, marked, "RFC3551-4.1"),
    (MARKER, unmarked_gap, "RFC3551-4.1-2"),
    (PORTS, other_port, "RFC4961-4"),
    (PORTS, astray, "RFC3264-5.1-2"),
    (EAR, softer, "LS-2.1-6"),
]


@pytest.mark.parametrize(("words", "change", "clause"), RED)
def test_a_wrong_packet_is_charged_to_its_sender(
    annc: Flow, words: str, change: Callable[[int, Packet], None], clause: str
) -> None:
    annc.change_packet = change
    breaches = run_check(words, annc).breaches
    assert [(breach.node, breach.clauses[0]) for breach in breaches] == [("media", clause)]


def wrapping(_place: int, packet: Packet) -> None:
    packet["seq"] = (packet["seq"] + 65000) % 65536


def late_timestamps(_place: int, packet: Packet) -> None:
    packet["ts"] = (packet["ts"] + 0xFFFF0000) % (1 << 32)


def first_marked(place: int, packet: Packet) -> None:
    packet["marker"] = place == 0


@pytest.mark.parametrize("change", [wrapping, late_timestamps, first_marked])
@pytest.mark.parametrize("words", ALL)
def test_variations_that_the_rfcs_allow_are_green(
    annc: Flow, words: str, change: Callable[[int, Packet], None]
) -> None:
    annc.change_packet = change
    assert not run_check(words, annc).breaches


@pytest.mark.parametrize("milliseconds", [10, 30, 40])
@pytest.mark.parametrize("words", [NUMBERS, MARKER, PORTS, PACED])
def test_packets_may_be_of_any_length(annc: Flow, words: str, milliseconds: int) -> None:
    annc.packet_octets = 8 * milliseconds
    assert not run_check(words, annc).breaches


@pytest.mark.parametrize(("catching_up", "red"), [(False, True), (True, False)])
def test_a_timestamp_follows_the_time_of_a_silence(annc: Flow, catching_up: bool, red: bool) -> None:
    """A sender that was held up sends at once what is due; one that was silent, uncounted, does not."""
    place = annc.messages.index(annc["rtp"])
    annc["rtp"].seconds = 2.0
    silence = Message("silence", "rtp", "media", "client", seconds=0.02, content=16000, gap=1.0)
    behind = Message("behind", "rtp", "media", "client", seconds=2.0, content=16160)
    behind.gap = 0.002 if catching_up else 0.02
    annc.messages[place + 1 : place + 1] = [silence, behind]
    breaches = run_check(NUMBERS, annc).breaches
    assert [(one.node, one.clauses) for one in breaches] == [("media", ("RFC3550-5.1-3",))] * red


def test_lost_packets_are_no_breach_of_sequence_or_marker(annc: Flow) -> None:
    def lose(place: int, packet: Packet) -> None:
        if place % 50 == 7:
            packet["remote"] = "127.9.9.9:1"  # of no node, so that it counts as lost

    annc.change_packet = lose
    assert not run_check(NUMBERS, annc).breaches
    assert not run_check(MARKER, annc).breaches


@pytest.mark.parametrize(("milliseconds", "red"), [(20, False), (30, True)])
def test_a_packet_time_that_is_asked_for_is_a_should(annc: Flow, milliseconds: int, red: bool) -> None:
    annc.change("invite", "a=recvonly", f"a=ptime:{milliseconds}\r\na=recvonly")
    assert [breach.clauses for breach in run_check(PORTS, annc).breaches] == [("RFC3264-6.1-2",)] * red


def from_client(_place: int, packet: Packet) -> None:
    packet["way"] = "sent"


@pytest.mark.parametrize(("octets", "red"), [(160, False), (480, True)])
def test_a_client_sends_packets_as_long_as_the_answer_says(annc: Flow, octets: int, red: bool) -> None:
    annc.change("invite-ok", "a=sendonly", "a=ptime:20\r\na=sendonly")
    annc.change_packet, annc.packet_octets = from_client, octets
    breaches = run_check(PORTS, annc).breaches
    assert [(one.node, one.clauses) for one in breaches] == [("client", ("RFC3264-6.1-2",))] * red


@pytest.mark.parametrize(
    ("reports", "clauses"),
    [
        ([("received", ["SR", "SDES"]), ("sent", ["RR", "SDES", "BYE"])], []),
        ([("received", ["RR", "SDES"])], ["RFC3550-6.4-2"]),
        ([("received", ["SR", "SDES"]), ("sent", ["RR", "SDES"])], ["RFC3550-6.6"]),
        ([], []),
    ],
)
def test_reports_and_goodbye_are_due(annc: Flow, reports: list[tuple[str, list[str]]], clauses: list[str]) -> None:
    annc.reports = reports
    assert [breach.clauses[0] for breach in run_check(REPORTS, annc).breaches] == clauses


@pytest.mark.parametrize(("kinds", "red"), [(["RR", "SDES"], False), (["SR", "BYE"], False), (["SDES", "BYE"], True)])
def test_an_rtcp_packet_begins_with_a_report(annc: Flow, kinds: list[str], red: bool) -> None:
    annc.reports = [("received", ["SR", "SDES"]), ("sent", kinds)]
    breaches = run_check("rtcp begins with a report", annc).breaches
    assert [(one.node, one.clauses) for one in breaches] == [("client", ("RFC3550-6.1",))] * red


def test_an_announcement_without_an_arrived_ack_is_charged(annc: Flow) -> None:
    assert run_check(ACK, annc).ok
    annc.drop("ack")
    (breach,) = run_check(ACK, annc).breaches
    assert (breach.node, breach.clauses, breach.seen) == ("media", ("LS-2.5-5",), "no ACK arrived")


@pytest.mark.parametrize("gap", [0.0196, 0.0204])
def test_two_percent_of_speed_are_found_in_a_second(annc: Flow, gap: float) -> None:
    annc["rtp"].seconds = 1.0
    assert run_check(PACED, annc).ok
    annc["rtp"].gap = gap
    assert [breach.clauses for breach in run_check(PACED, annc).breaches] == [("LS-2.1-6",)]


def key(*packets: tuple[int, bool, int, bool]) -> Callable[[int, Packet], None]:
    """Turn packets 10 and later into those of a key press of the client: timestamp, marker, duration, end."""

    def change(place: int, packet: Packet) -> None:
        if 0 <= place - 10 < len(packets):
            ts, marker, duration, end = packets[place - 10]
            payload = bytes([5, 0x8A if end else 0x0A]) + duration.to_bytes(2)
            packet |= {"way": "sent", "local": "127.9.8.3:20000", "remote": "127.9.8.2:16384", "pt": 101, "ssrc": 5}
            packet |= {"ts": ts, "marker": marker, "payload": base64.b64encode(payload).decode()}

    return change


ENDS = [(800, False, 480, True)] * 3
PRESS = [(800, True, 160, False), (800, False, 320, False), *ENDS]


@pytest.mark.parametrize(
    ("packets", "clauses"),
    [
        (PRESS, []),
        ([(800, True, 160, False), (960, False, 320, False), *ENDS], ["RFC4733-2.5.1.2"]),
        ([(800, True, 480, False), (800, False, 320, False), *ENDS], ["RFC4733-2.5.1.2-2"]),
        ([(800, True, 160, False), (800, True, 320, False), *ENDS], ["RFC4733-2.5.1.2-3"]),
        ([(800, False, 160, False), (800, False, 320, False), *ENDS], ["RFC4733-2.5.1.2-3"]),
        ([(800, True, 160, False), (800, False, 320, False)], ["RFC4733-2.5.1.2-3"]),
        (PRESS[:-2], ["RFC4733-2.5.1.4"]),
    ],
)
def test_a_key_press_is_whole(annc: Flow, packets: list[tuple[int, bool, int, bool]], clauses: list[str]) -> None:
    annc.change("invite", "RTP/AVP 0\r\n", "RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n")
    annc.change_packet = key(*packets)
    found = run_check(KEYS, annc).breaches
    assert [(breach.node, breach.clauses[0]) for breach in found] == [("client", clause) for clause in clauses]


def test_the_reserved_bit_of_a_key_is_unset(annc: Flow) -> None:
    annc.change("invite", "RTP/AVP 0\r\n", "RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n")
    press = key(*PRESS)

    def change(place: int, packet: Packet) -> None:
        press(place, packet)
        if packet["pt"] == 101:
            payload = bytearray(base64.b64decode(packet["payload"]))
            payload[1] |= 0x40
            packet["payload"] = base64.b64encode(payload).decode()

    annc.change_packet = change
    assert [one.clauses for one in run_check(KEYS, annc).breaches] == [("RFC4733-2.3.3",)]


def test_the_duration_of_a_key_is_in_timestamp_units(annc: Flow) -> None:
    annc.change("invite", "RTP/AVP 0\r\n", "RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n")
    annc.change_packet = key(*((ts, marker, duration // 8, end) for ts, marker, duration, end in PRESS))
    assert [one.clauses for one in run_check(KEYS, annc).breaches] == [("RFC4733-2.3.5",)]


def test_the_section_of_the_ticket_is_heard(annc: Flow) -> None:
    for name in ("invite", "urlfetch", "urlfetch-data"):
        annc[name].text = annc[name].text.replace("SECTION=2", "SECTION=1").replace("SECTION%3D2", "SECTION%3D1")
    assert run_check(EAR, annc).reached == ()  # a text has no sound, and the sound of part 2 is not what was asked for
