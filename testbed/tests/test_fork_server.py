from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.runtime.fork_server import ForkedProcess, ForkServer, module_of
from lemonade_testbed.runtime.processes import ProcessTable, marked

HERE = Path(sys.executable).parent
IMAP = [str(HERE / "lemonade-imap")]


def listening(folder: Path) -> list[str]:
    """Return the command of an IMAP server with one account, on a free port."""
    account = ("--name", "localhost", "--user", "joe:secret")
    return [*IMAP, "--listen", "127.0.0.1:0", "--data", str(folder / "data"), *account]


@pytest.mark.parametrize(
    ("command", "module"),
    [
        (IMAP, "lemonade_imap.cli"),
        ([str(HERE / "lemonade-media"), "--help"], "lemonade_media.cli"),
        ([str(HERE / "lemonade-client")], "lemonade_client.cli"),
        ([sys.executable, "-m", "lemonade_testbed.relay"], "lemonade_testbed.relay.__main__"),
        (["/elsewhere/lemonade-imap"], None),
        ([sys.executable, "-m", "http.server"], None),
        ([sys.executable, "/somewhere/silent.py"], None),
        ([sys.executable], None),
    ],
)
def test_only_programs_of_this_installation_are_forked(command: list[str], module: str | None) -> None:
    assert module_of(command) == module


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    server = ForkServer(os.environ | {"PYTHONUNBUFFERED": "1"}, tmp_path_factory.mktemp("server") / "log")
    yield server
    server.close()


def fork(server: ForkServer, log: Path, command: list[str], **environment: str) -> ForkedProcess:
    with log.open("ab") as sink:
        return server.start(module_of(command) or "", command, os.environ | environment, sink.fileno())


def test_a_forked_node_reads_its_own_options_writes_its_own_log_and_ends_with_its_own_code(
    server: ForkServer, tmp_path: Path
) -> None:
    helped = fork(server, tmp_path / "helped", [*IMAP, "--help"])
    refused = fork(server, tmp_path / "refused", [str(HERE / "lemonade-media")])
    assert helped.wait(20) == 0
    assert refused.wait(20) == 2
    assert helped.wait(0) == 0  # and once more
    assert (tmp_path / "helped").read_text().startswith("usage: lemonade-imap")
    assert (tmp_path / "refused").read_text().startswith("lemonade-media: ")


def test_a_forked_node_prints_what_a_started_one_prints(server: ForkServer, tmp_path: Path) -> None:
    for command in (IMAP, [str(HERE / "lemonade-client")], [sys.executable, "-m", "lemonade_testbed.relay"]):
        started = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
        assert fork(server, tmp_path / "log", [*command, "--help"]).wait(20) == 0
        assert (tmp_path / "log").read_text() == started.stdout
        (tmp_path / "log").unlink()


def test_a_forked_node_reads_its_environment(server: ForkServer, tmp_path: Path) -> None:
    node = fork(server, tmp_path / "log", IMAP, LEMONADE_LISTEN="nonsense")
    assert node.wait(20) == 2
    assert "nonsense" in (tmp_path / "log").read_text()


def test_a_killed_nodes_exit_code_is_minus_the_signal(server: ForkServer, tmp_path: Path) -> None:
    node = fork(server, tmp_path / "log", listening(tmp_path))
    with pytest.raises(subprocess.TimeoutExpired):
        pytest.fail(f"it ended with {node.wait(0.5)}: {(tmp_path / 'log').read_text()}")
    os.kill(node.pid, signal.SIGKILL)
    assert node.wait(20) == -signal.SIGKILL


def test_an_ended_fork_server_is_a_broken_environment(tmp_path: Path) -> None:
    server = ForkServer(os.environ, tmp_path / "server.log")
    server.close()
    with pytest.raises(EnvironmentBroken, match=r"server\.log says why"):
        fork(server, tmp_path / "log", IMAP)


def test_a_table_that_forks_stops_its_nodes_and_leaves_no_process(tmp_path: Path) -> None:
    table = ProcessTable(tmp_path)
    table.fork_nodes()
    node = table.start("imap", listening(tmp_path), tmp_path / "imap.log")
    other = table.start("other", [sys.executable, "-c", "print('no node')"], tmp_path / "other.log")
    assert os.getsid(node.pid) == node.pid != os.getsid(0)
    assert node.pid in marked(tmp_path)
    assert other.ended(20) == 0
    assert node.ended() is None, (tmp_path / "imap.log").read_text()
    table.stop()
    assert node.ended() is not None
    assert marked(tmp_path) == []
