"""The RTP sockets of the client's calls (Twisted): it opens ports, receives and sends RTP, and sends RTCP reports."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lemonade_client.behaviour import CORRECT, ClientBehaviour
from lemonade_client.rtp_receiver import CallReceiver, HeardRecorder, Source
from lemonade_client.rtp_sender import Voice, read_speech
from lemonade_wire.address import Resolver
from lemonade_wire.rtp.endpoint import RtpEndpoint, RtpPorts
from lemonade_wire.rtp.g711 import encode_alaw, encode_ulaw
from lemonade_wire.rtp.rtcp import Goodbye, ReceiverReport, SourceDescription, kinds, parse_compound, write_compound
from lemonade_wire.sdp.codec import PCMA, PCMU, Codec
from lemonade_wire.sdp.offer import NegotiatedStream
from lemonade_wire.trace import Trace

_ENCODERS = {PCMU: encode_ulaw, PCMA: encode_alaw}


@dataclass
class _Line:
    """One m-line: its sockets, its receiver, its sender (`voice`), and the destinations of RTP and of RTCP reports."""

    medium: Literal["audio", "video"]
    endpoint: RtpEndpoint
    listener: CallReceiver
    ssrc: int
    reports_to: Source | None = None
    reported: bool = False
    voice: Voice | None = None
    sends_to: Source = ("", 0)
    timer: Any = None


class CallMedia:
    """Implements `lemonade_client.session.Media` with RTP sockets from a range of ports.

    `cname` is for RTCP. `on_heard` is called with the seconds of sound received in all calls, for each packet of sound.
    `resolver` maps the addresses of session descriptions, as it maps host names: there may be a proxy in front of them,
    at another address.
    """

    def __init__(
        self,
        reactor: Any,  # noqa: ANN401  a reactor is several interfaces at once
        ports: RtpPorts,
        trace: Trace,
        cname: str,
        recorder: HeardRecorder | None,
        *,
        resolver: Resolver | None = None,
        behaviour: ClientBehaviour = CORRECT,
    ) -> None:
        self._reactor = reactor
        self._ports = ports
        self._trace = trace
        self._cname = cname
        self._behaviour = behaviour
        self._recorder = recorder
        self._resolver = resolver or Resolver()
        self._rng = random.Random()
        self._lines: list[_Line] = []
        self._left: list[_Line] = []
        self._heard_before = 0.0
        self.on_heard: Callable[[float], None] = lambda _seconds: None

    @property
    def heard(self) -> float:
        """The seconds of sound received so far in all calls."""
        lines = [*self._lines, *self._left]
        return self._heard_before + sum(line.listener.heard for line in lines if line.medium == "audio")

    def open(self, medium: Literal["audio", "video"], codecs: dict[int, Codec], peer: str) -> int:
        """Open a pair of ports for an m-line and return the RTP port; raises OSError if none is free.

        `codecs` maps the payload types of the offer. `peer` is the IP address of the server that is called.
        """
        line = self._open(medium, codecs, {peer})
        self._lines.append(line)
        if medium == "audio" and self._recorder is not None:
            self._recorder.begin()
        return line.endpoint.port

    def renew(self, codecs: dict[int, Codec], *, move: bool) -> int:
        """Accept these codecs on the first m-line too, with `move` on new ports; returns its RTP port.

        Raises OSError if no pair of ports is free.
        """
        line = self._lines[0]
        line.listener.codecs = {**line.listener.codecs, **codecs}
        if move:
            moved = self._open(line.medium, line.listener.codecs, line.listener.peers)
            moved.reports_to, moved.sends_to = line.reports_to, line.sends_to
            moved.ssrc, moved.voice = line.ssrc, line.voice
            self._lines[0] = moved
            self._left.append(line)
        return self._lines[0].endpoint.port

    def stay(self) -> None:
        """Undo the last move to new ports; packets that come to those ports are still received."""
        self._lines[0], self._left[-1] = self._left[-1], self._lines[0]

    def _open(self, medium: Literal["audio", "video"], codecs: Mapping[int, Codec], peers: set[str]) -> _Line:
        recorder = self._recorder if medium == "audio" else None
        listener = CallReceiver(("", 0), codecs, peers, self._trace, recorder)

        def on_rtp(octets: bytes, source: Source, arrival: float) -> None:
            first = listener.rtp_received(octets, source, arrival)
            if first is not None:
                line.reports_to = line.reports_to or (source[0], source[1] + 1)
                line.reported = True
                endpoint.report(first, line.reports_to, line.ssrc, self._cname, self._traced(line))
            if medium == "audio":
                self.on_heard(self.heard)

        endpoint = self._ports.open(on_rtp, listener.rtcp_received)
        listener.local = (endpoint.address, endpoint.port)
        line = _Line(medium, endpoint, listener, self._rng.getrandbits(32))
        return line

    def expect(self, streams: tuple[NegotiatedStream, ...]) -> None:
        """Accept packets from the addresses in the answer, and send RTP and RTCP reports to its ports."""
        for stream in streams:
            if stream.index < len(self._lines):
                line = self._lines[stream.index]
                line.listener.peers.add(self._resolver.resolve(stream.remote_address, stream.remote_port).host)
                line.reports_to = self._resolver.resolve(stream.remote_address, stream.remote_rtcp_port)
                port = stream.remote_port + self._behaviour.rtp_port_offset
                line.sends_to = self._resolver.resolve(stream.remote_address, port)
                if line.voice is not None:
                    line.voice.stream = stream
                else:
                    numbers = self._rng.getrandbits(16), self._rng.getrandbits(32)
                    line.voice = Voice(stream, line.ssrc, *numbers, self._reactor.seconds(), behaviour=self._behaviour)

    def press(self, key: str, held_ms: int) -> float:
        """Send a key press by RTP (RFC 4733); returns the seconds until its last packet.

        Raises ValueError if there is no audio stream, or the answer does not agree to telephone-event.
        """
        line, voice = self._speaking()
        now = float(self._reactor.seconds())
        until = voice.press(key, held_ms, now)
        self._send(line, voice)
        return until - now

    def say(self, file: Path) -> float:
        """Send the sound of a WAV file; returns its duration in seconds.

        Raises ValueError if there is no audio stream, its codec cannot be encoded, or the file cannot be read.
        """
        line, voice = self._speaking()
        encode = _ENCODERS.get(voice.stream.codec)
        if encode is None:
            raise ValueError(f"{voice.stream.codec} is not spoken here")
        now = float(self._reactor.seconds())
        until = voice.say(encode(read_speech(file)), now)
        self._send(line, voice)
        return until - now

    def _speaking(self) -> tuple[_Line, Voice]:
        for line in self._lines:
            if line.medium == "audio" and line.voice is not None:
                return line, line.voice
        raise ValueError("there is no audio stream to send on")

    def _send(self, line: _Line, voice: Voice) -> None:
        """Send the packets that are due, and set the timer for the next one."""
        if line.timer is not None and line.timer.active():
            line.timer.cancel()
        for packet in voice.take(self._reactor.seconds()):
            line.endpoint.send_rtp(bytes(packet), line.sends_to)
            line.listener.trace_rtp("sent", packet, line.sends_to)
        if (due := voice.next_timer()) is not None:
            delay = max(0.0, due - self._reactor.seconds())
            line.timer = self._reactor.callLater(delay, self._send, line, voice)

    def close(self) -> None:
        """Close all ports, with an RTCP BYE if a report was sent (RFC 3550 section 6.3.7), and trace what was heard."""
        self._heard_before = self.heard
        for line in [*self._lines, *self._left]:
            if line.timer is not None and line.timer.active():
                line.timer.cancel()
            if line.reported and line.reports_to is not None and self._behaviour.says_goodbye:
                names = SourceDescription(((line.ssrc, self._cname),))
                report = self._behaviour.last_report([ReceiverReport(line.ssrc), names, Goodbye((line.ssrc,))])
                octets = write_compound(report)
                line.endpoint.send_rtcp(octets, line.reports_to)
                line.listener.trace_rtcp("sent", kinds(report), line.reports_to)
            line.endpoint.close()
            line.listener.finish()
        self._lines.clear()
        self._left.clear()

    def _traced(self, line: _Line) -> Callable[[bytes], None]:
        def sent(octets: bytes) -> None:
            if line.reports_to is not None:
                line.listener.trace_rtcp("sent", kinds(parse_compound(octets)), line.reports_to)

        return sent
