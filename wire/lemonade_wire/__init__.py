"""The protocols of the testbed: IMAP, SIP, SDP, MSCML, RTP, SASL and TLS, client scripts, traces and common options.

The protocol modules do no I/O: octets and the time are arguments, and events and octets are results. Only the modules
called `endpoint` use Twisted.
"""
