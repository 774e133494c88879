"""APPEND (RFC 3501, 6.3.11; RFC 3502; RFC 4315, 3), whose octets were streamed to the store as they came."""

from __future__ import annotations

from lemonade_imap.grammar import commands as c
from lemonade_imap.grammar.sequence import write_set
from lemonade_imap.serving.backend import Done, Refused
from lemonade_imap.serving.context import Context, Handlers, Replies
from lemonade_imap.serving.incoming import Incoming
from lemonade_imap.store.base import MailboxMissing


async def _append(context: Context, command: c.Append) -> Replies:
    backend = context.backend
    incoming = context.incoming or Incoming(backend, context.session)
    try:
        mailbox, arriving = await incoming.complete(command, context.now)
    except Exception:  # not GeneratorExit: where the server ends, nothing can be waited for
        await incoming.abandon()
        raise
    await incoming.abandon()
    try:
        messages = await backend.call(backend.store.append, mailbox, arriving)
    except MailboxMissing:
        raise Refused("NO", "[TRYCREATE] there is no such mailbox") from None
    backend.hub.changed(mailbox.ident)
    uids = write_set(message.uid for message in messages)
    yield Done(f"[APPENDUID {mailbox.uid_validity} {uids}] APPEND completed")


HANDLERS: Handlers = {c.Append: _append}
