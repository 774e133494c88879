"""The local runtime: the three programs as processes on a loopback network of their own; no root, no containers."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lemonade_testbed.runtime.base import EnvironmentBroken
from lemonade_testbed.runtime.credentials import make_credentials
from lemonade_testbed.runtime.merging import merge_traces
from lemonade_testbed.runtime.network import Network, claim
from lemonade_testbed.runtime.processes import NodeProcess, ProcessTable
from lemonade_testbed.runtime.readiness import PATIENCE, await_ready
from lemonade_testbed.runtime.relay import RELAY, relay_options, with_fronts
from lemonade_testbed.runtime.watching import watch
from lemonade_testbed.runtime.world import ROLES, Setup, World
from lemonade_wire.redact import Redactor
from lemonade_wire.trace import Trace

MEDIA_RTP_PORTS = "16384-16484"
CLIENT_RTP_PORTS = "20000-20100"


def installed_programs() -> dict[str, list[str]]:
    """Return the commands of the reference nodes, installed beside this Python, and of the relay between them."""
    folder = Path(sys.executable).parent
    return {role: [str(folder / f"lemonade-{role}")] for role in ROLES} | {"relay": list(RELAY)}


class LocalRuntime:
    """The nodes of one scenario as local processes (see `Runtime`)."""

    def __init__(
        self,
        table: ProcessTable,
        programs: Mapping[str, Sequence[str]] | None = None,
        patience: float = PATIENCE,
        *,
        outlive: bool = False,
    ) -> None:
        """Use `programs` (role to command; default: those installed); with `outlive` the nodes hold the network."""
        self._outlive = outlive
        self._table = table
        self._programs = installed_programs() | dict(programs or {})
        self._patience = patience
        self._nodes: dict[str, NodeProcess] = {}
        self._network: Network | None = None
        self._world: World | None = None
        self._trace: Trace | None = None

    @property
    def world(self) -> World:
        """The prepared world."""
        if self._world is None:
            raise RuntimeError("prepare() comes first")
        return self._world

    def prepare(self, setup: Setup) -> World:
        """Take a 127.x.y.0/24 and say who has which address; raises EnvironmentBroken where none is free."""
        for role, (program, *_) in self._programs.items():
            if not Path(program).exists():
                raise EnvironmentBroken(f"the program of the {role} node is missing: {program}; run `make setup`")
        self._network = claim()
        places = self._network.places()
        self._world = World(setup, with_fronts(places) if setup.relay else places)
        self._world.credentials = make_credentials(self._world)
        sink = self._world.trace("testbed").open("a", encoding="utf-8")
        self._trace = Trace("testbed", sink, Redactor(setup.salt))
        return self._world

    @property
    def trace(self) -> Trace:
        """The testbed's own trace: what it asked and was answered itself."""
        if self._trace is None:
            raise RuntimeError("prepare() comes first")
        return self._trace

    def start(self, roles: Sequence[str]) -> None:
        """Start servers, behind the relay where there is one, and return when each is ready."""
        if self.world.setup.relay is not None and "relay" not in self._nodes:
            rtp_ports = {"media": MEDIA_RTP_PORTS, "client": CLIENT_RTP_PORTS}
            relay = self._start("relay", relay_options(self.world, rtp_ports))
            await_ready(relay, self.world, self._table, self.trace, self._patience)
        for role in roles:
            self._start(role, node_options(self.world, role))
        for role in roles:
            await_ready(self._nodes[role], self.world, self._table, self.trace, self._patience)

    def _start(self, role: str, options: Sequence[str]) -> NodeProcess:
        command = [*self._programs[role], *options]
        held = [self._network.lock.fileno()] if self._outlive and self._network else []
        told = {"LEMONADE_SCENARIO": self.world.setup.scenario} if self.world.setup.scenario else {}
        node = self._table.start(role, command, self.world.log(role), inherit=held, told=told)
        self._nodes[role] = node
        return node

    def client_command(self, script: Path) -> list[str]:
        """Return the command line that runs the client's script in this world."""
        return [*self._programs["client"], *node_options(self.world, "client"), "--script", str(script)]

    def log_command(self, role: str) -> list[str]:
        """Return the command line that shows the log of `role` as it grows."""
        return ["tail", "-f", str(self.world.log(role))]

    def exec_client(self, script: Path, seconds: float) -> None:
        """Run the client's script for `seconds` at most, or a little longer than a server that dies."""
        self._start("client", self.client_command(script)[len(self._programs["client"]) :])
        watch(self.world, self._nodes, seconds, self._table.stopping)

    def stop(self) -> None:
        """Stop the client and the media server (it may log out), the IMAP server, the relay; give the network back."""
        for roles in (("client", "media"), ("imap",), ("relay",)):
            self._table.end(*(self._nodes[role] for role in roles if role in self._nodes))
        if self._world is not None:
            ended = {role: node.ended() for role, node in self._nodes.items()}
            self._world.exits |= {role: code for role, code in ended.items() if code is not None}
        if self._network is not None:
            self._network.release()

    def collect(self) -> None:
        """Merge the traces by time, drop the server's store (it holds keys), write `world.json`."""
        world = self.world
        world.ended = time.time()
        if self.trace.sink is not None:
            self.trace.sink.close()
        merge_traces(world)
        shutil.rmtree(_store(world), ignore_errors=True)
        world.write()


