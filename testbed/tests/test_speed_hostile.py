"""The measures of attacks: their names, inputs and tallies. No test measures a time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from lemonade_testbed.places import UsageError
from speed.command import run_bench
from speed.growth import PARSERS, Growth, MeasuredGrowth
from speed.hostile import ATTACKS, HostileFigure
from speed.hostile_control import RtpTally
from speed.hostile_media import silent_flac, slow_flac, slow_wav
from speed.hostile_nodes import HostilePlace
from speed.hostile_sip import announcement, offer, request


def packet(number: int) -> bytes:
    return b"\x80\0" + (number % 0x10000).to_bytes(2, "big") + bytes(8)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_the_inputs_of_a_parser_differ_by_eight_and_are_parsed_or_refused(parser: Growth) -> None:
    small, large = parser.sizes
    assert large == 8 * small
    rest = len(parser.before) + len(parser.after)
    assert small - len(parser.piece) < len(parser.octets(small)) - rest <= small
    parser.call(parser.octets(len(parser.piece)))


def test_names_are_unique() -> None:
    names = Counter([attack.name for attack in ATTACKS] + [parser.name for parser in PARSERS])
    assert max(names.values()) == 1


@pytest.mark.parametrize(
    "names", [["hostile:nothing"], ["hostile", "crowd"], ["crowd", "hostile:login-flood"], ["hostile:"]]
)
def test_names_that_are_not_known_or_do_not_go_together_are_errors(names: list[str], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        run_bench(names, tmp_path)


def test_a_figure_is_met_up_to_its_limit() -> None:
    assert HostileFigure("a", "stall", "ms", 50.0, 50.0).met
    assert not HostileFigure("a", "stall", "ms", 50.1, 50.0).met
    assert MeasuredGrowth("a", 1.0, 9.0).ratio == 9.0


def test_packets_are_counted_over_the_wrap_of_their_numbers() -> None:
    tally = RtpTally()
    assert (tally.lost, tally.late) == (0, 0.0)
    for number in (65_534, 65_535, 0, 2, 1, 4):
        tally.add(packet(number), 10.0 + 0.02 * ((number + 2) % 65_536))
    assert tally.lost == 1  # number 3
    assert tally.late == pytest.approx(0.0)
    tally.add(packet(5), 10.0 + 0.02 * 7 + 0.3)
    assert tally.late == pytest.approx(0.3)


def test_addresses_of_the_attack_are_not_those_of_control_and_nodes(tmp_path: Path) -> None:
    place = HostilePlace("127.9.9", tmp_path)
    own = {place.imap[0], place.media[0], place.control}
    sources = {place.source(number) for number in range(1000)}
    assert len(own) == 3
    assert len(sources) == 200
    assert not own & sources


def test_media_of_the_attacks_are_small_and_say_what_they_should() -> None:
    assert slow_flac()[18 + 0 :][:3] == (1).to_bytes(20, "big")[-3:] or slow_flac().startswith(b"fLaC")
    assert len(slow_flac()) < 100
    assert slow_wav()[24:28] == (1).to_bytes(4, "little")
    sound = silent_flac(1)
    assert sound.startswith(b"fLaC")
    rate_and_channels = int.from_bytes(sound[18:26], "big")
    assert (rate_and_channels >> 44, (rate_and_channels >> 41) % 8 + 1) == (192_000, 8)
    assert len(sound) < 20_000


def test_a_request_says_how_long_its_body_is() -> None:
    body = offer(9000, "127.0.0.1", ["a=x"])
    octets = request("INVITE", announcement(("127.0.0.1", 5060), "imap://h/;x"), ("127.0.0.2", 9), "c", body)
    head, _, rest = octets.partition(b"\r\n\r\n")
    assert head.startswith(b"INVITE sip:annc@127.0.0.1:5060;play=imap%3A//h/%3Bx SIP/2.0\r\n")
    assert b"\r\nContent-Length: %d" % len(body) in head
    assert rest == body
