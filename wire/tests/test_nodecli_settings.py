"""The shared command-line options: valid values, and the messages for invalid ones."""

from __future__ import annotations

from enum import Enum

import pytest

from lemonade_wire.address import Address, PortRange
from lemonade_wire.faults import FaultList
from lemonade_wire.nodecli import (
    NodeParser,
    add_number,
    add_resolve,
    add_rtp_ports,
    add_words,
    resolver_from,
    seconds,
    whole,
)


class Colour(Enum):
    RED = "red"
    GREEN = "green"


def parser() -> NodeParser:
    made = NodeParser("lemonade-x", "A node.", FaultList.of(), {})
    add_number(made, "--many", whole(2, 1_000_000_000), "how many", 7)
    add_number(made, "--rate", whole(), "how often", without="no limit")
    add_number(made, "--wait", seconds(0.1, 3600), "how long", 64_000_000, metavar="SECONDS")
    add_words(made, "--colour", Colour, Colour.GREEN, "which")
    add_rtp_ports(made, PortRange(20000, 20100))
    add_resolve(made)
    return made


def test_given_options_are_read() -> None:
    words = "--many 1000000000 --rate 1 --wait 0.125 --colour red --rtp-ports 30000-30010 --resolve a=127.0.0.1:1143"
    options = parser().read(words.split())
    assert (options.many, options.rate, options.wait, Colour(options.colour)) == (10**9, 1, 0.125, Colour.RED)
    assert options.rtp_ports == PortRange(30000, 30010)
    assert resolver_from(parser(), options).resolve("A", 143) == Address("127.0.0.1", 1143)


def test_what_is_not_given_has_its_default_and_help_tells_it(capsys: pytest.CaptureFixture[str]) -> None:
    options = parser().read([])
    assert (options.many, options.rate, Colour(options.colour)) == (7, None, Colour.GREEN)
    with pytest.raises(SystemExit):
        parser().read(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    for words in (
        "how many (default: 7)",
        "how often (default: no limit)",
        "how long (default: 64000000)",
        "which (default: green)",
        "for RTP and RTCP (default: 20000-20100)",
    ):
        assert words in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        *((f"--many={word}", "a number from 2 to 1000000000 is expected") for word in ("1", "1000000001", "", "2.5")),
        *((f"--rate={word}", "a number of 1 or more is expected") for word in ("0", "-1", "x", "٣", "²", "9" * 5000)),
        *(
            (f"--wait={word}", "a number of seconds from 0.1 to 3600 is expected")
            for word in ("0", "3601", "1e3", "nan")
        ),
        ("--colour=blue", "'red', 'green'"),
        ("--rtp-ports=9", "A-B is expected"),
    ],
)
def test_invalid_values_are_refused_with_the_allowed_ones(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parser().read([words])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_a_malformed_resolve_rule_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    options = parser().read(["--resolve", "nothing"])
    with pytest.raises(SystemExit) as caught:
        resolver_from(parser(), options)
    assert caught.value.code == 2
    assert "NAME[:PORT]=ADDRESS[:PORT] is expected" in capsys.readouterr().err


def test_ports_without_a_default_are_required(capsys: pytest.CaptureFixture[str]) -> None:
    made = NodeParser("lemonade-x", "A node.", FaultList.of(), {})
    add_rtp_ports(made)
    with pytest.raises(SystemExit):
        made.read([])
    assert "--rtp-ports" in capsys.readouterr().err
