"""The options that every node shares, each also from an environment variable (`LEMONADE_` and the option's name)."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from lemonade_wire.faults import Fault, FaultList
from lemonade_wire.profile import PROFILES, Profile
from lemonade_wire.redact import Redactor
from lemonade_wire.trace import Trace

EXIT_USAGE = 2


def setting(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Make a parser's ValueError the message that argparse prints."""

    def read(text: str) -> Any:  # noqa: ANN401  argparse stores whatever the parser returns
        try:
            return parse(text)
        except ValueError as problem:
            raise argparse.ArgumentTypeError(str(problem)) from problem

    return read


class NodeParser(argparse.ArgumentParser):
    """An argument parser whose options may also stand in the environment; the command line wins.

    A repeatable option's variable holds its values separated by white space.
    """

    def __init__(self, prog: str, description: str, faults: FaultList, environ: Mapping[str, str] = os.environ) -> None:
        super().__init__(
            prog=prog,
            description=description,
            allow_abbrev=False,
            epilog="Each option may also be given as an environment variable: --trace-salt as LEMONADE_TRACE_SALT.",
        )
        self._environ = environ
        self._faults = faults
        self.add_argument("--trace", type=Path, metavar="FILE", help="write a trace (JSON lines) to FILE")
        self.add_argument("--trace-salt", metavar="S", help="salt of the fingerprints in the trace (default: random)")
        self.add_argument("--profile", choices=sorted(PROFILES), default="draft-07", help="default: draft-07")
        self.add_argument("--fault", type=setting(faults.pick), metavar="NAME", help="be wrong in one named way")
        self.add_argument("--faults", action="store_true", help="list the faults and exit")

    def read(self, argv: Sequence[str] | None = None) -> argparse.Namespace:
        """Parse `argv` over the environment; exits with 2 and a message where something is not allowed."""
        from_environment: list[str] = []
        for action in self._actions:
            value = self._environ.get("LEMONADE_" + action.dest.upper())
            if value is None or not action.option_strings or action.dest == "help":
                continue
            option = action.option_strings[0]
            if action.nargs == 0:
                from_environment += [option] if value not in {"", "0", "no"} else []
            elif isinstance(action, argparse._AppendAction):
                from_environment += [f"{option}={item}" for item in value.split()]
            else:
                from_environment.append(f"{option}={value}")
        given = list(sys.argv[1:] if argv is None else argv)
        if "--faults" in given:
            self._print_message(self._faults.listing(), sys.stdout)
            self.exit(0)
        return self.parse_args(from_environment + given)

    def error(self, message: str) -> NoReturn:
        """Say what is not allowed and where help is; exit 2."""
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n{self.prog}: --help lists what is allowed\n")


@dataclass(frozen=True)
class NodeOptions:
    """The shared options, ready to use. The trace file stays open as long as the process."""

    trace: Trace
    profile: Profile
    fault: Fault | None

    @classmethod
    def from_namespace(cls, node: str, options: argparse.Namespace) -> NodeOptions:
        """Open the trace and look the profile up."""
        sink = options.trace.open("a", encoding="utf-8") if options.trace else None
        salt = options.trace_salt or secrets.token_hex(16)
        return cls(Trace(node, sink, Redactor(salt)), PROFILES[options.profile], options.fault)
