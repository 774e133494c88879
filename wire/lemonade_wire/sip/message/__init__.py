"""SIP messages as values: requests, responses, header sections, URIs and bodies (RFC 3261 sections 7, 19 and 20).

message          requests, responses, and the parser that reads one from a datagram
header_section   the header fields of a message, in order; `header_values` has their parsed values, `text` their lexis
uri              SIP URIs
response         the responses to a request
body             MIME bodies; `dtmf` has the key presses of INFO, `smime` and `keyring` have the encrypted ones
fault            faults that change a message before it is sent
"""

from lemonade_wire.sip.message.message import (
    MAX_HOPS,
    METHODS,
    VERSION,
    SipMessage,
    SipRequest,
    SipResponse,
    UnreadableError,
    build,
    content_length,
    parse_datagram,
    read_message,
    split_head,
    unreadable,
)

__all__ = [
    "MAX_HOPS",
    "METHODS",
    "VERSION",
    "SipMessage",
    "SipRequest",
    "SipResponse",
    "UnreadableError",
    "build",
    "content_length",
    "parse_datagram",
    "read_message",
    "split_head",
    "unreadable",
]
