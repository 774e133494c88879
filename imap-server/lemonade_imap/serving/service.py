"""Carries commands out on the store: finds who does it, tells the news of others, and writes the tagged answer."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

from lemonade_imap.grammar import commands as c
from lemonade_imap.reply import Batch, Reply
from lemonade_imap.serving import (
    append,
    copying,
    enabling,
    entering,
    fetch,
    flags,
    listing,
    login,
    mailboxes,
    metadata,
    search,
    selecting,
    urls,
)
from lemonade_imap.serving.backend import Backend, Challenge, Done, Refused
from lemonade_imap.serving.context import Context, Handlers, line
from lemonade_imap.serving.incoming import Incoming
from lemonade_imap.serving.news import has_news, news
from lemonade_imap.session import ImapSession
from lemonade_imap.store.base import StoreError

Told = AsyncIterator[Reply | Batch]
HANDLERS: Handlers = {
    **login.HANDLERS,
    **entering.HANDLERS,
    **enabling.HANDLERS,
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


class Service:
    """Turns commands into replies. One service serves all sessions of a server; it is made before the first of them."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        metadata.set_start_values(backend)

    def greeting(self, session: ImapSession) -> Reply:
        """Return the first line of a connection."""
        listed = " ".join(login.capabilities(self.backend, session))
        return line(f"* OK [CAPABILITY {listed}] {self.backend.config.names[0]} ready")

    async def begin(self, incoming: Incoming, tag: str, command: c.Append, now: float) -> Reply | None:
        """Prepare for a message's octets: returns the tagged answer where they are not wanted."""
        try:
            await incoming.begin(command, now)
        except Refused as refused:
            return line(f"{tag} {refused.result} {refused}")
        except StoreError as problem:
            self.backend.log(f"store: {problem}")
            return line(f"{tag} NO [SERVERBUG] {problem}")
        return None

    async def perform(
        self, session: ImapSession, tag: str, command: c.Command, now: float, incoming: Incoming | None = None
    ) -> Told:
        """Carry a command out: yield its untagged replies, then the tagged one. `now` is seconds since 1970.

        `incoming`: the messages that came with it.
        """
        done = Done(f"{command.name} completed")
        context = Context(self.backend, session, now, tag, incoming)
        try:
            async for reply in HANDLERS[type(command)](context, command):
                if isinstance(reply, Challenge):
                    session.await_sasl(tag, reply.answered)
                    yield Reply((b"+ " + base64.b64encode(reply.message),), secret=True)
                    return
                if isinstance(reply, Done):
                    done = reply
                else:
                    yield reply
            async for told in news(self.backend, session, numbers_stay=_numbers_stay(command)):
                yield told
        except Refused as refused:
            yield line(f"{tag} {refused.result} {refused}")
        except StoreError as problem:
            self.backend.log(f"store: {problem}")
            yield line(f"{tag} NO [SERVERBUG] {problem}")
        else:
            # what begins IDLE has no answer but the continuation: DONE gets it
            if not session.idling:
                yield line(f"{tag} OK {done.text}")

    def has_news(self, session: ImapSession) -> bool:
        """Tell whether something is to be said to a session that may not know it yet."""
        return has_news(self.backend, session)

    async def news(self, session: ImapSession) -> Told:
        """Say what others did, to a session that idles (RFC 2177)."""
        try:
            async for told in news(self.backend, session):
                yield told
        except StoreError as problem:
            self.backend.log(f"store: {problem}")
            session.log_out()
            yield line(f"* BYE [SERVERBUG] {problem}")


def _numbers_stay(command: c.Command) -> bool:
    """Tell whether nobody may be told to be gone while a command is carried out (RFC 3501, 7.4.1)."""
    return isinstance(command, c.Fetch | c.StoreFlags | c.Search) and not command.by_uid
