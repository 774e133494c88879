"""Evidence from the wire: the capture read by a second reader, compared with the traces, and kept for people."""
