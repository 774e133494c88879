"""The error that all IMAP parsers raise."""

from __future__ import annotations


class ImapParseError(ValueError):
    """The text does not follow the IMAP grammar; the message says what was expected, and has no secret."""
