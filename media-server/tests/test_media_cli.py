"""The command line: usage errors exit 2 with what is allowed, and name what was meant."""

from __future__ import annotations

import pytest

from lemonade_media.cli import main
from lemonade_media.faults import FAULTS

PORTS = ["--rtp-ports", "20000-20010"]
LISTEN = ["--listen", "127.0.0.1:5060"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (PORTS, "--listen"),
        ([*LISTEN, "--rtp-ports", "5000"], "A-B is expected"),
        ([*LISTEN, *PORTS, "--fault", "nobye"], "did you mean 'no-bye'"),
        ([*LISTEN, *PORTS, "--resolve", "x"], "is not a rule"),
        ([*LISTEN, *PORTS, "--allow-imap", ":1"], "has no host"),
        ([*LISTEN, *PORTS, "--speed", "fast"], "--speed"),
        (["--listen", "0.0.0.0:5060", *PORTS], "reach"),
    ],
)
def test_usage_errors_exit_2_with_what_is_allowed(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    assert exited.value.code == 2
    assert words in capsys.readouterr().err


def test_bad_identity_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*LISTEN, *PORTS, "--imap-user", "hunter2"])
    assert "hunter2" not in capsys.readouterr().err


def test_faults_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["--faults"])
    assert exited.value.code == 0
    listing = capsys.readouterr().out
    assert [line.split()[0] for line in listing.splitlines()] == sorted(FAULTS.faults)
