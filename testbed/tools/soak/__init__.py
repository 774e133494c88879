"""A soak: calls, fetches, logins and re-INVITEs against the real nodes, whose memory and descriptors are read."""
