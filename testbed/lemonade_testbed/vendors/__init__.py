"""Runs other makers' nodes ("peers" or "vendors") in the place of a reference node.

The package knows the peers, their expected differences, and the contract that a peer's container image must keep.
"""
