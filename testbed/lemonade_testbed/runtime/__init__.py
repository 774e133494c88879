"""Runtimes: how the three nodes of one scenario are started, used and stopped."""
