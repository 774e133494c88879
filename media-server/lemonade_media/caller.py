"""What one caller sends by RTP, without a socket: who is listened to, keys (RFC 4733), and sound where it is recorded.

Packets count from the address alone that the caller's session description names, as the way to it may map it, from
whatever port: RFC 4961 lets a peer send from another one than it receives at. Before there is such an address nobody is
listened to. Keys count whatever direction the description has (E-36).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lemonade_media.recorder import Recorder
from lemonade_wire.rtp.packet import RtpError, RtpPacket
from lemonade_wire.rtp.telephone_event import KeyEvent, KeyReceiver
from lemonade_wire.sdp.codec import Codec

Source = tuple[str, int]


@dataclass
class Caller:
    """One caller. `label` is the Call-ID, by which traces know the call; `host` is where it sends from.

    `codecs` says what the payload types of our description mean. `recorder` gets the sound, where there is one.
    """

    label: str = ""
    host: str = ""
    codecs: Mapping[int, Codec] = field(default_factory=dict)
    recorder: Recorder | None = None
    _keys: KeyReceiver = field(default_factory=KeyReceiver)

    def receive(self, octets: bytes, source: Source, now: float) -> list[KeyEvent]:
        """Take one datagram; what is no RTP, from elsewhere, or of a format that was not agreed on, is dropped."""
        if source[0] != self.host or len(octets) < 2:
            return []
        # Sound comes fifty times a second from every caller: it is not even read where nobody wants it.
        codec = self.codecs.get(octets[1] & 0x7F)
        if codec is None or not (codec.is_telephone_event or self.recorder):
            return []
        try:
            packet = RtpPacket.parse(octets)
        except RtpError:
            return []
        if codec.is_telephone_event:
            return self._keys.receive(packet, now)
        if self.recorder is not None:
            self.recorder.receive(packet, codec, now)
        return []

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is to be called; None: nothing to wait for."""
        return self._keys.next_timer()

    def handle_timer(self, now: float) -> list[KeyEvent]:
        """Do what is due."""
        return self._keys.handle_timer(now)
