"""Reads scenario files: each has the setup of the nodes, the client's steps, and the expected messages and checks."""
