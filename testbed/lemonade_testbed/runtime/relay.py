"""The relay of a local world: its fronts, its configuration, its process."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lemonade_testbed.relay.config import End, RelayConfig
from lemonade_testbed.runtime.world import Place, World

RELAY = (sys.executable, "-m", "lemonade_testbed.relay")
FRONTS: Mapping[str, int] = {"imap": 11, "media": 12, "client": 13}
"""The last number of each role's front in the local runtime."""


def with_fronts(places: Mapping[str, Place], numbers: Mapping[str, int] = FRONTS) -> dict[str, Place]:
    """Give each role that the relay stands before its front, by its last number in the same /24."""
    return {
        role: replace(place, aliases=(f"{place.address.rpartition('.')[0]}.{numbers[role]}",))
        if role in numbers
        else place
        for role, place in places.items()
    }


def relay_config(world: World, rtp_ports: Mapping[str, str]) -> RelayConfig:
    """Return what the relay of a world is told; `rtp_ports` are the ranges of media server and client."""
    if world.setup.relay is None:
        raise RuntimeError("the scenario has no relay")
    ends = {}
    for role in FRONTS:
        place, port = world.roles[role], str(world.roles[role].port)
        datagrams = (port, rtp_ports[role]) if role in rtp_ports else ()
        ends[role] = End(place.address, place.aliases[0], datagrams, (port,))
    return RelayConfig(world.setup.relay, ends)


def relay_options(world: World, rtp_ports: Mapping[str, str]) -> Sequence[str]:
    """Write the configuration into the world's folder and return the command line."""
    path = world.setup.folder / "relay.json"
    relay_config(world, rtp_ports).write(path)
    options = ["--config", str(path), "--trace", str(world.trace("relay")), "--trace-salt", world.setup.salt]
    fault = world.setup.faults.get("relay")
    return [*options, *(("--fault", fault) if fault else ())]
