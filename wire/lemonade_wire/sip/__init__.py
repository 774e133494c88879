"""SIP (RFC 3261) without I/O, and on Twisted: messages, transactions, dialogs and a user agent.

Also announcement URIs (NETANN, RFC 4240), DTMF bodies of INFO, and S/MIME bodies.
"""
