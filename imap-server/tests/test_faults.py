"""Each fault changes its one thing, and nothing else of what the same client sees."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from lemonade_imap.behaviour import ImapBehaviour
from lemonade_imap.faults.lines import LINE_FAULTS
from lemonade_imap.faults.registry import FAULTS
from lemonade_imap.policy import TicketPolicy
from lemonade_imap.testing import LoopbackConnection, LoopbackServer
from lemonade_imap.testing.world import World
from lemonade_imap.urlauth import Roles
from lemonade_wire.imap.bodystructure import BodyStructure
from lemonade_wire.imap.url_parts import Access

EXPIRING = "imap://joe@imap.example.com/INBOX/;UID=1/;SECTION=2;EXPIRE=2026-11-22T00:10:00Z;URLAUTH="


def picture(make_world: type[World], fault: ImapBehaviour | None = None) -> dict[str, bytes]:
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
        return bytes(_guest(world).receive_data(f"u URLFETCH {argument}\r\n".encode()))

    def answer(octets: bytes) -> bytes:
        return octets.partition(b'" ')[2]

    seen["echo"] = re.sub(rb":INTERNAL:\w+", b"", fetch(url)).partition(b'" ')[0].partition(b"EXPIRE")[0]
    seen["plain"] = answer(fetch(url))
    seen["binary"] = answer(fetch(url, "BINARY"))
    seen["structure and binary"] = answer(fetch(url, "BODYPARTSTRUCTURE BINARY"))
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
    text = EXPIRING.replace("SECTION=2", "SECTION=1")
    seen["text"] = world.joe.receive_data(f'g GENURLAUTH "{text}anonymous" INTERNAL\r\n'.encode())[:5]
    seen |= _tickets(world, url)
    world.server.now += 7 * 86400
    seen["expired"] = answer(fetch(url))
    seen["unlisted"] = answer(_unlisted(world).receive_data(f'u URLFETCH "{world.authorise("authuser")}"\r\n'.encode()))
    forever = world.authorise("submit+joe")
    world.joe.receive_data(b"r RESETKEY INBOX\r\n")
    seen["revoked"] = answer(world.login("mediaserver").receive_data(f'u URLFETCH "{forever}"\r\n'.encode()))
    seen["revoked with all"] = _revoked_with_all(world)
    seen["NOOP"] = world.joe.receive_data(b"n NOOP\r\n")
    seen["SEARCH"] = world.joe.receive_data(b"s UID SEARCH ALL\r\n")
    seen["STARTTLS"] = world.connect().receive_data(b"t STARTTLS\r\n")
    seen["anonymous"] = world.connect().receive_data(b"a AUTHENTICATE ANONYMOUS bWU=\r\n")[:5]
    seen["LOGOUT"] = world.joe.receive_data(b"l LOGOUT\r\n")
    logged = [line for line in world.log if " logged in" in line or line.startswith("authorised ")]
    seen["log"] = " ".join(sorted({word for line in logged for word in line.split() if "imap:" not in word})).encode()
    return seen


def _guest(world: World) -> LoopbackConnection:
    """Return an anonymous session, entered by LOGIN: one of the faults refuses AUTHENTICATE ANONYMOUS."""
    client = world.connect()
    client.receive_data(b"l LOGIN anonymous me@example.net\r\n")
    return client


def _tickets(world: World, url: str) -> dict[str, bytes]:
    """Return what a client sees of URLs that are no good, and of those with a range or of other mailboxes."""

    def give(rump: str, mechanism: str = "INTERNAL") -> bytes:
        return bytes(world.joe.receive_data(f'g GENURLAUTH "imap://{rump}" {mechanism}\r\n'.encode()))

    def fetch(client: LoopbackConnection, asked: str) -> bytes:
        return bytes(client.receive_data(f'u URLFETCH ("{asked}" BINARY)\r\n'.encode())).partition(b'" ')[2]

    seen = {"flags": world.joe.receive_data(b"f UID FETCH 1 (FLAGS)\r\n")}
    changes = {"EXPIRE": ("00:10:00", "00:11:00"), "access": ("anonymous", "authuser")}
    changes |= {"section": ("SECTION=2", "SECTION=1"), "case": ("imap.example", "IMAP.example")}
    for name, (old, new) in changes.items():
        seen[f"another {name}"] = fetch(world.joe, url.replace(old, new))
    seen["authuser"] = fetch(_guest(world), world.authorise("authuser"))
    seen["user+"] = fetch(world.login("ann"), world.authorise("user+joe"))
    inbox = "joe@imap.example.com/INBOX/;UID=1/;SECTION=2"
    ranged = give(f"{inbox}/;PARTIAL=5.9;URLAUTH=authuser").decode().split('"')[1]
    seen["range"] = fetch(world.joe, ranged)
    seen["stale"] = give(inbox.replace("/;UID", ";UIDVALIDITY=7/;UID") + ";URLAUTH=authuser")[:5]
    seen["foreign"] = give(inbox.replace("joe", "ann") + ";URLAUTH=authuser")[:5]
    seen["mechanism"] = give(f"{inbox};URLAUTH=authuser", "XSAMPLE")[:5]
    world.joe.receive_data(b'm CREATE "Box%41"\r\n')
    seen["mailbox"] = give(inbox.replace("INBOX", "Box%2541") + ";URLAUTH=authuser")[:5]
    return seen


def _revoked_with_all(world: World) -> bytes:
    url = world.authorise("authuser")
    world.joe.receive_data(b"r RESETKEY\r\n")
    return bytes(world.joe.receive_data(f'u URLFETCH "{url}"\r\n'.encode())).partition(b'" ')[2]


def _unlisted(world: World) -> LoopbackConnection:
    """Return a session that is of no listed media server, on the same mail."""
    config = replace(world.config, tickets=TicketPolicy(users=frozenset({"mediaserver"})))
    client = LoopbackServer(config, world.server.store, world.behaviour).connect()
    client.receive_data(b"l LOGIN ann secret\r\n")
    return client


REFUSALS = {
    *("another EXPIRE", "another access", "another case", "another section", "authuser", "expired", "revoked"),
    *("revoked with all", "unlisted", "user+", "wrong session", "wrong token"),
}
"""All that URLFETCH refuses."""
CHANGES = {
    "base64-not-decoded": {"binary", "range", "structure and binary"},
    "token-not-checked": {"another EXPIRE", "another access", "another case", "another section", "wrong token"},
    "expire-ignored": {"expired"},
    "access-not-checked": {"authuser", "user+", "wrong session"},
    "genurlauth-rewrites-expire": {"authorised"},
    "no-bodypartstructure": {"structure and binary", "structure and body"},
    "capability-without-binary": {"capability"},
    "capability-without-anonymous": {"offer"},
    "url-echo-changed": {"echo"},
    "short-part": {"binary", "plain", "range", "structure and binary", "structure and body"},
    "fetch-list-ignored": {"unlisted"},
    "anonymous-hour-refused": {"an hour"},
    "anonymous-life-ignored": {"longer"},
    "access-by-case": {"capitals"},
    "resetkey-idle": {"revoked", "revoked with all"},
    "media-servers-withheld": {"media servers"},
    "media-servers-garbled": {"media servers"},
    "metadata-unknown": {"media servers"},
    "text-not-authorised": {"text"},
    "urlfetch-refused": REFUSALS | {"binary", "echo", "plain", "range", "structure and binary", "structure and body"},
    "resetkey-refused": {"revoked", "revoked with all"},
    "fetch-refused": {"body structure", "flags"},
    "draft-bodystructure": {"body structure"},
    "draft-part-structure": {"structure and binary", "structure and body"},
    "bodystructure-subtype-wrong": {"body structure"},
    "bodystructure-without-parameters": {"body structure"},
    "bodystructure-encoding-wrong": {"body structure"},
    "bodystructure-size-wrong": {"body structure"},
    "bodystructure-lines-wrong": {"body structure"},
    "metadata-other-name": {"media servers"},
    "metadata-other-value": {"media servers"},
    "metadata-without-brackets": {"media servers"},
    "wrong-part": {"binary", "plain", "range", "structure and binary", "structure and body"},
    "partial-ignored": {"range"},
    "partial-off-by-one": {"range"},
    "literal-for-nul": {"binary", "structure and binary"},
    "part-octets-changed": {"binary", "range", "structure and binary"},
    "seen-set-by-urlfetch": {"flags"},
    "described-encoded-size": {"structure and binary"},
    "described-other-type": {"structure and binary", "structure and body"},
    "described-encoding-kept": {"structure and binary"},
    "token-ignores-expire": {"another EXPIRE"},
    "token-ignores-access": {"another access"},
    "token-ignores-section": {"another section"},
    "token-ignores-case": {"another case"},
    "uidvalidity-ignored": {"stale"},
    "genurlauth-for-foreign-mailbox": {"foreign"},
    "genurlauth-any-mechanism": {"mechanism"},
    "mailbox-decoded-twice": {"mailbox"},
    "mailbox-not-decoded": {"mailbox"},
    "resetkey-all-idle": {"revoked with all"},
    "authuser-open-to-anonymous": {"authuser"},
    "submit-open-to-all": {"wrong session"},
    "user-open-to-all": {"user+"},
    "nil-line-missing": REFUSALS,
    "logout-without-bye": {"LOGOUT"},
    "starttls-refused": {"STARTTLS"},
    "search-unmarked": {"SEARCH"},
    "uid-not-told": {"body structure", "flags"},
    "anonymous-login-refused": {"anonymous", "log"},
    "tagged-no-instead-of-nil": REFUSALS,
    "noop-answered-twice": {"NOOP"},
    "ticket-in-log-bare": {"log"},
    "ticket-in-log-base64": {"log"},
    "ticket-in-log-percent-encoded": {"log"},
    "ticket-in-log-folded": {"log"},
    "password-in-log": {"log"},
    "metadata-empty-for-nil": {"media servers"},
}


ANYONE = Access("anonymous")
ALL_OF_ANONYMOUS = ("URLAUTH", "URLAUTH=BINARY", "METADATA-SERVER")
DECIDED: dict[str, Callable[[ImapBehaviour], object]] = {
    "anonymous-without-binary": lambda behaviour: behaviour.capabilities(ALL_OF_ANONYMOUS),
    "anonymous-for-anonymous-alone": lambda behaviour: behaviour.access_allows(ANYONE, "joe", Roles()),
    "resetkey-takes-all": lambda behaviour: behaviour.mailbox_to_reset("INBOX"),
}


@pytest.mark.parametrize("name", DECIDED)
def test_a_fault_decides_otherwise(name: str) -> None:
    fault = FAULTS.pick(name)
    assert isinstance(fault, ImapBehaviour)
    assert DECIDED[name](fault) != DECIDED[name](ImapBehaviour())


def test_a_part_is_described_without_its_parameters() -> None:
    fault = FAULTS.pick("described-without-parameters")
    assert isinstance(fault, ImapBehaviour)
    part = BodyStructure(type="TEXT", subtype="PLAIN", params=(("CHARSET", "utf-8"),))
    assert fault.part_structure(part, 1) == replace(part, params=()).write() != ImapBehaviour().part_structure(part, 1)


def test_every_fault_is_shown() -> None:
    decided = {"described-without-parameters", *DECIDED}
    elsewhere = {"genurlauth-line-missing", "token-short", *decided, *(fault.name for fault in LINE_FAULTS)}
    assert CHANGES.keys() | elsewhere == FAULTS.faults.keys()


def test_genurlauth_succeeds_without_the_url(make_world: type[World]) -> None:
    joe = make_world(FAULTS.pick("genurlauth-line-missing")).joe
    answer = joe.receive_data(f'g GENURLAUTH "{EXPIRING}anonymous" INTERNAL\r\n'.encode())
    assert answer.startswith(b"g OK ")


@pytest.mark.parametrize("name", CHANGES)
def test_a_fault_changes_its_one_thing(make_world: type[World], name: str) -> None:
    fault = FAULTS.pick(name)
    assert isinstance(fault, ImapBehaviour)
    assert fault.summary
    assert all(re.match("LS-|RFC", clause) for clause in fault.breaks)
    right, wrong = picture(make_world), picture(make_world, fault)
    assert {what for what in right if right[what] != wrong[what]} == CHANGES[name]


def test_base64_is_given_as_stored(make_world: type[World]) -> None:
    world = make_world(FAULTS.pick("base64-not-decoded"))
    url = world.authorise("anonymous")
    assert world.fetch(world.joe, url, "BINARY").startswith(b"(BINARY {700}\r\nAAECAwQF")


def test_a_short_part_is_short_by_one_octet(make_world: type[World], sound: bytes) -> None:
    world = make_world(FAULTS.pick("short-part"))
    url = world.authorise("anonymous")
    assert world.fetch(world.joe, url, "BINARY") == b"(BINARY ~{511}\r\n" + sound[:-1] + b")"


def test_the_rewritten_url_is_a_day_later_and_works(make_world: type[World]) -> None:
    world = make_world(FAULTS.pick("genurlauth-rewrites-expire"))
    said = world.joe.receive_data(f'g GENURLAUTH "{EXPIRING}anonymous" INTERNAL\r\n'.encode()).decode()
    url = said.split('"')[1]
    assert ";EXPIRE=2026-11-23T00:10:00Z;" in url
    assert world.fetch(world.joe, url) != b"NIL"


def test_structures_are_written_as_in_the_draft(make_world: type[World]) -> None:
    world = make_world(FAULTS.pick("draft-bodystructure"))
    world.joe.receive_data(b"s SELECT INBOX\r\n")
    said = world.joe.receive_data(b"f UID FETCH 1 (BODYSTRUCTURE)\r\n")
    assert b'NIL NIL "7BIT" 9 0)("AUDIO" "BASIC" NIL NIL "BASE64" 700)("AUDIO" "BASIC" NIL NIL "X-UNKNOWN" 4)))' in said
    world = make_world(FAULTS.pick("draft-part-structure"))
    said = world.fetch(world.joe, world.authorise("anonymous"), "BODYPARTSTRUCTURE BINARY")
    assert re.match(
        rb'\(BODYPARTSTRUCTURE \("AUDIO" "[A-Z]+" \(\) NIL NIL "BINARY" 700 \)\) \(BINARY ~\{512\}', said
    ), said
