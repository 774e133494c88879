"""Fetches media: URLFETCH over IMAP (RFC 4467), provisioned files, and the decoding of both."""
