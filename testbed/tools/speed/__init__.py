"""The program behind `lemonade bench`: measures the reference IMAP server and other makers' servers in one run."""
