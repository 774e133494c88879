"""Ready by protocol: an IMAP greeting, a 200 to SIP OPTIONS; never by a sleep."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from lemonade_testbed.relay import READY
from lemonade_testbed.runtime.base import ContractBroken, EnvironmentBroken, Stopped
from lemonade_testbed.runtime.processes import ProcessTable
from lemonade_testbed.runtime.world import World
from lemonade_wire.trace import Trace

PATIENCE = 30.0
"""Seconds a node has to be ready: a busy machine starts six of them at a time."""
_TRY = 0.5
"""Seconds that one try waits for an answer."""
_BETWEEN = 0.02
"""Seconds between two tries; the wait ends at once where the node does."""
_PORT_TAKEN = "Address already in use"


class Node(Protocol):
    """A started node, whatever it runs in."""

    role: str

    def ended(self, within: float = 0.0) -> int | None:
        """Return the exit code once the node has ended, None where it still runs after `within` seconds."""


def await_ready(node: Node, world: World, table: ProcessTable, trace: Trace, patience: float = PATIENCE) -> None:
    """Return once the node answers in its protocol.

    Raises ContractBroken (with its last log lines) where it ends or stays silent, EnvironmentBroken where its port
    is taken, Stopped while the run is being stopped.
    """
    probe = _PROBES[node.role]
    deadline = time.monotonic() + patience
    while not probe(world, trace):
        code = node.ended(_BETWEEN)
        if table.stopping.is_set():
            raise Stopped
        log = world.log_tail(node.role)
        if code is not None and node.role == "relay":
            raise EnvironmentBroken(f"the relay ended with exit code {code}: {' '.join(log[-1:])}")
        if code is not None and any(_PORT_TAKEN in line for line in log):
            place = world.roles[node.role]
            raise EnvironmentBroken(
                f"{place.address}:{place.port} is taken; stop what listens there (`ss -lntup` shows it) and run again"
            )
        if code is not None:
            raise ContractBroken(node.role, f"ended with exit code {code} before it was ready", log)
        if time.monotonic() > deadline:
            raise ContractBroken(node.role, f"not ready within {patience:.0f} s: {_EXPECTED[node.role]}", log)


def greeting_seen(world: World, trace: Trace) -> bool:
    """Tell whether the IMAP server greets with OK or PREAUTH (RFC 3501, 7.1)."""
    place, here = world.roles["imap"], world.roles["testbed"].address
    try:
        with socket.create_connection((place.address, place.port), _TRY, source_address=(here, 0)) as connection:
            local = "{}:{}".format(*connection.getsockname())
            with connection.makefile("rb") as lines:
                line = lines.readline(8192)
    except OSError:
        return False
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    trace.emit(
        "imap",
        way="received",
        side="client",
        local=local,
        remote=f"{place.address}:{place.port}",
        text=text,
        literals=[],
    )
    return text.upper().startswith(("* OK", "* PREAUTH"))


def options_answered(world: World, trace: Trace) -> bool:
    """Tell whether the media server answers OPTIONS with 200 (RFC 3261, 11.2)."""
    place, here = world.roles["media"], world.roles["testbed"].address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.bind((here, 0))
        connection.settimeout(_TRY)
        local, remote = f"{here}:{connection.getsockname()[1]}", f"{place.address}:{place.port}"
        call = secrets.token_hex(8)
        request = options_request(place.name, local, call)
        trace.emit("sip", way="sent", transport="udp", local=local, remote=remote, text=request)
        try:
            connection.connect((place.address, place.port))
            connection.send(request.encode())
            answer = connection.recv(65535).decode("utf-8", "replace")
        except OSError:
            return False
    trace.emit("sip", way="received", transport="udp", local=local, remote=remote, text=answer)
    return answer.startswith("SIP/2.0 200 ") and call in answer


def options_request(name: str, local: str, call: str) -> str:
    """Return an OPTIONS request to the host `name` from `local` (`ip:port`); `call` makes it unique."""
    head = (
        f"OPTIONS sip:{name} SIP/2.0",
        f"Via: SIP/2.0/UDP {local};branch=z9hG4bK{call};rport",
        "Max-Forwards: 70",
        f"From: <sip:testbed@{local}>;tag={call}",
        f"To: <sip:{name}>",
        f"Call-ID: {call}@{local.partition(':')[0]}",
        "CSeq: 1 OPTIONS",
        f"Contact: <sip:testbed@{local}>",
        "Accept: application/sdp",
        "Content-Length: 0",
    )
    return "\r\n".join((*head, "", ""))


def relay_says_so(world: World, _trace: Trace) -> bool:
    """Tell whether the relay, which speaks no protocol of its own, says in its log that it is ready."""
    return READY in world.log_tail("relay")


_PROBES: Mapping[str, Callable[[World, Trace], bool]] = {
    "imap": greeting_seen,
    "media": options_answered,
    "relay": relay_says_so,
}
_EXPECTED = {
    "imap": "no IMAP greeting seen",
    "media": "SIP OPTIONS not answered with 200",
    "relay": "it does not say so",
}
