"""The notifier counts changes, wakes sessions in IDLE on the mailbox, and sends lines to the chosen sessions."""

from __future__ import annotations

import gc

from lemonade_imap.config import ServerConfig
from lemonade_imap.selected_mailbox import SelectedMailbox
from lemonade_imap.serving.change_notifier import ChangeNotifier
from lemonade_imap.session import CommandReceived, ImapSession
from lemonade_imap.store.base import StoredMailbox


def session(
    notifier: ChangeNotifier, mailbox: int | None = None, *, idles: bool = False
) -> tuple[ImapSession, list[str]]:
    """Return a session with a mailbox selected, and the list in which each call of `wake` is recorded."""
    made = ImapSession(ServerConfig())
    made.log_in("joe")
    notifier.join(made)
    if mailbox is not None:
        made.select(SelectedMailbox(StoredMailbox(mailbox, "joe", "INBOX", 1, 1), read_only=False))
    woken: list[str] = []
    made.wake = lambda: woken.append("woken")
    if idles:
        made.receive_data(b"i IDLE\r\n")
        assert isinstance(made.next_event(), CommandReceived)
    return made, woken


def test_changes_and_removals_are_counted_for_each_mailbox() -> None:
    notifier = ChangeNotifier()
    notifier.changed(1)
    notifier.changed(1, removed=True)
    notifier.changed(2)
    assert [(notifier.count(ident), notifier.removals(ident)) for ident in (1, 2, 3)] == [(2, 1), (1, 0), (0, 0)]


def test_only_sessions_in_idle_on_the_mailbox_are_woken() -> None:
    notifier = ChangeNotifier()
    sessions = [
        session(notifier, 1, idles=True),
        session(notifier, 2, idles=True),
        session(notifier, None, idles=True),
        session(notifier, 1),
    ]
    notifier.changed(1)
    assert [bool(woken) for _, woken in sessions] == [True, False, False, False]
    notifier.invalidate(1)
    assert [len(woken) for _, woken in sessions] == [2, 0, 0, 0]


def test_a_deleted_mailbox_stays_deleted_and_its_cache_is_removed() -> None:
    notifier = ChangeNotifier()
    cache = notifier.caches.of(1)
    assert notifier.caches.of(1) is cache
    assert not notifier.is_invalid(1)
    notifier.invalidate(1)
    assert notifier.is_invalid(1)
    assert notifier.count(1) == 1
    assert notifier.caches.of(1) is not cache


def test_lines_wait_for_the_chosen_sessions_and_wake_those_in_idle() -> None:
    notifier = ChangeNotifier()
    (one, one_woken), (other, other_woken) = session(notifier, idles=True), session(notifier)
    notifier.notify(b"* OK for all", lambda _session: True)
    notifier.notify(b"* OK for one", lambda session: session is one)
    assert (one.unsolicited, len(one_woken)) == ([b"* OK for all", b"* OK for one"], 2)
    assert (other.unsolicited, other_woken) == ([b"* OK for all"], [])


def test_a_session_is_freed_with_its_connection() -> None:
    notifier = ChangeNotifier()
    notifier.join(ImapSession(ServerConfig()))
    gc.collect()
    asked: list[ImapSession] = []
    notifier.notify(b"* OK", lambda session: bool(asked.append(session)))  # type: ignore[func-returns-value]  # None
    assert asked == []
