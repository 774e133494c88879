"""Faults of the IMAP server: deliberate, named errors with which the testbed shows that the judge finds such errors."""
