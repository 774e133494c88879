"""A SIP user agent without I/O: `UserAgent` routes messages and actions, and an `InviteSession` holds each call.

UserAgent                routes: network -> transactions -> sessions, application -> sessions
  InviteSession          one call: its state, its dialog, the peer's INVITE, the own 2xx, CANCEL and BYE
    DialogRequests       the requests of both sides inside the dialog, one at a time in each direction
    Reinvites            the own re-INVITEs and the session timer
  UaContext              what all sessions share: settings, transactions, events, and the index of sessions
"""

from lemonade_wire.sip.ua.session_state import TRANSITIONS, SipSessionInput, SipSessionState
from lemonade_wire.sip.ua.user_agent import UserAgent

__all__ = ["TRANSITIONS", "SipSessionInput", "SipSessionState", "UserAgent"]
