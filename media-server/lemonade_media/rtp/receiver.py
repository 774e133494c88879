"""Receives the RTP packets of one caller: keys (RFC 4733), and sound while it is recorded.

Only packets from the address in the caller's session description are accepted (mapped by `--resolve`), from any port:
a peer without symmetric RTP (RFC 4961) sends from another port than the one at which it receives. Before the address is
known, no packet is accepted. Keys are accepted whatever direction the description has (E-36).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lemonade_media.model.commands import ModifyStream, StartStream
from lemonade_wire.address import Resolver
from lemonade_wire.rtp.endpoint import OnPacket, Source
from lemonade_wire.rtp.packet import RtpError, RtpPacket
from lemonade_wire.rtp.telephone_event import KeyEvent, KeyReceiver
from lemonade_wire.sdp.codec import Codec

OnKey = Callable[[str, KeyEvent], None]


class SoundRecorder(Protocol):
    """Takes the sound of a caller while it is recorded."""

    def receive(self, packet: RtpPacket, codec: Codec, now: float) -> None:
        """Take a packet of sound in this codec, which arrived at `now`, in seconds."""
        ...


@dataclass
class RtpReceiver:
    """The receiver of one caller's packets.

    `label` is the Call-ID, which names the call in traces. `host` is the caller's IP address. `codecs` maps the payload
    types of the server's session description to codecs. `recorder` gets the sound while the caller is recorded.
    """

    label: str = ""
    host: str = ""
    codecs: Mapping[int, Codec] = field(default_factory=dict)
    recorder: SoundRecorder | None = None
    _keys: KeyReceiver = field(default_factory=KeyReceiver)

    def receive(self, octets: bytes, source: Source, now: float) -> list[KeyEvent]:
        """Handle a datagram and return the key events in it.

        A datagram that is not RTP, comes from another address, or has a payload type that was not agreed on is ignored.
        """
        if source[0] != self.host or len(octets) < 2:
            return []
        # Each caller sends fifty packets of sound a second: to save time they are not parsed unless they are recorded.
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
        """Return the time at which `handle_timer` must be called; None if no timer runs."""
        return self._keys.next_timer()

    def handle_timer(self, now: float) -> list[KeyEvent]:
        """Return the release of a key whose last packets were lost, once its timer has expired."""
        return self._keys.handle_timer(now)


@dataclass
class _Line:
    caller: RtpReceiver
    timer: Any = None


class RtpReceiverEndpoint:
    """Receives the packets of all callers, and calls `on_key(call, event)` for each key that is pressed or released.

    `resolver` maps the addresses of session descriptions, as it maps host names: the packets of a caller behind a proxy
    come from the proxy's address.
    """

    def __init__(self, reactor: Any, on_key: OnKey, resolver: Resolver) -> None:  # noqa: ANN401  as in Twisted
        self._reactor = reactor
        self._on_key = on_key
        self._resolver = resolver
        self._lines: dict[str, _Line] = {}

    def open(self, call: str, label: str) -> OnPacket:
        """Add a call, and return the function that takes its datagrams; `label` is its Call-ID."""
        line = self._lines[call] = _Line(RtpReceiver(label))

        def received(octets: bytes, source: Source, _arrival: float) -> None:
            self._tell(call, line, line.caller.receive(octets, source, self._reactor.seconds()))

        return received

    def expect(self, command: StartStream | ModifyStream) -> None:
        """Accept packets from the address and with the formats that were agreed on.

        A stream that is on hold by the address 0.0.0.0 (`rtcp_port` None) keeps the address that it had.
        """
        caller = self._lines[command.call].caller
        if command.rtcp_port is not None:
            caller.host = self._resolver.resolve(command.address, command.port).host
        caller.codecs = {known.payload_type: known.codec for known in command.formats}

    def caller(self, call: str) -> RtpReceiver:
        """Return the receiver of a call."""
        return self._lines[call].caller

    def close(self, call: str) -> None:
        """Remove a call; its packets are ignored from now on."""
        line = self._lines.pop(call, None)
        if line is not None and line.timer is not None and line.timer.active():
            line.timer.cancel()

    def _tell(self, call: str, line: _Line, events: list[KeyEvent]) -> None:
        for event in events:
            self._on_key(call, event)
        if line.timer is not None and line.timer.active():
            return  # that timer looks again for how long to wait, when it expires
        due = line.caller.next_timer()
        if due is not None and self._lines.get(call) is line:
            self._arm(call, line, due)

    def _arm(self, call: str, line: _Line, due: float) -> None:
        def handle() -> None:
            self._tell(call, line, line.caller.handle_timer(self._reactor.seconds()))

        line.timer = self._reactor.callLater(max(0.0, due - self._reactor.seconds()), handle)
