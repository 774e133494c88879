"""One visit to the store, which brings what the server remembers of a mailbox up to date on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from lemonade_imap.serving.backend import Backend
from lemonade_imap.serving.mirror import Look, Mirror, Question, look
from lemonade_imap.store.base import Mailbox, Store

T = TypeVar("T")


@dataclass(frozen=True)
class Visited(Generic[T]):
    """The mirror, up to date with what the hub had counted (`count`) before the visit, and what the work returned."""

    mirror: Mirror
    count: int
    made: T


async def visit(
    backend: Backend, mailbox: Mailbox, work: Callable[[Look], T], *, looks_anyway: bool = False
) -> Visited[T]:
    """Run `work` where the store lives, and give it what changed there since the mirror's last look.

    Where the hub counted nothing since, that is nothing, and the store is not asked. `looks_anyway` asks all the same:
    what another session changes this very moment is counted when it is told that it is done.
    """
    hub, ident = backend.hub, mailbox.ident
    count, removals = hub.count(ident), hub.removals(ident)
    mirror = hub.mirrors.of(ident)
    question = mirror.question(mailbox, removals) if looks_anyway or mirror.count != count else None
    seen, made = await backend.call(_visit, backend.store, question, work)
    if question is not None:
        mirror.take(seen, count, removals)
    return Visited(mirror, count, made)


def _visit(store: Store, question: Question | None, work: Callable[[Look], T]) -> tuple[Look, T]:
    seen = Look([]) if question is None else look(store, question)
    return seen, work(seen)


async def current(backend: Backend, mailbox: Mailbox) -> Mirror:
    """Return the mirror of a mailbox, up to date; nobody is told anything."""
    mirror = backend.hub.mirrors.of(mailbox.ident)
    if mirror.count == backend.hub.count(mailbox.ident):
        return mirror
    return (await visit(backend, mailbox, lambda _seen: None)).mirror
