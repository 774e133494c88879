"""Peers of other makers in the place of a reference node: which there are, what they do differently, the contract."""
