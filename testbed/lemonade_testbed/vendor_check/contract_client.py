"""Checks whether a client's image keeps the vendor contract.

The client is started with a scenario that it cannot know, which it must refuse, and then with the draft's scenarios.
"""

from __future__ import annotations

import re
import secrets
import select
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import unquote

from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.errors import ContractBroken, EnvironmentBroken
from lemonade_testbed.run import client_script
from lemonade_testbed.runtime.docker_node import DockerNode
from lemonade_testbed.runtime.provision import append, change_key
from lemonade_testbed.runtime.readiness import greeting_seen
from lemonade_testbed.runtime.settings import EVIDENCE
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.vendor_check.bench import SCENARIO, Bench, note_stop
from lemonade_testbed.vendor_check.findings import READY, STOP, UNSUPPORTED, ContractVerdict

DIAGRAMS = (SCENARIO, "ivr-service")
"""The scenarios of the draft's two diagrams: a client must support one of them."""
_LOOK = 0.05
_FENCE = b"all that was sent before this has come"
_FORWARDER = """
import socket, sys
port, *there = sys.argv[1:]
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
own.bind(("", int(port)))
while True:
    own.sendto(own.recv(65535), (there[0], int(there[1])))
"""


def check_client(bench: Bench, image: str, verdict: ContractVerdict) -> None:
    """Check an image in the role of the client, with a media server that never answers; raises EnvironmentBroken."""
    known = [load_scenario(SCENARIOS / f"{name}.yaml") for name in DIAGRAMS]
    strange = _run_unknown(bench, image, known[0])
    _serve_mail(bench, known)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        _stand_silent(bench, silent)
        codes: dict[str, int | None] = {}
        for scenario in known:
            node = _client(bench, image, scenario.name, client_script(scenario, None))
            token = invited(node, silent)
            codes[scenario.name] = node.ended()
            if codes[scenario.name] != UNSUPPORTED:
                break
            node.container.remove(force=True)
        verdict.note("unsupported", *judge_unsupported(strange, codes))
        if codes[scenario.name] != UNSUPPORTED:
            _first_life(bench, node, token, verdict)
            _fence(bench, silent)
            for scenario in known:  # else a new ticket could equal one of the first start, if made in the same second
                change_key(bench.world, bench.trace, scenario.given.owner, scenario.given.mailbox)
            _second_life(node, silent, token, verdict)


def _stand_silent(bench: Bench, silent: socket.socket) -> None:
    """Start a container with the media server's address that forwards each datagram to `silent` and never answers.

    It must be on the bridge, because some clients resolve names only by the network's DNS. Raises EnvironmentBroken.
    """
    place, here = bench.world.roles["media"], bench.world.roles["testbed"].address
    silent.bind((here, 0))
    own = silent.getsockname()[1]
    passing = bench.node(
        "media", "lemonade-client", None, ["python3", "-c", _FORWARDER, str(place.port), here, str(own)]
    )
    passing.start()
    _fence(bench, silent)


def _fence(bench: Bench, silent: socket.socket) -> None:
    """Receive and drop all datagrams that were sent to the media server's address until now.

    A marked datagram is sent there, and everything before it is dropped. Raises EnvironmentBroken if it does not come.
    """
    place = bench.world.roles["media"]
    mark = _FENCE + secrets.token_bytes(8)
    deadline = time.monotonic() + READY
    while True:
        silent.sendto(mark, (place.address, place.port))
        while select.select([silent], [], [], _LOOK)[0]:
            if silent.recv(65535) == mark:
                return
        if time.monotonic() > deadline:
            raise EnvironmentBroken("what stands in the media server's place does not pass on what it is sent")


def _serve_mail(bench: Bench, scenarios: Sequence[Scenario]) -> None:
    """Start the reference IMAP server and store the mail of the scenarios in it; raises EnvironmentBroken."""
    server = bench.node("imap", "lemonade-imap")
    server.start()
    deadline = time.monotonic() + READY
    while not greeting_seen(bench.world, bench.trace):
        if time.monotonic() > deadline or server.ended(_LOOK) is not None:
            raise EnvironmentBroken("the testbed's own IMAP server, which the check of a client needs, is not ready")
    try:
        for scenario in reversed(scenarios):  # the newest message is the first scenario's
            given = scenario.given
            append(bench.world, bench.trace, given.owner, given.mailbox, scenario.message_path().read_bytes())
    except ContractBroken as problem:
        bench.keep_log(server)
        raise EnvironmentBroken(f"the testbed's own server, which the check of a client needs: {problem}") from problem


def _first_life(bench: Bench, node: DockerNode, token: str | None, verdict: ContractVerdict) -> None:
    """Stop the client after its first start, and note whether it ends in time and logs no token."""
    note_stop(node, verdict)
    log = bench.keep_log(node)
    if token:
        verdict.note_token(log, token, ", after an INVITE without an answer")
    else:
        verdict.note("ticket", None, "not looked at: no INVITE with a ticket came")


def _second_life(node: DockerNode, silent: socket.socket, token: str | None, verdict: ContractVerdict) -> None:
    """Start the client again, and note whether it sends an INVITE with a new ticket."""
    again = invited(node, silent)
    if token is None:
        verdict.note("restart", None, "not looked at: no INVITE came the first time")
    elif again is None:
        verdict.note("restart", False, "no INVITE came the second time")
    else:
        fresh = not token or again != token
        verdict.note("restart", fresh, "an INVITE came" + ("" if fresh else " with the ticket of the life before"))


def judge_unsupported(strange: int | None, codes: Mapping[str, int | None]) -> tuple[bool, str]:
    """Return whether a client ends with 127 for an unknown scenario but not for all scenarios, and what was seen.

    `strange` is its exit code for a scenario that it cannot know; `codes` has those for the draft's scenarios. None
    stands for a client that did not end.
    """
    told = "it did not end" if strange is None else f"exit code {strange}"
    if strange != UNSUPPORTED:
        return False, told
    if all(code == UNSUPPORTED for code in codes.values()):
        return False, f"{told}, but for {' and '.join(codes)} too"
    return True, told


def _run_unknown(bench: Bench, image: str, like: Scenario) -> int | None:
    """Run a scenario with a random name and a random verb, which no client can know; returns the exit code or None."""
    name = f"x-{secrets.token_hex(6)}"
    strange = replace(like, client=({f"x-{secrets.token_hex(6)}": {}},))
    node = _client(bench, image, name, client_script(strange, None))
    node.start()
    code = node.ended(READY)
    if code is None:
        node.kill()
        node.ended(STOP)
    node.container.remove(force=True)
    return code


def _client(bench: Bench, image: str, name: str, script: str) -> DockerNode:
    """Make a container of a client, with a scenario's name and its script."""
    node = bench.node("client", image, {"LEMONADE_SCENARIO": name})
    node.put(EVIDENCE, {"script.json": script.encode()})
    return node


def invited(node: DockerNode, silent: socket.socket) -> str | None:
    """Start a client and wait for its INVITE; returns the token of the URL in it.

    The token is empty if the INVITE has none; the result is None if no INVITE comes in time.
    """
    node.start()
    deadline = time.monotonic() + READY
    while time.monotonic() < deadline and (node.ended(_LOOK) is None or _waiting(silent)):
        if _waiting(silent) and (text := silent.recv(65535).decode("utf-8", "replace")).startswith("INVITE "):
            found = re.search(r":internal:([0-9a-f]+)", unquote(unquote(text)), re.IGNORECASE)
            return found[1] if found else ""
    return None


def _waiting(own: socket.socket) -> bool:
    return bool(select.select([own], [], [], 0)[0])
