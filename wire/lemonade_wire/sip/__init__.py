"""SIP (RFC 3261) without I/O, and on Twisted.

message       messages as values, and their parser
transaction   the transactions, and the choice of the transport
ua            the user agent: dialogs and calls
event         the events of the user agent, and the outputs that the network layer carries out
endpoint      runs a user agent on UDP and TCP; `tcp` splits a stream into messages
netann        the Request-URIs of announcements (RFC 4240)
"""
