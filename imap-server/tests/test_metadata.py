"""GETMETADATA and SETMETADATA as octets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_imap.annotations import AnnotationLimits
from lemonade_imap.config import ServerConfig
from lemonade_imap.grammar.metadata import GetMetadata
from lemonade_imap.grammar.parser import parse_command
from lemonade_imap.store.sqlite import SqliteStore
from lemonade_imap.testing import LoopbackConnection, LoopbackServer
from lemonade_imap.testing.world import World
from lemonade_wire.imap.framing import FramerRole, LineFramer, LineReceived, LogicalLine
from lemonade_wire.imap.lexer import Lexer, ListValue, as_octets
from lemonade_wire.profile import RFC_5616

SERVERS = b'"<sip:ivr@media.example.net>:authuser"'


def say(client: LoopbackConnection, line: str | bytes) -> bytes:
    """Send a command and return the answer without the tag."""
    octets = line.encode() if isinstance(line, str) else line
    said = client.receive_data(b"m " + octets + b"\r\n")
    return said.replace(b"\r\nm ", b"\r\n").removeprefix(b"m ")


def get(client: LoopbackConnection, entry: str, mailbox: str = '""') -> bytes:
    """Return the value of one entry as it is written in the answer."""
    mailbox = f'"{mailbox.strip(chr(34))}"'
    said = say(client, f"GETMETADATA {mailbox} {entry}")
    begin, end = f"* METADATA {mailbox} ({entry} ".encode(), b")\r\nOK GETMETADATA completed\r\n"
    assert said.startswith(begin), said
    assert said.endswith(end), said
    return said[len(begin) : -len(end)]


def limited(make_world: type[World], limits: AnnotationLimits) -> World:
    """Return a server with other limits."""
    return make_world(config=replace(make_world().config, annotations=limits))


def test_a_value_is_set_read_replaced_and_removed(world: World) -> None:
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
def test_a_value_of_any_octets_is_sent_in_this_form(world: World, value: bytes, form: bytes, sent_as: bytes) -> None:
    mark = sent_as % len(value)
    assert say(world.joe, b"SETMETADATA INBOX (/shared/comment " + mark + value + b")").startswith(b"OK ")
    assert get(world.joe, "/shared/comment", "INBOX") == form + value


@given(st.binary(max_size=3000))
def test_any_octets_come_back_as_they_were_set(value: bytes) -> None:
    client = LoopbackServer(ServerConfig(passwords={"joe": "secret"})).connect()
    client.receive_data(b"l LOGIN joe secret\r\n")
    assert say(client, b"SETMETADATA INBOX (/private/a ~{%d+}\r\n%s)" % (len(value), value)).startswith(b"OK ")
    framer = LineFramer(FramerRole.CLIENT)
    framer.receive_data(say(client, "GETMETADATA INBOX /private/a"))
    event = framer.next_event()
    assert isinstance(event, LineReceived)
    (answer,) = [part for part in Lexer(event.line).values() if isinstance(part, ListValue)]
    assert as_octets(answer.items[1]) == value


def test_each_user_has_private_entries_and_all_users_share_the_others(world: World) -> None:
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


def test_the_servers_shared_entries_are_the_administrators(world: World) -> None:
    for entry in ("/shared/mediaServers", "/public/mediaServers", "/shared/comment"):
        assert say(world.joe, f'SETMETADATA "" ({entry} "x")').startswith(b"NO [NOPERM] ")
    admin = world.login("admin")
    assert say(admin, 'SETMETADATA "" (/shared/admin "mailto:me@example.com")').startswith(b"NO [NOPERM] ")
    assert say(admin, 'SETMETADATA "" (/public/mediaServers "<sip:other>")').startswith(b"OK ")
    assert get(world.joe, "/shared/mediaservers") == get(world.joe, "/public/mediaServers") == b'"<sip:other>"'


def test_names_ignore_letter_case_and_are_stored_as_given(world: World) -> None:
    say(world.joe, 'SETMETADATA INBOX (/Private/Filters/One "1" /private/FILTERS/two "2")')
    assert get(world.joe, "/PRIVATE/filters/ONE", "INBOX") == b'"1"'
    assert say(world.joe, "GETMETADATA (DEPTH 1) INBOX /private/filters").startswith(
        b'* METADATA "INBOX" (/Private/Filters/One "1" /private/FILTERS/two "2")\r\n'
    )


@pytest.mark.parametrize(
    "form", ["(MAXSIZE 5 DEPTH infinity) INBOX (/shared)", "INBOX (DEPTH infinity MAXSIZE 5) /shared"]
)
def test_options_may_be_before_or_behind_the_mailbox(world: World, form: str) -> None:
    say(world.joe, 'SETMETADATA INBOX (/shared/a "12345" /shared/b "123456" /shared/c "1234567")')
    assert say(world.joe, f"GETMETADATA {form}") == (
        b'* METADATA "INBOX" (/shared/a "12345")\r\nOK [METADATA LONGENTRIES 7] GETMETADATA completed\r\n'
    )


def test_setmetadata_sets_all_entries_or_none(make_world: type[World]) -> None:
    world = limited(make_world, AnnotationLimits(max_value=1024, max_entries=2))
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


def test_a_value_too_large_to_be_read_is_refused_as_such(world: World) -> None:
    announced = world.login("joe").receive_data(b"m SETMETADATA INBOX (/shared/a {65537}\r\n")
    assert announced.startswith(b"m NO [METADATA MAXSIZE 32768] ")
    said = say(world.joe, b"SETMETADATA INBOX (/shared/a {65537+}\r\n" + b"x" * 65537 + b")")
    assert said.startswith(b"NO [METADATA MAXSIZE 32768] ")
    assert get(world.joe, "/shared/a", "INBOX") == b"NIL"


def test_the_limit_of_entries_counts_existing_entries(make_world: type[World]) -> None:
    world = limited(make_world, AnnotationLimits(max_entries=2))
    assert say(world.joe, 'SETMETADATA INBOX (/shared/a "1" /shared/b "2" /private/a "3")').startswith(b"OK ")
    assert say(world.joe, 'SETMETADATA INBOX (/shared/c "3")').startswith(b"NO [METADATA TOOMANY] ")
    assert say(world.joe, 'SETMETADATA INBOX (/shared/B "4")').startswith(b"OK ")
    assert say(world.joe, 'SETMETADATA INBOX (/shared/c "3" /shared/a NIL)').startswith(b"OK ")


def test_without_private_annotations_they_are_refused(make_world: type[World]) -> None:
    world = limited(make_world, AnnotationLimits(private=False))
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
def test_invalid_names_options_and_values_are_bad(world: World, arguments: str) -> None:
    assert say(world.joe, arguments).startswith(b"BAD ")


@pytest.mark.parametrize("command", ["GETMETADATA nowhere /shared/a", 'SETMETADATA nowhere (/shared/a "1")'])
def test_a_missing_mailbox_is_refused(world: World, command: str) -> None:
    assert say(world.joe, command).startswith(b"NO [NONEXISTENT] ")


def test_annotations_are_renamed_and_deleted_with_their_mailbox(world: World) -> None:
    name = '"F&APw-"'
    for line in (f"CREATE {name}", f'SETMETADATA {name} (/shared/a "1")'):
        assert say(world.joe, line).startswith(b"OK ")
    assert get(world.joe, "/shared/a", name) == b'"1"'
    assert get(world.joe, "/shared/a", "INBOX") == b"NIL"
    for line in (f"DELETE {name}", f"CREATE {name}"):
        assert say(world.joe, line).startswith(b"OK ")
    assert get(world.joe, "/shared/a", name) == b"NIL"


def test_the_drafts_name_is_invalid_in_the_profile_rfc5616(make_world: type[World]) -> None:
    world = make_world(config=replace(make_world().config, profile=RFC_5616))
    assert say(world.joe, 'GETMETADATA "" /public/mediaServers').startswith(b"BAD ")
    assert get(world.joe, "/shared/mediaServers") == SERVERS


def test_an_anonymous_session_reads_the_media_servers_and_nothing_else(world: World) -> None:
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
def test_the_entry_of_the_media_servers_by_each_name_and_depth(world: World, asked: str, answer: str) -> None:
    value = '"<sip:ivr@media.example.net>:authuser"'
    said = world.anonymous().receive_data(f'm GETMETADATA "" {asked}\r\n'.encode()).decode()
    assert said == f'* METADATA "" {answer.replace("VALUE", value)}\r\nm OK GETMETADATA completed\r\n'


def test_without_a_setting_the_entry_has_no_value(make_world: type[World]) -> None:
    world = make_world(config=replace(make_world().config, media_servers=None))
    assert get(world.joe, "/shared/mediaServers") == get(world.joe, "/public/mediaServers") == b"NIL"


def watcher(world: World, user: str) -> LoopbackConnection:
    """Return a session that has enabled METADATA, so that it is informed of changes."""
    client = world.login(user)
    assert client.receive_data(b"e ENABLE METADATA\r\n").startswith(b"* ENABLED METADATA\r\n")
    return client


def test_other_sessions_receive_the_names_of_changed_entries(world: World) -> None:
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


def test_an_unchanged_value_is_not_announced(world: World) -> None:
    admin, joe = world.login("admin"), watcher(world, "joe")
    for value in ('"1"', '"1"', '"2"', "NIL", "NIL"):
        say(admin, f'SETMETADATA "" (/shared/mediaServers {value})')
    assert say(joe, "NOOP").count(b'* METADATA "" /shared/mediaServers /public/mediaServers\r\n') == 3


def test_a_client_in_idle_is_informed_at_once(world: World) -> None:
    joe = watcher(world, "joe")
    assert joe.receive_data(b"i IDLE\r\n").startswith(b"+ ")
    say(world.joe, 'SETMETADATA "INBOX" (/private/a "1")')
    assert joe.receive_data(b"") == b'* METADATA "INBOX" /private/a\r\n'


def test_values_survive_a_restart_of_the_server(make_world: type[World], tmp_path: Path) -> None:
    config = make_world().config

    def session(value: str | None) -> tuple[SqliteStore, LoopbackConnection]:
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
def test_a_generated_getmetadata_is_parsed_to_its_values(
    names: list[str], size: int | None, depth: str, behind: bool
) -> None:
    names = [name.replace("//", "/") for name in names if "///" not in name][:100] or ["/shared/x"]
    options = ([] if size is None else [f"MAXSIZE {size}"]) + [f"DEPTH {depth.lower()}"]
    listed = " ".join(f'"{name}"' for name in names)
    words = ["INBOX", f"({' '.join(options)})"] if behind else [f"({' '.join(options)})", "INBOX"]
    line = f"a GETMETADATA {' '.join(words)} ({listed})"
    assert parse_command(LogicalLine.of(line.encode())).command == GetMetadata("INBOX", tuple(names), size, depth)
