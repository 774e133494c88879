"""The Twisted side of the sender: starts it, starts it again when it dies, and speaks with it.

Everything that a new process needs is kept here (contents, streams with duplicated descriptors, commands that may not
have been carried out) or in the shared table (where each stream stands), so that the death of a sender costs a call a
gap in its sound and nothing else.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.internet.task import deferLater

from lemonade_media.sender import table as tables
from lemonade_media.sender.channel import Channel
from lemonade_media.sender.protocol import (
    AddStream,
    ChangeStream,
    Command,
    DropContent,
    Event,
    Finished,
    LoadContent,
    Play,
    RemoveStream,
    Seek,
    Stop,
    Stopped,
    encode,
)

_CLOSE_SECONDS = 1.0
_QUICK_DEATH = 1.0  # seconds of life below which a death makes the next start wait
_MAX_WAIT = 5.0


class SenderFullError(RuntimeError):
    """There are as many streams as the sender was made for."""


@dataclass(frozen=True)
class StreamSetup:
    """What a stream is: descriptors to send on, where to, and in which format.

    The descriptors are duplicated and stay the caller's. `burst` and `reset_on_seek` are for faults.
    """

    rtp_descriptor: int
    rtcp_descriptor: int
    destination: tuple[str, int]
    rtcp_destination: tuple[str, int] | None
    payload_type: int
    cname: str
    clock: int = 8000
    ptime_ms: int = 20
    burst: int = 1
    reset_on_seek: bool = False


@dataclass
class _Stream:
    command: AddStream
    descriptors: tuple[int, int]
    on_event: Callable[[Event], None]
    playing: dict[int, int] = field(default_factory=dict)  # Plays that have not ended, and their contents
    commands: list[Play | Seek | Stop | ChangeStream] = field(default_factory=list)  # perhaps not carried out yet


@dataclass
class _Content:
    command: LoadContent
    descriptor: int
    dropped: bool = False


class Supervisor:
    """One sender process and what it has to know, so that a new one can take over.

    `on_restart` is told of every death, in words.
    """

    def __init__(self, *, on_restart: Callable[[str], None] | None = None, capacity: int = 4096) -> None:
        self._reactor = _reactor()
        self._on_restart = on_restart
        self._free = deque(range(capacity))
        self._descriptor = tables.create(capacity)
        self._table = tables.attach(self._descriptor)
        self._streams: dict[int, _Stream] = {}
        self._contents: dict[int, _Content] = {}
        self._serial = 0
        self._channel: Channel | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._wait = 0.0
        self._later: Any = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process; commands may be given at once."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        inherited = (theirs.fileno(), self._descriptor)
        arguments = [sys.executable, "-m", "lemonade_media.sender.process", *map(str, inherited)]
        with theirs:
            self._process = subprocess.Popen(arguments, pass_fds=inherited, stdin=subprocess.DEVNULL)  # noqa: S603  ourselves
        self._started = time.monotonic()
        self._channel = Channel(self._reactor, ours, self._event, self._lost)
        self._tell_all()

    def load(self, media: bytes, *, unit_octets: int = 8, unit_ms: int = 1) -> int:
        """Hand media over once, for any number of streams; returns their number.

        A unit is the least that can be cut: 8 octets for 1 ms of G.711 at 8000 Hz.
        """
        self._serial += 1
        descriptor = os.memfd_create("rtp-media")
        with open(descriptor, "wb", closefd=False) as file:
            file.write(media)
        content = _Content(LoadContent(self._serial, len(media), unit_octets, unit_ms), descriptor)
        self._contents[self._serial] = content
        self._send(content.command, (descriptor,))
        return self._serial

    def drop(self, content: int) -> None:
        """Forget media; streams that play them go on."""
        if content in self._contents:
            self._contents[content].dropped = True
            self._send(DropContent(content))
            self._free_contents()

    def add(self, setup: StreamSetup, on_event: Callable[[Event], None]) -> int:
        """Add a silent stream; returns its number. Its events go to `on_event`, in the reactor's thread.

        SSRC, first sequence number and timestamp are random (RFC 3550 section 5.1). Raises SenderFullError.
        """
        if not self._free:
            raise SenderFullError(f"{len(self._streams)} streams are as many as fit")
        number = self._free.popleft()
        command = AddStream(
            number,
            ssrc=random.getrandbits(32),
            sequence=random.getrandbits(16),
            timestamp=random.getrandbits(32),
            payload_type=setup.payload_type,
            destination=setup.destination,
            rtcp_destination=setup.rtcp_destination,
            cname=setup.cname,
            clock=setup.clock,
            ptime_ms=setup.ptime_ms,
            burst=setup.burst,
            reset_on_seek=setup.reset_on_seek,
        )
        descriptors = (os.dup(setup.rtp_descriptor), os.dup(setup.rtcp_descriptor))
        self._streams[number] = _Stream(command, descriptors, on_event)
        self._send(command, descriptors)
        return number

    def ssrc(self, stream: int) -> int:
        """Return the SSRC of a stream."""
        return self._streams[stream].command.ssrc

    def play(
        self,
        stream: int,
        content: int,
        *,
        offset_ms: int = 0,
        limit_ms: int | None = None,
        plays: int | None = 1,
        delay_ms: int = 0,
    ) -> int:
        """Play; returns the serial that its events carry. Exactly one Finished or Stopped will follow.

        What was playing is stopped first. Repetitions, silence between them and limit are those of `Play`.
        """
        self._serial += 1
        self._streams[stream].playing[self._serial] = content
        self._command(stream, Play(stream, self._serial, content, offset_ms, limit_ms, plays, delay_ms))
        return self._serial

    def seek(self, stream: int, by_ms: int) -> None:
        """Skip ahead (or back, negative) in what is playing."""
        self._serial += 1
        self._command(stream, Seek(stream, self._serial, by_ms))

    def stop_playing(self, stream: int) -> None:
        """Stop what is playing; the stream stays."""
        self._serial += 1
        self._command(stream, Stop(stream, self._serial))

    def change(
        self,
        stream: int,
        destination: tuple[str, int],
        rtcp_destination: tuple[str, int] | None,
        *,
        payload_type: int,
        ptime_ms: int,
        held: bool,
        content: int | None = None,
    ) -> None:
        """Have a stream go on elsewhere, or as something else; SSRC, sequence and timestamps go on.

        `held`: nothing is sent, and what is playing stands still. `content` takes the place of what is playing.
        """
        self._serial += 1
        known = self._streams[stream]
        if content is not None:
            known.playing = dict.fromkeys(known.playing, content)
            self._free_contents()
        command = ChangeStream(
            stream, self._serial, payload_type, ptime_ms, destination, rtcp_destination, held, content
        )
        known.command = replace(
            known.command,
            payload_type=payload_type,
            ptime_ms=ptime_ms,
            destination=destination,
            rtcp_destination=rtcp_destination,
        )
        self._command(stream, command)

    def remove(self, stream: int) -> None:
        """Remove a stream; no event of it comes any more. A stream that is not there is passed over."""
        gone = self._streams.pop(stream, None)
        if gone is None:
            return
        self._send(RemoveStream(stream))
        for descriptor in gone.descriptors:
            os.close(descriptor)
        self._free.append(stream)
        self._free_contents()

    async def close(self) -> None:
        """End the process and wait for it (at most a second, then it is killed)."""
        self._closed = True
        if self._later is not None and self._later.active():
            self._later.cancel()
        if self._channel:
            self._channel.close()
            self._channel = None
        deadline = time.monotonic() + _CLOSE_SECONDS
        while self._process and self._process.poll() is None:
            if time.monotonic() > deadline:
                self._process.kill()
            await deferLater(self._reactor, 0.01)
        self._process = None
        for stream in list(self._streams):
            self.remove(stream)
        for content in self._contents.values():
            os.close(content.descriptor)
        self._contents.clear()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _command(self, stream: int, command: Play | Seek | Stop | ChangeStream) -> None:
        known = self._streams[stream]
        if self._owns_row(known):
            done = int(self._table["serial"][stream])
            known.commands = [earlier for earlier in known.commands if earlier.serial > done]
        known.commands.append(command)
        self._send(command)

    def _send(self, command: Command, descriptors: tuple[int, ...] = ()) -> None:
        if self._channel:  # else the next process is told everything
            self._channel.send(encode(command), descriptors)

    def _tell_all(self) -> None:
        for content in self._contents.values():
            self._send(content.command, (content.descriptor,))
        for stream in self._streams.values():
            self._send(replace(stream.command, resume=True), stream.descriptors)
            done = int(self._table["serial"][stream.command.stream]) if self._owns_row(stream) else 0
            for command in stream.commands:
                if command.serial > done:
                    self._send(command)
        for number, content in self._contents.items():
            if content.dropped:
                self._send(DropContent(number))

    def _owns_row(self, stream: _Stream) -> bool:
        """Return whether the row was written for this stream, not for one that had its number before."""
        return bool(self._table["ssrc"][stream.command.stream] == stream.command.ssrc)

    def _event(self, event: Event) -> None:
        stream = self._streams.get(event.stream)
        if stream is None or event.serial not in stream.playing:
            return  # of a stream that was removed, or told twice around a restart
        if isinstance(event, Finished | Stopped):
            del stream.playing[event.serial]
            self._free_contents()
        stream.on_event(event)

    def _lost(self) -> None:
        """Start anew after a death, whose last words have been read."""
        self._channel = None
        if self._process:
            self._process.kill()
            status = self._process.wait()
            self._process = None
            if not self._closed and self._on_restart:
                self._on_restart(f"the RTP sender died (status {status}) with {len(self._streams)} streams")
        if self._closed:
            return
        self._tell_endings()
        short = time.monotonic() - self._started < _QUICK_DEATH
        self._wait = min(max(2 * self._wait, 0.05), _MAX_WAIT) if short else 0.0
        self._later = self._reactor.callLater(self._wait, self.start)

    def _tell_endings(self) -> None:
        """Tell the endings that the dead sender wrote into the table and could not tell any more."""
        for number, stream in list(self._streams.items()):
            if not self._owns_row(stream):
                continue
            state, current = int(self._table["state"][number]), int(self._table["play_serial"][number])
            for serial in [serial for serial in stream.playing if serial < current]:
                self._event(Stopped(number, serial, 0, 0))  # the Play after it took its place in the table
            if current in stream.playing and state in (tables.FINISHED, tables.STOPPED):
                kind = Finished if state == tables.FINISHED else Stopped
                played = tables.in_ms(self._table, number, int(self._table["played"][number]))
                offset = tables.in_ms(self._table, number, int(self._table["position"][number]))
                self._event(kind(number, current, played, offset))

    def _free_contents(self) -> None:
        """Close dropped media once no Play needs them, here or after a restart."""
        used = {content for stream in self._streams.values() for content in stream.playing.values()}
        for number, content in list(self._contents.items()):
            if content.dropped and number not in used:
                os.close(content.descriptor)
                del self._contents[number]


def _reactor() -> Any:  # noqa: ANN401  Twisted's interfaces are no types
    from twisted.internet import reactor  # noqa: PLC0415  importing it installs it: the program decides when

    return reactor
