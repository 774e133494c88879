"""The state of one call in the media server."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import cast

from cryptography import x509

from lemonade_media.calls.dtmf import KeyPresses
from lemonade_media.decoding.decode import EncodedMedia, Law
from lemonade_media.services.announcement import Announcement
from lemonade_media.services.ivr import IvrSession
from lemonade_wire.mscml.messages import MscmlResponse
from lemonade_wire.sdp.description import SessionDescription
from lemonade_wire.sdp.offer import NegotiatedStream

CallService = Announcement | IvrSession


@dataclass
class MediaCall:
    """The state of a call from its INVITE to its end. All times are in seconds of the core's clock.

    SIP: `caller` is the IP address that the INVITE came from. `accepted`: the 200 was sent; `confirmed`: the RTP stream
    was started, normally by the ACK.

    SDP: `offer` is the caller's offer, or the server's if the INVITE had none. `ours` is the server's last session
    description, `description` its octets in the 200. `offered` is an offer of the server whose answer is still to come
    in an ACK. `stream` is what was agreed on, `port` the server's RTP port.

    Service: `job` is the number of the running fetch, `url` its URL; `media` holds fetched content by URL; `keys` are
    the key presses. `silenced`: a fault sends no further response.

    Move to another service (RFC 5022 section 3): until the re-INVITE is answered, `moves_to` is a copy of the call with
    the service that it asks for, and `moves_from` leads from that copy back to the call. The copy is `ready` when it
    has fetched what it is to play.

    Timers: the call is ended at `give_up_at`. A fault sends the 200 at `accept_at`, and the response of `late` at its
    time.

    S/MIME: `certificate` is the caller's, None if it is not known. `secured`: an encrypted request came in this call,
    so that responses and notifications are to be encrypted as well.
    """

    id: str
    service: CallService
    offer: SessionDescription | None
    caller: str = ""
    description: bytes = b""
    ours: SessionDescription | None = None
    offered: SessionDescription | None = None
    port: int = 0
    stream: NegotiatedStream | None = None
    accepted: bool = False
    confirmed: bool = False
    silenced: bool = False
    moves_to: MediaCall | None = field(default=None, repr=False, compare=False)
    moves_from: MediaCall | None = field(default=None, repr=False, compare=False)
    ready: bool = False
    certificate: x509.Certificate | None = field(default=None, repr=False)
    secured: bool = False
    job: int | None = None
    url: str = field(default="", repr=False)
    media: dict[str, EncodedMedia] = field(default_factory=dict, repr=False)
    keys: KeyPresses = field(default_factory=KeyPresses)
    accept_at: float = math.inf
    late: tuple[float, MscmlResponse] | None = None
    give_up_at: float = math.inf

    @property
    def law(self) -> Law:
        """The encoding that the server sends: PCMU or PCMA, the only codecs that it agrees to."""
        return cast("Law", self.stream.codec.name.upper()) if self.stream else "PCMU"
