"""The playground: IMAP server and media server for use by hand; `lemonade up` starts them, `lemonade down` stops them.

The servers go on after `lemonade up` has ended.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from rich.console import Console

from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.places import UsageError
from lemonade_testbed.runtime.base import Runtime
from lemonade_testbed.runtime.choice import AUTO, DOCKER, LOCAL, Say, ready
from lemonade_testbed.runtime.local import LocalRuntime
from lemonade_testbed.runtime.processes import ProcessTable, is_running, reap, stop_left
from lemonade_testbed.runtime.provision import append
from lemonade_testbed.scenario.world import IMAP_NAME, MEDIA_NAME, SERVERS, Setup, World
from lemonade_testbed.signals import ignore_signals, interruptible

FOLDER = "playground"
LINES = "lines.txt"
MESSAGE = SCENARIOS / "fixtures" / "voicemail.eml"
USER, PASSWORD = "joe", "secret"
MEDIA_USER = "mediaserver"
_IN = {DOCKER: "in containers", LOCAL: "as local processes"}
STEPS: Sequence[Mapping[str, object]] = (
    {"find-part": {"type": "audio/*"}},
    {"discover": {}},
    {"authorise": {"access": "submit+", "expire": "10 min"}},
    {"ivr": {"offer": ["PCMU/8000"], "skip": "4 s", "ff": "6", "rw": "4", "escape": "*"}},
    {"press": {"key": "6", "after": "3 s"}},
    {"listen": {"until": "response"}},
    {"hang-up": {}},
)


class Playable(Runtime, Protocol):
    """A runtime that can also name the commands with which a person uses its nodes."""

    def client_command(self, script: Path) -> list[str]:
        """Return the command line that runs the client with a script in the playground's folder."""

    def log_command(self, role: str) -> list[str]:
        """Return the command line that shows a server's log and follows it."""


def up(
    runs: Path,
    console: Console,
    wanted: str = AUTO,
    say: Say = lambda _line: None,
    programs: Mapping[str, Sequence[str]] | None = None,
) -> int:
    """Start the servers, store a message in the mailbox, and print how to reach them; returns 0.

    If the servers run already, they are left as they are. `wanted` is the name of a runtime or `auto`; `say` is called
    with a line that names the chosen one. `programs` replaces the nodes' programs. Raises UsageError if the servers run
    in another runtime, and EnvironmentBroken or ContractBroken if they cannot be started.
    """
    folder = runs.absolute() / FOLDER
    with _alone(runs), interruptible():
        found = _found(folder)
        if found is None:
            _start(folder, ready(wanted, say), programs)
        elif wanted in {AUTO, found}:
            console.print(f"The playground is up already, {_IN[found]}.")
        else:
            raise UsageError(f"the playground is up already, {_IN[found]}, not {_IN[wanted]}: `lemonade down` stops it")
    console.print((folder / LINES).read_text(encoding="utf-8"), end="", soft_wrap=True, highlight=False, markup=False)
    return 0


