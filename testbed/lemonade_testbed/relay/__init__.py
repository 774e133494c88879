"""Impairment in user space: a relay between the nodes that loses, delays, repeats and cuts by seeded rules."""

READY = "lemonade-relay: ready"
"""The line on stderr that says that every front listens."""
