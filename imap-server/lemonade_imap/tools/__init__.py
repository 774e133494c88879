"""Sub-commands of `lemonade-imap` for administrators: accounts, Maildir import and export, check and repair."""
