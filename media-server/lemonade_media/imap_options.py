"""The options of the command line that are about IMAP servers."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from lemonade_media.addresses import read_network
from lemonade_media.imap_settings import AllowedHost, Identity, ImapSettings, TlsPolicy
from lemonade_media.pool import PoolLimits
from lemonade_wire.nodecli import NodeParser, setting
from lemonade_wire.sasl.prep import PrepError, trace_information
from lemonade_wire.tls.endpoint import ClientTls

ALLOWED, NEVER = "allowed", "never"
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def add_options(parser: NodeParser) -> None:
    """Add the options to a parser."""
    limits = PoolLimits()
    parser.add_argument(
        "--allow-imap",
        type=setting(AllowedHost.parse),
        metavar="HOST[:PORT][=NETWORK]",
        action="append",
        default=[],
        help="an IMAP server that URLs may name, and where it may be besides public addresses; "
        "no other is connected to (repeatable)",
    )
    parser.add_argument(
        "--imap-user",
        type=setting(Identity.parse),
        metavar="NAME:PASSWORD",
        help="account on IMAP servers, used for trusted callers (default: ANONYMOUS)",
    )
    parser.add_argument(
        "--trust-caller",
        type=setting(read_network),
        metavar="ADDRESS[/BITS]",
        action="append",
        default=[],
        help="callers whose URLs are fetched by --imap-user; all others' anonymously (repeatable)",
    )
    parser.add_argument(
        "--imap-tls",
        choices=[policy.value for policy in TlsPolicy],
        default=TlsPolicy.PREFERRED.value,
        help="whether STARTTLS is used (default: preferred: where it is offered)",
    )
    parser.add_argument(
        "--imap-ca", type=Path, metavar="FILE", help="authorities (PEM) that are trusted in place of the system's"
    )
    parser.add_argument(
        "--imap-cleartext-login",
        choices=(ALLOWED, NEVER),
        default=NEVER,
        help=f"whether PLAIN and LOGIN are used without TLS (default: {NEVER})",
    )
    parser.add_argument(
        "--imap-contact",
        type=setting(_contact),
        metavar="EMAIL",
        help="the administrator's address, shown to IMAP servers by an anonymous login",
    )
    parser.add_argument(
        "--imap-idle",
        type=setting(_seconds),
        default=limits.idle_seconds,
        metavar="SECONDS",
        help="how long a connection is kept for another fetch (default: 0: LOGOUT after each)",
    )
    parser.add_argument(
        "--imap-connections",
        type=setting(_at_least_one),
        default=limits.in_all,
        metavar="N",
        help=f"open at a time, and so many fetches (default: {limits.in_all})",
    )
    parser.add_argument(
        "--imap-connections-per-server",
        type=setting(_at_least_one),
        default=limits.per_server,
        metavar="N",
        help=f"the same for one server (default: {limits.per_server})",
    )


def imap_from(options: argparse.Namespace) -> ImapSettings:
    """Return the settings; raises ValueError with what is allowed."""
    try:
        trust = None if options.imap_ca is None else ClientTls(options.imap_ca)
    except (OSError, ValueError) as problem:
        raise ValueError(f"--imap-ca: {problem}") from None
    return ImapSettings(
        allow=tuple(options.allow_imap),
        identity=options.imap_user,
        trusted_callers=tuple(options.trust_caller),
        tls=TlsPolicy(options.imap_tls),
        trust=trust,
        cleartext_login=options.imap_cleartext_login == ALLOWED,
        contact=options.imap_contact or "",
        pool=PoolLimits(
            per_server=options.imap_connections_per_server,
            in_all=options.imap_connections,
            idle_seconds=options.imap_idle,
        ),
    )


def _contact(text: str) -> str:
    try:
        if _EMAIL.fullmatch(text):
            return trace_information(text)
    except PrepError:
        pass
    raise ValueError(f"{text!r} is not an e-mail address")


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(?:\.[0-9]{1,3})?", text):
        raise ValueError(f"{text!r} is not a time: seconds are expected")
    return float(text)


def _at_least_one(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ValueError(f"{text!r} is not a number: 1 or more is expected")
    return int(text)
