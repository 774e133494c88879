"""GENURLAUTH and URLFETCH as octets."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable

import pytest

from lemonade_imap.testing import LoopbackConnection
from lemonade_imap.testing.world import World

RUMP = "imap://joe@imap.example.com/INBOX/;UID=1/;SECTION=2;URLAUTH="
TOKEN = "01" + "0" * 64


def test_genurlauth_returns_the_rump_and_the_hmac_under_the_mailboxs_key(world: World) -> None:
    rump = "imap://joe@IMAP.example.com:143/inbox/;uid=1/;Section=2;EXPIRE=2026-11-22T01:00:00Z;urlauth=Submit+joe"
    said = world.joe.receive_data(f'g GENURLAUTH "{rump}" internal\r\n'.encode())
    key = world.server.store.key(world.inbox)
    assert key is not None
    token = "01" + hmac.new(key, rump.encode(), hashlib.sha256).hexdigest()
    assert said == f'* GENURLAUTH "{rump}:INTERNAL:{token}"\r\ng OK GENURLAUTH completed\r\n'.encode()


def test_several_urls_are_authorised_in_one_line(world: World) -> None:
    said = world.joe.receive_data(f'g GENURLAUTH "{RUMP}anonymous" INTERNAL {RUMP}stream INTERNAL\r\n'.encode())
    tickets = [rf'"{re.escape(RUMP)}{access}:INTERNAL:01[0-9a-f]{{64}}"' for access in ("anonymous", "stream")]
    pattern = r"\* GENURLAUTH " + " ".join(tickets) + "\r\ng OK GENURLAUTH completed\r\n"
    assert re.fullmatch(pattern, said.decode())


@pytest.mark.parametrize("ahead", [0, 1800, 3600])
def test_anonymous_tickets_of_up_to_an_hour_are_never_refused(world: World, ahead: int) -> None:
    minutes, seconds = divmod(ahead, 60)
    expire = f"2026-11-22T{minutes // 60:02}:{minutes % 60:02}:{seconds:02}Z"
    rump = f"imap://joe@imap.example.com/INBOX/;UID=1;EXPIRE={expire};URLAUTH="
    assert world.authorise("anonymous", rump).startswith(rump + "anonymous:INTERNAL:01")


@pytest.mark.parametrize(
    ("url", "mechanism", "why"),
    [
        ("imap://joe@imap.example.com/INBOX/;UID=1", "INTERNAL", "missing access identifier in supplied URL"),
        (
            "imap://imap.example.com/INBOX/;UID=1;URLAUTH=anonymous",
            "INTERNAL",
            "missing owner username in supplied URL",
        ),
        ("imap://ann@imap.example.com/INBOX/;UID=1;URLAUTH=anonymous", "INTERNAL", "only the owner"),
        ("imap://joe@other.example.com/INBOX/;UID=1;URLAUTH=anonymous", "INTERNAL", "another server"),
        ("imap://joe@imap.example.com:99/INBOX/;UID=1;URLAUTH=anonymous", "INTERNAL", "another server"),
        ("imap://joe@imap.example.com/nowhere/;UID=1;URLAUTH=anonymous", "INTERNAL", "no mailbox"),
        ("imap://joe@imap.example.com/INBOX;UIDVALIDITY=99/;UID=1;URLAUTH=anonymous", "INTERNAL", "no mailbox"),
        ("imap://joe@imap.example.com/INBOX/;UID=1;URLAUTH=submit+", "INTERNAL", "identifier"),
        ("imap://joe@imap.example.com/INBOX/;UID=1;URLAUTH=user+nobody", "INTERNAL", "no account"),
        ("imap://joe@imap.example.com/INBOX;URLAUTH=anonymous", "INTERNAL", "names no message"),
        ("imap://joe@imap.example.com/;UID=1;URLAUTH=anonymous", "INTERNAL", "expected"),
        ("imap://joe@imap.example.com/INBOX/;UID=1;EXPIRE=tomorrow;URLAUTH=anonymous", "INTERNAL", "EXPIRE"),
        ("http://joe@imap.example.com/", "INTERNAL", "imap://"),
        (RUMP + "anonymous", "XSAMPLE", "INTERNAL is the only mechanism"),
        (RUMP + "anonymous:INTERNAL:" + TOKEN, "INTERNAL", "authorised already"),
    ],
)
def test_genurlauth_of_an_invalid_url_is_bad(world: World, url: str, mechanism: str, why: str) -> None:
    said = world.joe.receive_data(f'g GENURLAUTH "{url}" {mechanism}\r\n'.encode()).decode()
    assert said.startswith("g BAD ")
    assert why in said


def test_a_missing_section_is_authorised_and_fetched_as_nil(world: World) -> None:
    # E-7: the draft's own example; the section is checked only when the ticket is used
    rump = "imap://joe@imap.example.com/INBOX/;UID=1/;SECTION=1.2;URLAUTH="
    assert world.fetch(world.joe, world.authorise("anonymous", rump)) == b"NIL"


def test_plain_and_extended_answers(world: World, sound: bytes, voice: bytes) -> None:
    client, url = world.anonymous(), world.authorise("anonymous")
    encoded = voice.split(b"base64\r\n\r\n")[1].split(b"\r\n--b1")[0]
    structure = b'(BODYPARTSTRUCTURE ("AUDIO" "BASIC" NIL NIL NIL "%s" %d NIL NIL NIL NIL))'
    stored = b"{%d}\r\n%s" % (len(encoded), encoded)
    binary = b"(BINARY ~{512}\r\n" + sound + b")"
    assert world.fetch(client, url) == stored
    assert world.fetch(client, url, "BODY") == b"(BODY " + stored + b")"
    assert world.fetch(client, url, "BINARY") == binary
    assert world.fetch(client, url, "BODYPARTSTRUCTURE") == structure % (b"BASE64", len(encoded))
    assert world.fetch(client, url, "BODYPARTSTRUCTURE BINARY") == structure % (b"BINARY", 512) + b" " + binary
    assert world.fetch(client, url, "BODY BODYPARTSTRUCTURE") == (
        structure % (b"BASE64", len(encoded)) + b" (BODY " + stored + b")"
    )


def test_the_drafts_blanks_are_accepted(world: World) -> None:
    url = world.authorise("anonymous")
    said = world.joe.receive_data(f'u URLFETCH ( "{url}" BODYPARTSTRUCTURE BINARY )\r\n'.encode())
    assert said.startswith(f'* URLFETCH "{url}" (BODYPARTSTRUCTURE ('.encode())


def test_an_undecodable_part_is_nil_with_the_stored_structure(world: World) -> None:
    url = world.authorise("anonymous", RUMP.replace("SECTION=2", "SECTION=3"))
    assert world.fetch(world.joe, url, "BODYPARTSTRUCTURE BINARY") == (
        b'(BODYPARTSTRUCTURE ("AUDIO" "BASIC" NIL NIL NIL "X-UNKNOWN" 4 NIL NIL NIL NIL)) (BINARY NIL)'
    )
    assert world.fetch(world.joe, url, "BODY") == b"(BODY {4}\r\n????)"


@pytest.mark.parametrize(
    ("partial", "params", "answer"),
    [
        ("255.2", "BINARY", b"(BINARY ~{2}\r\n\xff\x00)"),
        ("65.3", "BINARY", b"(BINARY {3}\r\nABC)"),
        ("510", "BINARY", b"(BINARY {2}\r\n\xfe\xff)"),
        ("600.5", "BINARY", b'(BINARY "")'),
        ("0.4", "BODY", b"(BODY {4}\r\nAAEC)"),
        ("0.4", "", b"{4}\r\nAAEC"),
    ],
)
def test_partial_counts_the_octets_that_are_returned(world: World, partial: str, params: str, answer: bytes) -> None:
    rump = RUMP.replace("SECTION=2", f"SECTION=2/;PARTIAL={partial}")
    assert world.fetch(world.joe, world.authorise("anonymous", rump), params) == answer


@pytest.mark.parametrize(
    ("section", "answer"),
    [
        (
            "/;SECTION=1",
            b'(BODYPARTSTRUCTURE ("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 9 0'
            b" NIL NIL NIL NIL)) (BINARY {9}\r\nHello Joe)",
        ),
        (
            "/;SECTION=2.MIME",
            b'(BODYPARTSTRUCTURE ("APPLICATION" "OCTET-STREAM" NIL NIL NIL "BINARY" 64'
            b" NIL NIL NIL NIL)) (BINARY {64}\r\nContent-Type: audio/basic\r\n"
            b"Content-Transfer-Encoding: base64\r\n\r\n)",
        ),
    ],
)
def test_sections(world: World, section: str, answer: bytes) -> None:
    url = world.authorise("anonymous", f"imap://joe@imap.example.com/INBOX/;UID=1{section};URLAUTH=")
    assert world.fetch(world.joe, url, "BODYPARTSTRUCTURE BINARY") == answer


def test_a_url_without_a_section_names_the_whole_message(world: World, voice: bytes) -> None:
    url = world.authorise("anonymous", "imap://joe@imap.example.com/INBOX/;UID=1;URLAUTH=")
    assert world.fetch(world.joe, url) == b"{%d}\r\n%s" % (len(voice), voice)
    assert world.fetch(world.joe, url, "BODYPARTSTRUCTURE").startswith(
        b'(BODYPARTSTRUCTURE ("MESSAGE" "RFC822" NIL NIL NIL "8BIT" %d ("Tue, 17 Nov 2026' % len(voice)
    )


def test_an_empty_part_is_empty_and_not_nil(world: World) -> None:
    world.append(b"Content-Type: audio/basic\r\nContent-Transfer-Encoding: base64\r\n\r\n")
    url = world.authorise("anonymous", "imap://joe@imap.example.com/INBOX/;UID=2/;SECTION=1;URLAUTH=")
    assert world.fetch(world.joe, url) == b'""'
    assert world.fetch(world.joe, url, "BINARY") == b'(BINARY "")'


@pytest.mark.parametrize("params", ["", "BODYPARTSTRUCTURE BINARY", "BODY"])
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nonsense", "no ticket"),
        (RUMP + "anonymous", "no ticket"),
        (RUMP + "anonymous:INTERNAL:0123", "no ticket"),
        (RUMP + "anonymous:XSAMPLE:" + TOKEN, "mechanism"),
        (RUMP.replace("imap.example", "other.example") + "anonymous:INTERNAL:" + TOKEN, "another server"),
        (RUMP.replace("joe", "nobody") + "anonymous:INTERNAL:" + TOKEN, "no such mailbox"),
        (RUMP.replace("joe@", "") + "anonymous:INTERNAL:" + TOKEN, "no such mailbox"),
        (RUMP.replace("INBOX", "nowhere") + "anonymous:INTERNAL:" + TOKEN, "no such mailbox"),
        (RUMP + "anonymous:INTERNAL:" + TOKEN, "no ticket was ever made"),
    ],
)
def test_refusals_look_alike(world: World, url: str, reason: str, params: str) -> None:
    assert world.fetch(world.joe, url, params) == b"NIL"
    assert reason in world.log[-1]
    assert TOKEN not in world.log[-1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda url: url[:-1] + ("0" if url[-1] != "0" else "1"), "token"),
        (lambda url: url.replace("SECTION=2", "SECTION=1"), "token"),
        (lambda url: url.replace("imap.example", "IMAP.example"), "token"),
        (lambda url: url.replace("UID=1", "UID=2"), "token"),
        (lambda url: url.replace("anonymous", "authuser"), "token"),
    ],
)
def test_a_changed_ticket_is_refused(world: World, change: Callable[[str], str], reason: str) -> None:
    assert world.fetch(world.joe, change(world.authorise("anonymous")), "BINARY") == b"NIL"
    assert reason in world.log[-1]


def test_who_may_use_which_ticket(world: World) -> None:
    sessions: dict[str | None, LoopbackConnection] = {
        None: world.anonymous(),
        **{user: world.login(user) for user in ("joe", "ann", "mediaserver")},
    }
    allowed = {
        "anonymous": {None, "joe", "ann", "mediaserver"},
        "authuser": {"joe", "ann", "mediaserver"},
        "user+ann": {"ann"},
        "submit+joe": {"mediaserver"},
        "stream": {"mediaserver"},
    }
    for access, users in allowed.items():
        url = world.authorise(access)
        assert {user for user, client in sessions.items() if world.fetch(client, url) != b"NIL"} == users


def test_a_ticket_is_refused_after_expire(world: World) -> None:
    rump = RUMP.replace(";URLAUTH", ";EXPIRE=2026-11-22T00:10:00Z;URLAUTH")
    url = world.authorise("anonymous", rump)
    world.server.now += 600
    assert world.fetch(world.joe, url).startswith(b"{")
    world.server.now += 0.5
    assert world.fetch(world.joe, url) == b"NIL"
    assert "time has passed" in world.log[-1]


def test_a_ticket_is_refused_without_its_key_message_or_mailbox(world: World) -> None:
    first = world.authorise("anonymous")
    assert world.joe.receive_data(b"r RESETKEY INBOX\r\n") == b"r OK [URLMECH INTERNAL] the key is new\r\n"
    assert world.fetch(world.joe, first) == b"NIL"
    second = world.authorise("anonymous")
    assert second != first
    assert world.fetch(world.joe, first) == b"NIL"
    assert world.fetch(world.joe, second) != b"NIL"
    world.joe.receive_data(b"s SELECT INBOX\r\nt STORE 1 FLAGS \\Deleted\r\nc CLOSE\r\n")
    assert world.fetch(world.joe, second) == b"NIL"
    assert "message was expunged" in world.log[-1]
    assert world.joe.receive_data(b"r RESETKEY\r\n").startswith(b"r OK ")
    assert world.fetch(world.joe, second) == b"NIL"
    assert world.joe.receive_data(b"r RESETKEY nowhere\r\n").startswith(b"r NO ")


def test_a_stale_uidvalidity_is_refused_though_the_token_is_right(world: World) -> None:
    store = world.server.store
    mailbox = world.inbox
    rump = f"imap://joe@imap.example.com/INBOX;UIDVALIDITY={mailbox.uid_validity + 1}/;UID=1;URLAUTH=anonymous"
    token = "01" + hmac.new(store.make_key(mailbox), rump.encode(), hashlib.sha256).hexdigest()
    assert world.fetch(world.joe, f"{rump}:INTERNAL:{token}") == b"NIL"
    assert "UIDVALIDITY" in world.log[-1]


def test_each_of_several_urls_gets_a_response(world: World) -> None:
    good = world.authorise("anonymous", RUMP.replace("SECTION=2", "SECTION=1"))
    said = world.joe.receive_data(f'u URLFETCH "{good}" ("bad" BINARY) ("{good}" BINARY)\r\n'.encode())
    assert said.decode() == (
        f'* URLFETCH "{good}" {{9}}\r\nHello Joe\r\n* URLFETCH "bad" NIL\r\n'
        f'* URLFETCH "{good}" (BINARY {{9}}\r\nHello Joe)\r\nu OK URLFETCH completed\r\n'
    )


def test_urlfetch_does_not_set_seen_and_needs_no_selected_mailbox(world: World) -> None:
    assert world.fetch(world.joe, world.authorise("anonymous")) != b"NIL"
    assert b"UNSEEN 1" in world.joe.receive_data(b"t STATUS INBOX (UNSEEN)\r\n")


def test_mailbox_names_are_utf8_in_urls_and_modified_utf7_on_the_wire(world: World) -> None:
    world.joe.receive_data(b'c CREATE "F&APwA3w-e"\r\na APPEND "F&APwA3w-e" {6+}\r\n\r\nbody\r\n')
    url = world.authorise("anonymous", "imap://joe@imap.example.com/F%C3%BC%C3%9Fe/;UID=1/;SECTION=1;URLAUTH=")
    assert world.fetch(world.joe, url) == b"{4}\r\nbody"


def test_no_log_line_contains_a_token(world: World) -> None:
    world.fetch(world.joe, world.authorise("anonymous"))
    world.fetch(world.joe, world.authorise("stream"))
    assert not any(re.search(r"INTERNAL:[0-9a-f]", line) for line in world.log)
