"""Validity of tickets: reset keys, deleted and renamed mailboxes, removed accounts, and the administrator's limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lemonade_imap.grammar.base import ParsedCommand, SessionState
from lemonade_imap.policy import TicketPolicy
from lemonade_imap.store.sqlite import SqliteStore
from lemonade_imap.testing import LoopbackConnection, LoopbackServer
from lemonade_imap.testing.world import World

NEWS = b"* OK [URLMECH INTERNAL] the key is new\r\n"
EXAMPLE = "imap://joe@imap.example.com"


def policed(make_world: type[World], policy: TicketPolicy) -> World:
    """Return a server with another ticket policy."""
    return make_world(config=replace(make_world().config, tickets=policy))


def made(world: World, mailbox: str) -> str:
    """Append a message to a new mailbox of joe and return a ticket for it."""
    world.joe.receive_data(b'c CREATE "%s"\r\n' % mailbox.encode())
    assert b"p OK" in world.joe.receive_data(b'p APPEND "%s" {8+}\r\n\r\nnews\r\n\r\n' % mailbox.encode())
    return world.authorise("anonymous", f"{EXAMPLE}/{mailbox}/;UID=1/;SECTION=TEXT;URLAUTH=")


@pytest.mark.parametrize("arguments", ["INBOX", "inbox INTERNAL", "INBOX internal INTERNAL"])
def test_resetkey_sends_urlmech_to_the_owners_sessions_with_the_mailbox_selected(world: World, arguments: str) -> None:
    selected, elsewhere, ann, idle = (world.login(user) for user in ("joe", "joe", "ann", "joe"))
    world.joe.receive_data(b"c CREATE other\r\n")
    for client, mailbox in ((selected, b"INBOX"), (elsewhere, b"other"), (ann, b"INBOX"), (idle, b"INBOX")):
        assert b"* OK [URLMECH INTERNAL] " in client.receive_data(b"s EXAMINE %s\r\n" % mailbox)
    idle.receive_data(b"i IDLE\r\n")
    old = world.authorise("anonymous")
    said = world.joe.receive_data(f"r RESETKEY {arguments}\r\n".encode())
    assert said == b"r OK [URLMECH INTERNAL] the key is new\r\n"
    assert selected.receive_data(b"n NOOP\r\n") == NEWS + b"n OK NOOP completed\r\n"
    assert idle.receive_data(b"") == NEWS
    for client in (elsewhere, ann, world.joe):
        assert client.receive_data(b"n NOOP\r\n") == b"n OK NOOP completed\r\n"
    assert world.fetch(ann, old) == b"NIL"
    # the session that sent RESETKEY gets URLMECH only in its tagged response
    world.joe.receive_data(b"s SELECT INBOX\r\n")
    assert world.joe.receive_data(b"r RESETKEY INBOX\r\n") == b"r OK [URLMECH INTERNAL] the key is new\r\n"


def test_resetkey_without_a_mailbox_deletes_all_keys_and_informs_the_users_sessions(world: World) -> None:
    urls = [made(world, "other"), world.authorise("anonymous")]
    other, ann = world.login("joe"), world.login("ann")
    for client in (other, ann, world.joe):
        client.receive_data(b"s SELECT INBOX\r\n")
    assert world.joe.receive_data(b"r RESETKEY\r\n") == NEWS + b"r OK all keys are removed\r\n"
    assert other.receive_data(b"n NOOP\r\n") == NEWS + b"n OK NOOP completed\r\n"
    assert ann.receive_data(b"n NOOP\r\n") == b"n OK NOOP completed\r\n"
    assert [world.fetch(ann, url) for url in urls] == [b"NIL", b"NIL"]


@pytest.mark.parametrize(
    ("arguments", "result"),
    [
        ("INBOX XSAMPLE", b"r BAD "),
        ("INBOX INTERNAL XSAMPLE", b"r BAD "),
        ('""', b"r NO "),
        ("nowhere", b"r NO [NONEXISTENT] "),
    ],
)
def test_invalid_resetkey_commands_are_refused(world: World, arguments: str, result: bytes) -> None:
    url = world.authorise("anonymous")
    assert world.joe.receive_data(f"r RESETKEY {arguments}\r\n".encode()).startswith(result)
    assert world.fetch(world.joe, url) != b"NIL"


def test_urlmech_can_be_restricted_to_encrypted_connections(make_world: type[World]) -> None:
    world = make_world(config=replace(make_world().config, clear_urlmech=False))
    other = world.login("joe")
    assert b"URLMECH" not in other.receive_data(b"s SELECT INBOX\r\n")
    assert world.joe.receive_data(b"r RESETKEY INBOX\r\n") == b"r OK the key is new\r\n"
    assert other.receive_data(b"n NOOP\r\n") == b"n OK NOOP completed\r\n"


def test_a_mailbox_made_again_accepts_no_old_ticket(world: World) -> None:
    old = made(world, "box")
    assert world.fetch(world.joe, old) == b"{6}\r\nnews\r\n"
    world.joe.receive_data(b"d DELETE box\r\n")
    assert world.fetch(world.joe, old) == b"NIL"
    new = made(world, "box")
    assert new != old
    assert world.fetch(world.joe, old) == b"NIL"
    assert world.fetch(world.joe, new) == b"{6}\r\nnews\r\n"


def test_tickets_of_a_renamed_mailbox_are_valid_again_under_the_old_name(world: World) -> None:
    old, store = made(world, "box"), world.server.store
    store.rename("joe", "box", "moved")
    assert world.fetch(world.joe, old) == b"NIL"
    assert world.fetch(world.joe, old.replace("/box/", "/moved/")) == b"NIL"
    store.rename("joe", "moved", "box")
    assert world.fetch(world.joe, old) == b"{6}\r\nnews\r\n"
    store.rename("joe", "box", "moved")
    new = made(world, "box")
    assert new != old
    assert world.fetch(world.joe, old) == b"NIL"
    store.delete("joe", "box")
    store.rename("joe", "moved", "box")
    # The name has had a greater UIDVALIDITY since: the mailbox gets a new one, and its key is deleted.
    assert [world.fetch(world.joe, url) for url in (old, new)] == [b"NIL", b"NIL"]


def test_tickets_of_a_removed_account_are_refused(world: World) -> None:
    url = world.authorise("anonymous")
    passwords = {user: word for user, word in world.config.passwords.items() if user != "joe"}
    later = LoopbackServer(replace(world.config, passwords=passwords), world.server.store)
    ann = later.connect()
    ann.receive_data(b"l LOGIN ann secret\r\n")
    assert world.fetch(ann, url) == b"NIL"
    assert world.fetch(world.login("ann"), url) != b"NIL"


def test_tickets_survive_a_restart_of_the_server(make_world: type[World], tmp_path: Path) -> None:
    config = make_world().config

    def session() -> tuple[SqliteStore, LoopbackConnection]:
        store = SqliteStore(tmp_path)
        client = LoopbackServer(config, store).connect()
        client.receive_data(b"l LOGIN joe secret\r\n")
        return store, client

    store, client = session()
    client.receive_data(b"p APPEND INBOX {8+}\r\n\r\nnews\r\n\r\n")
    rump = f"{EXAMPLE}/INBOX/;UID=1/;SECTION=TEXT;URLAUTH=authuser"
    url = client.receive_data(f'g GENURLAUTH "{rump}" INTERNAL\r\n'.encode()).split(b'"')[1]
    store.close()
    store, client = session()
    assert b"{6}\r\nnews\r\n" in client.receive_data(b'u URLFETCH "%s"\r\n' % url)
    store.close()


def test_an_anonymous_session_has_few_commands() -> None:
    def all_of(kind: type[ParsedCommand]) -> set[type[ParsedCommand]]:
        return {kind}.union(*(all_of(inner) for inner in kind.__subclasses__()))

    named = {kind.name for kind in all_of(ParsedCommand) if kind.name and SessionState.ANONYMOUS in kind.legal_in}
    # RFC 2971, 3: ID is legal in every state
    assert named == {"URLFETCH", "CAPABILITY", "NOOP", "LOGOUT", "GETMETADATA", "ID"}


@pytest.mark.parametrize(
    ("expire", "answer"),
    [
        (";EXPIRE=2026-11-22T01:00:00Z", b"* GENURLAUTH "),
        (";EXPIRE=2026-11-22T02:00:00Z", b"* GENURLAUTH "),
        (";EXPIRE=2026-11-22T02:00:01Z", b"g NO [LIMIT] an anonymous URL has an EXPIRE of at most 7200 s\r\n"),
        ("", b"g NO [LIMIT] an anonymous URL has an EXPIRE of at most 7200 s\r\n"),
    ],
)
def test_anonymous_urls_with_a_too_late_expire_are_refused(make_world: type[World], expire: str, answer: bytes) -> None:
    world = policed(make_world, TicketPolicy(anonymous_life=7200.0))
    line = f'g GENURLAUTH "{EXAMPLE}/INBOX/;UID=1{expire};URLAUTH=anonymous" INTERNAL\r\n'.encode()
    assert world.joe.receive_data(line).startswith(answer)
    assert world.joe.receive_data(line.replace(b"anonymous", b"stream")).startswith(b"* GENURLAUTH ")


def test_urls_in_a_minute_are_limited(make_world: type[World]) -> None:
    world = policed(make_world, TicketPolicy(fetches=3, authorisations=2))
    url = world.authorise("anonymous")
    twice = f'"{EXAMPLE}/INBOX/;UID=1;URLAUTH=stream" INTERNAL ' * 2
    assert world.joe.receive_data(f"g GENURLAUTH {twice}\r\n".encode()).startswith(b"g NO [LIMIT] ")
    assert world.joe.receive_data(f'u URLFETCH "{url}" "{url}" "bad"\r\n'.encode()).endswith(
        b"u OK URLFETCH completed\r\n"
    )
    assert world.joe.receive_data(f'u URLFETCH "{url}"\r\n'.encode()).startswith(b"u NO [LIMIT] ")
    assert world.fetch(world.login("joe"), url) != b"NIL"
    world.server.now += 20
    assert world.fetch(world.joe, url) != b"NIL"


def test_refusals_are_delayed_more_and_more(make_world: type[World]) -> None:
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    world = policed(make_world, TicketPolicy(refusals=2))
    url = world.authorise("anonymous")
    _with_pause(world.server, pause)
    nobody = world.server.connect()
    nobody.receive_data(b"a AUTHENTICATE ANONYMOUS =\r\n")
    for _ in range(5):
        assert world.fetch(nobody, url[:-1] + "x") == b"NIL"
        assert world.fetch(nobody, url) != b"NIL"
    assert waited == [0.1, 0.2, 0.4]
    assert world.fetch(world.joe, "bad") == b"NIL"
    assert waited == [0.1, 0.2, 0.4]


def _with_pause(server: LoopbackServer, pause: Callable[[float], Awaitable[None]]) -> None:
    server._service.backend = replace(server._service.backend, pause=pause)
