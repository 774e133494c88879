"""Scripted mail client: it finds a message part, gets an authorised URL for it, and has a media server play it."""
