"""Informs sessions of changes that other sessions made to mailboxes, and sends them untagged lines.

The notifier only counts the changes of each mailbox. A session queries the store when it may next inform its client
(RFC 3501, 7.4.1), and only if the count has increased: a NOOP without changes needs no query.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakSet

from lemonade_imap.serving.mailbox_cache import MailboxCaches
from lemonade_imap.session import ImapSession


class ChangeNotifier:
    """The notifier of one server; only the reactor's thread may use it.

    It holds weak references to the sessions, so that a session is freed with its connection. A mailbox is named by its
    `ident`. `caches`: the caches of mailboxes that all sessions share.
    """

    def __init__(self) -> None:
        self.caches = MailboxCaches()
        self._counts: dict[int, int] = {}
        self._removals: dict[int, int] = {}
        self._invalid: set[int] = set()
        self._sessions: WeakSet[ImapSession] = WeakSet()

    def join(self, session: ImapSession) -> None:
        """Add the session of a new connection."""
        self._sessions.add(session)

    def count(self, mailbox: int) -> int:
        """Return the number of changes of a mailbox since the server started."""
        return self._counts.get(mailbox, 0)

    def removals(self, mailbox: int) -> int:
        """Return the number of changes that removed messages from a mailbox since the server started."""
        return self._removals.get(mailbox, 0)

    def is_invalid(self, mailbox: int) -> bool:
        """Tell whether the mailbox was deleted or got a new UIDVALIDITY since the server started."""
        return mailbox in self._invalid

    def changed(self, mailbox: int, *, removed: bool = False) -> None:
        """Count a change of a mailbox's messages or flags, and wake the sessions in IDLE that have it selected.

        `removed`: messages were removed.
        """
        self._counts[mailbox] = self.count(mailbox) + 1
        if removed:
            self._removals[mailbox] = self.removals(mailbox) + 1
        for session in self._sessions:
            if session.idling and session.view is not None and session.view.mailbox.ident == mailbox:
                session.wake()

    def invalidate(self, mailbox: int) -> None:
        """Note that a mailbox was deleted or got a new UIDVALIDITY: sessions that have it selected must end."""
        self._invalid.add(mailbox)
        self.caches.forget(mailbox)
        self.changed(mailbox)

    def notify(self, line: bytes, selects: Callable[[ImapSession], bool]) -> None:
        """Send a line, without CRLF and with `* `, to the sessions for which `selects` returns True.

        It is sent with the session's next answer, or at once in IDLE. It must be a response that is allowed at any
        time, such as an untagged OK. EXISTS, EXPUNGE and FETCH are not sent this way: they follow from `changed`.
        """
        for session in self._sessions:
            if selects(session):
                session.unsolicited.append(line)
                if session.idling:
                    session.wake()
