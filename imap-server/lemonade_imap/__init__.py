"""Reference IMAP server: IMAP4rev1 with URLAUTH and URLFETCH=BINARY (RFC 3501, 4467, 5524)."""
