"""The Twisted side of what callers send by RTP: datagrams in, keys out, one timer for each call with a key down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lemonade_media.caller import Caller
from lemonade_media.commands import AddStream, ChangeStream
from lemonade_wire.address import Resolver
from lemonade_wire.rtp.endpoint import OnPacket, Source
from lemonade_wire.rtp.telephone_event import KeyEvent

OnKey = Callable[[str, KeyEvent], None]


@dataclass
class _Line:
    caller: Caller
    timer: Any = None


class Listener:
    """Listens to callers. `on_key(call, event)` tells of each key that goes down or up.

    `resolver` maps the addresses of session descriptions, as it maps names: who comes by a front comes from there.
    """

    def __init__(self, reactor: Any, on_key: OnKey, resolver: Resolver) -> None:  # noqa: ANN401  as in Twisted
        self._reactor = reactor
        self._on_key = on_key
        self._resolver = resolver
        self._lines: dict[str, _Line] = {}

    def open(self, call: str, label: str) -> OnPacket:
        """Return what takes the datagrams of a call; `label` is its Call-ID."""
        line = self._lines[call] = _Line(Caller(label))

        def received(octets: bytes, source: Source, _arrival: float) -> None:
            self._tell(call, line, line.caller.receive(octets, source, self._reactor.seconds()))

        return received

    def expect(self, command: AddStream | ChangeStream) -> None:
        """Listen to the caller that is agreed with; who names no address is where it was."""
        caller = self._lines[command.call].caller
        if command.rtcp_port is not None:
            caller.host = self._resolver.resolve(command.address, command.port).host
        caller.codecs = {known.payload_type: known.codec for known in command.formats}

    def caller(self, call: str) -> Caller:
        """Return who is listened to in a call."""
        return self._lines[call].caller

    def close(self, call: str) -> None:
        """Listen no more to a call."""
        line = self._lines.pop(call, None)
        if line is not None and line.timer is not None and line.timer.active():
            line.timer.cancel()

    def _tell(self, call: str, line: _Line, events: list[KeyEvent]) -> None:
        for event in events:
            self._on_key(call, event)
        if line.timer is not None and line.timer.active():
            return  # a key that is heard of again is waited for when that timer is due
        due = line.caller.next_timer()
        if due is not None and self._lines.get(call) is line:
            self._arm(call, line, due)

    def _arm(self, call: str, line: _Line, due: float) -> None:
        def handle() -> None:
            self._tell(call, line, line.caller.handle_timer(self._reactor.seconds()))

        line.timer = self._reactor.callLater(max(0.0, due - self._reactor.seconds()), handle)
