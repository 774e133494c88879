"""What a session is told besides its answers: changes of its mailbox by others, and lines that wait for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from lemonade_imap.reply import Batch, Reply
from lemonade_imap.serving.backend import Backend
from lemonade_imap.serving.mirror import Look, Question, look
from lemonade_imap.serving.visiting import visit
from lemonade_imap.session import ImapSession
from lemonade_imap.store.base import Mailbox, Store
from lemonade_imap.view import View

T = TypeVar("T")


def has_news(backend: Backend, session: ImapSession) -> bool:
    """Tell whether something is to be said to a session that may not know it yet."""
    view = session.view
    return bool(session.unsolicited) or (view is not None and view.seen != backend.hub.count(view.mailbox.ident))


async def news(backend: Backend, session: ImapSession, *, numbers_stay: bool = False) -> AsyncIterator[Reply | Batch]:
    """Tell what is new; `numbers_stay`: nobody is told to be gone now (RFC 3501, 7.4.1)."""
    if session.unsolicited:
        waiting, session.unsolicited = session.unsolicited, []
        yield Batch(waiting)
    view = session.view
    if view is None or not has_news(backend, session):
        return
    ident = view.mailbox.ident
    if backend.hub.is_gone(ident):
        session.select(None)
        session.log_out()
        yield Reply.of(b"* BYE the selected mailbox is there no more")
        return
    count, mirror = backend.hub.count(ident), backend.hub.mirrors.of(ident)
    recent: frozenset[int] = frozenset()
    arrived = mirror.after(view.newest) < len(mirror.uids)
    if mirror.count != count or arrived:
        visited = await visit(backend, view.mailbox, partial(_claim_arrived, backend.store, view, arrived))
        count, mirror, recent = visited.count, visited.mirror, visited.made
    lines = view.news(mirror, recent, numbers_stay=numbers_stay)
    if not numbers_stay:
        view.seen = count
    if lines:
        yield Batch(lines)


def _claim_arrived(store: Store, view: View, arrived: bool, seen: Look) -> frozenset[int]:
    r"""Claim messages that are new to the session as `\Recent`: such as were `arrived` before, or are seen now."""
    newest = max((summary.uid for summary in seen.changed), default=0)
    if not arrived and newest <= view.newest:
        return frozenset()
    return claim(store, view.mailbox, read_only=view.read_only)


def claim(store: Store, mailbox: Mailbox, *, read_only: bool) -> frozenset[int]:
    r"""Return the UIDs that are `\Recent` for a session that is told of them now; EXAMINE does not take them."""
    return store.recent(mailbox) if read_only else store.claim_recent(mailbox)


async def change(
    backend: Backend, view: View, work: Callable[[Look], T], *, removes: bool = False
) -> tuple[list[bytes], T]:
    """Change the selected mailbox: `work`, where the store lives, is given what changed since the mirror's last look.

    Returns what others did to flags before, which the client is to be told first, and what the work returned.
    """
    ident = view.mailbox.ident
    since = backend.hub.mirrors.of(ident).modseq
    changing = partial(_change, backend.store, Question(view.mailbox, since, removes), work)
    visited = await visit(backend, view.mailbox, changing, looks_anyway=True)
    made, after = visited.made
    lines = view.flag_news(visited.mirror)
    backend.hub.changed(ident, removed=removes)
    visited.mirror.take(after, backend.hub.count(ident), backend.hub.removals(ident))
    return lines, made


def _change(store: Store, after: Question, work: Callable[[Look], T], before: Look) -> tuple[T, Look]:
    made = work(before)
    return made, look(store, replace(after, since=max(after.since, before.modseq)))
