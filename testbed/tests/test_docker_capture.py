from __future__ import annotations

from pathlib import Path

from lemonade_testbed.runtime.docker_capture import counts, crossed

SAID = """tcpdump: listening on lm0, link-type EN10MB (Ethernet), snapshot length 262144 bytes
167 packets captured
170 packets received by filter
3 packets dropped by kernel
"""


def test_tcpdump_s_own_counts() -> None:
    assert counts(SAID) == {"packets": 167, "received": 170, "dropped": 3, "interface_dropped": 0}
    assert counts(SAID + "1 packet dropped by interface\n")["interface_dropped"] == 1
    assert counts("1 packet captured\n1 packet received by filter\n0 packets dropped by kernel")["packets"] == 1


def test_a_tcpdump_that_was_killed_counts_nothing() -> None:
    assert counts(SAID.splitlines()[0]) == {}


def test_the_interface_counts_both_ways(tmp_path: Path) -> None:
    statistics = tmp_path / "lm0/statistics"
    statistics.mkdir(parents=True)
    for name, number in (("rx_packets", 551), ("tx_packets", 55), ("rx_dropped", 7)):
        (statistics / name).write_text(f"{number}\n")
    assert crossed("lm0", tmp_path) == 606
    assert crossed("lm1", tmp_path) is None
