"""The local runtime: runs the nodes of a scenario as processes on a loopback network, without root or containers."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.runtime import silent
from lemonade_testbed.runtime.credentials import make_credentials
from lemonade_testbed.runtime.network import Network, claim
from lemonade_testbed.runtime.processes import NodeProcess, ProcessTable
from lemonade_testbed.runtime.readiness import PATIENCE, await_ready
from lemonade_testbed.runtime.relay import RELAY, relay_options, with_fronts
from lemonade_testbed.runtime.settings import CLIENT_RTP_PORTS, MEDIA_RTP_PORTS, options_of
from lemonade_testbed.runtime.watching import merge_traces, watch
from lemonade_testbed.scenario.world import ROLES, Setup, World
from lemonade_wire.redaction import Redactor
from lemonade_wire.trace import Trace


def installed_programs() -> dict[str, list[str]]:
    """Return the commands of the reference nodes, which are installed beside this Python, and of the relay, by role."""
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
        """Use `programs` (role to command) instead of the installed ones.

        With `outlive` the nodes inherit the lock of the network, so that it is held after this process has ended.
        """
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
        """Claim a network 127.x.y.0/24 and give each node an address.

        Raises EnvironmentBroken if no network is free, or if a node's program is missing.
        """
        for role, (program, *_) in self._programs.items():
            if not Path(program).exists():
                raise EnvironmentBroken(f"the program of the {role} node is missing: {program}; run `make setup`")
        self._network = claim()
        places = self._network.places(setup.servers)
        self._world = World(setup, with_fronts(places) if setup.relay else places)
        self._world.credentials = make_credentials(self._world)
        sink = self._world.trace("testbed").open("a", encoding="utf-8")
        self._trace = Trace("testbed", sink, Redactor(setup.salt))
        for password in setup.users.values():
            self._trace.redactor.hide(password)
        return self._world

    @property
    def trace(self) -> Trace:
        """The trace of the requests that the testbed itself sends, and of their answers."""
        if self._trace is None:
            raise RuntimeError("prepare() comes first")
        return self._trace

    def start(self, names: Sequence[str]) -> None:
        """Start the relay, if the scenario has one, and the servers, and return when each is ready."""
        if self.world.setup.relay is not None and "relay" not in self._nodes:
            rtp_ports = {"media": MEDIA_RTP_PORTS, "client": CLIENT_RTP_PORTS}
            relay = self._start("relay", [*self._programs["relay"], *relay_options(self.world, rtp_ports)])
            await_ready(relay, self.world, self._table, self.trace, self._patience)
        for name in names:
            self._start(name, self._command(name))
        for name in names:
            await_ready(self._nodes[name], self.world, self._table, self.trace, self._patience)

    def _command(self, name: str) -> list[str]:
        server, place = self.world.setup.server(name), self.world.roles[name]
        if server.state == "up":
            return [*self._programs[server.kind], *node_options(self.world, name)]
        return [sys.executable, str(Path(silent.__file__)), server.state, f"{place.address}:{place.port}"]

    def _start(self, name: str, command: Sequence[str]) -> NodeProcess:
        held = [self._network.lock.fileno()] if self._outlive and self._network else []
        told = {"LEMONADE_SCENARIO": self.world.setup.scenario} if self.world.setup.scenario else {}
        command, secrets = without_passwords(command)
        node = self._table.start(name, command, self.world.log(name), inherit=held, told=told | secrets)
        self._nodes[name] = node
        return node

    def client_command(self, script: Path) -> list[str]:
        """Return the command line that runs the client's script in this world."""
        return [*self._programs["client"], *node_options(self.world, "client"), "--script", str(script)]

    def log_command(self, node: str) -> list[str]:
        """Return the command line that shows the log of a node and follows it."""
        return ["tail", "-f", str(self.world.log(node))]

    def exec_client(self, script: Path, seconds: float) -> None:
        """Run the client's script for at most `seconds`; it ends earlier if a server dies (see `watching`)."""
        self._start("client", self.client_command(script))
        watch(self.world, self._nodes, seconds, self._table.stopping)

    def stop(self) -> None:
        """Stop client and media servers, which may log out, then IMAP servers and relay; release the network."""
        if self._world is not None:
            for names in self._world.stopping_order():
                self._table.end(*(self._nodes[name] for name in names if name in self._nodes))
            ended = {name: node.ended() for name, node in self._nodes.items()}
            self._world.exits |= {name: code for name, code in ended.items() if code is not None}
        if self._network is not None:
            self._network.release()

    def collect(self) -> None:
        """Merge the traces by time, delete the IMAP servers' stores, which hold keys, and write `world.json`."""
        world = self.world
        world.ended = time.time()
        if self.trace.sink is not None:
            self.trace.sink.close()
        merge_traces(world)
        shutil.rmtree(_store(world), ignore_errors=True)
        world.write()


_PASSWORDS = {"--user": "LEMONADE_USER", "--admin": "LEMONADE_ADMIN", "--imap-user": "LEMONADE_IMAP_USER"}
"""The options that hold passwords, and the variables that replace them."""


def _store(world: World) -> Path:
    return world.setup.folder / "store"


def without_passwords(command: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return a node's command line without the options that hold passwords, and these as variables of its environment.

    Every user of the machine can read command lines; only the owner of a process can read its environment. An account
    whose password has white space stays in the command line, since white space separates the accounts of a variable.
    """
    left: list[str] = []
    variables: dict[str, str] = {}
    words = iter(command)
    for word in words:
        variable = _PASSWORDS.get(word)
        if variable is None:
            left.append(word)
            continue
        account = next(words)
        if len(account.split()) > 1:
            left += [word, account]
        else:
            variables[variable] = f"{variables[variable]} {account}" if variable in variables else account
    return left, variables


def node_options(world: World, name: str) -> list[str]:
    """Return the options of a node's command line: its settings, and the files that this runtime has for it."""
    files = {"trace": world.trace(name)}
    kind, folder = world.kind_of(name), world.setup.folder
    if kind == "imap":
        files["data"] = _store(world) / name
    elif kind == "media":
        files["recordings"] = folder
    else:
        files["heard"] = folder / "heard.wav"
    own = [word for option, path in files.items() for word in (f"--{option}", str(path))]
    return own + options_of(world, name)
