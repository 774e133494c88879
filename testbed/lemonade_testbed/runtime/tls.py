"""TLS of one world: who uses it, and what the IMAP server shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Policy = Literal["required", "preferred", "never"]
Shown = Literal["own", "another-host", "another-authority", "none"]


@dataclass(frozen=True)
class Tls:
    """What a scenario says of TLS with the IMAP server.

    `media`, `client`: whether they use STARTTLS. `certificate`: the IMAP server's: its own, one for another host, one
    of an authority that nobody trusts; with none it offers no STARTTLS.
    """

    media: Policy = "never"
    client: Policy = "never"
    certificate: Shown = "own"
