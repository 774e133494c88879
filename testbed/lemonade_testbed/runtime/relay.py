"""Sets up the relay of a world: the addresses of its fronts, its configuration, and its command line."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lemonade_testbed.relay.config import End, RelayConfig
from lemonade_testbed.scenario.world import FRONT, ROLES, HostAddress, World

RELAY = (sys.executable, "-m", "lemonade_testbed.relay")


def with_fronts(places: Mapping[str, HostAddress]) -> dict[str, HostAddress]:
    """Return the addresses with a front for each node that the relay stands before: an address in the same /24."""
    return {
        role: replace(place, aliases=(_front(place),)) if role in ROLES else place for role, place in places.items()
    }


def _front(place: HostAddress) -> str:
    network, _, number = place.address.rpartition(".")
    return f"{network}.{int(number) + FRONT}"


def relay_config(world: World, rtp_ports: Mapping[str, str]) -> RelayConfig:
    """Return the configuration of a world's relay; `rtp_ports` has the port ranges of media server and client."""
    if world.setup.relay is None:
        raise RuntimeError("the scenario has no relay")
    ends = {}
    for role in ROLES:
        place, port = world.roles[role], str(world.roles[role].port)
        datagrams = (port, rtp_ports[role]) if role in rtp_ports else ()
        ends[role] = End(place.address, place.aliases[0], datagrams, (port,))
    return RelayConfig(world.setup.relay, ends)


def relay_options(world: World, rtp_ports: Mapping[str, str]) -> Sequence[str]:
    """Write the relay's configuration into the world's folder, and return the options of its command line."""
    path = world.setup.folder / "relay.json"
    relay_config(world, rtp_ports).write(path)
    options = ["--config", str(path), "--trace", str(world.trace("relay")), "--trace-salt", world.setup.salt]
    fault = world.setup.faults.get("relay")
    return [*options, *(("--fault", fault) if fault else ())]
