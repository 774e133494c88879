"""Carries out commands: calls the command's handler, then sends updates and the tagged response."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

from lemonade_imap.grammar import commands as c
from lemonade_imap.reply import Reply, ReplyBatch
from lemonade_imap.serving import (
    append,
    authentication,
    copying,
    fetch,
    flags,
    listing,
    mailboxes,
    metadata,
    search,
    selecting,
    urls,
)
from lemonade_imap.serving.append import Incoming
from lemonade_imap.serving.backend import Backend, Challenge, Done, Refused
from lemonade_imap.serving.context import Context, Handlers, line
from lemonade_imap.serving.untagged_updates import has_updates, updates
from lemonade_imap.session import ImapSession
from lemonade_imap.store.base import StoreError

ReplyStream = AsyncIterator[Reply | ReplyBatch]
HANDLERS: Handlers = {
    **authentication.HANDLERS,
    **listing.HANDLERS,
    **mailboxes.HANDLERS,
    **selecting.HANDLERS,
    **append.HANDLERS,
    **fetch.HANDLERS,
    **search.HANDLERS,
    **flags.HANDLERS,
    **copying.HANDLERS,
    **metadata.HANDLERS,
    **urls.HANDLERS,
}


class ImapService:
    """Turns commands into replies; one service serves all sessions of a server."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        metadata.set_start_values(backend)

    def greeting(self, session: ImapSession) -> Reply:
        """Return the greeting, the first line of a connection (RFC 3501, 7.1.1)."""
        listed = " ".join(authentication.capabilities(self.backend, session))
        return line(f"* OK [CAPABILITY {listed}] {self.backend.config.names[0]} ready")

    async def begin(self, incoming: Incoming, tag: str, command: c.Append, now: float) -> Reply | None:
        """Prepare to receive a message's octets; returns a tagged response if the message is refused."""
        try:
            await incoming.begin(command, now)
        except Refused as refused:
            return line(f"{tag} {refused.result} {refused}")
        except StoreError as problem:
            self.backend.log(f"store: {problem}")
            return line(f"{tag} NO [SERVERBUG] {problem}")
        return None

    async def perform(
        self, session: ImapSession, tag: str, command: c.ParsedCommand, now: float, incoming: Incoming | None = None
    ) -> ReplyStream:
        """Carry out a command: yields its untagged replies, then the tagged one.

        `now`: seconds since 1970. `incoming`: the message literals that were received with the command.
        """
        behaviour = self.backend.behaviour
        async for told in self._replies(session, tag, command, now, incoming):
            if not behaviour.edits_lines:
                yield told
                continue
            for reply in [Reply.of(text) for text in told.lines] if isinstance(told, ReplyBatch) else [told]:
                edited = reply.edited(lambda text: behaviour.edit_line(command.name, tag, text))
                if edited is not None:
                    yield edited

    async def _replies(
        self, session: ImapSession, tag: str, command: c.ParsedCommand, now: float, incoming: Incoming | None
    ) -> ReplyStream:
        done = Done(f"{command.name} completed")
        context = Context(self.backend, session, now, tag, incoming)
        try:
            if self.backend.behaviour.refuses(command.name):
                raise Refused("NO", "[UNAVAILABLE] the messages are out of reach")
            async for reply in HANDLERS[type(command)](context, command):
                if isinstance(reply, Challenge):
                    session.await_sasl(tag, reply.answered)
                    yield Reply((b"+ " + base64.b64encode(reply.message),), secret=True)
                    return
                if isinstance(reply, Done):
                    done = reply
                else:
                    yield reply
            async for told in updates(self.backend, session, numbers_stay=_numbers_stay(command)):
                yield told
        except Refused as refused:
            yield line(f"{tag} {refused.result} {refused}")
        except StoreError as problem:
            self.backend.log(f"store: {problem}")
            yield line(f"{tag} NO [SERVERBUG] {problem}")
        else:
            # IDLE gets its tagged response only after DONE (RFC 2177, 3).
            if not session.idling:
                for _ in range(self.backend.behaviour.count_results(command.name)):
                    yield line(f"{tag} OK {done.text}")

    def has_updates(self, session: ImapSession) -> bool:
        """Tell whether there may be updates for a session."""
        return has_updates(self.backend, session)

    async def updates(self, session: ImapSession) -> ReplyStream:
        """Yield the untagged updates for a session in IDLE (RFC 2177)."""
        try:
            async for told in updates(self.backend, session):
                yield told
        except StoreError as problem:
            self.backend.log(f"store: {problem}")
            session.log_out()
            yield line(f"* BYE [SERVERBUG] {problem}")


def _numbers_stay(command: c.ParsedCommand) -> bool:
    """Tell whether EXPUNGE responses are forbidden with this command's response (RFC 3501, 7.4.1)."""
    return isinstance(command, c.Fetch | c.StoreFlags | c.Search) and not command.by_uid
