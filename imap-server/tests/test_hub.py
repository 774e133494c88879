"""The hub counts changes, wakes who idles on the mailbox, and passes lines on to those they are for."""

from __future__ import annotations

import gc

from lemonade_imap.config import ServerConfig
from lemonade_imap.serving.hub import Hub
from lemonade_imap.session import CommandReceived, ImapSession
from lemonade_imap.store.base import Mailbox
from lemonade_imap.view import View


def session(hub: Hub, mailbox: int | None = None, *, idles: bool = False) -> tuple[ImapSession, list[str]]:
    """Return a session with a mailbox selected, and the list in which its being woken is noted."""
    made = ImapSession(ServerConfig())
    made.log_in("joe")
    hub.join(made)
    if mailbox is not None:
        made.select(View(Mailbox(mailbox, "joe", "INBOX", 1, 1), read_only=False))
    woken: list[str] = []
    made.wake = lambda: woken.append("woken")
    if idles:
        made.receive_data(b"i IDLE\r\n")
        assert isinstance(made.next_event(), CommandReceived)
    return made, woken


def test_changes_and_removals_are_counted_for_each_mailbox() -> None:
    hub = Hub()
    hub.changed(1)
    hub.changed(1, removed=True)
    hub.changed(2)
    assert [(hub.count(ident), hub.removals(ident)) for ident in (1, 2, 3)] == [(2, 1), (1, 0), (0, 0)]


def test_who_idles_on_a_mailbox_is_woken_and_nobody_else() -> None:
    hub = Hub()
    sessions = [
        session(hub, 1, idles=True),
        session(hub, 2, idles=True),
        session(hub, None, idles=True),
        session(hub, 1),
    ]
    hub.changed(1)
    assert [bool(woken) for _, woken in sessions] == [True, False, False, False]
    hub.gone(1)
    assert [len(woken) for _, woken in sessions] == [2, 0, 0, 0]


def test_a_mailbox_that_is_gone_stays_so_and_is_forgotten() -> None:
    hub = Hub()
    mirror = hub.mirrors.of(1)
    assert hub.mirrors.of(1) is mirror
    assert not hub.is_gone(1)
    hub.gone(1)
    assert hub.is_gone(1)
    assert hub.count(1) == 1
    assert hub.mirrors.of(1) is not mirror


def test_lines_wait_for_those_they_are_for_and_wake_who_idles() -> None:
    hub = Hub()
    (one, one_woken), (other, other_woken) = session(hub, idles=True), session(hub)
    hub.tell(b"* OK for all", lambda _session: True)
    hub.tell(b"* OK for one", lambda session: session is one)
    assert (one.unsolicited, len(one_woken)) == ([b"* OK for all", b"* OK for one"], 2)
    assert (other.unsolicited, other_woken) == ([b"* OK for all"], [])


def test_a_session_is_let_go_of_with_its_connection() -> None:
    hub = Hub()
    hub.join(ImapSession(ServerConfig()))
    gc.collect()
    asked: list[ImapSession] = []
    hub.tell(b"* OK", lambda session: bool(asked.append(session)))  # type: ignore[func-returns-value]
    assert asked == []
