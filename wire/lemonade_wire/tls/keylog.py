"""A key log: the secrets of TLS sessions, for those who shall read a capture of them (SSLKEYLOGFILE, as NSS writes it).

An aid for testing alone: whoever has the file reads all that its sessions said, passwords first.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from OpenSSL import SSL


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add `--tls-keylog` to a node's options."""
    parser.add_argument(
        "--tls-keylog",
        type=Path,
        metavar="FILE",
        help="for tests alone: append the secrets of TLS sessions to FILE, with which a capture of them can be read",
    )


class KeyLog:
    """Appends to a file that its owner alone may read; raises OSError where it cannot be written."""

    def __init__(self, path: Path) -> None:
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=0)

    def watch(self, context: SSL.Context) -> None:
        """Write down the secrets of every session that `context` makes from now on."""
        context.set_keylog_callback(self._write)

    def _write(self, _connection: SSL.Connection, line: bytes) -> None:
        self._file.write(line + b"\n")
