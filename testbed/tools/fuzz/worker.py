"""Fuzzes one target in a process of its own, by atheris (libFuzzer for Python)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path

from fuzz.target import FuzzTarget

_TIMEOUT = 20
"""Seconds for one input; the fuzzer then reports an endless loop."""
_RUNS = re.compile(r"stat::number_of_executed_units: +([0-9]+)")
_ERROR = re.compile(r"^(?: === Uncaught Python exception: ===\n)(.+)$|^.*(ERROR: libFuzzer: .+)$", re.MULTILINE)


@dataclass(frozen=True)
class FuzzOutcome:
    """What came of fuzzing a target: the number of inputs that were run, and the error and its input, if there is one.

    `kept` are the inputs that executed something new.
    """

    name: str
    runs: int
    kept: tuple[bytes, ...]
    error: str | None
    input: Path | None


class FuzzWorker:
    """The process that fuzzes one target.

    The packages have to be loaded with atheris's instrumentation beforehand, since the process is forked. `folder` gets
    the corpus, the log and the input that found an error, with the name of the target in front.
    """

    def __init__(self, target: FuzzTarget, inputs: Iterable[bytes], seconds: int, folder: Path) -> None:
        self._target = target
        self._folder = folder
        self._corpus = folder / f"{target.name}-corpus"
        self._corpus.mkdir()
        for octets in inputs:
            (self._corpus / sha1(octets, usedforsecurity=False).hexdigest()).write_bytes(octets)
        self._log = folder / f"{target.name}.log"
        self.pid = os.fork()
        if not self.pid:
            try:
                self._fuzz(seconds)
            finally:
                os._exit(1)  # the fuzzer itself ends the process, when it is not interrupted

    def _fuzz(self, seconds: int) -> None:
        import atheris  # noqa: PLC0415  it is there for some machines only

        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        options = [
            f"-max_total_time={seconds}",
            f"-max_len={self._target.most}",
            f"-rss_limit_mb={self._target.memory}",
            f"-timeout={_TIMEOUT}",
            f"-artifact_prefix={self._folder}/{self._target.name}-",
            "-print_final_stats=1",
            "-use_value_profile=1",
        ]
        atheris.Setup([self._target.name, *options, str(self._corpus)], self._call)
        atheris.Fuzz()

    def _call(self, octets: bytes) -> None:
        """Run the target, and write an input that raises an error to a file, which atheris leaves to its caller."""
        try:
            self._target.call(octets)
        except Exception:
            name = sha1(octets, usedforsecurity=False).hexdigest()
            (self._folder / f"{self._target.name}-crash-{name}").write_bytes(octets)
            raise

    def outcome(self, status: int) -> FuzzOutcome:
        """Return what came of it; `status` is the status of the ended process, as `os.waitpid` returns it."""
        log = self._log.read_text(encoding="utf-8", errors="replace")
        runs = _RUNS.search(log)
        kept = tuple(path.read_bytes() for path in sorted(self._corpus.iterdir()))
        found = [
            path
            for kind in ("crash", "timeout", "oom", "leak")
            for path in self._folder.glob(f"{self._target.name}-{kind}-*")
        ]
        error = None
        if status or found:
            said = _ERROR.search(log)
            error = (said[1] or said[2]) if said else f"the process ended with status {status}; see {self._log}"
        return FuzzOutcome(self._target.name, int(runs[1]) if runs else 0, kept, error, found[0] if found else None)
