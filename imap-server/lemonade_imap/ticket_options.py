"""The options of the command line that are about tickets and annotations: who fetches, how often, how much."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from ipaddress import ip_network

from lemonade_imap.annotations import AnnotationLimits
from lemonade_imap.policy import MIN_ANONYMOUS_LIFE, Network, TicketPolicy
from lemonade_wire.nodecli import NodeParser, setting

OWN, SHARED_ONLY = "allowed", "never"


def add_options(parser: NodeParser) -> None:
    """Add the options to a parser."""
    limits = AnnotationLimits()
    parser.add_argument(
        "--anonymous-life",
        type=setting(_life),
        metavar="SECONDS",
        help=f"how far EXPIRE of an anonymous URL may lie ahead, {MIN_ANONYMOUS_LIFE} or more (default: any, or none)",
    )
    parser.add_argument(
        "--fetch-from",
        action="append",
        default=[],
        type=setting(_network),
        metavar="ADDRESS[/BITS]",
        help="media servers that URLFETCH is answered to; may be given again (default, without --fetch-user: all)",
    )
    parser.add_argument(
        "--fetch-user", action="append", default=[], metavar="NAME", help="the same by account; either is enough"
    )
    parser.add_argument(
        "--max-part",
        type=setting(_at_least(1)),
        metavar="OCTETS",
        help="largest content URLFETCH returns (default: any)",
    )
    for option, what in (("--fetch-rate", "URLFETCH"), ("--authorise-rate", "GENURLAUTH")):
        parser.add_argument(
            option,
            type=setting(_at_least(1)),
            metavar="N",
            help=f"URLs that one session may name to {what} in a minute (default: any number)",
        )
    parser.add_argument(
        "--refusals",
        type=setting(_at_least(1)),
        metavar="N",
        help="refused URLs in a minute after which a session's next ones are answered late (default: never)",
    )
    parser.add_argument(
        "--max-annotation",
        type=setting(_at_least(1024)),
        default=limits.max_value,
        metavar="OCTETS",
        help=f"largest value of an annotation (default: {limits.max_value})",
    )
    parser.add_argument(
        "--max-annotations",
        type=setting(_at_least(10)),
        default=limits.max_entries,
        metavar="N",
        help=f"entries of one mailbox or the server, of one user or shared (default: {limits.max_entries})",
    )
    parser.add_argument(
        "--private-annotations",
        choices=(OWN, SHARED_ONLY),
        default=OWN,
        help=f"whether users have annotations of their own (default: {OWN})",
    )


def policy_from(options: argparse.Namespace) -> TicketPolicy:
    """Return what is asked of tickets."""
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
    """Return how much is kept of annotations."""
    return AnnotationLimits(options.max_annotation, options.max_annotations, options.private_annotations == OWN)


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(f"{text!r} is no address or network, such as 192.0.2.7 or 2001:db8::/32") from None


def _life(text: str) -> float:
    return float(_at_least(MIN_ANONYMOUS_LIFE)(text))


def _at_least(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise ValueError(f"{text!r} is not a number of {least} or more")
        return int(text)

    return read
