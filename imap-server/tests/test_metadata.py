# ruff: noqa: ANN401  the class of `world` lives in conftest, which importlib mode does not let tests import
"""GETMETADATA and SETMETADATA as octets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_imap.annotations import AnnotationLimits
from lemonade_imap.config import ServerConfig
from lemonade_imap.grammar.metadata import GetMetadata
from lemonade_imap.grammar.parser import parse_command
from lemonade_imap.loopback import LoopbackServer
from lemonade_imap.store.sqlite import SqliteStore
from lemonade_wire.imap.framing import LineFramer, LineReceived, LogicalLine, Role
from lemonade_wire.imap.lexer import Lexer, ListValue, as_octets
from lemonade_wire.profile import RFC_5616

SERVERS = b'"<sip:ivr@media.example.net>:authuser"'


def say(client: Any, line: str | bytes) -> bytes:
    """Send a command and return what comes back, without the tag."""
    octets = line.encode() if isinstance(line, str) else line
    said: bytes = client.receive_data(b"m " + octets + b"\r\n")
    return said.replace(b"\r\nm ", b"\r\n").removeprefix(b"m ")


def get(client: Any, entry: str, mailbox: str = '""') -> bytes:
    """Return the value of one entry as it stands in the answer."""
    mailbox = f'"{mailbox.strip(chr(34))}"'
    said = say(client, f"GETMETADATA {mailbox} {entry}")
    begin, end = f"* METADATA {mailbox} ({entry} ".encode(), b")\r\nOK GETMETADATA completed\r\n"
    assert said.startswith(begin), said
    assert said.endswith(end), said
    return said[len(begin) : -len(end)]


def limited(make_world: Any, **limits: Any) -> Any:
    """Return a server with limits of its own."""
    return make_world(config=replace(make_world().config, annotations=AnnotationLimits(**limits)))


def test_a_value_is_set_read_replaced_and_removed(world: Any) -> None:
    assert get(world.joe, "/private/comment", "INBOX") == b"NIL"
    for value, answer in [
        ('"mine"', b'"mine"'),
        ('""', b'""'),
        ('"a \\"b\\" \\\\ c"', b'"a \\"b\\" \\\\ c"'),
        ("NIL", b"NIL"),
    ]:
        assert say(world.joe, f"SETMETADATA INBOX (/private/comment {value})") == b"OK SETMETADATA completed\r\n"
        assert get(world.joe, "/private/comment", "INBOX") == answer


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("grün\r\n".encode(), b"{7}\r\n"),
        (b"a\r\nb", b"{4}\r\n"),
        (b"\xff\xfe", b"{2}\r\n"),
        (b"\0\xff", b"~{2}\r\n"),
        (b"x" * 20000, b"{20000}\r\n"),
    ],
)
@pytest.mark.parametrize("sent_as", [b"{%d+}\r\n", b"~{%d+}\r\n"])
def test_values_are_octets(world: Any, value: bytes, form: bytes, sent_as: bytes) -> None:
    mark = sent_as % len(value)
    assert say(world.joe, b"SETMETADATA INBOX (/shared/comment " + mark + value + b")").startswith(b"OK ")
    assert get(world.joe, "/shared/comment", "INBOX") == form + value


@given(st.binary(max_size=3000))
def test_any_octets_come_back_as_they_were_set(value: bytes) -> None:
    client = LoopbackServer(ServerConfig(passwords={"joe": "secret"})).connect()
    client.receive_data(b"l LOGIN joe secret\r\n")
    assert say(client, b"SETMETADATA INBOX (/private/a ~{%d+}\r\n%s)" % (len(value), value)).startswith(b"OK ")
    framer = LineFramer(Role.CLIENT)
    framer.receive_data(say(client, "GETMETADATA INBOX /private/a"))
    event = framer.next_event()
    assert isinstance(event, LineReceived)
    (answer,) = [part for part in Lexer(event.line).values() if isinstance(part, ListValue)]
    assert as_octets(answer.items[1]) == value


def test_private_is_each_users_own_and_shared_is_everybodys(world: Any) -> None:
    ann, admin = world.login("ann"), world.login("admin")
    assert say(world.joe, 'SETMETADATA "" (/private/comment "joe\'s")').startswith(b"OK ")
    assert say(admin, 'SETMETADATA "" (/shared/comment "all\'s")').startswith(b"OK ")
    assert get(world.joe, "/private/comment") == b'"joe\'s"'
    assert get(ann, "/private/comment") == b"NIL"
    assert get(ann, "/shared/comment") == b'"all\'s"'
    assert say(world.joe, 'GETMETADATA (DEPTH infinity) "" (/shared /private)') == (
        b'* METADATA "" (/shared/comment "all\'s" /shared/mediaServers ' + SERVERS + b" "
        b'/private/comment "joe\'s")\r\nOK GETMETADATA completed\r\n'
    )


def test_the_servers_shared_entries_are_the_administrators(world: Any) -> None:
    for entry in ("/shared/mediaServers", "/public/mediaServers", "/shared/comment"):
        assert say(world.joe, f'SETMETADATA "" ({entry} "x")').startswith(b"NO [NOPERM] ")
    admin = world.login("admin")
    assert say(admin, 'SETMETADATA "" (/shared/admin "mailto:me@example.com")').startswith(b"NO [NOPERM] ")
    assert say(admin, 'SETMETADATA "" (/public/mediaServers "<sip:other>")').startswith(b"OK ")
    assert get(world.joe, "/shared/mediaservers") == get(world.joe, "/public/mediaServers") == b'"<sip:other>"'


def test_names_are_told_apart_without_case_and_kept_as_given(world: Any) -> None:
    say(world.joe, 'SETMETADATA INBOX (/Private/Filters/One "1" /private/FILTERS/two "2")')
    assert get(world.joe, "/PRIVATE/filters/ONE", "INBOX") == b'"1"'
    assert say(world.joe, "GETMETADATA (DEPTH 1) INBOX /private/filters").startswith(
        b'* METADATA "INBOX" (/Private/Filters/One "1" /private/FILTERS/two "2")\r\n'
    )


@pytest.mark.parametrize(
    "form", ["(MAXSIZE 5 DEPTH infinity) INBOX (/shared)", "INBOX (DEPTH infinity MAXSIZE 5) /shared"]
)
def test_options_stand_before_or_behind_the_mailbox(world: Any, form: str) -> None:
    say(world.joe, 'SETMETADATA INBOX (/shared/a "12345" /shared/b "123456" /shared/c "1234567")')
    assert say(world.joe, f"GETMETADATA {form}") == (
        b'* METADATA "INBOX" (/shared/a "12345")\r\nOK [METADATA LONGENTRIES 7] GETMETADATA completed\r\n'
    )


def test_all_or_nothing(make_world: Any) -> None:
    world = limited(make_world, max_value=1024, max_entries=2)
    big = "x" * 1025
    for entries, code in [
        (f'/shared/a "1" /shared/b "{big}"', b"NO [METADATA MAXSIZE 1024] "),
        (f'/private/a "1" /shared/b "{big}"', b"NO [METADATA MAXSIZE 1024] "),
        ('/private/a "1" /shared/a "1" /shared/b "2" /shared/c "3"', b"NO [METADATA TOOMANY] "),
        ('/shared/a "1" /other/b "2"', b"BAD "),
        ('/shared/a "1" /SHARED/A "2"', b"BAD "),
    ]:
        assert say(world.joe, f"SETMETADATA INBOX ({entries})").startswith(code)
        assert (
            say(world.joe, "GETMETADATA (DEPTH infinity) INBOX (/shared /private)") == b"OK GETMETADATA completed\r\n"
        )


def test_a_value_too_large_to_be_read_is_refused_as_such(world: Any) -> None:
    announced = world.login("joe").receive_data(b"m SETMETADATA INBOX (/shared/a {65537}\r\n")
    assert announced.startswith(b"m NO [METADATA MAXSIZE 32768] ")
    said = say(world.joe, b"SETMETADATA INBOX (/shared/a {65537+}\r\n" + b"x" * 65537 + b")")
    assert said.startswith(b"NO [METADATA MAXSIZE 32768] ")
    assert get(world.joe, "/shared/a", "INBOX") == b"NIL"


def test_too_many_counts_what_is_there(make_world: Any) -> None:
    world = limited(make_world, max_entries=2)
    assert say(world.joe, 'SETMETADATA INBOX (/shared/a "1" /shared/b "2" /private/a "3")').startswith(b"OK ")
    assert say(world.joe, 'SETMETADATA INBOX (/shared/c "3")').startswith(b"NO [METADATA TOOMANY] ")
    assert say(world.joe, 'SETMETADATA INBOX (/shared/B "4")').startswith(b"OK ")
    assert say(world.joe, 'SETMETADATA INBOX (/shared/c "3" /shared/a NIL)').startswith(b"OK ")


def test_without_private_annotations(make_world: Any) -> None:
    world = limited(make_world, private=False)
    assert say(world.joe, 'SETMETADATA INBOX (/shared/a "1" /private/a "1")').startswith(b"NO [METADATA NOPRIVATE] ")
    assert get(world.joe, "/shared/a", "INBOX") == get(world.joe, "/private/a", "INBOX") == b"NIL"


@pytest.mark.parametrize(
    "arguments",
    [
        "GETMETADATA INBOX /public/comment",
        "GETMETADATA INBOX /shared",
        'GETMETADATA "" /shared/vendor/x',
        "GETMETADATA (DEPTH 2) INBOX /shared/a",
        "GETMETADATA (DEPTH 1) INBOX",
        "GETMETADATA (DEPTH 1) INBOX (DEPTH 1) /shared/a",
        "GETMETADATA () INBOX /shared/a",
        "GETMETADATA (MAXSIZE) INBOX /shared/a",
        "GETMETADATA (MAXSIZE x) INBOX /shared/a",
        "GETMETADATA (MAXSIZE 1 MAXSIZE 2) INBOX /shared/a",
        "GETMETADATA INBOX ()",
        'GETMETADATA INBOX "/shared/ü"',
        "SETMETADATA INBOX ()",
        "SETMETADATA INBOX (/shared/a)",
        "SETMETADATA INBOX (/shared/a x)",
        'SETMETADATA INBOX (/shared/a "1"/shared/b "2")',
        'SETMETADATA INBOX /shared/a "1"',
        'SETMETADATA INBOX (/shared/a/ "1")',
        'SETMETADATA INBOX (/shared//a "1")',
        'SETMETADATA INBOX ("/shared/%" "1")',
        'SETMETADATA INBOX ("/shared/\x01" "1")',
        'SETMETADATA INBOX (/other/a "1")',
        'SETMETADATA INBOX (/shared/vendor/x "1")',
    ],
)
def test_what_is_bad(world: Any, arguments: str) -> None:
    assert say(world.joe, arguments).startswith(b"BAD ")


@pytest.mark.parametrize("command", ["GETMETADATA nowhere /shared/a", 'SETMETADATA nowhere (/shared/a "1")'])
def test_a_mailbox_that_is_not_there(world: Any, command: str) -> None:
    assert say(world.joe, command).startswith(b"NO [NONEXISTENT] ")


def test_annotations_go_with_their_mailbox(world: Any) -> None:
    name = '"F&APw-"'
    for line in (f"CREATE {name}", f'SETMETADATA {name} (/shared/a "1")'):
        assert say(world.joe, line).startswith(b"OK ")
    assert get(world.joe, "/shared/a", name) == b'"1"'
    assert get(world.joe, "/shared/a", "INBOX") == b"NIL"
    for line in (f"DELETE {name}", f"CREATE {name}"):
        assert say(world.joe, line).startswith(b"OK ")
    assert get(world.joe, "/shared/a", name) == b"NIL"


def test_the_drafts_name_is_no_name_of_rfc_5616(make_world: Any) -> None:
    world = make_world(config=replace(make_world().config, profile=RFC_5616))
    assert say(world.joe, 'GETMETADATA "" /public/mediaServers').startswith(b"BAD ")
    assert get(world.joe, "/shared/mediaServers") == SERVERS


def test_an_anonymous_session_reads_the_media_servers_and_nothing_else(world: Any) -> None:
    say(world.login("admin"), 'SETMETADATA "" (/shared/comment "x")')
    nobody = world.anonymous()
    assert get(nobody, "/shared/mediaServers") == get(nobody, "/public/mediaServers") == SERVERS
    assert get(nobody, "/shared/comment") == get(nobody, "/private/comment") == b"NIL"
    assert say(nobody, 'GETMETADATA (DEPTH infinity) "" (/shared /private)') == (
        b'* METADATA "" (/shared/mediaServers ' + SERVERS + b")\r\nOK GETMETADATA completed\r\n"
    )
    assert say(nobody, "GETMETADATA INBOX /shared/a").startswith(b"NO [NOPERM] ")
    assert say(nobody, 'SETMETADATA "" (/private/a "1")').startswith(b"BAD ")


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("/shared/mediaServers", "(/shared/mediaServers VALUE)"),
        ("/public/mediaServers", "(/public/mediaServers VALUE)"),
        ("/SHARED/mediaservers", "(/SHARED/mediaservers VALUE)"),
        ("(/shared/comment /public/mediaServers)", "(/shared/comment NIL /public/mediaServers VALUE)"),
        ("(DEPTH 1) /shared", "(/shared/mediaServers VALUE)"),
        ("(DEPTH infinity) /public", "(/public/mediaServers VALUE)"),
    ],
)
def test_the_server_entry(world: Any, asked: str, answer: str) -> None:
    value = '"<sip:ivr@media.example.net>:authuser"'
    said = world.anonymous().receive_data(f'm GETMETADATA "" {asked}\r\n'.encode()).decode()
    assert said == f'* METADATA "" {answer.replace("VALUE", value)}\r\nm OK GETMETADATA completed\r\n'


def test_without_a_value_of_the_settings_there_is_none(make_world: Any) -> None:
    world = make_world(config=replace(make_world().config, media_servers=None))
    assert get(world.joe, "/shared/mediaServers") == get(world.joe, "/public/mediaServers") == b"NIL"


def watcher(world: Any, user: str) -> Any:
    """Return a session that wants to know of changes."""
    client = world.login(user)
    assert client.receive_data(b"e ENABLE METADATA\r\n").startswith(b"* ENABLED METADATA\r\n")
    return client


def test_others_are_told_the_names_of_what_changed(world: Any) -> None:
    joe, ann, admin = watcher(world, "joe"), watcher(world, "ann"), watcher(world, "admin")
    assert say(world.joe, 'SETMETADATA INBOX (/shared/a "1" /private/b "2")') == b"OK SETMETADATA completed\r\n"
    assert say(admin, 'SETMETADATA "" (/shared/comment "1" /private/c "2")') == b"OK SETMETADATA completed\r\n"
    assert say(joe, "NOOP") == (
        b'* METADATA "INBOX" /shared/a\r\n* METADATA "INBOX" /private/b\r\n* METADATA "" /shared/comment\r\n'
        b"OK NOOP completed\r\n"
    )
    assert say(ann, "NOOP") == b'* METADATA "" /shared/comment\r\nOK NOOP completed\r\n'
    for client in (world.joe, admin):
        assert say(client, "NOOP") == b"OK NOOP completed\r\n"


def test_what_does_not_change_is_no_news(world: Any) -> None:
    admin, joe = world.login("admin"), watcher(world, "joe")
    for value in ('"1"', '"1"', '"2"', "NIL", "NIL"):
        say(admin, f'SETMETADATA "" (/shared/mediaServers {value})')
    assert say(joe, "NOOP").count(b'* METADATA "" /shared/mediaServers /public/mediaServers\r\n') == 3


def test_a_client_that_idles_is_told_at_once(world: Any) -> None:
    joe = watcher(world, "joe")
    assert joe.receive_data(b"i IDLE\r\n").startswith(b"+ ")
    say(world.joe, 'SETMETADATA "INBOX" (/private/a "1")')
    assert joe.receive_data(b"") == b'* METADATA "INBOX" /private/a\r\n'


def test_values_outlive_the_server(make_world: Any, tmp_path: Path) -> None:
    config = make_world().config

    def session(value: str | None) -> tuple[SqliteStore, Any]:
        store = SqliteStore(tmp_path)
        client = LoopbackServer(replace(config, media_servers=value), store).connect()
        client.receive_data(b"l LOGIN admin secret\r\n")
        return store, client

    store, client = session("<sip:first>")
    assert get(client, "/shared/mediaServers") == b'"<sip:first>"'
    say(client, 'SETMETADATA "" (/shared/mediaServers "<sip:second>" /private/a "1")')
    say(client, 'SETMETADATA INBOX (/private/a "2")')
    store.close()
    store, client = session("<sip:third>")
    assert get(client, "/shared/mediaServers") == b'"<sip:second>"'
    assert (get(client, "/private/a"), get(client, "/private/a", "INBOX")) == (b'"1"', b'"2"')
    store.close()


@given(
    st.lists(st.text("abZ._-/ ", min_size=1, max_size=8).map(lambda text: f"/shared/{text.strip('/ ')}x"), min_size=1),
    st.sampled_from([None, 0, 4294967295]),
    st.sampled_from(["0", "1", "INFINITY"]),
    st.booleans(),
)
def test_getmetadata_is_read_as_it_was_written(names: list[str], size: int | None, depth: str, behind: bool) -> None:
    names = [name.replace("//", "/") for name in names if "///" not in name][:100] or ["/shared/x"]
    options = ([] if size is None else [f"MAXSIZE {size}"]) + [f"DEPTH {depth.lower()}"]
    listed = " ".join(f'"{name}"' for name in names)
    words = ["INBOX", f"({' '.join(options)})"] if behind else [f"({' '.join(options)})", "INBOX"]
    line = f"a GETMETADATA {' '.join(words)} ({listed})"
    assert parse_command(LogicalLine.of(line.encode())).command == GetMetadata("INBOX", tuple(names), size, depth)
