from __future__ import annotations

import io
import re

from rich.console import Console

from lemonade_testbed.live import Board


def test_without_a_terminal_a_plain_line_is_written_when_a_scenario_ends() -> None:
    text = io.StringIO()
    with Board(["one", "two"], Console(file=text, width=20)) as board:
        board.say("one", "starting the nodes")
        board.say("two", "starting the nodes")
        board.end("two", "fail")
        board.end("one", "pass")
    lines = text.getvalue().splitlines()
    assert [line.rsplit("  ", 1)[0] for line in lines] == ["two  fail", "one  pass"]
    assert all(line.endswith(" s") for line in lines)


def test_on_a_terminal_each_scenario_keeps_one_line() -> None:
    text = io.StringIO()
    with Board(["one", "two"], Console(file=text, width=80, force_terminal=True, color_system=None)) as board:
        board.say("one", "running the client")
        board.end("one", "pass")
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.getvalue()).splitlines()[-2:]
    assert last[0].split()[:2] == ["one", "pass"]
    assert last[1].split() == ["two", "waiting"]
