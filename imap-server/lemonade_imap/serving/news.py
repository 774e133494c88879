"""What a session is told besides its answers: changes of its mailbox by others, and lines that wait for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from lemonade_imap.reply import Batch, Reply
from lemonade_imap.serving.backend import Backend
from lemonade_imap.serving.mirror import Look, Mirror, Question, look
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
    seen, removals = backend.hub.count(ident), backend.hub.removals(ident)
    mirror = backend.hub.mirrors.of(ident)
    recent: frozenset[int] = frozenset()
    arrived = mirror.after(view.newest) < len(mirror.uids)
    if mirror.count != seen or arrived:
        question = mirror.question(view.mailbox, removals)
        answer, recent = await backend.call(_look_and_claim, backend.store, question, view, arrived=arrived)
        mirror.take(answer, seen, removals)
    lines = view.news(mirror, recent, numbers_stay=numbers_stay)
    if not numbers_stay:
        view.seen = seen
    if lines:
        yield Batch(lines)


async def current(backend: Backend, mailbox: Mailbox) -> Mirror:
    """Return the mirror of a mailbox, up to date; nobody is told anything."""
    seen, removals = backend.hub.count(mailbox.ident), backend.hub.removals(mailbox.ident)
    mirror = backend.hub.mirrors.of(mailbox.ident)
    if mirror.count != seen:
        mirror.take(await backend.call(look, backend.store, mirror.question(mailbox, removals)), seen, removals)
    return mirror


def _look_and_claim(store: Store, question: Question, view: View, *, arrived: bool) -> tuple[Look, frozenset[int]]:
    r"""Look, and where messages are new to the session claim them as `\Recent`, in one visit."""
    answer = look(store, question)
    newest = max((summary.uid for summary in answer.changed), default=0)
    if not arrived and newest <= view.newest:
        return answer, frozenset()
    return answer, claim(store, view.mailbox, read_only=view.read_only)


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
    seen, removals = backend.hub.count(ident), backend.hub.removals(ident)
    mirror = backend.hub.mirrors.of(ident)
    question = mirror.question(view.mailbox, removals)
    before, made, after = await backend.call(_change, backend.store, question, work, removes=removes)
    mirror.take(before, seen, removals)
    lines = view.flag_news(mirror)
    backend.hub.changed(ident, removed=removes)
    mirror.take(after, backend.hub.count(ident), backend.hub.removals(ident))
    return lines, made


def _change(store: Store, question: Question, work: Callable[[Look], T], *, removes: bool) -> tuple[Look, T, Look]:
    before = look(store, question)
    made = work(before)
    after = Question(question.mailbox, max(question.since, before.modseq), question.all_uids or removes)
    return before, made, look(store, after)
