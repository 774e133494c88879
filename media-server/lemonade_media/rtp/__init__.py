"""RTP of the media server: what is played, what is sent, and what is received (RFC 3550)."""
