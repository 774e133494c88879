"""What one session does that others are to hear of: changes of mailboxes, and lines that belong to no command.

The hub knows no more than that something changed. A session looks at its mailbox when it next may tell its client
(RFC 3501, 7.4.1), and only if the count moved: a NOOP without news costs no look into the store.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakSet

from lemonade_imap.serving.mirror import Mirrors
from lemonade_imap.session import ImapSession


class Hub:
    """One for a server, used in the thread of its sessions alone. Sessions are let go of when their connection is.

    A mailbox is named by its `ident`. `mirrors`: what the server remembers of mailboxes, for all sessions together.
    """

    def __init__(self) -> None:
        self.mirrors = Mirrors()
        self._counts: dict[int, int] = {}
        self._removals: dict[int, int] = {}
        self._gone: set[int] = set()
        self._sessions: WeakSet[ImapSession] = WeakSet()

    def join(self, session: ImapSession) -> None:
        """A connection was opened."""
        self._sessions.add(session)

    def count(self, mailbox: int) -> int:
        """Return how often the mailbox changed since the server started."""
        return self._counts.get(mailbox, 0)

    def removals(self, mailbox: int) -> int:
        """Return how often messages were removed from it."""
        return self._removals.get(mailbox, 0)

    def is_gone(self, mailbox: int) -> bool:
        """Tell whether the mailbox was deleted, or has another UIDVALIDITY than before."""
        return mailbox in self._gone

    def changed(self, mailbox: int, *, removed: bool = False) -> None:
        """Messages came, or their flags changed, or (`removed`) some of them are there no more."""
        self._counts[mailbox] = self.count(mailbox) + 1
        if removed:
            self._removals[mailbox] = self.removals(mailbox) + 1
        for session in self._sessions:
            if session.idling and session.view is not None and session.view.mailbox.ident == mailbox:
                session.wake()

    def gone(self, mailbox: int) -> None:
        """The mailbox is not what was selected any more."""
        self._gone.add(mailbox)
        self.mirrors.forget(mailbox)
        self.changed(mailbox)

    def tell(self, line: bytes, whom: Callable[[ImapSession], bool]) -> None:
        """Say a line (without CRLF, `* ` included) to the sessions chosen: with their next answer, or at once in IDLE.

        It must be one that may come at any time, such as an untagged OK; EXISTS and its like follow from `changed`.
        """
        for session in self._sessions:
            if whom(session):
                session.unsolicited.append(line)
                if session.idling:
                    session.wake()
