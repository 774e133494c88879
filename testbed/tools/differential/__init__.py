"""Runs the same IMAP sessions on several servers, and compares their answers with a table of explained differences.

The servers are the reference server and other makers' servers, which are called its peers.
"""
