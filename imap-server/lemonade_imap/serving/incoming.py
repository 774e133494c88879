"""The messages of one APPEND on their way in: each goes to an `Arrival` of the store as its octets come.

Nothing of them is kept in memory, but the last chunk. What goes wrong before a literal's octets is told before they are
sent, where the client waits for it; what goes wrong among them when the command is whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lemonade_imap.grammar import commands as c
from lemonade_imap.grammar.append import TextPart, UrlPart
from lemonade_imap.serving.backend import Backend, Refused
from lemonade_imap.serving.catenate import open_url
from lemonade_imap.session import ImapSession
from lemonade_imap.store.base import CHUNK, Arrival, Arriving, Mailbox, StoreError
from lemonade_imap.store.changes import changed_flags

_MOST_COPIED = 16
"""Chunks that are copied in one visit to the store."""


@dataclass
class _Coming:
    """A message of which `parts` parts are here or on their way, `size` octets in all."""

    arrival: Arrival
    parts: int = 0
    size: int = 0
    held: bytearray = field(default_factory=bytearray)


class Incoming:
    """Takes the messages of one command in. What is not completed must be abandoned."""

    def __init__(self, backend: Backend, session: ImapSession) -> None:
        self._backend = backend
        self._session = session
        self._mailbox: Mailbox | None = None
        self._coming: list[_Coming] = []
        self._binary = False
        self._failure: Exception | None = None

    async def begin(self, command: c.Append, now: float) -> None:
        """Prepare for the octets of the command's last part; raises Refused or StoreError, and takes none then."""
        await self._advance(command, now)
        last = command.messages[-1].parts[-1]
        self._binary = isinstance(last, TextPart) and last.binary

    async def write(self, octets: bytes) -> None:
        """Take octets; raises nothing that `complete` would not."""
        if self._failure is not None:
            return
        coming = self._coming[-1]
        if b"\0" in octets:
            self._failure = (
                _nul_in_binary() if self._binary else Refused("BAD", "a message has NUL in a literal8 alone")
            )
            return
        coming.held += octets
        if len(coming.held) >= CHUNK:
            await self._flush(coming)

    async def complete(self, command: c.Append, now: float) -> tuple[Mailbox, list[Arriving]]:
        """Return where the messages go, and what the store is to append; raises Refused or StoreError."""
        await self._advance(command, now)
        if self._failure is not None:
            raise self._failure
        mailbox = self._mailbox
        if mailbox is None or not all(coming.size for coming in self._coming):
            # RFC 3502: it is how a client takes the command back
            raise Refused("NO", "[CANNOT] a message is not empty")
        arriving = [
            Arriving(
                coming.arrival,
                changed_flags(frozenset(), "", frozenset(message.flags)),
                message.received or datetime.fromtimestamp(now, UTC),
            )
            for coming, message in zip(self._coming, command.messages, strict=True)
        ]
        self._coming = []
        return mailbox, arriving

    async def abandon(self) -> None:
        """Leave nothing behind."""
        coming, self._coming = self._coming, []
        for one in coming:
            await self._backend.call(one.arrival.discard)

    async def _advance(self, command: c.Append, now: float) -> None:
        """Go as far as the command is here: mailbox, arrivals, and the octets that URLs name."""
        backend = self._backend
        if self._mailbox is None:
            self._mailbox = await backend.mailbox(self._session.user or "", command.mailbox, code="TRYCREATE")
        for index, message in enumerate(command.messages):
            if index == len(self._coming):
                self._coming.append(_Coming(await backend.call(backend.store.arrive)))
            coming = self._coming[index]
            for part in message.parts[coming.parts :]:
                coming.parts += 1
                if isinstance(part, UrlPart):
                    await self._copy(coming, part, now)
                else:
                    self._count(coming, part.size)
            if self._failure is None:
                await self._flush(coming)

    def _count(self, coming: _Coming, octets: int) -> None:
        coming.size += octets
        if coming.size > self._backend.config.max_message:
            raise Refused("NO", f"[TOOBIG] a message has at most {self._backend.config.max_message} octets")

    async def _copy(self, coming: _Coming, part: UrlPart, now: float) -> None:
        """Append the octets that a URL names."""
        if self._failure is not None:
            return
        await self._flush(coming)
        backend = self._backend
        content = await backend.call(open_url, backend, self._session, part.url, now)
        self._count(coming, content.size)
        while await backend.call(_copy_some, content.chunks, coming.arrival):
            pass

    async def _flush(self, coming: _Coming) -> None:
        if not coming.held:
            return
        octets = bytes(coming.held)
        coming.held.clear()
        try:
            await self._backend.call(coming.arrival.write, octets)
        except StoreError as problem:
            self._failure = problem


def _copy_some(chunks: Iterator[bytes], arrival: Arrival) -> bool:
    """Copy some chunks; tells whether there may be more. Runs where the store lives."""
    for _ in range(_MOST_COPIED):
        chunk = next(chunks, None)
        if chunk is None:
            return False
        arrival.write(chunk)
    return True


def _nul_in_binary() -> Refused:
    # RFC 3516, 4.4: a mailbox that does not store binary content says so
    return Refused("NO", "[UNKNOWN-CTE] content with NUL is not stored: encode it")
