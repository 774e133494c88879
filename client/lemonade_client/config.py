"""The client's settings, read from the command line and the environment."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lemonade_client.faults import CORRECT, FAULTS, Behaviour
from lemonade_wire.address import Address, Resolver
from lemonade_wire.nodecli import NodeOptions, NodeParser, setting

DESCRIPTION = """Runs a script as the mail client of the streaming draft: finds an attachment, has its URL authorised,
has a media server play it, and records what it hears. Exit: 0 the script is done; 1 a step failed, or the script was
interrupted; 2 the script or an option is wrong; 127 the script wants what this client does not do."""


@dataclass(frozen=True)
class ClientConfig:
    """What one run of the client is told.

    `listen`: own SIP address; its host is the source of every connection, and where RTP arrives (port 0: any).
    `rtp_ports`: first and last port for RTP and RTCP. `heard`: where the recording goes; None: nowhere.
    """

    script: Path
    listen: Address
    rtp_ports: tuple[int, int]
    resolver: Resolver
    heard: Path | None
    options: NodeOptions

    @property
    def behaviour(self) -> Behaviour:
        """The fault chosen, else correct behaviour."""
        fault = self.options.fault
        return fault if isinstance(fault, Behaviour) else CORRECT


def port_range(text: str) -> tuple[int, int]:
    """Read `A-B`, two ports or more; raises ValueError."""
    match = re.fullmatch(r"([0-9]{1,5})-([0-9]{1,5})", text, re.ASCII)
    if match is None or not 0 < int(match[1]) < int(match[2]) <= 65535:
        raise ValueError(f"{text!r} is not a range of ports: A-B is expected, 20000-20100 say")
    return int(match[1]), int(match[2])


def read_config(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> ClientConfig:
    """Read the settings; exits with 2 where one is not allowed."""
    given = {} if environ is None else {"environ": environ}
    parser = NodeParser("lemonade-client", DESCRIPTION, FAULTS, **given)
    parser.add_argument("--script", type=Path, required=True, metavar="FILE", help="the script, YAML or JSON")
    parser.add_argument(
        "--listen",
        type=setting(Address.parse),
        default=Address("127.0.0.1", 0),
        metavar="HOST:PORT",
        help="own SIP address, UDP and TCP; all else is bound to its host (default: 127.0.0.1:0, port 0: any)",
    )
    parser.add_argument(
        "--rtp-ports", type=setting(port_range), default=(20000, 20100), metavar="A-B", help="default: 20000-20100"
    )
    parser.add_argument(
        "--resolve", action="append", default=[], metavar="RULE", help="NAME[:PORT]=ADDRESS[:PORT], repeatable"
    )
    parser.add_argument("--heard", type=Path, metavar="FILE", help="record what is heard: WAV, 8 kHz mono 16-bit")
    options = parser.read(argv)
    return ClientConfig(
        script=options.script,
        listen=options.listen,
        rtp_ports=options.rtp_ports,
        resolver=_resolver(parser, options),
        heard=options.heard,
        options=NodeOptions.from_namespace("client", options),
    )


def _resolver(parser: NodeParser, options: argparse.Namespace) -> Resolver:
    try:
        return Resolver.parse(options.resolve)
    except ValueError as problem:
        parser.error(f"argument --resolve: {problem}")
