from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.runtime.docker_network import claim, routes, subnets

A, B, C = (IPv4Network(f"10.213.{number}.0/24") for number in (201, 202, 203))
TABLE = """Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
tun0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0
"""


def test_the_routes_of_this_machine_without_the_default(tmp_path: Path) -> None:
    table = tmp_path / "route"
    table.write_text(TABLE)
    assert routes(table) == [IPv4Network("192.168.0.0/24"), IPv4Network("10.0.0.0/8")]


def test_taken_subnets_and_those_of_other_runs_are_skipped() -> None:
    first = claim([A], [A, B, C])
    second = claim([A], [A, B, C])
    try:
        assert (first.subnet, second.subnet) == (B, C)
        with pytest.raises(EnvironmentBroken, match="no free subnet"):
            claim([A], [A, B, C])
    finally:
        first.release()
        second.release()
    again = claim([A], [A, B, C])
    again.release()
    again.release()
    assert again.subnet == B


def test_roles_have_fixed_addresses_and_the_bridge_a_name_that_the_kernel_takes() -> None:
    bridge = claim([], [C])
    bridge.release()
    places = bridge.places()
    assert list(places) == ["imap", "media", "client", "testbed"]
    assert places["testbed"].address == "10.213.203.1"
    assert vars(places["imap"]) | {"aliases": ()} == {
        "address": "10.213.203.11",
        "port": 143,
        "name": "imap.example.com",
        "aliases": (),
        "kind": "",
    }
    assert (places["media"].port, places["client"].port) == (5060, 5060)
    assert len(bridge.name) <= 15
    assert bridge.token in bridge.project


def test_subnets_are_of_all_three_private_blocks() -> None:
    assert {str(subnet).split(".")[0] for subnet in subnets()} == {"10", "172", "192"}
