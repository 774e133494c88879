"""A soak: calls, fetches, logins and re-INVITEs against the real nodes, while memory, descriptors and threads are read."""
