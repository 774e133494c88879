"""A run of the real nodes: no file of it but the inputs holds a password, and no command line of a node does."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from lemonade_testbed.runtime.local import without_passwords
from lemonade_wire.testing.spellings import PASSWORD, shown_forms

SCENARIOS = Path(__file__).parents[2] / "scenarios"
LEMONADE = Path(sys.executable).parent / "lemonade"
INPUTS = {"scenario.yaml", "script.json"}


def command_lines_with(secret: str) -> set[str]:
    """Return the command lines of all processes that hold this secret."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # the process has ended
            words = path.read_bytes().decode(errors="replace")
            if secret in words:
                found.add(words)
    return found


def test_a_run_shows_no_password(tmp_path: Path) -> None:
    place = tmp_path / "scenarios"
    place.mkdir()
    text = (SCENARIOS / "announcement-service.yaml").read_text()
    text = text.replace("scenario: announcement-service", "scenario: marked")
    text = text.replace("{joe: secret}", f"{{joe: {PASSWORD}, mediaserver: {PASSWORD}2}}")
    text = text.replace("identity: none", f"identity: mediaserver:{PASSWORD}2")
    (place / "marked.yaml").write_text(text)
    command: list[str | Path] = [
        LEMONADE,
        "run",
        "--runtime",
        "local",
        "--runs",
        tmp_path / "runs",
        "-j",
        "1",
        "--scenarios",
        place,
    ]
    seen: set[str] = set()
    with (
        (tmp_path / "said").open("wb") as said,
        subprocess.Popen([*command, "--all"], stdout=said, stderr=subprocess.STDOUT) as running,
    ):
        code = None
        while code is None:
            seen |= command_lines_with(PASSWORD)
            with suppress(subprocess.TimeoutExpired):
                code = running.wait(timeout=0.1)
    folder = tmp_path / "runs" / "latest"
    judged = subprocess.run([LEMONADE, "judge", folder], capture_output=True, timeout=60, check=False)
    (tmp_path / "said again").write_bytes(judged.stdout + judged.stderr)
    assert code == 0, (tmp_path / "said").read_text()
    assert seen == set()
    files = {path for path in [tmp_path / "said", tmp_path / "said again", *folder.rglob("*")] if path.is_file()}
    names = {path.name for path in files}
    assert {"trace-imap.jsonl", "imap.log", "verdict.txt", "result.json", "junit.xml", *INPUTS} <= names
    shown = {path.name: shown_forms(path.read_bytes(), PASSWORD) for path in files if path.name not in INPUTS}
    assert {name: forms for name, forms in shown.items() if forms} == {}
    assert (
        b"LOGIN" in (folder / "marked" / "events.jsonl").read_bytes()
        or b"AUTHENTICATE" in (folder / "marked" / "events.jsonl").read_bytes()
    )


@pytest.mark.parametrize(
    ("options", "left", "variables"),
    [
        (["--user", "a:b", "x", "--user", "c:d"], ["x"], {"LEMONADE_USER": "a:b c:d"}),
        (["--imap-user", "m:p"], [], {"LEMONADE_IMAP_USER": "m:p"}),
        (["--admin", "a:b c"], ["--admin", "a:b c"], {}),
    ],
)
def test_passwords_go_to_the_environment(options: list[str], left: list[str], variables: dict[str, str]) -> None:
    assert without_passwords(["imap", *options]) == (["imap", *left], variables)
