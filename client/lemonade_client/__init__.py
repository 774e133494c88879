"""Scripted mail client: finds a part, has its URL authorised, and listens to it."""
