"""The options of the command line that are about S/MIME; client and media server have the same ones."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path

from lemonade_wire.nodecli import NodeParser
from lemonade_wire.sip.keyring import Keyring
from lemonade_wire.sip.smime import Identity, Smime


def add_options(parser: NodeParser) -> None:
    """Add the options to a parser."""
    parser.add_argument(
        "--smime-cert", type=Path, metavar="FILE", help="own certificate (PEM, RSA): encrypted bodies are read"
    )
    parser.add_argument("--smime-key", type=Path, metavar="FILE", help="its private key (PEM)")
    parser.add_argument(
        "--smime-peer",
        type=Path,
        metavar="FILE",
        action="append",
        default=[],
        help="certificates (PEM) of peers, for whom MSCML is encrypted (repeatable)",
    )


def smime_from(options: argparse.Namespace, now: datetime) -> Smime:
    """Return what the files hold, good at `now`; raises ValueError with what is allowed."""
    if (options.smime_cert is None) != (options.smime_key is None):
        raise ValueError("--smime-cert and --smime-key go together")
    try:
        identity = (
            None
            if options.smime_cert is None
            else Identity.read(options.smime_cert.read_bytes(), options.smime_key.read_bytes())
        )
    except (OSError, ValueError) as problem:
        raise ValueError(f"--smime-cert, --smime-key: {problem}") from None
    try:
        peers = Keyring.of((path.read_bytes() for path in options.smime_peer), now)
    except (OSError, ValueError) as problem:
        raise ValueError(f"--smime-peer: {problem}") from None
    return Smime(identity, peers)
