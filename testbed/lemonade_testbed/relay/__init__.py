"""A relay between the nodes that loses, delays, duplicates and reorders messages and cuts connections by seeded rules.

It is a process without privileges: each node reaches a peer by an address of the relay, which is called the peer's
front.
"""

READY = "lemonade-relay: ready"
"""The line that the relay writes to standard error when every front listens."""
