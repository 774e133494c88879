"""Ladders: the expected one, written in a scenario; the observed one, read from the evidence; and their match."""
