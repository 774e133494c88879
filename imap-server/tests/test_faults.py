# ruff: noqa: ANN401  the class of `world` lives in conftest, which importlib mode does not let tests import
"""Each fault changes its one thing, and nothing else of what the same client sees."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lemonade_imap.behaviour import Behaviour
from lemonade_imap.faults import FAULTS
from lemonade_imap.loopback import LoopbackServer
from lemonade_imap.policy import TicketPolicy

EXPIRING = "imap://joe@imap.example.com/INBOX/;UID=1/;SECTION=2;EXPIRE=2026-11-22T00:10:00Z;URLAUTH="


def picture(make_world: Callable[..., Any], fault: Behaviour | None = None) -> dict[str, bytes]:
    """Return what a client sees of all that a fault may change."""
    config = replace(make_world().config, tickets=TicketPolicy(anonymous_life=3600.0))
    world = make_world(fault, config)
    seen = {"capability": world.joe.receive_data(b"c CAPABILITY\r\n")}
    seen["offer"] = world.server.connect().receive_data(b"c CAPABILITY\r\n")
    said = world.joe.receive_data(f'g GENURLAUTH "{EXPIRING}anonymous" INTERNAL\r\n'.encode()).decode()
    url = said.split('"')[1]
    seen["authorised"] = url.rpartition(":")[0].encode()
    submit = world.authorise("submit+joe")

    def fetch(asked: str, params: str = "") -> bytes:
        argument = f'("{asked}" {params})' if params else f'"{asked}"'
        return bytes(world.anonymous().receive_data(f"u URLFETCH {argument}\r\n".encode()))

    def answer(octets: bytes) -> bytes:
        return octets.partition(b'" ')[2]

    seen["echo"] = re.sub(rb":INTERNAL:\w+", b"", fetch(url)).partition(b'" ')[0].partition(b"EXPIRE")[0]
    seen["plain"] = answer(fetch(url))
    seen["binary"] = answer(fetch(url, "BINARY"))
    seen["structure and body"] = answer(fetch(url, "BODYPARTSTRUCTURE BODY"))
    world.joe.receive_data(b"s SELECT INBOX\r\n")
    seen["body structure"] = world.joe.receive_data(b"f UID FETCH 1 (BODYSTRUCTURE)\r\n")
    seen["wrong token"] = answer(fetch(url[:-1] + ("0" if url[-1] != "0" else "1")))
    seen["wrong session"] = answer(fetch(submit))
    seen["media servers"] = world.joe.receive_data(b'm GETMETADATA "" (/shared/mediaServers /shared/comment)\r\n')
    for name, expire in (("an hour", "01:00:00"), ("longer", "01:00:01")):
        rump = EXPIRING.replace("00:10:00", expire)
        seen[name] = world.joe.receive_data(f'g GENURLAUTH "{rump}anonymous" INTERNAL\r\n'.encode())[:5]
    seen["capitals"] = world.joe.receive_data(f'g GENURLAUTH "{EXPIRING}ANONYMOUS" INTERNAL\r\n'.encode())[:5]
    world.server.now += 7 * 86400
    seen["expired"] = answer(fetch(url))
    seen["unlisted"] = answer(_unlisted(world).receive_data(f'u URLFETCH "{world.authorise("authuser")}"\r\n'.encode()))
    forever = world.authorise("submit+joe")
    world.joe.receive_data(b"r RESETKEY INBOX\r\n")
    seen["revoked"] = answer(world.login("mediaserver").receive_data(f'u URLFETCH "{forever}"\r\n'.encode()))
    return seen


def _unlisted(world: Any) -> Any:
    """Return a session that is of no listed media server, on the same mail."""
    config = replace(world.config, tickets=TicketPolicy(users=frozenset({"mediaserver"})))
    client = LoopbackServer(config, world.server.store, world.behaviour).connect()
    client.receive_data(b"l LOGIN ann secret\r\n")
    return client


CHANGES = {
    "base64-not-decoded": {"binary"},
    "token-not-checked": {"wrong token"},
    "expire-ignored": {"expired"},
    "access-not-checked": {"wrong session"},
    "genurlauth-rewrites-expire": {"authorised"},
    "no-bodypartstructure": {"structure and body"},
    "capability-without-binary": {"capability"},
    "capability-without-anonymous": {"offer"},
    "url-echo-changed": {"echo"},
    "short-part": {"plain", "binary", "structure and body"},
    "fetch-list-ignored": {"unlisted"},
    "anonymous-hour-refused": {"an hour"},
    "anonymous-life-ignored": {"longer"},
    "access-by-case": {"capitals"},
    "resetkey-idle": {"revoked"},
    "media-servers-withheld": {"media servers"},
    "media-servers-garbled": {"media servers"},
    "urlfetch-refused": {
        *("echo", "plain", "binary", "structure and body", "wrong token", "wrong session", "expired", "unlisted"),
        "revoked",
    },
    "draft-bodystructure": {"body structure"},
    "draft-part-structure": {"structure and body"},
}


def test_every_fault_is_shown() -> None:
    assert CHANGES.keys() == FAULTS.faults.keys()


@pytest.mark.parametrize("name", CHANGES)
def test_a_fault_changes_its_one_thing(make_world: Callable[..., Any], name: str) -> None:
    fault = FAULTS.pick(name)
    assert isinstance(fault, Behaviour)
    assert fault.summary
    assert all(clause.startswith("LS-") for clause in fault.breaks)
    right, wrong = picture(make_world), picture(make_world, fault)
    assert {what for what in right if right[what] != wrong[what]} == CHANGES[name]


def test_base64_is_given_as_stored(make_world: Callable[..., Any]) -> None:
    world = make_world(FAULTS.pick("base64-not-decoded"))
    url = world.authorise("anonymous")
    assert world.fetch(world.joe, url, "BINARY").startswith(b"(BINARY {700}\r\nAAECAwQF")


def test_a_short_part_is_short_by_one_octet(make_world: Callable[..., Any], sound: bytes) -> None:
    world = make_world(FAULTS.pick("short-part"))
    url = world.authorise("anonymous")
    assert world.fetch(world.joe, url, "BINARY") == b"(BINARY ~{511}\r\n" + sound[:-1] + b")"


def test_the_rewritten_url_is_a_day_later_and_works(make_world: Callable[..., Any]) -> None:
    world = make_world(FAULTS.pick("genurlauth-rewrites-expire"))
    said = world.joe.receive_data(f'g GENURLAUTH "{EXPIRING}anonymous" INTERNAL\r\n'.encode()).decode()
    url = said.split('"')[1]
    assert ";EXPIRE=2026-11-23T00:10:00Z;" in url
    assert world.fetch(world.joe, url) != b"NIL"


def test_structures_are_written_as_in_the_draft(make_world: Callable[..., Any]) -> None:
    world = make_world(FAULTS.pick("draft-bodystructure"))
    world.joe.receive_data(b"s SELECT INBOX\r\n")
    said = world.joe.receive_data(b"f UID FETCH 1 (BODYSTRUCTURE)\r\n")
    assert b'NIL NIL "7BIT" 9 0)("AUDIO" "BASIC" NIL NIL "BASE64" 700)("AUDIO" "BASIC" NIL NIL "X-UNKNOWN" 4)))' in said
    world = make_world(FAULTS.pick("draft-part-structure"))
    said = world.fetch(world.joe, world.authorise("anonymous"), "BODYPARTSTRUCTURE BINARY")
    assert re.match(
        rb'\(BODYPARTSTRUCTURE \("AUDIO" "[A-Z]+" \(\) NIL NIL "BINARY" 700 \)\) \(BINARY ~\{512\}', said
    ), said
