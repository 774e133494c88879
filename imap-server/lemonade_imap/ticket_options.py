"""Command line options for tickets (URLAUTH) and annotations (METADATA): permitted clients, rates and sizes."""

from __future__ import annotations

import argparse
from ipaddress import ip_network

from lemonade_imap.annotations import AnnotationLimits
from lemonade_imap.policy import MIN_ANONYMOUS_LIFE, TicketPolicy
from lemonade_wire.address import IpNetwork
from lemonade_wire.nodecli import NodeParser, Permission, add_number, add_words, setting, whole


def add_options(parser: NodeParser) -> None:
    """Add these options to a parser."""
    limits = AnnotationLimits()
    what = f"how far in the future EXPIRE of an anonymous URL may be, {MIN_ANONYMOUS_LIFE} or more"
    life = whole(MIN_ANONYMOUS_LIFE)
    add_number(parser, "--anonymous-life", life, what, metavar="SECONDS", without="any, or none")
    parser.add_argument(
        "--fetch-from",
        action="append",
        default=[],
        type=setting(_network),
        metavar="ADDRESS[/BITS]",
        help="media servers that may use URLFETCH; may be given again (default, without --fetch-user: all)",
    )
    parser.add_argument(
        "--fetch-user", action="append", default=[], metavar="NAME", help="the same by account; either is enough"
    )
    add_number(parser, "--max-part", whole(), "largest content URLFETCH returns", metavar="OCTETS", without="any")
    for option, what in (("--fetch-rate", "URLFETCH"), ("--authorise-rate", "GENURLAUTH")):
        add_number(parser, option, whole(), f"URLs that one session may name to {what} in a minute")
    what = "refused URLs in a minute after which answers to further ones are delayed"
    add_number(parser, "--refusals", whole(), what, without="never")
    what = "largest value of an annotation"
    add_number(parser, "--max-annotation", whole(1024), what, limits.max_value, metavar="OCTETS")
    what = "entries of one mailbox or the server, of one user or shared"
    add_number(parser, "--max-annotations", whole(10), what, limits.max_entries)
    what = "whether users have annotations of their own"
    add_words(parser, "--private-annotations", Permission, Permission.ALLOWED, what)


def policy_from(options: argparse.Namespace) -> TicketPolicy:
    """Return the limits on tickets from the parsed options."""
    return TicketPolicy(
        anonymous_life=options.anonymous_life,
        networks=tuple(options.fetch_from),
        users=frozenset(options.fetch_user),
        max_part=options.max_part,
        fetches=options.fetch_rate,
        authorisations=options.authorise_rate,
        refusals=options.refusals,
    )


def annotations_from(options: argparse.Namespace) -> AnnotationLimits:
    """Return the limits on annotations from the parsed options."""
    return AnnotationLimits(
        options.max_annotation, options.max_annotations, Permission(options.private_annotations) is Permission.ALLOWED
    )


def _network(text: str) -> IpNetwork:
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(f"{text!r} is no address or network, such as 192.0.2.7 or 2001:db8::/32") from None
