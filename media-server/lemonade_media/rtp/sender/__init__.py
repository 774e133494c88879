"""The RTP sender: a process of its own that sends the packets of all streams by one clock."""
