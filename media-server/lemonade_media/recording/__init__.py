"""Recordings of what callers say (RFC 5022, section 6.5)."""
