"""What comes from a client: lines to typed commands (RFC 3501, 9, and the extensions' grammars)."""
