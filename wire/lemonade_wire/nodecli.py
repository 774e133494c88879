"""Command-line options and environment variables that several nodes share."""

from __future__ import annotations

import argparse
import os
import re
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn

from lemonade_wire.address import PortRange, Resolver
from lemonade_wire.faults import Fault, FaultList
from lemonade_wire.profile import PROFILES, Profile
from lemonade_wire.redaction import Redactor
from lemonade_wire.trace import Trace

_WHOLE = re.compile(r"[0-9]{1,18}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,3})?", re.ASCII)
EXIT_USAGE = 2


class Permission(Enum):
    """Whether a node may do something that an operator may want to forbid."""

    ALLOWED = "allowed"
    NEVER = "never"


def whole(least: int = 1, most: int | None = None) -> Callable[[str], int]:
    """Return a parser of whole numbers from `least` to `most`; its ValueError says what is allowed."""

    def read(text: str) -> int:
        if not _WHOLE.fullmatch(text) or int(text) < least or (most is not None and int(text) > most):
            raise ValueError(f"{text!r} is not allowed: {_range('a number', least, most)} is expected")
        return int(text)

    return read


def seconds(least: float, most: float) -> Callable[[str], float]:
    """Return a parser of times in seconds with up to three decimals.

    It raises ValueError for a time outside `least` to `most`; the text says what is allowed.
    """

    def read(text: str) -> float:
        if not _SECONDS.fullmatch(text) or not least <= float(text) <= most:
            raise ValueError(f"{text!r} is not allowed: {_range('a number of seconds', least, most)} is expected")
        return float(text)

    return read


def _range(what: str, least: float, most: float | None) -> str:
    return f"{what} of {least:.12g} or more" if most is None else f"{what} from {least:.12g} to {most:.12g}"


def add_number(
    parser: NodeParser,
    option: str,
    read: Callable[[str], float],
    what: str,
    default: float | None = None,
    *,
    metavar: str = "N",
    without: str = "any number",
) -> None:
    """Add an option with a number. Its help has the default, or the text `without` if the default is None."""
    told = without if default is None else f"{default:.12g}"
    parser.add_argument(option, type=setting(read), default=default, metavar=metavar, help=f"{what} (default: {told})")


def add_words(parser: NodeParser, option: str, words: type[Enum], default: Enum, what: str) -> None:
    """Add an option whose argument is the value of one of the members of an Enum."""
    parser.add_argument(
        option,
        choices=[word.value for word in words],
        default=default.value,
        help=f"{what} (default: {default.value})",
    )


def add_rtp_ports(parser: NodeParser, default: PortRange | None = None) -> None:
    """Add the option `--rtp-ports`; it is required if there is no default."""
    told = "" if default is None else f" (default: {default})"
    parser.add_argument(
        "--rtp-ports",
        type=setting(PortRange.parse),
        default=default,
        required=default is None,
        metavar="A-B",
        help=f"UDP ports for RTP and RTCP{told}",
    )


def add_resolve(parser: NodeParser) -> None:
    """Add the option `--resolve`, which maps host names to addresses."""
    parser.add_argument(
        "--resolve",
        metavar="RULE",
        action="append",
        default=[],
        help="NAME[:PORT]=ADDRESS[:PORT]: where a name is (repeatable)",
    )


def resolver_from(parser: NodeParser, options: argparse.Namespace) -> Resolver:
    """Return the resolver of the `--resolve` rules; exits with status 2 if a rule is malformed."""
    try:
        return Resolver.parse(options.resolve)
    except ValueError as problem:
        parser.error(f"argument --resolve: {problem}")


def setting(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a parser for argparse, which prints the text of the ValueError that `parse` raises."""

    def read(text: str) -> Any:  # noqa: ANN401  argparse stores whatever the parser returns
        try:
            return parse(text)
        except ValueError as problem:
            raise argparse.ArgumentTypeError(str(problem)) from problem

    return read


class NodeParser(argparse.ArgumentParser):
    """An argument parser whose options may also be environment variables; the command line has precedence.

    The variable of a repeatable option has its values separated by white space.
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
        """Parse the environment and then `argv`; exits with status 2 and a message if a value is not allowed."""
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
        """Print the message and a hint at `--help`, and exit with status 2."""
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n{self.prog}: --help lists what is allowed\n")


@dataclass(frozen=True)
class NodeOptions:
    """The values of the shared options. The trace file stays open until the process ends."""

    trace: Trace
    profile: Profile
    fault: Fault | None

    @classmethod
    def from_namespace(cls, node: str, options: argparse.Namespace) -> NodeOptions:
        """Open the trace file, and look up the profile; raises OSError if the file cannot be opened."""
        sink = options.trace.open("a", encoding="utf-8") if options.trace else None
        salt = options.trace_salt or secrets.token_hex(16)
        return cls(Trace(node, sink, Redactor(salt)), PROFILES[options.profile], options.fault)
