"""Settings that more than one node has, as options of one shape: numbers, times, words, ports, where names are."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from enum import Enum

from lemonade_wire.address import PortRange, Resolver
from lemonade_wire.nodecli import NodeParser, setting

_WHOLE = re.compile(r"[0-9]{1,18}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,3})?", re.ASCII)


class Permission(Enum):
    """Whether something is done that not everybody wants."""

    ALLOWED = "allowed"
    NEVER = "never"


def whole(least: int = 1, most: int | None = None) -> Callable[[str], int]:
    """Return a reader of whole numbers, which raises ValueError with what is allowed."""

    def read(text: str) -> int:
        if not _WHOLE.fullmatch(text) or int(text) < least or (most is not None and int(text) > most):
            raise ValueError(f"{text!r} is not allowed: {_range('a number', least, most)} is expected")
        return int(text)

    return read


def seconds(least: float, most: float) -> Callable[[str], float]:
    """Return a reader of times in seconds, to the millisecond, which raises ValueError with what is allowed."""

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
    """Add an option that is a number; its help says what it is without: the default, or in words where that is None."""
    told = without if default is None else f"{default:.12g}"
    parser.add_argument(option, type=setting(read), default=default, metavar=metavar, help=f"{what} (default: {told})")


def add_words(parser: NodeParser, option: str, words: type[Enum], default: Enum, what: str) -> None:
    """Add an option that is the value of one of an Enum's members."""
    parser.add_argument(
        option,
        choices=[word.value for word in words],
        default=default.value,
        help=f"{what} (default: {default.value})",
    )


def add_rtp_ports(parser: NodeParser, default: PortRange | None = None) -> None:
    """Add `--rtp-ports`; it is required where there is no default."""
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
    """Add `--resolve`."""
    parser.add_argument(
        "--resolve",
        metavar="RULE",
        action="append",
        default=[],
        help="NAME[:PORT]=ADDRESS[:PORT]: where a name is (repeatable)",
    )


def resolver_from(parser: NodeParser, options: argparse.Namespace) -> Resolver:
    """Return what `--resolve` says; exits with 2 where a rule is none."""
    try:
        return Resolver.parse(options.resolve)
    except ValueError as problem:
        parser.error(f"argument --resolve: {problem}")
