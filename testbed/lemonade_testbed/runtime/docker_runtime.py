"""The docker runtime: runs the nodes of a scenario in containers on a bridge of their own, and captures its packets."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from pathlib import Path

import docker
from docker.errors import APIError

from lemonade_testbed.capture.pcap import write_secret
from lemonade_testbed.checks.recorded import RECORDED
from lemonade_testbed.containers import engine as docker_engine
from lemonade_testbed.containers.tools import TOOLS
from lemonade_testbed.errors import EnvironmentBroken, RunStopped
from lemonade_testbed.runtime.credentials import make_credentials
from lemonade_testbed.runtime.docker_capture import Capture
from lemonade_testbed.runtime.docker_compose import CAPTURE, KEY_LOG, RELAY_FILE, Project, services
from lemonade_testbed.runtime.docker_network import Bridge, claim
from lemonade_testbed.runtime.docker_node import DockerNode
from lemonade_testbed.runtime.local import node_options
from lemonade_testbed.runtime.processes import ProcessTable
from lemonade_testbed.runtime.readiness import PATIENCE, await_ready
from lemonade_testbed.runtime.relay import relay_config, with_fronts
from lemonade_testbed.runtime.settings import CLIENT_RTP_PORTS, EVIDENCE, MEDIA_RTP_PORTS
from lemonade_testbed.runtime.watching import merge_traces, watch
from lemonade_testbed.scenario.world import Setup, World
from lemonade_wire.redaction import Redactor
from lemonade_wire.trace import Trace

_TRIES = 5
_SOUNDS = {"client": ("heard.wav",), "media": (RECORDED,)}
_SETTLING = 0.5
"""Seconds for which no container may appear any more after an interruption."""


class DockerRuntime:
    """The nodes of one scenario as containers (see `Runtime`)."""

    def __init__(
        self, table: ProcessTable, overlays: Sequence[Path] = (), patience: float = PATIENCE, *, outlive: bool = False
    ) -> None:
        """Use the compose files `overlays` together with the testbed's own.

        With `outlive` (the playground) only the servers are made; there is no capture, because no program would end it,
        and later runs do not remove them.
        """
        self._table = table
        self._overlays = overlays
        self._patience = patience
        self._outlive = outlive
        self._client: docker.DockerClient | None = None
        self._bridge: Bridge | None = None
        self._world: World | None = None
        self._trace: Trace | None = None
        self._capture: Capture | None = None
        self.nodes: dict[str, DockerNode] = {}
        self._relayed = False
        self._stopping = threading.Lock()

    @property
    def world(self) -> World:
        """The prepared world."""
        if self._world is None:
            raise RuntimeError("prepare() comes first")
        return self._world

    @property
    def trace(self) -> Trace:
        """The trace of the requests that the testbed itself sends, and of their answers."""
        if self._trace is None:
            raise RuntimeError("prepare() comes first")
        return self._trace

    def prepare(self, setup: Setup) -> World:
        """Make the bridge and the containers on it, and give each an address; raises EnvironmentBroken."""
        self._client = docker_engine.connect()
        try:
            world = self._world = self._create(setup)
            self._find_nodes()
            if self._table.stopping.is_set():
                raise RunStopped
        except BaseException:
            self._remove()
            raise
        world.freshen = self._fetch_log
        sink = world.trace("testbed").open("a", encoding="utf-8")
        self._trace = Trace("testbed", sink, Redactor(setup.salt))
        for password in setup.users.values():
            self._trace.redactor.hide(password)
        return world

    def _create(self, setup: Setup) -> World:
        """Let compose make the bridge and the containers.

        It is tried again with another subnet if a program takes the subnet between the check and the making.
        """
        for tries_left in reversed(range(_TRIES)):
            bridge = self._bridge = claim(self._taken())
            places = bridge.places(setup.servers)
            world = World(setup, with_fronts(places) if setup.relay else places, runtime="docker")
            world.credentials = make_credentials(world)
            labels = docker_engine.labels(self._table.run, keep=self._outlive)
            try:
                Project(world, bridge, labels, self._overlays, self._services(world)).create()
            except EnvironmentBroken as problem:
                self._remove()
                if not tries_left or "overlap" not in str(problem):
                    raise
            else:
                return world
        raise AssertionError("the last try returns or raises")

    def _services(self, world: World) -> Sequence[str]:
        return world.setup.running() if self._outlive else [*services(world), CAPTURE]

    def _taken(self) -> list[IPv4Network]:
        """Return the subnets of all networks of the engine, whether they are used or not."""
        found = []
        for network in self._engine.networks.list():
            for config in (network.attrs.get("IPAM") or {}).get("Config") or ():
                if ":" not in config.get("Subnet", ":"):
                    found.append(IPv4Network(config["Subnet"]))
        return found

    @property
    def _engine(self) -> docker.DockerClient:
        if self._client is None:
            raise RuntimeError("prepare() comes first")
        return self._client

    def _find_nodes(self) -> None:
        service = "com.docker.compose.service"
        project = f"com.docker.compose.project={self._bridge.project if self._bridge else None}"
        made = self._engine.containers.list(all=True, filters={"label": project}, ignore_removed=True)
        for container in made:
            name = container.labels[service]
            self.nodes[name] = DockerNode(name, container)
        missing = [name for name in self._services(self.world) if name not in self.nodes]
        if missing:
            raise EnvironmentBroken(f"compose made no container for {', '.join(missing)}")

    def start(self, names: Sequence[str]) -> None:
        """Start the capture, the relay, and the servers, and return when each server is ready."""
        places = self.world.roles
        if self._bridge is not None and self._capture is None and CAPTURE in self.nodes:
            here = places["testbed"].address
            self._capture = Capture(self.nodes[CAPTURE], self._bridge.name, here, places[names[0]].address)
            self._begin(self._capture.start)
        if self.world.setup.relay is not None and not self._relayed:
            self._relayed = True
            self._start_relay()
        with ThreadPoolExecutor(len(names)) as pool:
            list(pool.map(self._start, names))
        if self._capture is not None:
            self._capture.prove()
        for name in names:
            await_ready(self.nodes[name], self.world, self._table, self.trace, self._patience)

    def _start_relay(self) -> None:
        path = self.world.setup.folder / RELAY_FILE
        relay_config(self.world, {"media": MEDIA_RTP_PORTS, "client": CLIENT_RTP_PORTS}).write(path)
        self.nodes["relay"].put(EVIDENCE, {RELAY_FILE: path.read_bytes()})
        self._begin(self.nodes["relay"].start)
        await_ready(self.nodes["relay"], self.world, self._table, self.trace, self._patience)

    def _start(self, name: str) -> None:
        self.nodes[name].put(EVIDENCE, self._credentials(name))
        self._begin(self.nodes[name].start)

    def _credentials(self, name: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.world.credentials.get(name, {}).values()}

    def _begin(self, start: Callable[[], None]) -> None:
        if self._table.stopping.is_set():
            raise RunStopped
        try:
            start()
        except APIError as problem:
            raise EnvironmentBroken(f"the engine cannot start a container: {problem.explanation}") from problem

    def client_command(self, script: Path) -> list[str]:
        """Return the command line that runs the client's script, a file in the world's folder.

        The command works as long as the servers run. Its container has the client's address on the bridge, writes its
        files into the folder as this user, and is removed with the other containers.
        """
        world, run = self.world, str(self._table.run)
        (network,) = self.nodes[world.setup.first("imap").name].container.attrs["NetworkSettings"]["Networks"]
        options = {
            "--network": network,
            "--ip": world.roles["client"].address,
            "--user": f"{os.getuid()}:{os.getgid()}",
            "--cap-drop": "ALL",
            "--volume": f"{run}:{run}",
            "--label": f"{docker_engine.LABEL}={run}",
        }
        words = [word for option in options.items() for word in option]
        command = [*node_options(world, "client"), "--script", str(script)]
        return [_program(), "run", "--rm", "--init", *words, "lemonade-client", *command]

    def log_command(self, node: str) -> list[str]:
        """Return the command line that shows the log of a node and follows it."""
        return [_program(), "logs", "--follow", str(self.nodes[node].container.name)]

    def exec_client(self, script: Path, seconds: float) -> None:
        """Run the client's script for at most `seconds`; it ends earlier if a server dies (see `watching`)."""
        client = self.nodes["client"]
        spoken = {path.name: path.read_bytes() for path in script.parent.glob("*.wav")}
        files = {"script.json": script.read_bytes(), **spoken, **self._credentials("client")}
        client.put(EVIDENCE, files)
        self._begin(client.start)
        watch(self.world, self.nodes, seconds, self._table.stopping)

    def stop(self) -> None:
        """Stop the nodes in order and then the capture, copy logs, traces and recordings, and remove the containers."""
        with self._stopping:
            if self._world is not None and self._bridge is not None:
                self._stop_nodes()
            self._remove()

    def _stop_nodes(self) -> None:
        for names in self.world.stopping_order():
            found = [self.nodes[name] for name in names if name in self.nodes]
            with ThreadPoolExecutor(len(names)) as pool:
                list(pool.map(DockerNode.stop, found))
        ended = {name: node.ended() for name, node in self.nodes.items() if name in self.world.roles}
        self.world.exits |= {name: code for name, code in ended.items() if code is not None}
        if self._capture is not None:
            self._capture.stop()
            self.world.capture = self._capture.bring(self.world.setup.secret())
        for node in services(self.world):
            if node in self.nodes:
                self._fetch_log(node)
                names = [self.world.trace(node).name, *_SOUNDS.get(self.world.kind_of(node), ())]
                self.nodes[node].bring(EVIDENCE, {name: self.world.setup.folder / name for name in names})
        if self.world.setup.tls is not None:
            logs = [
                self.nodes[node].get(f"{EVIDENCE}/{KEY_LOG}") or b"" for node in self.world.roles if node in self.nodes
            ]
            write_secret(self.world.setup.secret() / KEY_LOG, logs)

    def _fetch_log(self, node: str) -> None:
        if node in self.nodes and self._bridge is not None:
            self.world.log(node).write_bytes(self.nodes[node].log())

    def _remove(self) -> None:
        """Remove the containers and the bridge, and release the subnet; a second call does nothing."""
        bridge, self._bridge = self._bridge, None
        if bridge is None:
            return
        try:
            settling = _SETTLING if self._table.stopping.is_set() else 0.0
            docker_engine.remove(self._engine, str(self._table.run), bridge.project, settling=settling)
        finally:
            bridge.release()

    def collect(self) -> None:
        """Merge the traces by time, and write `world.json`."""
        world = self.world
        world.ended = time.time()
        if self.trace.sink is not None:
            self.trace.sink.close()
        merge_traces(world)
        world.write()


def _program() -> str:
    """Return the docker command for use in a shell: `docker`, or its path if it was unpacked into TOOLS."""
    found = shutil.which("docker")
    return found if found and Path(found).is_relative_to(TOOLS) else "docker"
