"""Addresses that the outside may make this server connect to: those of the public Internet, and no others by itself.

A URL comes from a stranger, and the name in it leads where its owner says: to this machine, a neighbour, or a cloud's
metadata service, none of which the stranger reaches himself.
"""

from __future__ import annotations

import ipaddress

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits
_ISATAP = 0x5EFE  # RFC 5214, 6.1: the same, behind these 32 bits, whose bit for "universal" may be set
_UNIVERSAL = 0x0200_0000

# Special-purpose networks that not every Python of ours knows.
_SPECIAL = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",  # RFC 6890, 2.1: protocol assignments
        "192.88.99.0/24",  # RFC 7526: relays of 6to4
        "2001:20::/28",  # RFC 7343: names of hosts, not places (ORCHIDv2)
        "64:ff9b:1::/48",  # RFC 8215: IPv4 of a network of its own
        "3fff::/20",  # RFC 9637: documentation
        "5f00::/16",  # RFC 9602: segment routing
    )
)


def is_public(address: IpAddress) -> bool:
    """Whether this is one host of the public Internet; for IPv6 that carries an IPv4 address, that one counts."""
    if isinstance(address, ipaddress.IPv6Address) and (inside := _carried(address)) is not None:
        return is_public(inside)
    special = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
    special = special or getattr(address, "is_site_local", False) or any(address in network for network in _SPECIAL)
    return address.is_global and not special


def read_network(text: str) -> IpNetwork:
    """Read an address or `ADDRESS/BITS`; raises ValueError with what is allowed."""
    try:
        return ipaddress.ip_network(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise ValueError(f"{text!r} is not a network: ADDRESS or ADDRESS/BITS is expected") from None


def same_address(host: str, address: IpAddress) -> bool:
    """Whether a host is written as this address."""
    try:
        return ipaddress.ip_address(host) == address
    except ValueError:
        return False


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in _NAT64 or int(address) >> 32 & 0xFFFFFFFF & ~_UNIVERSAL == _ISATAP:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
