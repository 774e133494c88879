"""Where mailboxes, messages, flags and keys are kept, and the thread on which that is done."""
