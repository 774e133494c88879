"""What a person does to a data folder from the command line: accounts, Maildir, and repair."""
