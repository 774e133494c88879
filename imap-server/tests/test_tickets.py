# ruff: noqa: ANN401  the class of `world` lives in conftest, which importlib mode does not let tests import
"""The life of tickets: keys and who hears of them, mailboxes that come and go, and what an administrator asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lemonade_imap.grammar.command import Command
from lemonade_imap.loopback import LoopbackServer
from lemonade_imap.policy import TicketPolicy
from lemonade_imap.state import State
from lemonade_imap.store.sqlite import SqliteStore

NEWS = b"* OK [URLMECH INTERNAL] the key is new\r\n"
EXAMPLE = "imap://joe@imap.example.com"


def policed(make_world: Any, **policy: Any) -> Any:
    """Return a server with a policy of its own."""
    return make_world(config=replace(make_world().config, tickets=TicketPolicy(**policy)))


def made(world: Any, mailbox: str) -> str:
    """Put a message into a new mailbox of joe's and return a ticket for it."""
    world.joe.receive_data(b'c CREATE "%s"\r\n' % mailbox.encode())
    assert b"p OK" in world.joe.receive_data(b'p APPEND "%s" {8+}\r\n\r\nnews\r\n\r\n' % mailbox.encode())
    url: str = world.authorise("anonymous", f"{EXAMPLE}/{mailbox}/;UID=1/;SECTION=TEXT;URLAUTH=")
    return url


@pytest.mark.parametrize("arguments", ["INBOX", "inbox INTERNAL", "INBOX internal INTERNAL"])
def test_a_new_key_is_told_to_the_owners_other_sessions_that_have_the_mailbox_selected(
    world: Any, arguments: str
) -> None:
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
    # the session that asks hears it in its tagged answer alone
    world.joe.receive_data(b"s SELECT INBOX\r\n")
    assert world.joe.receive_data(b"r RESETKEY INBOX\r\n") == b"r OK [URLMECH INTERNAL] the key is new\r\n"


def test_without_a_mailbox_all_keys_go_and_all_of_the_users_sessions_hear_it(world: Any) -> None:
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
def test_resetkey_that_cannot_be(world: Any, arguments: str, result: bytes) -> None:
    url = world.authorise("anonymous")
    assert world.joe.receive_data(f"r RESETKEY {arguments}\r\n".encode()).startswith(result)
    assert world.fetch(world.joe, url) != b"NIL"


def test_urlmech_can_be_kept_from_connections_in_the_clear(make_world: Any) -> None:
    world = make_world(config=replace(make_world().config, clear_urlmech=False))
    other = world.login("joe")
    assert b"URLMECH" not in other.receive_data(b"s SELECT INBOX\r\n")
    assert world.joe.receive_data(b"r RESETKEY INBOX\r\n") == b"r OK the key is new\r\n"
    assert other.receive_data(b"n NOOP\r\n") == b"n OK NOOP completed\r\n"


def test_a_mailbox_made_anew_honours_no_old_ticket(world: Any) -> None:
    old = made(world, "box")
    assert world.fetch(world.joe, old) == b"{6}\r\nnews\r\n"
    world.joe.receive_data(b"d DELETE box\r\n")
    assert world.fetch(world.joe, old) == b"NIL"
    new = made(world, "box")
    assert new != old
    assert world.fetch(world.joe, old) == b"NIL"
    assert world.fetch(world.joe, new) == b"{6}\r\nnews\r\n"


def test_a_renamed_mailbox_is_another_to_its_tickets_and_itself_again_when_it_is_back(world: Any) -> None:
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
    # the name has had a greater UIDVALIDITY since: the mailbox gets a new one, and its key goes with the old
    assert [world.fetch(world.joe, url) for url in (old, new)] == [b"NIL", b"NIL"]


def test_an_owner_whose_account_is_gone_has_no_rights(world: Any) -> None:
    url = world.authorise("anonymous")
    passwords = {user: word for user, word in world.config.passwords.items() if user != "joe"}
    later = LoopbackServer(replace(world.config, passwords=passwords), world.server.store)
    ann = later.connect()
    ann.receive_data(b"l LOGIN ann secret\r\n")
    assert world.fetch(ann, url) == b"NIL"
    assert world.fetch(world.login("ann"), url) != b"NIL"


def test_tickets_outlive_the_server(make_world: Any, tmp_path: Path) -> None:
    config = make_world().config

    def session() -> tuple[SqliteStore, Any]:
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


def test_an_anonymous_session_has_hardly_any_commands() -> None:
    def all_of(kind: type[Command]) -> set[type[Command]]:
        return {kind}.union(*(all_of(inner) for inner in kind.__subclasses__()))

    named = {kind.name for kind in all_of(Command) if kind.name and State.ANONYMOUS in kind.legal_in}
    # RFC 2971, 3: ID is for every state
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
def test_anonymous_urls_that_live_too_long_are_refused_as_they_are(make_world: Any, expire: str, answer: bytes) -> None:
    world = policed(make_world, anonymous_life=7200.0)
    line = f'g GENURLAUTH "{EXAMPLE}/INBOX/;UID=1{expire};URLAUTH=anonymous" INTERNAL\r\n'.encode()
    assert world.joe.receive_data(line).startswith(answer)
    assert world.joe.receive_data(line.replace(b"anonymous", b"stream")).startswith(b"* GENURLAUTH ")


def test_so_many_urls_in_a_minute(make_world: Any) -> None:
    world = policed(make_world, fetches=3, authorisations=2)
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


def test_refusals_come_later_and_later(make_world: Any) -> None:
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    world = policed(make_world, refusals=2)
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


def _with_pause(server: Any, pause: Callable[[float], Awaitable[None]]) -> None:
    server._service.backend = replace(server._service.backend, pause=pause)
