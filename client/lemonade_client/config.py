"""The client's settings, and how they are read from the command line and the environment."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lemonade_client.behaviour import CORRECT, ClientBehaviour
from lemonade_client.faults.registry import FAULTS
from lemonade_wire.address import Address, PortRange, Resolver
from lemonade_wire.nodecli import NodeOptions, NodeParser, add_resolve, add_rtp_ports, resolver_from, setting
from lemonade_wire.sip.message.smime import Smime, smime_from
from lemonade_wire.sip.message.smime import add_options as add_smime
from lemonade_wire.tls import ClientTls, TlsPolicy, trust_from
from lemonade_wire.tls import add_options as add_tls_options

DESCRIPTION = """Runs a script as the mail client of the streaming draft: finds an attachment, has its URL authorised,
has a media server play it, and records what it hears. Exit: 0 the script is done; 1 a step failed, or the script was
interrupted; 2 the script or an option is wrong; 127 the script wants what this client does not do."""


@dataclass(frozen=True)
class ClientConfig:
    """The settings of one run of the client.

    `listen`: the client's SIP address (port 0: any free port); its host is also the source of IMAP connections and the
    address of RTP. `heard`: the file for the recording of all sound (None: no recording). `tls`: whether STARTTLS is
    used with the IMAP server. `trust`: the certificates that are trusted (None: those of the system). `smime`: the key
    and the certificates for encrypted MSCML.
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
    def behaviour(self) -> ClientBehaviour:
        """The behaviour of the chosen fault, or correct behaviour if none is chosen."""
        fault = self.options.fault
        return fault if isinstance(fault, ClientBehaviour) else CORRECT


def read_config(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> ClientConfig:
    """Read the settings; exits with 2 if one is not allowed. `environ` None: the environment of the process."""
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
