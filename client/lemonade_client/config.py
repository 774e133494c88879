"""The client's settings, read from the command line and the environment."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lemonade_client.behaviour import CORRECT, Behaviour
from lemonade_client.faults import FAULTS
from lemonade_wire.address import Address, PortRange, Resolver
from lemonade_wire.nodecli import NodeOptions, NodeParser, setting
from lemonade_wire.nodesettings import add_resolve, add_rtp_ports, resolver_from
from lemonade_wire.sip.smime import Smime
from lemonade_wire.sip.smime_options import add_options as add_smime
from lemonade_wire.sip.smime_options import smime_from
from lemonade_wire.tls.endpoint import ClientTls
from lemonade_wire.tls.options import add_options as add_tls_options
from lemonade_wire.tls.options import trust_from
from lemonade_wire.tls.policy import TlsPolicy

DESCRIPTION = """Runs a script as the mail client of the streaming draft: finds an attachment, has its URL authorised,
has a media server play it, and records what it hears. Exit: 0 the script is done; 1 a step failed, or the script was
interrupted; 2 the script or an option is wrong; 127 the script wants what this client does not do."""


@dataclass(frozen=True)
class ClientConfig:
    """What one run of the client is told.

    `listen`: own SIP address; its host is the source of every connection, and where RTP arrives (port 0: any).
    `heard`: where the recording goes; None: nowhere. `tls`, `trust`: whether STARTTLS is used with the IMAP server, and
    whose certificates are good (None: those the system trusts). `smime`: by which MSCML is encrypted.
    """

    script: Path
    listen: Address
    rtp_ports: PortRange
    resolver: Resolver
    heard: Path | None
    options: NodeOptions
    tls: TlsPolicy = TlsPolicy.PREFERRED
    trust: ClientTls | None = None
    smime: Smime = field(default_factory=Smime)

    @property
    def behaviour(self) -> Behaviour:
        """The fault chosen, else correct behaviour."""
        fault = self.options.fault
        return fault if isinstance(fault, Behaviour) else CORRECT


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
    add_rtp_ports(parser, PortRange(20000, 20100))
    add_resolve(parser)
    parser.add_argument("--heard", type=Path, metavar="FILE", help="record what is heard: WAV, 8 kHz mono 16-bit")
    add_tls_options(parser)
    add_smime(parser)
    options = parser.read(argv)
    try:
        smime = smime_from(options, datetime.now(UTC))
    except ValueError as problem:
        parser.error(f"argument {problem}")
    return ClientConfig(
        script=options.script,
        listen=options.listen,
        rtp_ports=options.rtp_ports,
        resolver=resolver_from(parser, options),
        heard=options.heard,
        options=NodeOptions.from_namespace("client", options),
        tls=TlsPolicy(options.imap_tls),
        trust=_trust(parser, options),
        smime=smime,
    )


def _trust(parser: NodeParser, options: argparse.Namespace) -> ClientTls | None:
    try:
        return trust_from(options)
    except ValueError as problem:
        parser.error(f"argument {problem}")
