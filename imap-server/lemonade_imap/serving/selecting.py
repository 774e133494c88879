"""Carries out SELECT, EXAMINE and ENABLE, and finds the messages that a command names (RFC 3501, 6.3.1; RFC 5161)."""

from __future__ import annotations

from functools import partial

from lemonade_imap.grammar import commands as c
from lemonade_imap.grammar.sequence import SequenceSet
from lemonade_imap.reply import ReplyBatch
from lemonade_imap.selected_mailbox import SelectedMailbox
from lemonade_imap.serving.backend import Done, Refused
from lemonade_imap.serving.cache_refresh import refresh_cache
from lemonade_imap.serving.context import Context, Handlers, Replies, line
from lemonade_imap.serving.mailbox_cache import CacheUpdate
from lemonade_imap.serving.untagged_updates import claim
from lemonade_imap.serving.urls import says_urlmech
from lemonade_imap.store.base import Store, StoredMailbox
from lemonade_imap.urlauth import MECHANISM

CONDSTORE = "CONDSTORE"
ENABLED_BY_NAME = frozenset({CONDSTORE, "METADATA", "METADATA-SERVER"})
"""Extensions that ENABLE accepts: those that send responses only to clients that enabled them."""


def chosen(view: SelectedMailbox, messages: SequenceSet, *, by_uid: bool) -> list[int]:
    """Return the UIDs of the messages in a set of UIDs or sequence numbers, ascending.

    A UID that no message has is ignored (RFC 3501, 6.4.8). Raises Refused (BAD) for a sequence number that no message
    has (RFC 3501, 9: seq-number).
    """
    if by_uid:
        return messages.pick(view.uids)
    if messages.exceeds(len(view.uids)):
        raise Refused("BAD", "no message has this sequence number")
    return [view.uids[number - 1] for number in messages.pick(range(1, len(view.uids) + 1))]


async def _enable(context: Context, command: c.Enable) -> Replies:
    session = context.session
    new = [name for name in dict.fromkeys(command.names) if name in ENABLED_BY_NAME - session.enabled]
    if CONDSTORE in new:
        yield ReplyBatch(enable_condstore(context))
    session.enabled |= set(new)
    yield line(" ".join(["* ENABLED", *new]))


def enable_condstore(context: Context) -> list[bytes]:
    """Enable CONDSTORE in the session.

    Returns the HIGHESTMODSEQ line if CONDSTORE was not enabled before and a mailbox is selected.
    """
    session, view = context.session, context.session.view
    if CONDSTORE in session.enabled:
        return []
    session.enabled.add(CONDSTORE)
    if view is None:
        return []
    view.modseqs = True
    return [b"* OK [HIGHESTMODSEQ %d] mod-sequences are enabled" % view.highest_modseq]


async def _select(context: Context, command: c.Select) -> Replies:
    backend, session = context.backend, context.session
    # The old mailbox is closed even if the new one cannot be selected (RFC 3501, 6.3.1).
    if session.view is not None:
        session.select(None)
        yield line("* OK [CLOSED] the previous mailbox is closed")  # RFC 7162, 3.2.11
    if command.condstore:
        session.enabled.add(CONDSTORE)
    named = await backend.mailbox(context.user, command.mailbox)
    refreshed = await refresh_cache(backend, named, partial(_open, backend.store, named, command.read_only))
    if refreshed.result is None:
        raise Refused("NO", "[NONEXISTENT] there is no such mailbox")
    cache, (mailbox, recent) = refreshed.cache, refreshed.result
    view = SelectedMailbox(mailbox, read_only=command.read_only, modseqs=CONDSTORE in session.enabled)
    view.recent = recent
    view.seen = refreshed.count
    lines = view.open(cache)
    unseen = cache.first_unseen()
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
    yield ReplyBatch(lines)
    session.select(view)
    word = "EXAMINE" if command.read_only else "SELECT"
    yield Done(f"[{'READ-ONLY' if command.read_only else 'READ-WRITE'}] {word} completed")


def _open(
    store: Store, named: StoredMailbox, read_only: bool, _seen: CacheUpdate
) -> tuple[StoredMailbox, frozenset[int]] | None:
    r"""Return the mailbox's present values and the UIDs that are `\Recent`; None if it was deleted."""
    mailbox = store.mailbox(named.user, named.name)
    if mailbox is None or mailbox.ident != named.ident:
        return None
    return mailbox, claim(store, mailbox, read_only=read_only)


HANDLERS: Handlers = {
    c.Enable: _enable,
    c.Select: _select,
}
