"""The one error that reading IMAP raises."""

from __future__ import annotations


class ImapParseError(ValueError):
    """What was read is not IMAP; the message says what was expected and what was there, and holds no secret."""
