"""Carries out the core's media commands with the RTP sender: RTP ports, shared contents, and `media` trace records."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from lemonade_media.decoding.decode import EncodedMedia
from lemonade_media.model.commands import ModifyStream, PlayMedia, SeekMedia, StartStream
from lemonade_media.rtp.sender.protocol import (
    AddStream,
    ContentFinished,
    ContentSought,
    ContentStarted,
    ContentStopped,
    Event,
)
from lemonade_media.rtp.sender.supervisor import Supervisor
from lemonade_wire.address import Resolver
from lemonade_wire.rtp.endpoint import OnPacket, RtpEndpoint, RtpPorts
from lemonade_wire.rtp.packet import RtpError
from lemonade_wire.rtp.rtcp import kinds, parse_compound, traced_values
from lemonade_wire.trace import Trace

OnEnded = Callable[[str, float, float], None]
OCTETS_PER_MS = 8


@dataclass
class _Line:
    """The media of a call: its ports, and its stream and content once there are any; `label` is the Call-ID."""

    label: str
    endpoint: RtpEndpoint
    stream: int | None = None
    serial: int | None = None
    content: str | None = None
    offset_ms: int = 0


class MediaPlayer:
    """Plays contents in calls, and calls `on_ended(call, played_ms, offset_ms)` once at the end of each playing.

    `address` is the host of the CNAME in RTCP reports. `resolver` maps the addresses of session descriptions, as it
    maps host names: there may be a proxy in front of them, at another address.
    """

    def __init__(
        self,
        ports: RtpPorts,
        sender: Supervisor,
        trace: Trace,
        on_ended: OnEnded,
        address: str,
        *,
        resolver: Resolver | None = None,
    ) -> None:
        self._ports = ports
        self._sender = sender
        self._trace = trace
        self._on_ended = on_ended
        self._address = address
        self._resolver = resolver or Resolver()
        self._lines: dict[str, _Line] = {}
        self._contents: dict[str, tuple[int, int]] = {}  # key: the sender's number, and how many calls play it

    def open(self, call: str, label: str, on_rtp: OnPacket) -> int:
        """Bind RTP and RTCP ports for a call and return the RTP port; raises OSError if none is free.

        `label` is the Call-ID. Datagrams to the RTP port are given to `on_rtp`.
        """
        endpoint = self._ports.open(on_rtp, self._rtcp_received)
        self._lines[call] = _Line(label, endpoint)
        return endpoint.port

    def add(self, command: StartStream) -> None:
        """Add the call's RTP stream to the sender."""
        line = self._lines[command.call]
        added = AddStream(
            stream=0,  # the supervisor chooses it
            # RFC 3550 section 5.1: these three are random.
            ssrc=random.getrandbits(32),
            sequence=random.getrandbits(16),
            timestamp=random.getrandbits(32),
            destination=self._resolver.resolve(command.address, command.port),
            rtcp_destination=self._resolver.resolve(command.address, command.rtcp_port),
            payload_type=command.payload_type,
            cname=f"media@{self._address}",
            ptime_ms=command.ptime_ms,
            burst=command.burst,
            reset_on_seek=command.reset_on_seek,
            fault=command.fault,
        )
        line.stream = self._sender.add(
            added, line.endpoint.descriptors, lambda event: self._happened(command.call, event)
        )

    def change(self, command: ModifyStream) -> None:
        """Change address, ports, payload type or packet time of the call's stream, put it on hold, or resume it."""
        line = self._lines[command.call]
        if line.stream is None:
            return
        content = self._hold(line, command.media) if command.media else None
        rtcp_port = command.rtcp_port
        self._sender.change(
            line.stream,
            self._resolver.resolve(command.address, command.port),
            None if rtcp_port is None else self._resolver.resolve(command.address, rtcp_port),
            payload_type=command.payload_type,
            ptime_ms=command.ptime_ms,
            held=command.held,
            content=content,
        )

    def play(self, command: PlayMedia) -> None:
        """Play media as one content in the call's stream."""
        line = self._lines[command.call]
        if line.stream is None:
            return
        number = self._hold(line, command.media)
        line.offset_ms = command.offset_ms
        line.serial = self._sender.play(
            line.stream,
            number,
            offset_ms=command.offset_ms,
            limit_ms=command.limit_ms,
            plays=command.plays,
            delay_ms=command.delay_ms,
        )

    def seek(self, command: SeekMedia) -> None:
        """Skip in the content that is playing."""
        if (stream := self._lines[command.call].stream) is not None:
            self._sender.seek(stream, command.by_ms)

    def stop(self, call: str) -> None:
        """Stop the playing."""
        if (stream := self._lines[call].stream) is not None:
            self._sender.stop_playing(stream)

    def close(self, call: str) -> None:
        """Remove the stream, content and ports of a call."""
        line = self._lines.pop(call, None)
        if line is None:
            return
        if line.stream is not None:
            self._sender.remove(line.stream)
        self._release(line)
        line.endpoint.close()

    def close_all(self) -> None:
        """Remove the streams, contents and ports of all calls."""
        for call in list(self._lines):
            self.close(call)

    def _hold(self, line: _Line, media: tuple[EncodedMedia, ...]) -> int:
        """Set the call's content and return its number in the sender; calls with the same content share it."""
        key = "+".join(one.key for one in media)
        if line.content != key:
            self._release(line)
            number, uses = self._contents.get(key, (-1, 0))
            if not uses:
                number = self._sender.load(b"".join(one.octets for one in media), unit_octets=OCTETS_PER_MS)
            self._contents[key] = (number, uses + 1)
            line.content = key
        return self._contents[key][0]

    def _release(self, line: _Line) -> None:
        if line.content is None:
            return
        number, uses = self._contents.pop(line.content)
        if uses > 1:
            self._contents[line.content] = (number, uses - 1)
        else:
            self._sender.drop(number)
        line.content = None

    def _happened(self, call: str, event: Event) -> None:
        line = self._lines.get(call)
        if line is None or event.serial != line.serial:
            return
        match event:
            case ContentStarted():
                self._tell("playing", line, 0, line.offset_ms)
            case ContentSought():
                self._tell("seek", line, None, event.offset_ms)
            case ContentFinished() | ContentStopped():
                line.serial = None
                self._tell(
                    "finished" if isinstance(event, ContentFinished) else "stopped",
                    line,
                    event.played_ms,
                    event.offset_ms,
                )
                self._on_ended(call, event.played_ms, event.offset_ms)

    def _tell(self, state: str, line: _Line, played_ms: int | None, offset_ms: int) -> None:
        self._trace.emit("media", state=state, call=line.label, played_ms=played_ms, offset_ms=offset_ms)

    def _rtcp_received(self, octets: bytes, source: tuple[str, int], arrival: float) -> None:
        try:
            packets = parse_compound(octets)
        except RtpError:
            return
        self._trace.emit(
            "rtcp",
            at=arrival,
            way="received",
            remote=f"{source[0]}:{source[1]}",
            kinds=list(kinds(packets)),
            **traced_values(packets),
        )
