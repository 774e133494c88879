"""A short `make soak` with the real nodes, and the exit code where a call fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from soak import command
from soak.calls import Caller
from soak.usage import NodeUsage

pytestmark = pytest.mark.xdist_group("soak")


def only_folder(runs: Path) -> Path:
    (folder,) = (runs / "soak").iterdir()
    return folder


def test_calls_and_logins_are_carried_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_SAMPLES", 3)
    command.main(["--hours", str(4 / 3600), "--runs", str(tmp_path)])
    figures = json.loads((only_folder(tmp_path) / "soak.json").read_text(encoding="utf-8"))
    calls = figures["calls"]
    assert calls["ended"] == calls["reinvites"] > 0
    assert calls["failed"] == figures["logins"]["failed"] == 0
    assert figures["logins"]["ended"] > 0
    assert {name: len(samples) for name, samples in figures["samples"].items()} == {"imap": 3, "media": 3, "caller": 3}
    assert len(figures["verdicts"]) == 9
    assert "limits for one address are off" in capsys.readouterr().out


@pytest.mark.parametrize(("growing", "code"), [(False, 0), (True, 1)])
def test_a_node_that_grows_is_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, growing: bool, code: int
) -> None:
    reads = iter(range(1000, 1_000_000, 1000))

    def usage(_pid: int, *, alone: bool = False) -> NodeUsage:
        return NodeUsage(1000 if alone or not growing else next(reads), 10, 2)

    monkeypatch.setattr(command, "_SAMPLES", 3)
    monkeypatch.setattr(command, "usage_of", usage)
    assert command.main(["--hours", str(1 / 3600), "--runs", str(tmp_path)]) == code


def test_calls_that_are_refused_are_exit_code_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call = Caller.call
    monkeypatch.setattr(command, "_SAMPLES", 3)
    monkeypatch.setattr(Caller, "call", lambda self, _ticket: call(self, "imap://refused.example.com/INBOX/;UID=1"))
    monkeypatch.setattr(command, "usage_of", lambda _pid, **_: NodeUsage(1000, 10, 2))
    assert command.main(["--hours", str(1 / 3600), "--runs", str(tmp_path)]) == 1
    figures = json.loads((only_folder(tmp_path) / "soak.json").read_text(encoding="utf-8"))
    assert figures["calls"]["failed"] == figures["calls"]["ended"] > 0