@contextmanager
def _alone(runs: Path) -> Iterator[None]:
    """Hold a lock, so that a second `up` waits for the first one and then finds its servers."""
    runs.mkdir(parents=True, exist_ok=True)
    with (runs / f".{FOLDER}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _found(folder: Path) -> str | None:
    """Return the runtime in which the servers run, or None.

    `up` writes the file LINES last: servers without it were left by an `up` that was killed, and do not count.
    """
    if not (folder / LINES).exists():
        return None
    if is_running(folder):
        return LOCAL
    from lemonade_testbed.runtime.docker_images import servers_run  # noqa: PLC0415  the import takes half a second

    with suppress(EnvironmentBroken):
        return DOCKER if servers_run(folder) else None
    return None


def _start(folder: Path, runtime: str, programs: Mapping[str, Sequence[str]] | None) -> None:
    reap(folder.parent)
    _stop(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    table = ProcessTable(folder, keep=True)
    playable = _docker(table) if runtime == DOCKER else LocalRuntime(table, programs, outlive=True)
    try:
        _fill(playable, folder)
    except BaseException:
        ignore_signals()
        playable.stop()
        table.stop()
        raise


def _docker(table: ProcessTable) -> Playable:
    from lemonade_testbed.runtime.docker_runtime import DockerRuntime  # noqa: PLC0415  the import takes half a second

    return DockerRuntime(table, outlive=True)


def _fill(runtime: Playable, folder: Path) -> None:
    world = runtime.prepare(
        Setup(
            folder=folder,
            users={USER: PASSWORD, MEDIA_USER: PASSWORD},
            identity=(MEDIA_USER, PASSWORD),
            submit_users=(MEDIA_USER,),
            applications={"stream": (MEDIA_USER,)},
            media_servers=f"<sip:ivr@{MEDIA_NAME}>:authuser;<sip:annc@{MEDIA_NAME}>:authuser",
            salt=secrets.token_hex(16),
        )
    )
    runtime.start(SERVERS)
    append(world, runtime.trace, (USER, PASSWORD), "INBOX", MESSAGE.read_bytes())
    script = folder / "script.json"
    account = {"host": IMAP_NAME, "user": USER, "password": PASSWORD}
    document = {"account": account, "media": f"sip:{MEDIA_NAME}", "steps": STEPS}
    script.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    world.write()
    (folder / LINES).write_text(_lines(world, runtime, script), encoding="utf-8")


def _lines(world: World, runtime: Playable, script: Path) -> str:
    imap, media, here = world.roles["imap"], world.roles["media"], world.roles["testbed"].address
    in_python = (
        f'import imaplib; box = imaplib.IMAP4("{imap.address}", {imap.port}); box.login("{USER}", "{PASSWORD}"); '
        'box.select(); print(box.fetch("1", "BODYSTRUCTURE"))'
    )
    in_sip = (
        "import os, socket; s = socket.socket(2, 2); s.settimeout(5); me = os.urandom(4).hex(); "
        f's.bind(("{here}", 0)); at = "{here}:%d" % s.getsockname()[1]; '
        f's.sendto(f"OPTIONS sip:{MEDIA_NAME} SIP/2.0\\r\\nVia: SIP/2.0/UDP {{at}};branch=z9hG4bK{{me}};rport\\r\\n'
        f"From: <sip:me@{{at}}>;tag=1\\r\\nTo: <sip:{MEDIA_NAME}>\\r\\nCall-ID: {{me}}\\r\\nCSeq: 1 OPTIONS\\r\\n"
        f'Max-Forwards: 70\\r\\n\\r\\n".encode(), ("{media.address}", {media.port})); print(s.recv(9999).decode())'
    )
    folder = world.setup.folder
    return f"""\
IMAP server   {imap.address} port {imap.port}   {IMAP_NAME} in URLs; {USER} has one message
media server  {media.address} port {media.port}   {MEDIA_NAME} in URLs; services annc and ivr, UDP and TCP
accounts      {USER}:{PASSWORD}  {MEDIA_USER}:{PASSWORD} (the media server's)  admin:secret

Talk IMAP (`a login {USER} {PASSWORD}`, `b select inbox`, `c fetch 1 bodystructure`):
  nc -C {imap.address} {imap.port}
  {shlex.join(["python3", "-c", in_python])}
Ask the media server what it can do:
  {shlex.join(["python3", "-c", in_sip])}
Hear the message, skipping 4 s after 3 s (the script is yours to change; the sound goes into {folder / "heard.wav"}):
  {shlex.join(runtime.client_command(script))}
Watch the servers (`lemonade down` leaves their logs and traces in {folder}):
  {shlex.join(runtime.log_command("imap"))}
  {shlex.join(runtime.log_command("media"))}

`lemonade down` (or `make down`) stops both.
"""


def down(runs: Path, console: Console) -> int:
    """Stop the servers of the playground in any runtime; returns 0, also if none runs.

    Logs and traces stay in its folder; the mail store and the secrets are deleted. Raises EnvironmentBroken if the
    servers run in containers and the container engine does not answer.
    """
    folder = runs.absolute() / FOLDER
    stopped = _stop(folder, sure=True)
    console.print("The playground is down." if stopped else "The playground was not up.")
    return 0


def _stop(folder: Path, *, sure: bool = False) -> bool:
    """Stop all processes and containers of the playground; returns whether there were any.

    With `sure`, raises EnvironmentBroken if the playground runs in containers and the engine does not answer.
    """
    from lemonade_testbed.runtime.docker_images import bring_down  # noqa: PLC0415

    stopped = bool(stop_left(folder))
    try:
        stopped |= bring_down(folder)
    except EnvironmentBroken:
        if sure and (folder / LINES).exists() and _runtime_of(folder) == DOCKER:
            raise
    (folder / LINES).unlink(missing_ok=True)
    for name in ("store", "secret"):
        shutil.rmtree(folder / name, ignore_errors=True)
    return stopped


def _runtime_of(folder: Path) -> object:
    """Return the name of the runtime in which the playground was last started."""
    return json.loads((folder / "world.json").read_text(encoding="utf-8"))["runtime"]
