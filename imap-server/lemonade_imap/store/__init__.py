"""Storage of mailboxes, messages, flags, annotations and URLAUTH keys, on disk; the store in memory is for tests."""
