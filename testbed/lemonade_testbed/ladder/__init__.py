"""Ladders: the expected one as written in a scenario, the observed one as read from the evidence, and their match."""
