"""SIP without I/O: messages, transactions, dialogs, a user agent; NETANN and DTMF bodies."""
