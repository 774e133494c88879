"""Which mechanisms a session may use: what CAPABILITY lists, and why another one is refused."""

from __future__ import annotations

from lemonade_imap.config import ServerConfig
from lemonade_imap.sasl import scram

PLAIN = "PLAIN"
ANONYMOUS = "ANONYMOUS"


def mechanisms(config: ServerConfig, *, private: bool) -> tuple[str, ...]:
    """Return the mechanisms offered, best first; `private`: the connection is encrypted."""
    return (scram.MECHANISM, *((PLAIN,) if private or config.cleartext_login else ()), ANONYMOUS)


def why_not(mechanism: str, config: ServerConfig, *, private: bool) -> str | None:
    """Return what the client is told of a mechanism that is not offered, None where it is."""
    offered = mechanisms(config, private=private)
    if mechanism in offered:
        return None
    if mechanism == PLAIN:
        return "[PRIVACYREQUIRED] a password is taken over TLS alone"
    return f"[CANNOT] the mechanisms are {', '.join(offered)}"
