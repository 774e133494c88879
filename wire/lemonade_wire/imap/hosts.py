"""Hosts of URLs as they compare (RFC 3986, 3.2.2 and 6.2.2; RFC 5092, 3): never to change a URL, only to judge it."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv6Address

from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.percent import percent_decode


def host_key(host: str) -> str:
    """Return what two hosts share if and only if they are the same; raises ImapParseError for what is no host.

    Names compare without case, without the dot that ends an absolute name, and with their escapes undone; an IPv6
    literal (in brackets) compares as an address, however it is shortened.
    """
    if host.startswith("[") and host.endswith("]"):
        try:
            return f"[{IPv6Address(host[1:-1])}]"
        except AddressValueError:
            raise ImapParseError("an IPv6 address is expected between the brackets") from None
    name = percent_decode(host).lower().removesuffix(".")
    if not name or any(char in name for char in " /@:[]"):
        raise ImapParseError("the name of a host is expected")
    return name
