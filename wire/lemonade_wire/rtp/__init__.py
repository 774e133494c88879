"""RTP and RTCP (RFC 3550), G.711, and what a receiver measures and records."""
