"""The options of the command line that are about IMAP servers."""

from __future__ import annotations

import argparse
import re

from lemonade_media.addresses import read_network
from lemonade_media.faults import CertificateUnchecked
from lemonade_media.imap_settings import AllowedHost, Identity, ImapSettings
from lemonade_media.pool import PoolLimits
from lemonade_wire.nodecli import NodeParser, setting
from lemonade_wire.nodesettings import Permission, add_number, add_words, seconds, whole
from lemonade_wire.sasl.prep import PrepError, trace_information
from lemonade_wire.tls.options import add_options as add_tls_options
from lemonade_wire.tls.options import trust_from
from lemonade_wire.tls.policy import TlsPolicy

LONGEST_WAIT = 3600
"""Seconds: nobody who calls waits as long."""
LONGEST_IDLE = 86_400
"""Seconds; servers end a connection earlier (RFC 3501, 5.4: after 30 minutes at the earliest)."""
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def add_options(parser: NodeParser) -> None:
    """Add the options to a parser."""
    defaults = ImapSettings()
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
    add_tls_options(parser)
    add_words(
        parser, "--imap-cleartext-login", Permission, Permission.NEVER, "whether PLAIN and LOGIN are used without TLS"
    )
    parser.add_argument(
        "--imap-contact",
        type=setting(_contact),
        metavar="EMAIL",
        help="the administrator's address, shown to IMAP servers by an anonymous login",
    )
    what = "whether a part that the IMAP server cannot decode is decoded here, as far as it goes"
    add_words(parser, "--imap-decode", Permission, Permission.NEVER, what)
    _add_limits(parser, defaults)


def _add_limits(parser: NodeParser, defaults: ImapSettings) -> None:
    """Add what a fetch may take, and how many there may be."""
    limits, time = defaults.pool, seconds(0.1, LONGEST_WAIT)
    idle, idle_help = seconds(0, LONGEST_IDLE), "a connection is kept for another fetch; 0: LOGOUT after each"
    for option, read, what, default, metavar in (
        ("--imap-idle", idle, idle_help, limits.idle_seconds, "SECONDS"),
        ("--imap-connections", whole(), "open at a time, and so many fetches", limits.in_all, "N"),
        ("--imap-connections-per-server", whole(), "the same for one server", limits.per_server, "N"),
        ("--imap-wait", time, "a fetch waits for one of these connections", limits.wait_seconds, "SECONDS"),
        ("--imap-connect-time", time, "a connection and its greeting may take", defaults.connect_seconds, "SECONDS"),
        ("--imap-fetch-time", time, "login and URLFETCH together may take", defaults.fetch_seconds, "SECONDS"),
        ("--imap-max-part", whole(), "largest part that is fetched", defaults.max_part_octets, "OCTETS"),
    ):
        add_number(parser, option, read, what, default, metavar=metavar)


def imap_from(options: argparse.Namespace) -> ImapSettings:
    """Return the settings; raises ValueError with what is allowed."""
    return ImapSettings(
        allow=tuple(options.allow_imap),
        identity=options.imap_user,
        trusted_callers=tuple(options.trust_caller),
        tls=TlsPolicy(options.imap_tls),
        trust=trust_from(options, checks=not isinstance(options.fault, CertificateUnchecked)),
        cleartext_login=Permission(options.imap_cleartext_login) is Permission.ALLOWED,
        contact=options.imap_contact or "",
        decodes_itself=Permission(options.imap_decode) is Permission.ALLOWED,
        pool=PoolLimits(
            per_server=options.imap_connections_per_server,
            in_all=options.imap_connections,
            idle_seconds=options.imap_idle,
            wait_seconds=options.imap_wait,
        ),
        connect_seconds=options.imap_connect_time,
        fetch_seconds=options.imap_fetch_time,
        max_part_octets=options.imap_max_part,
    )


def _contact(text: str) -> str:
    try:
        if _EMAIL.fullmatch(text):
            return trace_information(text)
    except PrepError:
        pass
    raise ValueError(f"{text!r} is not an e-mail address")
