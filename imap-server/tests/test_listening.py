"""Room for connections is made as far as the system lets this process have files."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from lemonade_imap.listening import make_room
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
print(make_room(int(sys.argv[3])), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "room"),
    [
        (300, 1000, 500, "500 756"),
        (300, 700, 500, "444 700"),
        (1000, 1000, 500, "500 1000"),
    ],
)
def test_room_is_made_and_no_more_is_promised_than_there_is(soft: int, hard: int, wanted: int, room: str) -> None:
    command = [sys.executable, "-c", PROGRAM, str(soft), str(hard), str(wanted)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert said == f"{room}\n"
