"""The same IMAP sessions on several servers, and the table of what they answer differently."""
