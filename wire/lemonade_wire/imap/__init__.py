"""IMAP (RFC 3501) with URLAUTH, URLFETCH=BINARY and METADATA: framing, values, responses and a client engine."""
