from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.runtime.network import claim, prefixes

FREE = ["127.99.1", "127.99.2"]


def test_two_worlds_have_two_networks_and_release_them() -> None:
    first = claim(FREE)
    second = claim(FREE)
    assert [first.prefix, second.prefix] == FREE
    with pytest.raises(EnvironmentBroken, match="all 2 are held by other runs"):
        claim(FREE)
    first.release()
    third = claim(FREE)
    assert third.prefix == "127.99.1"
    second.release()
    third.release()
    third.release()


def test_roles_have_the_addresses_of_the_contract() -> None:
    network = claim(["127.99.3"])
    places = network.places()
    network.release()
    assert [(place.address, place.port) for place in places.values()] == [
        ("127.99.3.1", 1143),
        ("127.99.3.2", 5060),
        ("127.99.3.3", 5060),
        ("127.99.3.4", 0),
    ]


def test_the_network_of_a_killed_process_is_free_again() -> None:
    code = (
        "import time; from lemonade_testbed.runtime.network import claim; n = claim(['127.99.4'])\n"
        "print('ok', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(EnvironmentBroken):
        claim(["127.99.4"])
    holder.kill()
    holder.communicate()
    claim(["127.99.4"]).release()


@pytest.fixture(params=[("127.99.5.1", 1143, "tcp"), ("127.99.5.2", 5060, "udp"), ("127.99.5.3", 5060, "tcp")])
def occupied(request: pytest.FixtureRequest) -> Iterator[str]:
    host, port, kind = request.param
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as holder:
        holder.bind((host, port))
        if kind == "tcp":
            holder.listen()
        yield f"{host}:{port}"


def test_a_taken_port_means_another_network_or_a_clear_error(occupied: str) -> None:
    with pytest.raises(EnvironmentBroken, match=rf"{occupied} cannot be used \(EADDRINUSE.*ss -lntup"):
        claim(["127.99.5"])
    network = claim(["127.99.5", "127.99.6"])
    assert network.prefix == "127.99.6"
    network.release()


def test_the_candidates_are_loopback_networks_without_127_0_0() -> None:
    candidates = list(prefixes())
    assert len(set(candidates)) == len(candidates) == 32 * 254
    assert all(candidate.startswith("127.") for candidate in candidates)
    assert "127.0.0" not in candidates
