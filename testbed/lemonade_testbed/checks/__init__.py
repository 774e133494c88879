"""Checks: the closed list of what a scenario may ask beyond its ladder; one module per concept."""
