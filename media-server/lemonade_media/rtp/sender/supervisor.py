"""Starts the RTP sender process, restarts it when it dies, and exchanges commands and events with it (Twisted).

A new process can continue where a dead one stopped: the supervisor keeps the contents, the streams with duplicated
descriptors, and the commands that may not have been carried out; the shared table holds the state of each stream. So
the death of a sender causes no more than a gap in the sound of the calls.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.internet.task import deferLater

from lemonade_media.rtp.sender import reports as tables
from lemonade_media.rtp.sender.channel import Channel
from lemonade_media.rtp.sender.protocol import (
    AddStream,
    ChangeStream,
    Command,
    ContentFinished,
    ContentStopped,
    DropContent,
    Event,
    LoadContent,
    PlayContent,
    RemoveStream,
    ReportSent,
    Seek,
    StopContent,
    encode,
)

_CLOSE_SECONDS = 1.0  # how long `close` waits for the end of the process before it is killed
_QUICK_DEATH = 1.0  # seconds: after the death of a process that lived for less, the next start is delayed
_MAX_WAIT = 5.0  # seconds: the longest delay of a start; it begins at 0.05 s and doubles with each quick death


class SenderFullError(RuntimeError):
    """No further stream can be added: the sender has as many as its capacity."""


@dataclass
class _Stream:
    command: AddStream
    descriptors: tuple[int, int]
    on_event: Callable[[Event], None]
    playing: dict[int, int] = field(default_factory=dict)  # serials of playings that have not ended: their contents
    commands: list[PlayContent | Seek | StopContent | ChangeStream] = field(
        default_factory=list
    )  # those that may not have been carried out yet


@dataclass
class _Content:
    command: LoadContent
    descriptor: int
    dropped: bool = False


class Supervisor:
    """One sender process, and the state that a new process needs to continue its streams.

    `on_restart` is called with a text at each death of the process, `on_report` for each RTCP packet that was sent.
    `capacity` is the largest number of streams.
    """

    def __init__(
        self,
        *,
        on_restart: Callable[[str], None] | None = None,
        on_report: Callable[[ReportSent], None] | None = None,
        capacity: int = 4096,
    ) -> None:
        self._reactor = _reactor()
        self._on_restart = on_restart
        self._on_report = on_report
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
        """The process id of the sender, None while there is no process."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process and send it the whole state; commands may be given at once."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        inherited = (theirs.fileno(), self._descriptor)
        arguments = [sys.executable, "-m", "lemonade_media.rtp.sender.process", *map(str, inherited)]
        with theirs:
            self._process = subprocess.Popen(arguments, pass_fds=inherited, stdin=subprocess.DEVNULL)  # noqa: S603  ourselves
        self._started = time.monotonic()
        self._channel = Channel(self._reactor, ours, self._event, self._lost)
        self._tell_all()

    def load(self, media: bytes, *, unit_octets: int = 8, unit_ms: int = 1) -> int:
        """Give a content to the sender, for any number of streams; returns the content's number.

        A unit, `unit_octets` for `unit_ms` of sound, is never split: 8 octets for 1 ms of G.711 at 8,000 Hz.
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
        """Remove a content; streams that play it continue to the end of the playing."""
        if content in self._contents:
            self._contents[content].dropped = True
            self._send(DropContent(content))
            self._free_contents()

    def add(self, command: AddStream, descriptors: tuple[int, int], on_event: Callable[[Event], None]) -> int:
        """Add a stream that plays nothing yet; returns its number. `on_event` gets its events in the reactor's thread.

        The supervisor chooses the number; that of the command is not used. `descriptors` are those of the RTP and the
        RTCP socket. They are duplicated, and the caller still has to close its own. Raises SenderFullError.
        """
        if not self._free:
            raise SenderFullError(f"{len(self._streams)} streams are as many as fit")
        number = self._free.popleft()
        command = replace(command, stream=number)
        descriptors = (os.dup(descriptors[0]), os.dup(descriptors[1]))
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
        """Play a content in a stream; returns the serial of the playing, which its events carry.

        Exactly one ContentFinished or ContentStopped follows. A playing that runs is stopped first. The arguments are
        those of `PlayContent`.
        """
        self._serial += 1
        self._streams[stream].playing[self._serial] = content
        self._command(stream, PlayContent(stream, self._serial, content, offset_ms, limit_ms, plays, delay_ms))
        return self._serial

    def seek(self, stream: int, by_ms: int) -> None:
        """Skip in the content that is playing, by `by_ms`; negative: back."""
        self._serial += 1
        self._command(stream, Seek(stream, self._serial, by_ms))

    def stop_playing(self, stream: int) -> None:
        """Stop the playing of a stream; the stream is not removed."""
        self._serial += 1
        self._command(stream, StopContent(stream, self._serial))

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
        """Change a stream's destination or format; SSRC, sequence numbers and timestamps continue.

        `held`: nothing is sent, and the playing is paused. `content` replaces the content that is playing (None: it is
        not replaced).
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
        """Remove a stream; none of its events is reported any more. A stream that does not exist is ignored."""
        gone = self._streams.pop(stream, None)
        if gone is None:
            return
        self._send(RemoveStream(stream))
        for descriptor in gone.descriptors:
            os.close(descriptor)
        self._free.append(stream)
        self._free_contents()

    async def close(self) -> None:
        """End the process and wait for its end; after a second it is killed."""
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

    def _command(self, stream: int, command: PlayContent | Seek | StopContent | ChangeStream) -> None:
        known = self._streams[stream]
        if self._owns_row(known):
            done = int(self._table["serial"][stream])
            known.commands = [earlier for earlier in known.commands if earlier.serial > done]
        known.commands.append(command)
        self._send(command)

    def _send(self, command: Command, descriptors: tuple[int, ...] = ()) -> None:
        if self._channel:  # without a process, `_tell_all` sends the state to the next one
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
        """Return whether the row in the table is this stream's, and not that of an earlier stream with its number."""
        return bool(self._table["ssrc"][stream.command.stream] == stream.command.ssrc)

    def _event(self, event: Event | ReportSent) -> None:
        if isinstance(event, ReportSent):
            if self._on_report:
                self._on_report(event)
            return
        stream = self._streams.get(event.stream)
        if stream is None or event.serial not in stream.playing:
            return  # the stream was removed, or the event was already reported before a restart
        if isinstance(event, ContentFinished | ContentStopped):
            del stream.playing[event.serial]
            self._free_contents()
        stream.on_event(event)

    def _lost(self) -> None:
        """Start a new process after the death of the sender, whose last events have been read."""
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
        """Report the ends of playings that the dead sender wrote to the table, but did not send as events."""
        for number, stream in list(self._streams.items()):
            if not self._owns_row(stream):
                continue
            state, current = int(self._table["state"][number]), int(self._table["play_serial"][number])
            for serial in [serial for serial in stream.playing if serial < current]:
                self._event(ContentStopped(number, serial, 0, 0))  # a later playing has overwritten its row
            if current in stream.playing and state in (tables.FINISHED, tables.STOPPED):
                kind = ContentFinished if state == tables.FINISHED else ContentStopped
                played = tables.in_ms(self._table, number, int(self._table["played"][number]))
                offset = tables.in_ms(self._table, number, int(self._table["position"][number]))
                self._event(kind(number, current, played, offset))

    def _free_contents(self) -> None:
        """Close the dropped contents that no playing needs any more, now or after a restart."""
        used = {content for stream in self._streams.values() for content in stream.playing.values()}
        for number, content in list(self._contents.items()):
            if content.dropped and number not in used:
                os.close(content.descriptor)
                del self._contents[number]


def _reactor() -> Any:  # noqa: ANN401  Twisted's interfaces are no types
    from twisted.internet import reactor  # noqa: PLC0415  its import installs the reactor, so it is not done earlier

    return reactor
