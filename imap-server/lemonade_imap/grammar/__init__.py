"""Parses lines of a client into typed commands (RFC 3501, 9, and the grammars of the extensions)."""
