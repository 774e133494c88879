"""RTP and RTCP (RFC 3550), keys in RTP (RFC 4733), G.711, and the measurement and recording of a received stream."""
