"""The options of the command line that are about connections: TLS, passwords in the clear, and limits."""

from __future__ import annotations

import argparse
from enum import Enum
from pathlib import Path

from twisted.internet.ssl import CertificateOptions

from lemonade_imap.config import LARGEST_MESSAGE, ConnectionLimits, LoginPolicy
from lemonade_imap.tls import server_tls
from lemonade_wire.address import Address
from lemonade_wire.nodecli import NodeParser, setting
from lemonade_wire.nodesettings import Permission, add_number, add_words, whole
from lemonade_wire.tls import keylog

_LEAST_LARGEST = 1024
_MOST = 0xFFFFFFFF
"""RFC 3501, 9: RFC822.SIZE is a number of 32 bits."""


class TellsUrlMech(Enum):
    """Whether URLMECH is told on a connection that is not confidential (RFC 4467, 4)."""

    ALWAYS = "always"
    CONFIDENTIAL = "confidential"


def add_options(parser: NodeParser) -> None:
    """Add the options to a parser."""
    limits = ConnectionLimits()
    parser.add_argument(
        "--listen-tls", type=setting(Address.parse), metavar="HOST:PORT", help="listen for TLS from the first octet too"
    )
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain (PEM): STARTTLS is offered")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key (PEM)")
    keylog.add_option(parser)
    add_words(parser, "--cleartext-login", Permission, Permission.ALLOWED, "whether passwords are taken without TLS")
    add_words(parser, "--urlmech", TellsUrlMech, TellsUrlMech.ALWAYS, "whether SELECT tells URLMECH without TLS too")
    add_number(parser, "--max-connections", whole(), "open at a time", limits.total)
    add_number(parser, "--max-connections-per-address", whole(), "the same for one address", without="no limit")
    add_number(parser, "--connection-rate", whole(), "connections of one address in a minute", without="no limit")
    add_number(parser, "--max-login-failures", whole(), "failed logins that end a connection", LoginPolicy().failures)
    size = whole(_LEAST_LARGEST, _MOST)
    add_number(parser, "--max-message", size, "largest message that APPEND takes", LARGEST_MESSAGE, metavar="OCTETS")


def tls_from(options: argparse.Namespace) -> CertificateOptions | None:
    """Return the server's side of TLS, None where there is no certificate; raises ValueError with what is allowed."""
    if (options.tls_cert is None) != (options.tls_key is None):
        raise ValueError("--tls-cert and --tls-key go together")
    if options.tls_cert is None:
        if options.listen_tls is not None:
            raise ValueError("--listen-tls needs --tls-cert and --tls-key")
        return None
    try:
        log = keylog.KeyLog(options.tls_keylog) if options.tls_keylog else None
    except OSError as problem:
        raise ValueError(f"--tls-keylog: {problem}") from None
    try:
        return server_tls(options.tls_cert, options.tls_key, log)
    except (OSError, ValueError) as problem:
        raise ValueError(f"--tls-cert, --tls-key: {problem}") from None


def limits_from(options: argparse.Namespace) -> ConnectionLimits:
    """Return what connections may take."""
    return ConnectionLimits(
        total=options.max_connections,
        per_address=options.max_connections_per_address,
        per_minute=options.connection_rate,
    )
