"""PLAIN (RFC 4616) and ANONYMOUS (RFC 4505): one message from the client, and no challenge."""

from __future__ import annotations

from lemonade_imap.sasl.messages import PasswordShown, SaslRefused, text_of
from lemonade_wire.sasl.prep import PrepError, trace_information


def read_plain(message: bytes) -> PasswordShown:
    """Read PLAIN's message, `[authzid] NUL authcid NUL passwd`; raises SaslRefused."""
    parts = text_of(message).split("\0")
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise SaslRefused("BAD", "PLAIN takes authzid NUL authcid NUL password")
    return PasswordShown(*parts)


def read_anonymous(message: bytes) -> str:
    """Read ANONYMOUS's message, the trace that may be empty; raises SaslRefused."""
    try:
        return trace_information(text_of(message))
    except PrepError as problem:
        raise SaslRefused("NO", f"[AUTHENTICATIONFAILED] the trace is not one of RFC 4505: {problem}") from None
