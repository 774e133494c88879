"""Carries out IMAP commands on a store, with one module for each family of commands."""
