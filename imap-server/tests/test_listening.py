"""The limit of open files is raised for connections, as far as the system allows it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.protocol import Factory

from lemonade_imap import listening

PROGRAM = """
import resource, sys
from lemonade_imap.config import ConnectionLimits
from lemonade_imap.listening import raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
limits = raise_file_limit(ConnectionLimits(total=int(sys.argv[3])))
print(limits.total, limits.descriptors, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "room"),
    [
        (300, 1000, 500, "500 628 756"),
        (300, 700, 500, "444 572 700"),
        (1000, 1000, 500, "500 872 1000"),
    ],
)
def test_the_limit_of_files_is_raised_and_the_result_fits_into_it(soft: int, hard: int, wanted: int, room: str) -> None:
    command = [sys.executable, "-c", PROGRAM, str(soft), str(hard), str(wanted)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert said == f"{room}\n"


def test_a_port_accepts_no_more_connections_in_a_turn_than_set() -> None:
    factory: Any = Factory()
    port: Any = listening._PacedPort(0, factory, 1, "127.0.0.1", reactor)
    port.startListening()
    try:
        port.numberAccepts = 500  # as Twisted does when many connections wait
        assert port.numberAccepts == listening.ACCEPTS
    finally:
        port.stopListening()
