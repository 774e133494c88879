"""A whole server in memory, for tests that replay diagrams in milliseconds: no reactor, no socket, no thread.

    server = LoopbackServer(ServerConfig(passwords={"joe": "secret"}))
    client = server.connect()
    greeting = client.receive_data(b"")
    answer = client.receive_data(b'a LOGIN joe secret\r\n')

`receive_data` takes what a client sends, whole or in pieces, and returns all that the server says to it; with no octets
it returns what one that idles is told. Time is
`server.now` (seconds since 1970), moved by whoever tests; nothing reads a clock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from lemonade_imap.behaviour import Behaviour
from lemonade_imap.config import ServerConfig
from lemonade_imap.connection import Connection
from lemonade_imap.serving.backend import Backend, at_once
from lemonade_imap.serving.service import Service
from lemonade_imap.store.base import Store
from lemonade_imap.store.memory import MemoryStore
from lemonade_imap.store.runner import InlineRunner
from lemonade_wire.redact import Redactor
from lemonade_wire.trace import Trace

START = 1795305600.0  # 2026-11-22T00:00:00Z


class LoopbackServer:
    """A server on a store in memory; `log` takes its log lines, `pause` is told how long it would wait."""

    def __init__(
        self,
        config: ServerConfig,
        store: Store | None = None,
        behaviour: Behaviour | None = None,
        trace: Trace | None = None,
        log: Callable[[str], None] = lambda _text: None,
        *,
        pause: Callable[[float], Awaitable[None]] = at_once,
    ) -> None:
        self.now = START
        self.store = MemoryStore() if store is None else store
        self._trace = trace or Trace("imap", None, Redactor(""))
        backend = Backend(config, self.store, InlineRunner(), behaviour or Behaviour(), log, pause=pause)
        self.hub = backend.hub
        self._service = Service(backend)

    def connect(self, remote: str = "127.0.0.1:1") -> LoopbackConnection:
        """Return a new connection; its first `receive_data` returns the greeting too."""
        return LoopbackConnection(self, self._service, self._trace, remote)


class LoopbackConnection:
    """The client's end of a connection in memory."""

    def __init__(self, server: LoopbackServer, service: Service, trace: Trace, remote: str) -> None:
        self._sent = bytearray()
        addresses = ("127.0.0.1:143", remote)
        self._connection = Connection(service, self, trace, addresses, lambda: server.now)
        _run(self._connection.greet())

    async def write(self, octets: bytes) -> None:
        """Keep what the server sends."""
        self._sent += octets

    async def turn(self) -> None:
        """There are no others."""

    def receive_data(self, octets: bytes) -> bytes:
        """Give the server octets and return what it says."""
        self._connection.session.receive_data(octets)
        _run(self._connection.pump())
        said = bytes(self._sent)
        self._sent.clear()
        return said

    def drop(self) -> None:
        """The client is gone in the middle of whatever it was sending."""
        _run(self._connection.abandon())

    @property
    def ended(self) -> bool:
        """Whether the server would close the connection now."""
        return self._connection.ended


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise RuntimeError("an in-memory server had to wait")
