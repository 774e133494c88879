"""The options about TLS on the way to IMAP servers, as media server and client have them."""

from __future__ import annotations

import argparse
from pathlib import Path

from lemonade_wire.nodecli import NodeParser
from lemonade_wire.nodesettings import add_words
from lemonade_wire.tls import keylog
from lemonade_wire.tls.endpoint import ClientTls
from lemonade_wire.tls.policy import TlsPolicy


def add_options(parser: NodeParser) -> None:
    """Add the options to a parser."""
    what = "whether STARTTLS is used; preferred: where it is offered"
    add_words(parser, "--imap-tls", TlsPolicy, TlsPolicy.PREFERRED, what)
    parser.add_argument(
        "--imap-ca", type=Path, metavar="FILE", help="authorities (PEM) that are trusted in place of the system's"
    )
    keylog.add_option(parser)


def trust_from(options: argparse.Namespace, *, checks: bool = True) -> ClientTls | None:
    """Return whose certificates are good, None for those that the system trusts; without `checks` every one is.

    Raises ValueError with what is allowed.
    """
    if checks and options.imap_ca is None and options.tls_keylog is None:
        return None
    try:
        log = keylog.KeyLog(options.tls_keylog) if options.tls_keylog else None
    except OSError as problem:
        raise ValueError(f"--tls-keylog: {problem}") from None
    try:
        return ClientTls(options.imap_ca, log, checks=checks)
    except (OSError, ValueError) as problem:
        raise ValueError(f"--imap-ca: {problem}") from None