def _store(world: World) -> Path:
    return world.setup.folder / "store"


def node_options(world: World, role: str) -> list[str]:
    """Return a node's command line, per the contract with nodes."""
    setup, place = world.setup, world.roles[role]
    options = ["--listen", f"{place.address}:{place.port}", "--profile", setup.profile]
    options += ["--trace", str(world.trace(role)), "--trace-salt", setup.salt]
    if role in setup.faults:
        options += ["--fault", setup.faults[role]]
    for option, path in world.credentials.get(role, {}).items():
        options += [f"--{option}", str(path)]
    return options + _OPTIONS[role](world)


def _imap_options(world: World) -> list[str]:
    setup = world.setup
    options = ["--data", str(_store(world)), "--name", world.roles["imap"].name]
    for option, accounts in (("--user", setup.users), ("--admin", setup.admins)):
        for name, password in accounts.items():
            options += [option, f"{name}:{password}"]
    for name in setup.submit_users:
        options += ["--submit-user", name]
    for application, names in setup.applications.items():
        options += ["--application", f"{application}={','.join(names)}"]
    if setup.media_servers is not None:
        options += ["--media-servers", setup.media_servers]
    for name in setup.fetch_users:
        options += ["--fetch-user", name]
    if setup.anonymous_life is not None:
        options += ["--anonymous-life", str(setup.anonymous_life)]
    return options


def _media_options(world: World) -> list[str]:
    options = ["--rtp-ports", MEDIA_RTP_PORTS, "--allow-imap", world.roles["imap"].name]
    options += ["--recordings", str(world.setup.folder)]
    options += ["--imap-tls", world.setup.tls_policy("media")]
    options += ["--imap-cleartext-login", "never" if world.setup.tls else "allowed"]
    options += [word for caller in world.callers() for word in ("--trust-caller", caller)]
    if world.setup.identity:
        options += ["--imap-user", ":".join(world.setup.identity)]
    if world.setup.imap_idle is not None:
        options += ["--imap-idle", str(world.setup.imap_idle)]
    if world.setup.imap_contact:
        options += ["--imap-contact", world.setup.imap_contact]
    if world.setup.imap_fetch_time is not None:
        options += ["--imap-fetch-time", f"{world.setup.imap_fetch_time:g}"]
    if world.setup.imap_max_part is not None:
        options += ["--imap-max-part", str(world.setup.imap_max_part)]
    for service in world.setup.services:
        options += ["--service", service]
    return options + _rules(world)


def _client_options(world: World) -> list[str]:
    options = ["--rtp-ports", CLIENT_RTP_PORTS, "--heard", str(world.setup.folder / "heard.wav")]
    return [*options, "--imap-tls", world.setup.tls_policy("client"), *_rules(world)]


def _rules(world: World) -> list[str]:
    return [word for rule in world.rules() for word in ("--resolve", rule)]


_OPTIONS: Mapping[str, Callable[[World], list[str]]] = {
    "imap": _imap_options,
    "media": _media_options,
    "client": _client_options,
}
