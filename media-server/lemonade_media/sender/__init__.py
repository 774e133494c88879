"""The RTP sender: one clock for all streams, in a process of its own."""
