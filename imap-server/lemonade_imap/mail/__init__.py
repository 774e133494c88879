"""Parses messages without I/O: MIME parts, headers, sections, transfer encodings and charsets."""
