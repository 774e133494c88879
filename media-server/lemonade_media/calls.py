"""One call as the core knows it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import cast

from cryptography import x509

from lemonade_media.announcement import Announcement
from lemonade_media.decode import EncodedMedia, Law
from lemonade_media.ivr import IvrSession
from lemonade_media.keys import KeyPresses
from lemonade_wire.sdp.description import SessionDescription
from lemonade_wire.sdp.offer import NegotiatedStream

CallService = Announcement | IvrSession


@dataclass
class Call:
    """A call from its INVITE to its end.

    `offer` is the caller's, or ours where the INVITE had none; `ours` is our last session description, and `offered`
    one of ours whose answer is still to come with an ACK. `caller` is the address that the INVITE came from.
    `moves_to` is the same call with the service that a re-INVITE asks for, until that is answered, and `moves_from` its
    way back; it is `ready` when it has what it is to play. `media` holds what was fetched, by URL; `keys` what was
    pressed. `give_up_at` is when the call is ended whatever it does, `accept_at` when a fault lets the 200 out;
    infinite otherwise. `certificate` is the caller's, where it is known; `secured`: a request came encrypted, so that
    what is said of it is to be encrypted too.
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
    moves_to: Call | None = field(default=None, repr=False, compare=False)
    moves_from: Call | None = field(default=None, repr=False, compare=False)
    ready: bool = False
    certificate: x509.Certificate | None = field(default=None, repr=False)
    secured: bool = False
    job: int | None = None
    url: str = field(default="", repr=False)
    media: dict[str, EncodedMedia] = field(default_factory=dict, repr=False)
    keys: KeyPresses = field(default_factory=KeyPresses)
    accept_at: float = math.inf
    give_up_at: float = math.inf

    @property
    def law(self) -> Law:
        """The codec that is sent; only the two laws are ever agreed on."""
        return cast("Law", self.stream.codec.name.upper()) if self.stream else "PCMU"
