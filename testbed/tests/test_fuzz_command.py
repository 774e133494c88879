"""`make fuzz` with a target that has an error: the fuzzer finds it, says how it is repeated, and ends with 1."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.command import main, repeat, told
from fuzz.target import FuzzTarget, require
from fuzz.worker import FuzzOutcome

TOOLS = Path(__file__).parents[1] / "tools"
PROGRAM = """
import sys
from pathlib import Path
import atheris
from fuzz.command import fuzz
from fuzz.target import FuzzTarget, require

@atheris.instrument_func
def run(octets):
    if octets[:1] == b"b":
        if octets[1:2] == b"a":
            require({right}, "an input begins with ba")

sys.exit(fuzz([FuzzTarget("t", run, [b"b"])], 3, 1, Path(sys.argv[1])))
"""


def run(folder: Path, right: bool) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("atheris", reason="atheris has no wheels for this machine")
    command = [sys.executable, "-c", PROGRAM.format(right=right), str(folder)]
    return subprocess.run(
        command, capture_output=True, text=True, env={"PYTHONPATH": str(TOOLS)}, timeout=120, check=False
    )


def test_an_error_is_found_and_its_input_is_written(tmp_path: Path) -> None:
    done = run(tmp_path, right=False)
    assert done.returncode == 1, done.stderr
    (path,) = tmp_path.glob("t-crash-*")
    assert path.read_bytes().startswith(b"ba")
    assert f'make fuzz ARGS="--target t --repeat {path}"' in done.stdout
    assert "PropertyBrokenError: an input begins with ba" in done.stdout


def test_without_an_error_the_fuzzer_ends_with_0(tmp_path: Path) -> None:
    done = run(tmp_path, right=True)
    assert done.returncode == 0, done.stderr
    assert "1 targets, 0 with an error" in done.stdout
    assert list(tmp_path.glob("t-crash-*")) == []


def test_an_input_is_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    target = FuzzTarget("t", lambda octets: require(octets != b"x", "it is x"), [b"1"])
    assert repeat(target, b"y") == 0
    assert repeat(target, b"x") == 1
    assert "PropertyBrokenError: it is x" in capsys.readouterr().err


def test_an_input_in_a_file_is_repeated_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"5")
    assert main(["--target", "sip-key-press", "--repeat", str(path)]) == 0
    assert capsys.readouterr().out == "sip-key-press: no error\n"


def test_an_unknown_target_is_a_wrong_call(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--target", "nonsense", "--repeat", "x"])
    assert ended.value.code == 2
    assert "there is no target 'nonsense'" in capsys.readouterr().err


def test_an_error_without_an_input_names_no_command() -> None:
    assert told(FuzzOutcome("t", 3, (b"a",), "it ended", None)) == "t: 3 inputs, 1 kept\n  ERROR it ended"
