"""IDLE (RFC 2177) in memory: updates are sent during IDLE, and only DONE ends it without an error."""

from __future__ import annotations

import pytest

from lemonade_imap.testing import LoopbackConnection
from lemonade_imap.testing.world import World

MORE = b"Subject: more\r\n\r\n"


def idling(world: World) -> LoopbackConnection:
    other = world.login("joe")
    other.receive_data(b"s SELECT INBOX\r\n")
    assert other.receive_data(b"i IDLE\r\n") == b"+ idling\r\n"
    return other


def test_updates_are_sent_during_idle_and_done_gets_the_tagged_answer(world: World) -> None:
    other = idling(world)
    assert other.receive_data(b"") == b""
    world.append(MORE)
    assert b"* 2 EXISTS\r\n" in other.receive_data(b"")
    assert other.receive_data(b"") == b""
    assert other.receive_data(b"done\r\nn NOOP\r\n") == b"i OK IDLE completed\r\nn OK NOOP completed\r\n"


def test_changes_before_idle_are_sent_at_once(world: World) -> None:
    other = world.login("joe")
    other.receive_data(b"s SELECT INBOX\r\n")
    world.append(MORE)
    said = other.receive_data(b"i IDLE\r\n")
    assert b"* 2 EXISTS\r\n" in said
    assert b"+ idling\r\n" in said
    assert b"i OK" not in said


@pytest.mark.parametrize("line", [b"n NOOP", b"", b"DONE x", b"x" * 70000, b"DONE {3}", b"x {3+}\r\nabc"])
def test_any_line_but_done_is_bad_and_ends_idle(world: World, line: bytes) -> None:
    other = idling(world)
    assert other.receive_data(line + b"\r\n").startswith(b"i BAD ")
    assert other.receive_data(b"n NOOP\r\n") == b"n OK NOOP completed\r\n"


def test_idle_without_a_mailbox_gets_the_lines_of_the_server(world: World) -> None:
    other = world.login("joe")
    other.receive_data(b"i IDLE\r\n")
    change_notifier = world.server.change_notifier
    change_notifier.notify(b"* OK for joe", lambda session: session.user == "joe")
    change_notifier.notify(b"* OK for ann", lambda session: session.user == "ann")
    assert other.receive_data(b"") == b"* OK for joe\r\n"
    assert other.receive_data(b"DONE\r\n") == b"i OK IDLE completed\r\n"
    assert world.joe.receive_data(b"n NOOP\r\n") == b"* OK for joe\r\nn OK NOOP completed\r\n"


def test_before_login_idle_is_refused(world: World) -> None:
    assert world.connect().receive_data(b"i IDLE\r\n").startswith(b"i BAD ")


def test_a_noop_without_changes_does_not_query_the_store(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.joe.receive_data(b"s SELECT INBOX\r\n")
    for name in [name for name in dir(world.server.store) if not name.startswith("_")]:
        monkeypatch.setattr(world.server.store, name, None)
    assert world.joe.receive_data(b"n NOOP\r\n") == b"n OK NOOP completed\r\n"
