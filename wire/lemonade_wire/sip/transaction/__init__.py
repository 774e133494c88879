"""The transactions of SIP without I/O (RFC 3261 sections 17 and 18): `TransactionLayer` runs the state machines.

state_machine   the four state machines of a transaction, as tables
index           the transactions of a layer, by key, by matching values and by timer
matching        the rules that match a message with its transaction, and that find the next hop
layer           the layer: it reads messages, finds or makes their transactions, and chooses the transport
"""

from lemonade_wire.sip.transaction.layer import (
    LARGEST_DATAGRAM,
    RequestArrived,
    RequestFailed,
    ResponseArrived,
    TransactionLayer,
)

__all__ = ["LARGEST_DATAGRAM", "RequestArrived", "RequestFailed", "ResponseArrived", "TransactionLayer"]
