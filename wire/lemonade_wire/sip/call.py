"""What a user agent remembers of one call."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from lemonade_wire.address import Address
from lemonade_wire.sip.dialog import Dialog
from lemonade_wire.sip.message import Request, Response
from lemonade_wire.sip.session import SessionTimer


class CallState(StrEnum):
    """Where a call is. Caller: inviting, confirmed, ending. Callee: offered, accepted, confirmed, ending."""

    INVITING = "inviting"
    OFFERED = "offered"
    ACCEPTED = "accepted"
    """2xx sent, ACK not yet here."""
    CONFIRMED = "confirmed"
    ENDING = "ending"
    """BYE sent, not yet answered."""


@dataclass(frozen=True)
class Outgoing:
    """A request inside the dialog that waits for its turn."""

    transaction: str
    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass
class Answer:
    """Our 2xx to an INVITE while its ACK is awaited (RFC 3261 section 13.3.1.4)."""

    key: str
    """Transaction of the INVITE."""
    cseq: int
    """Number of the INVITE, which its ACK repeats."""
    response: Response
    at: float
    """When it is sent again."""
    interval: float
    give_up: float


@dataclass
class Reinvite:
    """A re-INVITE of ours, from when it is wanted to its final response (RFC 3261 section 14.1)."""

    transaction: str
    """What the application knows it by; "" for a refresh, which nobody asked for."""
    headers: tuple[tuple[str, str], ...]
    body: bytes
    at: float
    """When it is sent at the earliest."""
    target: str = ""
    """Its Request-URI; "" for the remote target."""
    key: str = ""
    """Its transaction; "" while it waits."""
    again: bool = False
    """It was refused once, and is tried once more."""


@dataclass
class Call:
    """One call, of either side."""

    id: str
    state: CallState
    invite: Request
    key: str
    """Transaction of the INVITE."""
    peer: Address
    """Where the peer was last known to be; used where its Contact cannot be resolved."""
    tag: str
    """Own tag."""
    dialog: Dialog | None = None
    unanswered: tuple[str, Request] | None = None
    """The peer's INVITE that the application has not answered yet, the first one or a re-INVITE, and its key."""
    expires_at: float = math.inf
    """When that INVITE runs out (RFC 3261 section 13.3.1)."""
    progress_at: float = math.inf
    """When its sender is to hear that the answer takes longer (section 13.3.1.1)."""
    answer: Answer | None = None
    refused: str = ""
    """Transaction of the peer's last re-INVITE that was refused."""
    reinvite: Reinvite | None = None
    """Ours, until it has its final response."""
    description: tuple[str, bytes] | None = None
    """Content-Type and octets of the last session description that we sent."""
    session: SessionTimer | None = None
    """Says when the session is to be refreshed, and when it is over."""
    provisional: bool = False
    """A provisional response came, so that CANCEL may be sent."""
    cancelled: bool = False
    """The application gave up."""
    cancel_deadline: float | None = None
    """When a cancelled INVITE without final response is taken for dead."""
    bye_headers: tuple[tuple[str, str], ...] | None = None
    """A BYE that waits for the ACK."""
    queue: deque[Outgoing] = field(default_factory=deque)
    in_flight: Outgoing | None = None
    held: deque[tuple[str, Request]] = field(default_factory=deque)
    """Requests of the peer that wait: for the dialog, for the ACK, or for the answer to the one before."""
    open_request: str | None = None
    """The peer's request that the application has not answered yet."""
    acks: dict[tuple[str, str], Callable[[float], None]] = field(default_factory=dict)
    """How to send the ACK again, by the key of our INVITE and the To tag of the 2xx."""
