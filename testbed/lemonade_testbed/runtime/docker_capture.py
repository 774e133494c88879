"""Captures the packets on the bridge of one world with tcpdump, and counts them.

The capture starts before the first node. A probe shows that it works, and counters show whether packets are missing.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.runtime.docker_node import DockerNode

FILE = "capture.pcap"
PLACE = f"/capture/{FILE}"
PATIENCE = 20.0
"""Seconds that tcpdump has to listen, and as many again to see the probe."""
_STOP = 5.0
_BETWEEN = 0.05
_DISCARD = 9
_LISTENING = re.compile(rb"^tcpdump: listening on|^listening on|, listening on", re.MULTILINE)
_COUNTS = re.compile(
    r"^([0-9]+) packets? (captured|received by filter|dropped by kernel|dropped by interface)", re.MULTILINE
)
_INTERFACES = Path("/sys/class/net")


@dataclass
class Capture:
    """A capture on the interface `bridge` by the container `node`.

    The probe is sent from `here`, the testbed's own address, to the discard port (RFC 863) of the node at `to`; packets
    of the testbed are not part of a ladder.
    """

    node: DockerNode
    bridge: str
    here: str
    to: str
    _record: dict[str, Any] = field(default_factory=dict)
    _before: int | None = None

    def start(self) -> None:
        """Start tcpdump, and return when it says that it listens; raises EnvironmentBroken if it does not in time."""
        self.node.start()
        self._await(lambda: _LISTENING.search(self.node.log()) is not None, "does not say that it listens")
        self._before = crossed(self.bridge)
        self._record = {"bridge": self.bridge, "listening": time.time()}

    def prove(self) -> None:
        """Send marked packets over the bridge until one is in the file; the node at `to` must run.

        Raises EnvironmentBroken if none is in it in time.
        """
        mark = f"lemonade-probe-{secrets.token_hex(8)}".encode()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((self.here, 0))

            def seen() -> bool:
                probe.sendto(mark, (self.to, _DISCARD))
                time.sleep(_BETWEEN)
                return mark in (self.node.get(PLACE) or b"")

            self._await(seen, "does not see a packet on the bridge")
        self._record["probe"] = mark.decode()

    def _await(self, done: Callable[[], bool], trouble: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not done():
            code = self.node.ended(_BETWEEN)
            if code is None and time.monotonic() < deadline:
                continue
            said = self.node.log().decode("utf-8", "replace").splitlines()[-1:]
            raise EnvironmentBroken(f"the capture {trouble}: {said[0] if said else f'exit code {code}'}")

    def stop(self) -> None:
        """Let tcpdump write its buffer and end, and keep its counts."""
        if not self._record:
            return
        after = crossed(self.bridge)
        if after is not None and self._before is not None:
            self._record["interface"] = after - self._before
        self.node.signal("SIGINT")
        code = self.node.ended(_STOP)
        said = self.node.log().decode("utf-8", "replace")
        self._record |= {"exit": code, "stopped": time.time(), **counts(said)}

    def bring(self, secret: Path) -> dict[str, Any]:
        """Write the capture into the folder `secret`; returns what is known of it, for `world.json`.

        `packets` is the number of packets in the file, `received` of those that the kernel handed over, `dropped` of
        those that the kernel dropped because its buffer was full, and `interface` of those that the bridge counted from
        before the probe until the nodes had ended.
        """
        content = self.node.get(PLACE)
        if content is None:
            return self._record
        path = secret / FILE
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as sink:
            sink.write(content)
        return {"file": f"{secret.name}/{FILE}", **self._record}


def counts(said: str) -> dict[str, int]:
    """Return the counts in tcpdump's output; empty if tcpdump was killed before it wrote them."""
    names = {
        "captured": "packets",
        "received by filter": "received",
        "dropped by kernel": "dropped",
        "dropped by interface": "interface_dropped",
    }
    found = {names[what]: int(number) for number, what in _COUNTS.findall(said)}
    return {"interface_dropped": 0} | found if found else {}  # tcpdump writes it only if it is not 0


def crossed(bridge: str, interfaces: Path = _INTERFACES) -> int | None:
    """Return the packets that an interface of this machine has counted in both directions; None if there is none."""
    try:
        return sum(
            int((interfaces / bridge / "statistics" / f"{way}_packets").read_text("ascii")) for way in ("rx", "tx")
        )
    except OSError:
        return None
