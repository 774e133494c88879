"""Hears whether what was played is what was mailed."""
