"""The command `lemonade certs`: makes a test authority and the certificates that it issues for one run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from lemonade_testbed.authority import AUTHORITY, Authority, keep
from lemonade_testbed.places import UsageError
from lemonade_testbed.run import EXIT_OK

DEFAULT_NAMES = ("imap.example.com", "media.example.net")


def write(
    folder: Path, wanted: Sequence[Sequence[str]], now: datetime, smime: Sequence[Sequence[str]] = ()
) -> list[Path]:
    """Make an authority and write it with one TLS certificate for each list of names in `wanted`.

    `smime` holds lists of users; an S/MIME certificate is made for each list. The first name of a list is the name of
    the certificate's files: `NAME.pem` and `NAME.key`. Returns the paths of the files, the authority's first. Raises
    UsageError and writes nothing if a name is not valid, if two lists begin with the same name, or if the folder holds
    an authority already.
    """
    if (folder / AUTHORITY).exists():
        raise UsageError(f"{folder / AUTHORITY} is there already: --out takes a folder without one")
    if len({names[0] for names in (*wanted, *smime)}) < len(wanted) + len(smime):
        raise UsageError("--name: two certificates begin with the same name")
    authority = Authority.make(now)
    files = {AUTHORITY: authority.pem}
    try:
        made = [(names[0], authority.issue(names, now)) for names in wanted]
        made += [(names[0], authority.issue_smime(names, now)) for names in smime]
    except ValueError as problem:
        raise UsageError(str(problem)) from problem
    for name, issued in made:
        files |= {f"{name}.pem": issued.certificate, f"{name}.key": issued.key}
    return keep(folder, files)


def add_command(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add `lemonade certs` to the command line; `command` makes a sub-parser of a name, a function and a help text."""
    added = command("certs", _certs, "make a test CA, and certificates that it vouches for")
    added.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder without a CA")
    added.add_argument(
        "--name",
        action="append",
        metavar="NAME[,NAME]",
        help="host names, addresses and sip:DOMAIN of one certificate; may be given again "
        f"(default: {' and '.join(DEFAULT_NAMES)})",
    )
    added.add_argument(
        "--smime",
        action="append",
        default=[],
        metavar="USER@DOMAIN[,USER@DOMAIN]",
        help="SIP users of one certificate for S/MIME; may be given again",
    )


def _certs(options: argparse.Namespace) -> int:
    wanted = [name.split(",") for name in options.name or DEFAULT_NAMES]
    smime = [name.split(",") for name in options.smime]
    for path in write(options.out, wanted, datetime.now(UTC), smime):
        sys.stdout.write(f"{path}\n")
    return EXIT_OK
