import json
from pathlib import Path

import pytest

from lemonade_wire.address import Address
from lemonade_wire.faults import Fault, FaultList
from lemonade_wire.nodecli import NodeOptions, NodeParser, setting
from lemonade_wire.profile import RFC_5616


class Wrong(Fault):
    name = "wrong"
    summary = "Is wrong"
    breaks = ()


def parser(**environ: str) -> NodeParser:
    made = NodeParser("lemonade-x", "A node.", FaultList.of(Wrong), environ)
    made.add_argument("--listen", type=setting(Address.parse))
    made.add_argument("--name", action="append", default=[])
    return made


def test_the_command_line_wins_over_the_environment() -> None:
    environ = {"LEMONADE_LISTEN": "h:1", "LEMONADE_NAME": "a b", "LEMONADE_PROFILE": "rfc5616", "OTHER": "x"}
    options = parser(**environ).read(["--listen", "h:2", "--name", "c"])
    assert (options.listen, options.name, options.profile) == (Address("h", 2), ["a", "b", "c"], "rfc5616")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--listen", "h"], "HOST:PORT is expected"),
        (["--fault", "wrnog"], "did you mean 'wrong'?"),
        (["--profile", "x"], "draft-07"),
        (["--list", "h:1"], "unrecognized"),
    ],
)
def test_usage_errors_exit_with_2_and_a_message(argv: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parser().read(argv)
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert says in told
    assert told.endswith("lemonade-x: --help lists what is allowed\n")


def test_faults_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parser().read(["--faults"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.split() == ["wrong", "Is", "wrong"]


def test_the_shared_options_are_read(tmp_path: Path) -> None:
    file = tmp_path / "trace"
    given = ["--trace", str(file), "--trace-salt", "s", "--profile", "rfc5616", "--fault", "wrong"]
    options = NodeOptions.from_namespace("x", parser().read(given))
    options.trace.emit("log", text="hello")
    assert json.loads(file.read_text())["text"] == "hello"
    assert options.profile is RFC_5616
    assert isinstance(options.fault, Wrong)
    assert options.trace.sink is not None
    options.trace.sink.close()
