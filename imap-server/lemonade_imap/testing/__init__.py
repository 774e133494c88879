"""A whole IMAP server in memory for fast tests: it needs no reactor, no socket and no thread.

    server = LoopbackServer(ServerConfig(passwords={"joe": "secret"}))
    client = server.connect()
    greeting = client.receive_data(b"")
    answer = client.receive_data(b'a LOGIN joe secret\r\n')

`receive_data` takes octets that a client sends, in pieces of any length, and returns all octets that the server sends
back. Without octets it returns the updates for a client in IDLE. The time is `server.now` (seconds since 1970), which
the test sets; the server reads no clock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from lemonade_imap.behaviour import ImapBehaviour
from lemonade_imap.config import ServerConfig
from lemonade_imap.connection import ServerConnection
from lemonade_imap.serving.backend import Backend, at_once
from lemonade_imap.serving.service import ImapService
from lemonade_imap.store.base import Store
from lemonade_imap.store.thread import InlineRunner
from lemonade_imap.testing.memory_store import MemoryStore
from lemonade_wire.redaction import Redactor
from lemonade_wire.trace import Trace

START = 1795305600.0  # 2026-11-22T00:00:00Z


class LoopbackServer:
    """A server on a store in memory.

    `log` is called with each log line. `pause` is called with the seconds that the server would wait; it does not wait.
    """

    def __init__(
        self,
        config: ServerConfig,
        store: Store | None = None,
        behaviour: ImapBehaviour | None = None,
        trace: Trace | None = None,
        log: Callable[[str], None] = lambda _text: None,
        *,
        pause: Callable[[float], Awaitable[None]] = at_once,
    ) -> None:
        self.now = START
        self.store = MemoryStore() if store is None else store
        self._trace = trace or Trace("imap", None, Redactor(""))
        backend = Backend(config, self.store, InlineRunner(), behaviour or ImapBehaviour(), log, pause=pause)
        self.change_notifier = backend.change_notifier
        self._service = ImapService(backend)

    def connect(self, remote: str = "127.0.0.1:1") -> LoopbackConnection:
        """Open a connection from the address `remote`; its first `receive_data` returns the greeting too."""
        return LoopbackConnection(self, self._service, self._trace, remote)


class LoopbackConnection:
    """The client's side of a connection to a LoopbackServer."""

    def __init__(self, server: LoopbackServer, service: ImapService, trace: Trace, remote: str) -> None:
        self._sent = bytearray()
        addresses = ("127.0.0.1:143", remote)
        self._connection = ServerConnection(service, self, trace, addresses, lambda: server.now)
        _run(self._connection.greet())

    async def write(self, octets: bytes) -> None:
        """Keep octets that the server sends until `receive_data` returns them."""
        self._sent += octets

    def receive_data(self, octets: bytes) -> bytes:
        """Send octets to the server and return all octets that it sends back."""
        self._connection.session.receive_data(octets)
        _run(self._connection.pump())
        said = bytes(self._sent)
        self._sent.clear()
        return said

    def drop(self) -> None:
        """Close the connection from the client's side, perhaps in the middle of a command."""
        _run(self._connection.abandon())

    @property
    def ended(self) -> bool:
        """Whether the server would now close the connection."""
        return self._connection.ended


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits; raises RuntimeError if it waits."""
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise RuntimeError("an in-memory server had to wait")
