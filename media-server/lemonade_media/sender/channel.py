"""The media server's end of the channel to its sender: datagrams with descriptors, under the reactor's eye."""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from lemonade_media.sender.protocol import MAX_MESSAGE, Event, Finished, Sought, Started, Stopped, decode

_BATCH = 64


class Channel:
    """Sends encoded commands in order, hands out events, and says once when the other end is gone."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,  # noqa: ANN401  Twisted's interfaces are no types
        sock: socket.socket,
        on_event: Callable[[Event], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._socket = sock
        self._on_event = on_event
        self._on_lost = on_lost
        self._waiting: deque[tuple[bytes, tuple[int, ...]]] = deque()
        sock.setblocking(False)
        reactor.addReader(self)

    def send(self, octets: bytes, descriptors: tuple[int, ...] = ()) -> None:
        """Send, or keep until there is room; descriptors are duplicated while they wait."""
        if self._waiting or not self._try(octets, descriptors):
            self._waiting.append((octets, tuple(map(os.dup, descriptors))))
            self._reactor.addWriter(self)

    def close(self) -> None:
        """Close this end, upon which the sender ends."""
        if self._socket.fileno() < 0:
            return
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)
        self._socket.close()
        while self._waiting:
            for descriptor in self._waiting.popleft()[1]:
                os.close(descriptor)

    def fileno(self) -> int:
        """Return the descriptor that the reactor watches."""
        return self._socket.fileno()

    def logPrefix(self) -> str:  # noqa: N802  Twisted's name
        """Return the name under which the reactor logs what goes wrong here."""
        return "rtp-sender"

    def connectionLost(self, reason: object) -> None:  # noqa: N802  Twisted's name
        """Take the reactor's word that it stops."""

    def doRead(self) -> None:  # noqa: N802  Twisted's name
        """Read events until there are none."""
        for _ in range(_BATCH):
            if self._socket.fileno() < 0:
                return  # a callback closed this
            try:
                octets = self._socket.recv(MAX_MESSAGE)
            except BlockingIOError:
                return
            except OSError:
                octets = b""
            if not octets:
                self.close()
                self._on_lost()
                return
            with self.log.failuresHandled("an event of the RTP sender was not handled"):
                event = decode(octets)
                if isinstance(event, Started | Sought | Finished | Stopped):
                    self._on_event(event)

    def doWrite(self) -> None:  # noqa: N802  Twisted's name
        """Send what waits."""
        while self._waiting:
            octets, descriptors = self._waiting[0]
            if not self._try(octets, descriptors):
                return
            self._waiting.popleft()
            for descriptor in descriptors:
                os.close(descriptor)
        self._reactor.removeWriter(self)

    def _try(self, octets: bytes, descriptors: tuple[int, ...]) -> bool:
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionError):  # its end is read as well, in its turn
                socket.send_fds(self._socket, [octets], descriptors)
        except BlockingIOError:
            return False
        return True
