"""The states of a call as a table (RFC 3261 sections 13 to 15).

             caller                                callee
INVITE sent  +----------+            INVITE came   +---------+   300-699 sent, CANCEL, BYE or Expires
             | INVITING |--------+                 | OFFERED |----------------------------------+
             +----------+        | 300-699,        +---------+                                  |
                  | 2xx came     | no answer            | 2xx sent                             |
                  |              |                 +----------+   BYE came                      |
                  |              |                 | ACCEPTED |---------------------------------+
                  |              |                 +----------+                                 |
                  |              |                      | ACK came    (BYE sent: as CONFIRMED)  |
                  |              |                 +-----------+  BYE came                      |
                  +------------- | --------------->| CONFIRMED |--------------------------------+
                                 |                 +-----------+                                |
                                 |                      | BYE sent                              |
                                 |                 +--------+     BYE answered, or given up     v
                                 |                 | ENDING |---------------------------->+-------+
                                 +------------------------------------------------------->| ENDED |
                                                   +--------+                             +-------+
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum, auto


class SipSessionState(StrEnum):
    """The state of a call."""

    INVITING = "inviting"
    """The own INVITE is sent, and has no final response."""
    OFFERED = "offered"
    """The peer's INVITE came, and the application has not answered it."""
    ACCEPTED = "accepted"
    """2xx sent, ACK not yet received."""
    CONFIRMED = "confirmed"
    ENDING = "ending"
    """BYE sent, not yet answered."""
    ENDED = "ended"


class SipSessionInput(Enum):
    """What changes the state of a call."""

    ACCEPTANCE_RECEIVED = auto()
    """A 2xx to the own INVITE."""
    REFUSAL_RECEIVED = auto()
    """300-699 to the own INVITE, or no final response in time."""
    ACCEPTANCE_SENT = auto()
    REFUSAL_SENT = auto()
    INVITE_WITHDRAWN = auto()
    """CANCEL, BYE in the early dialog, or the end of the INVITE's Expires."""
    ACK_RECEIVED = auto()
    BYE_SENT = auto()
    BYE_RECEIVED = auto()
    DIALOG_OVER = auto()
    """The BYE is answered, or the peer no longer knows or answers the dialog."""


TRANSITIONS: Mapping[tuple[SipSessionState, SipSessionInput], SipSessionState] = {
    (SipSessionState.INVITING, SipSessionInput.ACCEPTANCE_RECEIVED): SipSessionState.CONFIRMED,
    (SipSessionState.INVITING, SipSessionInput.REFUSAL_RECEIVED): SipSessionState.ENDED,
    (SipSessionState.OFFERED, SipSessionInput.ACCEPTANCE_SENT): SipSessionState.ACCEPTED,
    (SipSessionState.OFFERED, SipSessionInput.REFUSAL_SENT): SipSessionState.ENDED,
    (SipSessionState.OFFERED, SipSessionInput.INVITE_WITHDRAWN): SipSessionState.ENDED,
    (SipSessionState.ACCEPTED, SipSessionInput.ACK_RECEIVED): SipSessionState.CONFIRMED,
    (SipSessionState.ACCEPTED, SipSessionInput.BYE_SENT): SipSessionState.ENDING,
    (SipSessionState.ACCEPTED, SipSessionInput.BYE_RECEIVED): SipSessionState.ENDED,
    (SipSessionState.CONFIRMED, SipSessionInput.BYE_SENT): SipSessionState.ENDING,
    (SipSessionState.CONFIRMED, SipSessionInput.BYE_RECEIVED): SipSessionState.ENDED,
    (SipSessionState.CONFIRMED, SipSessionInput.DIALOG_OVER): SipSessionState.ENDED,
    (SipSessionState.ACCEPTED, SipSessionInput.DIALOG_OVER): SipSessionState.ENDED,
    (SipSessionState.ENDING, SipSessionInput.DIALOG_OVER): SipSessionState.ENDED,
}
"""The state after an input; an input without an entry is not possible in that state."""
