"""Carries out APPEND: the octets go to the store while they are received (RFC 3501, 6.3.11; RFC 3502; RFC 4469).

`Incoming` writes the octets of the messages to the store as they come, and keeps only the last chunk in memory. When
the command is complete, its handler adds the messages to the mailbox. An error before a literal's octets is answered
before the client sends them, if the literal is synchronising; an error among the octets is answered at the end of the
command.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lemonade_imap.grammar import commands as c
from lemonade_imap.grammar.append import TextPart, UrlPart
from lemonade_imap.grammar.sequence import write_set
from lemonade_imap.serving.backend import Backend, Done, Refused
from lemonade_imap.serving.catenate import open_url
from lemonade_imap.serving.context import Context, Handlers, Replies
from lemonade_imap.session import ImapSession
from lemonade_imap.store.base import CHUNK, IncomingMessage, MailboxMissing, NewMessage, StoredMailbox, StoreError
from lemonade_imap.store.values import changed_flags

_MOST_COPIED = 16
"""Chunks that are copied in one call of the store."""
MOST_PARTS = 2000
"""Parts that the messages of a command have before its last message; their indexes are in memory until its end."""


@dataclass
class _Coming:
    """A message of which `parts` parts were received or begun; `size` is their octets, `held` those not yet written."""

    arrival: IncomingMessage
    parts: int = 0
    size: int = 0
    held: bytearray = field(default_factory=bytearray)


class Incoming:
    """Receives the messages of one command; call `abandon` if `complete` is not reached or raises."""

    def __init__(self, backend: Backend, session: ImapSession) -> None:
        self._backend = backend
        self._session = session
        self._mailbox: StoredMailbox | None = None
        self._coming: list[_Coming] = []
        self._parts = 0
        self._binary = False
        self._failure: Exception | None = None

    async def begin(self, command: c.Append, now: float) -> None:
        """Prepare to receive the octets of the command's last part; raises Refused or StoreError."""
        await self._advance(command, now)
        last = command.messages[-1].parts[-1]
        self._binary = isinstance(last, TextPart) and last.binary

    async def write(self, octets: bytes) -> None:
        """Receive octets of the last part. An error is kept and raised by `complete`."""
        if self._failure is not None:
            return
        coming = self._coming[-1]
        if b"\0" in octets:
            self._failure = (
                _nul_in_binary() if self._binary else Refused("BAD", "a message with NUL must be sent as a literal8")
            )
            return
        coming.held += octets
        if len(coming.held) >= CHUNK:
            await self._flush(coming)

    async def complete(self, command: c.Append, now: float) -> tuple[StoredMailbox, list[NewMessage]]:
        """Return the mailbox and the messages that the store must append; raises Refused or StoreError."""
        await self._advance(command, now)
        if self._failure is not None:
            raise self._failure
        mailbox = self._mailbox
        if mailbox is None or not all(coming.size for coming in self._coming):
            # RFC 3502: with an empty message a client cancels the command
            raise Refused("NO", "[CANNOT] a message must not be empty")
        arriving = [
            NewMessage(
                coming.arrival,
                changed_flags(frozenset(), "", frozenset(message.flags)),
                message.received or datetime.fromtimestamp(now, UTC),
            )
            for coming, message in zip(self._coming, command.messages, strict=True)
        ]
        self._coming = []
        return mailbox, arriving

    async def abandon(self) -> None:
        """Delete the octets of messages that were not completed."""
        coming, self._coming = self._coming, []
        for one in coming:
            await self._backend.call(one.arrival.discard)

    async def _advance(self, command: c.Append, now: float) -> None:
        """Process the received part of the command: find the mailbox, begin messages, copy the octets of URLs."""
        backend = self._backend
        if self._mailbox is None:
            self._mailbox = await backend.mailbox(self._session.user or "", command.mailbox, code="TRYCREATE")
        for index, message in enumerate(command.messages):
            if index == len(self._coming):
                await self._end_last()
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

    async def _end_last(self) -> None:
        """Release the descriptor of the message before the next one, and count its parts; raises Refused."""
        if self._coming and self._failure is None:
            arrival = self._coming[-1].arrival
            await self._backend.call(arrival.end)
            self._parts += arrival.parts
            if self._parts > MOST_PARTS:
                raise Refused("NO", f"[LIMIT] the messages of a command have at most {MOST_PARTS} parts")

    def _count(self, coming: _Coming, octets: int) -> None:
        coming.size += octets
        if coming.size > self._backend.config.max_message:
            raise Refused("NO", f"[TOOBIG] a message has at most {self._backend.config.max_message} octets")

    async def _copy(self, coming: _Coming, part: UrlPart, now: float) -> None:
        """Add the octets that a URL names to a message."""
        if self._failure is not None:
            return
        await self._flush(coming)
        backend = self._backend
        content = await backend.call(open_url, backend, self._session, part.url, now)
        self._count(coming, content.size)
        while await backend.runner.call_in_turn(self._session.user or "", _copy_some, content.chunks, coming.arrival):
            pass

    async def _flush(self, coming: _Coming) -> None:
        if not coming.held:
            return
        octets = bytes(coming.held)
        coming.held.clear()
        try:
            # Indexing takes milliseconds, so that accounts take turns.
            await self._backend.runner.call_in_turn(self._session.user or "", coming.arrival.write, octets)
        except StoreError as problem:
            self._failure = problem


def _copy_some(chunks: Iterator[bytes], arrival: IncomingMessage) -> bool:
    """Copy up to _MOST_COPIED chunks; returns whether more may follow. Must run by the store's runner."""
    for _ in range(_MOST_COPIED):
        chunk = next(chunks, None)
        if chunk is None:
            return False
        arrival.write(chunk)
    return True


def _nul_in_binary() -> Refused:
    # RFC 3516, 4.4: the answer for a mailbox that cannot store content with NUL
    return Refused("NO", "[UNKNOWN-CTE] content with NUL is not stored: encode it")


async def _append(context: Context, command: c.Append) -> Replies:
    backend = context.backend
    incoming = context.incoming or Incoming(backend, context.session)
    try:
        mailbox, arriving = await incoming.complete(command, context.now)
    except Exception:  # not GeneratorExit: when the server stops, nothing can be awaited any more
        await incoming.abandon()
        raise
    await incoming.abandon()
    try:
        messages = await backend.call(backend.store.append, mailbox, arriving)
    except MailboxMissing:
        raise Refused("NO", "[TRYCREATE] there is no such mailbox") from None
    backend.change_notifier.changed(mailbox.ident)
    uids = write_set(message.uid for message in messages)
    yield Done(f"[APPENDUID {mailbox.uid_validity} {uids}] APPEND completed")


HANDLERS: Handlers = {c.Append: _append}
