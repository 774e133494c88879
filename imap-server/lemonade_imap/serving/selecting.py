"""SELECT and EXAMINE (RFC 3501, 6.3.1 and 6.3.2; RFC 4467, 8; RFC 7162, 3.1.2)."""

from __future__ import annotations

from functools import partial

from lemonade_imap.grammar import commands as c
from lemonade_imap.reply import Batch
from lemonade_imap.serving.backend import Done, Refused
from lemonade_imap.serving.context import Context, Handlers, Replies, line
from lemonade_imap.serving.enabling import CONDSTORE
from lemonade_imap.serving.mirror import Look
from lemonade_imap.serving.news import claim
from lemonade_imap.serving.urls import says_urlmech
from lemonade_imap.serving.visiting import visit
from lemonade_imap.store.base import Mailbox, Store
from lemonade_imap.urlauth import MECHANISM
from lemonade_imap.view import View


async def _select(context: Context, command: c.Select) -> Replies:
    backend, session = context.backend, context.session
    # the old mailbox is left even where the new one cannot be had (RFC 3501, 6.3.1)
    if session.view is not None:
        session.select(None)
        yield line("* OK [CLOSED] the mailbox before is left")  # RFC 7162, 3.2.11
    if command.condstore:
        session.enabled.add(CONDSTORE)
    named = await backend.mailbox(context.user, command.mailbox)
    visited = await visit(backend, named, partial(_open, backend.store, named, command.read_only))
    if visited.made is None:
        raise Refused("NO", "[NONEXISTENT] there is no such mailbox")
    mirror, (mailbox, recent) = visited.mirror, visited.made
    view = View(mailbox, read_only=command.read_only, modseqs=CONDSTORE in session.enabled)
    view.recent = recent
    view.seen = visited.count
    lines = view.open(mirror)
    unseen = mirror.first_unseen()
    if unseen is not None:
        lines.append(b"* OK [UNSEEN %d] first unseen" % unseen)
    lines += [
        b"* OK %s flags that stay" % view.permanent_flags,
        b"* OK [UIDVALIDITY %d] UIDs are valid" % mailbox.uid_validity,
        b"* OK [UIDNEXT %d] next UID" % mailbox.uid_next,
        b"* OK [HIGHESTMODSEQ %d] highest mod-sequence" % mailbox.highest_modseq,
    ]
    if says_urlmech(backend, session):
        lines.append(b"* OK [URLMECH %s] mechanisms of GENURLAUTH" % MECHANISM.encode("ascii"))
    yield Batch(lines)
    session.select(view)
    word = "EXAMINE" if command.read_only else "SELECT"
    yield Done(f"[{'READ-ONLY' if command.read_only else 'READ-WRITE'}] {word} completed")


def _open(store: Store, named: Mailbox, read_only: bool, _seen: Look) -> tuple[Mailbox, frozenset[int]] | None:
    """Return the mailbox as it is now, and who is `Recent`; None where it is gone."""
    mailbox = store.mailbox(named.user, named.name)
    if mailbox is None or mailbox.ident != named.ident:
        return None
    return mailbox, claim(store, mailbox, read_only=read_only)


HANDLERS: Handlers = {c.Select: _select}
