"""IMAP (RFC 3501) with URLAUTH, URLAUTH=BINARY and METADATA: framing, values, responses and a client."""
