"""When a client uses TLS on its way to an IMAP server."""

from __future__ import annotations

from enum import Enum

IMAPS_PORT = 993
"""Where TLS begins with the first octet (RFC 8314, 3.2), whatever the policy says of STARTTLS."""


class TlsPolicy(Enum):
    """Whether STARTTLS is used."""

    REQUIRED = "required"  # nothing is said to the server without it
    PREFERRED = "preferred"  # where it is offered
    NEVER = "never"
