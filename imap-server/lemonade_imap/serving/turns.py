"""Lets sessions work in turns in the reactor's thread, so that none keeps the others waiting for long."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred

from lemonade_imap.admission import network_of
from lemonade_imap.session import ImapSession
from lemonade_wire.turns import TurnQueue

COMMAND = 300
"""Work of one event of a session, besides its octets, as `lemonade_wire.turns` counts it."""
REPLY = 60
"""Work of one reply, besides its octets."""


class SessionTurns(Protocol):
    """Counts the work of sessions in the reactor's thread."""

    async def take(self, session: ImapSession, work: int) -> None:
        """Count work that a session has done; if the turn is used up, wait until it is this session's turn again."""


class UnlimitedTurns:
    """Never waits: for a server without a reactor."""

    async def take(self, session: ImapSession, work: int) -> None:
        """Return at once."""


class FairTurns:
    """Accounts take turns, and all sessions before login count as one of them, whose addresses take turns."""

    def __init__(self, queue: TurnQueue) -> None:
        self._queue = queue

    async def take(self, session: ImapSession, work: int) -> None:
        """Count work; wait for the session's next turn if the present one is used up or others wait."""
        # An account's name is no empty text: that is the group of the sessions without one.
        group = session.user or ""
        if work:
            self._queue.spend(group, work)
        if self._queue.free:
            return
        turn: Deferred[None] = Deferred()
        self._queue.wait(group, "" if group else network_of(session.peer), lambda: turn.callback(None))
        await turn
