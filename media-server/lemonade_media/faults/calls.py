"""The faults of the media server in the decisions about a call: what it accepts, when it plays, when it ends."""

from __future__ import annotations

from lemonade_wire.faults import FaultRow

RTP_BEFORE_ACK = FaultRow("rtp-before-ack", "sends RTP before the ACK of its 200", ("LS-2.5-5", "LS-2.8-13"))
RTP_HEAD_START = 0.2
"""The seconds between the first RTP packet of `RTP_BEFORE_ACK` and its 200."""
RTP_BEFORE_ACK_ARRIVES = FaultRow(
    "rtp-before-ack-arrives", "plays as soon as its 200 is sent, whether the ACK arrives or not", ("LS-2.5-5",)
)
OK_BEFORE_URLFETCH = FaultRow("ok-before-urlfetch", "answers 200 before URLFETCH", ("LS-2.5-5", "LS-2.8-13"))
NO_BYE = FaultRow("no-bye", "sends no BYE at the end of an announcement", ("LS-2.9-1",))
NO_WARNING = FaultRow("no-warning", "leaves Warning out of refusals", ("LS-2.8-12",))
REFUSALS_ARE_500 = FaultRow(
    "refusals-are-500",
    "refuses every announcement with 500, whatever is wrong",
    ("LS-2.5-6", "LS-2.6-5", "LS-2.8-9", "LS-2.8-12"),
)
NO_IMAP = FaultRow("no-imap", "knows no imap URLs in announcements", ("LS-2.1-9",))
NO_IMAP_ELSEWHERE = FaultRow(
    "no-imap-elsewhere", "knows no imap URLs where the Request-URI names another port than its own", ("LS-2.1-9",)
)
HOLD_IGNORED = FaultRow("hold-ignored", "sends RTP while it is on hold", ("LS-1-3",))
MOVE_IGNORED = FaultRow(
    "move-ignored",
    "answers 200 to a re-INVITE to another service, and stays where it was",
    ("LS-2.7-12",),  # the 200 that is due for an INFO of the other service (RFC 5022 section 3) never comes
)
TICKET_IN_LOG = FaultRow("ticket-in-log", "writes URLs with their tokens to its log", ("LS-3-11",))
HANDS_TICKET_ON = FaultRow(
    "hands-ticket-on", "calls ms2.example.net with each URL for which an IMAP server gives it nothing", ("LS-3-9",)
)
OTHER_MEDIA_SERVER = "ms2.example.net"
"""The media server that `HANDS_TICKET_ON` calls."""

CALL_FAULTS = (
    RTP_BEFORE_ACK,
    RTP_BEFORE_ACK_ARRIVES,
    OK_BEFORE_URLFETCH,
    NO_BYE,
    NO_WARNING,
    REFUSALS_ARE_500,
    NO_IMAP,
    NO_IMAP_ELSEWHERE,
    HOLD_IGNORED,
    MOVE_IGNORED,
    TICKET_IN_LOG,
    HANDS_TICKET_ON,
)
