# ruff: noqa: ANN401  the class of `world` lives in conftest, which importlib mode does not let tests import
"""IDLE (RFC 2177) in memory: what others do is told while it lasts, and DONE alone ends it well."""

from __future__ import annotations

from typing import Any

import pytest

MORE = b"Subject: more\r\n\r\n"


def idling(world: Any) -> Any:
    other = world.login("joe")
    other.receive_data(b"s SELECT INBOX\r\n")
    assert other.receive_data(b"i IDLE\r\n") == b"+ idling\r\n"
    return other


def test_news_is_told_while_it_lasts_and_done_answers_the_tag(world: Any) -> None:
    other = idling(world)
    assert other.receive_data(b"") == b""
    world.append(MORE)
    assert b"* 2 EXISTS\r\n" in other.receive_data(b"")
    assert other.receive_data(b"") == b""
    assert other.receive_data(b"done\r\nn NOOP\r\n") == b"i OK IDLE completed\r\nn OK NOOP completed\r\n"


def test_what_happened_before_idle_is_told_at_once(world: Any) -> None:
    other = world.login("joe")
    other.receive_data(b"s SELECT INBOX\r\n")
    world.append(MORE)
    said = other.receive_data(b"i IDLE\r\n")
    assert b"* 2 EXISTS\r\n" in said
    assert b"+ idling\r\n" in said
    assert b"i OK" not in said


@pytest.mark.parametrize("line", [b"n NOOP", b"", b"DONE x", b"x" * 70000, b"DONE {3}", b"x {3+}\r\nabc"])
def test_anything_but_done_is_bad_and_ends_it(world: Any, line: bytes) -> None:
    other = idling(world)
    assert other.receive_data(line + b"\r\n").startswith(b"i BAD ")
    assert other.receive_data(b"n NOOP\r\n") == b"n OK NOOP completed\r\n"


def test_idle_waits_without_a_mailbox_too_and_hears_what_the_server_says(world: Any) -> None:
    other = world.login("joe")
    other.receive_data(b"i IDLE\r\n")
    hub = world.server.hub
    hub.tell(b"* OK for joe", lambda session: session.user == "joe")
    hub.tell(b"* OK for ann", lambda session: session.user == "ann")
    assert other.receive_data(b"") == b"* OK for joe\r\n"
    assert other.receive_data(b"DONE\r\n") == b"i OK IDLE completed\r\n"
    assert world.joe.receive_data(b"n NOOP\r\n") == b"* OK for joe\r\nn OK NOOP completed\r\n"


def test_before_login_there_is_no_idle(world: Any) -> None:
    assert world.connect().receive_data(b"i IDLE\r\n").startswith(b"i BAD ")


def test_a_noop_without_news_leaves_the_store_alone(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world.joe.receive_data(b"s SELECT INBOX\r\n")
    for name in [name for name in dir(world.server.store) if not name.startswith("_")]:
        monkeypatch.setattr(world.server.store, name, None)
    assert world.joe.receive_data(b"n NOOP\r\n") == b"n OK NOOP completed\r\n"
