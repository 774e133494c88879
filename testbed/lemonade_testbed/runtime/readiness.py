"""Waits until a started node is ready, by its protocol.

An IMAP server is ready when it sends its greeting, a media server when it answers SIP OPTIONS with 200; the relay and a
host without a server write a line to their log.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from lemonade_testbed.errors import ContractBroken, EnvironmentBroken, RunStopped
from lemonade_testbed.relay import READY
from lemonade_testbed.runtime import silent
from lemonade_testbed.runtime.processes import ProcessTable
from lemonade_testbed.scenario.world import HostAddress, World
from lemonade_wire.trace import Trace

PATIENCE = 30.0
"""Seconds that a node has to become ready; they are many because a busy machine starts several nodes at a time."""
_TRY = 0.5
"""Seconds that one try waits for an answer."""
_BETWEEN = 0.02
"""Seconds between two tries; the wait ends at once if the node ends."""
MEDIA_SERVICES = ("annc", "ivr")
"""The services of RFC 4240 and RFC 5022 that a media server may have."""
_PORT_TAKEN = "Address already in use"


class Node(Protocol):
    """A started node, in any runtime; `role` is its name."""

    role: str

    def ended(self, within: float = 0.0) -> int | None:
        """Return the exit code when the node has ended, or None if it still runs after `within` seconds."""


def await_ready(node: Node, world: World, table: ProcessTable, trace: Trace, patience: float = PATIENCE) -> None:
    """Return when the node answers in its protocol.

    Raises ContractBroken (with the node's last log lines) if it ends or does not answer within `patience` seconds,
    EnvironmentBroken if another program uses its port, and RunStopped if the run is being stopped.
    """
    silent_hosts = {server.name for server in world.setup.servers if server.state != "up"}
    kind = "silent" if node.role in silent_hosts else world.kind_of(node.role)
    probe = _PROBES[kind]
    deadline = time.monotonic() + patience
    while not probe(world, trace, node.role):
        code = node.ended(_BETWEEN)
        if table.stopping.is_set():
            raise RunStopped
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
            raise ContractBroken(node.role, f"not ready within {patience:.0f} s: {_EXPECTED[kind]}", log)


def greeting_seen(world: World, trace: Trace, name: str = "imap") -> bool:
    """Tell whether an IMAP server greets with OK or PREAUTH (RFC 3501, 7.1)."""
    place, here = world.roles[name], world.roles["testbed"].address
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


def options_answered(world: World, trace: Trace, name: str = "media") -> bool:
    """Tell whether a media server answers OPTIONS with 200 (RFC 3261, 11.2).

    If it does, an OPTIONS request for each service is sent too. It is answered as an INVITE would be, so that the judge
    finds in the testbed's trace which services the media server has.
    """
    place, here = world.roles[name], world.roles["testbed"].address
    if not _ask_options(place, place.name, here, trace).startswith("SIP/2.0 200 "):
        return False
    for service in MEDIA_SERVICES:
        _ask_options(place, f"{service}@{place.name}", here, trace)
    return True


def _ask_options(place: HostAddress, target: str, here: str, trace: Trace) -> str:
    """Send OPTIONS for `sip:TARGET` to `place`, and return the answer, empty if none comes within _TRY seconds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.bind((here, 0))
        connection.settimeout(_TRY)
        local, remote = f"{here}:{connection.getsockname()[1]}", f"{place.address}:{place.port}"
        call = secrets.token_hex(8)
        request = options_request(target, local, call)
        trace.emit("sip", way="sent", transport="udp", local=local, remote=remote, text=request)
        try:
            connection.connect((place.address, place.port))
            connection.send(request.encode())
            answer = connection.recv(65535).decode("utf-8", "replace")
        except OSError:
            return ""
    trace.emit("sip", way="received", transport="udp", local=local, remote=remote, text=answer)
    return answer if call in answer else ""


def options_request(name: str, local: str, call: str) -> str:
    """Return an OPTIONS request; `name` is a host or USER@HOST, `local` is `ip:port`, `call` begins the Call-ID."""
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


def log_says_so(world: World, _trace: Trace, name: str) -> bool:
    """Tell whether the log of the relay, or of a host without a server, has the line that says that it is ready."""
    return not {READY, silent.READY}.isdisjoint(world.log_tail(name))


_PROBES: Mapping[str, Callable[[World, Trace, str], bool]] = {
    "imap": greeting_seen,
    "media": options_answered,
    "relay": log_says_so,
    "silent": log_says_so,
}
_EXPECTED = {
    "imap": "no IMAP greeting seen",
    "media": "SIP OPTIONS not answered with 200",
    "relay": "it does not say so",
    "silent": "it does not say so",
}
