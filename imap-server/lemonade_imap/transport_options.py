"""The options of the command line that are about connections: TLS, passwords in the clear, and limits."""

from __future__ import annotations

import argparse
from pathlib import Path

from twisted.internet.ssl import CertificateOptions

from lemonade_imap.config import LARGEST_MESSAGE, ConnectionLimits, LoginPolicy
from lemonade_imap.tls import server_tls
from lemonade_wire.address import Address
from lemonade_wire.nodecli import NodeParser, setting

ALLOWED, NEVER = "allowed", "never"
ALWAYS, CONFIDENTIAL = "always", "confidential"
_LEAST_LARGEST = 1024
_MOST = 0xFFFFFFFF
"""RFC 3501, 9: RFC822.SIZE is a number of 32 bits."""


def add_options(parser: NodeParser) -> None:
    """Add the options to a parser."""
    limits = ConnectionLimits()
    parser.add_argument(
        "--listen-tls", type=setting(Address.parse), metavar="HOST:PORT", help="listen for TLS from the first octet too"
    )
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain (PEM): STARTTLS is offered")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key (PEM)")
    parser.add_argument(
        "--cleartext-login",
        choices=(ALLOWED, NEVER),
        default=ALLOWED,
        help=f"whether passwords are taken without TLS (default: {ALLOWED})",
    )
    parser.add_argument(
        "--urlmech",
        choices=(ALWAYS, CONFIDENTIAL),
        default=ALWAYS,
        help=f"whether SELECT tells URLMECH without TLS too (default: {ALWAYS})",
    )
    parser.add_argument(
        "--max-connections",
        type=setting(_at_least_one),
        default=limits.total,
        metavar="N",
        help=f"open at a time (default: {limits.total})",
    )
    parser.add_argument(
        "--max-connections-per-address", type=setting(_at_least_one), metavar="N", help="the same (default: no limit)"
    )
    parser.add_argument(
        "--connection-rate",
        type=setting(_at_least_one),
        metavar="N",
        help="connections of one address in a minute (default: no limit)",
    )
    parser.add_argument(
        "--max-login-failures",
        type=setting(_at_least_one),
        default=LoginPolicy().failures,
        metavar="N",
        help=f"failed logins that end a connection (default: {LoginPolicy().failures})",
    )
    parser.add_argument(
        "--max-message",
        type=setting(_message_size),
        default=LARGEST_MESSAGE,
        metavar="OCTETS",
        help=f"largest message that APPEND takes (default: {LARGEST_MESSAGE})",
    )


def tls_from(options: argparse.Namespace) -> CertificateOptions | None:
    """Return the server's side of TLS, None where there is no certificate; raises ValueError with what is allowed."""
    if (options.tls_cert is None) != (options.tls_key is None):
        raise ValueError("--tls-cert and --tls-key go together")
    if options.tls_cert is None:
        if options.listen_tls is not None:
            raise ValueError("--listen-tls needs --tls-cert and --tls-key")
        return None
    try:
        return server_tls(options.tls_cert, options.tls_key)
    except (OSError, ValueError) as problem:
        raise ValueError(f"--tls-cert, --tls-key: {problem}") from None


def limits_from(options: argparse.Namespace) -> ConnectionLimits:
    """Return what connections may take."""
    return ConnectionLimits(
        total=options.max_connections,
        per_address=options.max_connections_per_address,
        per_minute=options.connection_rate,
    )


def _message_size(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not _LEAST_LARGEST <= int(text) <= _MOST:
        raise ValueError(f"{text!r} is not a number from {_LEAST_LARGEST} to {_MOST}")
    return int(text)


def _at_least_one(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ValueError(f"{text!r} is not a number: 1 or more is expected")
    return int(text)
