"""The commands on mailboxes (CREATE, DELETE, RENAME, LIST, LSUB, STATUS and others), as octets (RFC 3501, 6.3)."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_imap.config import ServerConfig
from lemonade_imap.serving import listing, mailboxes
from lemonade_imap.serving.listing import Pattern
from lemonade_imap.session import ImapSession
from lemonade_imap.testing import LoopbackServer
from lemonade_imap.testing.world import World


def made(world: World, *names: str) -> None:
    for name in names:
        assert world.joe.receive_data(f'c CREATE "{name}"\r\n'.encode()) == b"c OK CREATE completed\r\n"


def listed(world: World, command: str) -> dict[str, str]:
    said = world.joe.receive_data(f"l {command}\r\n".encode()).decode()
    assert said.endswith(f"l OK {command.split(maxsplit=1)[0]} completed\r\n")
    return {row[1]: row[0] for row in re.findall(r'^\* L\w+ \((.*?)\) "/" "(.*)"\r$', said, re.MULTILINE)}


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ('"" *', ["INBOX", "F&APwA3w-e", "INBOX/below", "a", "a/b", "a/b/c", "x", "x/y"]),
        ('"" %', ["INBOX", "F&APwA3w-e", "a", "x"]),
        ('"" inb*', ["INBOX"]),
        ('"" inbox/%', ["INBOX/below"]),
        ('"" a', ["a"]),
        ('"" A', []),
        ('"a/" %', ["a/b"]),
        ("a/ *", ["a/b", "a/b/c"]),
        ('"" a/%/c', ["a/b/c"]),
        ('"" %/%', ["INBOX/below", "a/b", "x/y"]),
        ('"" *c', ["a/b/c"]),
        ('"" F&APwA3w-e', ["F&APwA3w-e"]),
        ('"" nowhere', []),
    ],
)
def test_list_patterns(world: World, arguments: str, names: list[str]) -> None:
    made(world, "a", "a/b", "a/b/c", "x/y", "inbox/below", "F&APwA3w-e")
    assert list(listed(world, f"LIST {arguments}")) == names


def test_list_shows_children_and_names_that_are_no_mailbox(world: World) -> None:
    made(world, "a/b/", "c")
    assert listed(world, 'LIST "" *') == {
        "INBOX": "\\HasNoChildren",
        "a": "\\Noselect \\HasChildren",
        "a/b": "\\HasNoChildren",
        "c": "\\HasNoChildren",
    }
    assert world.joe.receive_data(b"s SELECT a\r\n").startswith(b"s NO [NONEXISTENT]")
    made(world, "a")
    assert listed(world, 'LIST "" a') == {"a": "\\HasChildren"}


@pytest.mark.parametrize("word", ["LIST", "LSUB"])
@pytest.mark.parametrize("reference", ['""', "a/b"])
def test_an_empty_pattern_asks_for_the_separator(world: World, word: str, reference: str) -> None:
    assert listed(world, f'{word} {reference} ""') == {"": "\\Noselect"}


def test_lsub_lists_subscribed_names_and_parents_that_percent_matches(world: World) -> None:
    made(world, "foo/bar", "foo/baz", "own", "own/sub")
    assert listed(world, 'LSUB "" *') == {}
    for name in ("foo/bar", "own", "own/sub", "inbox"):
        assert world.joe.receive_data(f"s SUBSCRIBE {name}\r\n".encode()) == b"s OK SUBSCRIBE completed\r\n"
    assert listed(world, 'LSUB "" *') == {"INBOX": "", "foo/bar": "", "own": "", "own/sub": ""}
    # RFC 3501, 6.3.9: foo is not subscribed but must be listed with \Noselect
    assert listed(world, 'LSUB "" %') == {"INBOX": "", "foo": "\\Noselect", "own": ""}
    assert listed(world, 'LSUB "foo/" %') == {"foo/bar": ""}
    # 6.3.6: the server does not remove a name from the list by itself
    world.joe.receive_data(b"d DELETE foo/bar\r\nu UNSUBSCRIBE own\r\nu UNSUBSCRIBE nowhere\r\n")
    assert listed(world, 'LSUB "" *') == {"INBOX": "", "foo/bar": "\\Noselect", "own/sub": ""}
    assert world.joe.receive_data(b"s SUBSCRIBE nowhere\r\n").startswith(b"s NO [NONEXISTENT]")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("CREATE a", "NO [ALREADYEXISTS]"),
        ("CREATE Inbox", "NO [ALREADYEXISTS]"),
        ('CREATE ""', "NO [CANNOT]"),
        ("CREATE /x", "NO [CANNOT]"),
        ("CREATE x//y", "NO [CANNOT]"),
        ('CREATE "x&AAc-"', "NO [CANNOT]"),
        ('CREATE "x&AGE-"', "BAD"),  # RFC 3501, 5.1.3: encodes a character that represents itself
        ('CREATE "&AOQ-&APY-"', "BAD"),  # an unnecessary shift
        ('CREATE "x&APY-&"', "BAD"),
        ("CREATE {4+}\r\nGr\xfc", "BAD"),  # 5.1: names are 7-bit
        ('RENAME a "x&AGE-"', "BAD"),
        (f"CREATE {'x' * 1001}", "NO [LIMIT]"),
        ("DELETE nowhere", "NO [NONEXISTENT]"),
        ("DELETE inbox", "NO [CANNOT]"),
        ("DELETE x", "NO [HASCHILDREN]"),
        ("RENAME nowhere z", "NO [NONEXISTENT]"),
        ("RENAME a x/y", "NO [ALREADYEXISTS]"),
        ("RENAME a INBOX", "NO [ALREADYEXISTS]"),
        ("RENAME a a", "NO [ALREADYEXISTS]"),
        ("RENAME a a/b/c", "NO [CANNOT]"),
        ("RENAME a /z", "NO [CANNOT]"),
        ("STATUS nowhere (UIDNEXT)", "NO [NONEXISTENT]"),
        ("SELECT nowhere", "NO [NONEXISTENT]"),
        ("EXAMINE INBOX (QRESYNC (1 1))", "BAD"),
        ("NAMESPACE x", "BAD"),
        ("ENABLE", "BAD"),
        ("CHECK", "BAD"),
    ],
)
def test_refused_commands_on_mailboxes(world: World, command: str, answer: str) -> None:
    made(world, "a", "a/b", "x/y")
    assert world.joe.receive_data(f"t {command}\r\n".encode()).decode().startswith(f"t {answer}")


def test_a_deleted_mailbox_with_others_below_stays_as_noselect(world: World) -> None:
    made(world, "a", "a/b")
    world.joe.receive_data(b"a APPEND a {1+}\r\nx\r\n")
    assert world.joe.receive_data(b"d DELETE a\r\n") == b"d OK DELETE completed\r\n"
    assert listed(world, 'LIST "" a*') == {"a": "\\Noselect \\HasChildren", "a/b": "\\HasNoChildren"}
    assert world.joe.receive_data(b"d DELETE a/b\r\n") == b"d OK DELETE completed\r\n"
    assert listed(world, 'LIST "" a*') == {}


def validity(world: World, name: str) -> int:
    said = world.joe.receive_data(f"v STATUS {name} (UIDVALIDITY)\r\n".encode()).decode()
    return int(said.split("UIDVALIDITY ")[1].split(")")[0])


def test_a_mailbox_made_again_has_another_uidvalidity(world: World) -> None:
    made(world, "a")
    first = validity(world, "a")
    world.joe.receive_data(b"d DELETE a\r\n")
    made(world, "a")
    assert validity(world, "a") > first


def test_rename_also_renames_mailboxes_below_and_keeps_uids(world: World) -> None:
    made(world, "a", "a/b", "ab")
    world.joe.receive_data(b"a APPEND a/b {1+}\r\nx\r\n")
    before = validity(world, "a/b")
    assert world.joe.receive_data(b"r RENAME a z/new\r\n") == b"r OK RENAME completed\r\n"
    assert list(listed(world, 'LIST "" *')) == ["INBOX", "ab", "z", "z/new", "z/new/b"]
    assert validity(world, "z/new/b") == before
    assert b"(UIDNEXT 2)" in world.joe.receive_data(b"t STATUS z/new/b (UIDNEXT)\r\n")


def test_rename_of_inbox_moves_its_messages(world: World) -> None:
    made(world, "INBOX/below")
    other = world.login("joe")
    other.receive_data(b"s SELECT INBOX\r\n")
    assert world.joe.receive_data(b"r RENAME inbox old\r\n") == b"r OK RENAME completed\r\n"
    assert list(listed(world, 'LIST "" *')) == ["INBOX", "INBOX/below", "old"]
    assert b"(MESSAGES 1)" in world.joe.receive_data(b"t STATUS old (MESSAGES)\r\n")
    assert b"(MESSAGES 0)" in world.joe.receive_data(b"t STATUS INBOX (MESSAGES)\r\n")
    assert other.receive_data(b"n NOOP\r\n").startswith(b"* 1 EXPUNGE\r\n")


def test_a_mailbox_that_is_renamed_stays_selected(world: World) -> None:
    made(world, "a")
    other = world.login("joe")
    other.receive_data(b"s SELECT a\r\n")
    world.joe.receive_data(b"r RENAME a b\r\na APPEND b {1+}\r\nx\r\n")
    assert b"* 1 EXISTS" in other.receive_data(b"n NOOP\r\n")
    assert other.receive_data(b"f STORE 1 +FLAGS \\Seen\r\n") == (
        b"* 1 FETCH (FLAGS (\\Recent \\Seen))\r\nf OK STORE completed\r\n"
    )


def test_delete_of_a_selected_mailbox_ends_other_sessions(world: World) -> None:
    made(world, "a")
    other, idler = world.login("joe"), world.login("joe")
    world.joe.receive_data(b"s SELECT a\r\n")
    other.receive_data(b"s SELECT a\r\n")
    idler.receive_data(b"s SELECT a\r\ni IDLE\r\n")
    assert world.joe.receive_data(b"d DELETE a\r\n") == b"d OK DELETE completed\r\n"
    # the session that deletes its selected mailbox has none selected afterwards
    assert world.joe.receive_data(b"c CLOSE\r\n").startswith(b"c BAD ")
    bye = b"* BYE the selected mailbox was deleted\r\n"
    assert other.receive_data(b"n NOOP\r\n") == bye + b"n OK NOOP completed\r\n"
    assert other.ended
    assert idler.receive_data(b"") == bye
    assert idler.ended


def test_status_counts(world: World) -> None:
    world.joe.receive_data(b"a APPEND INBOX (\\Seen) {1+}\r\nx\r\n")
    asked = b"t STATUS INBOX (MESSAGES RECENT UIDNEXT UNSEEN HIGHESTMODSEQ)\r\n"
    assert world.joe.receive_data(asked) == (
        b'* STATUS "INBOX" (MESSAGES 2 RECENT 2 UIDNEXT 3 UNSEEN 1 HIGHESTMODSEQ 3)\r\nt OK STATUS completed\r\n'
    )


def test_select_sends_keywords_and_the_first_unseen(world: World) -> None:
    world.joe.receive_data(b"s SELECT INBOX\r\nf STORE 1 FLAGS (\\Seen work)\r\na APPEND INBOX {1+}\r\nx\r\n")
    said = world.joe.receive_data(b"s SELECT INBOX\r\n")
    assert b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft work)\r\n* 2 EXISTS\r\n* 0 RECENT\r\n" in said
    assert b"* OK [UNSEEN 2] " in said
    assert b"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft work \\*)] " in said
    world.joe.receive_data(b"f STORE 1:* +FLAGS \\Seen\r\n")
    said = world.joe.receive_data(b"e EXAMINE INBOX\r\n")
    assert b"UNSEEN" not in said
    assert b"* OK [PERMANENTFLAGS ()] " in said
    assert said.endswith(b"e OK [READ-ONLY] EXAMINE completed\r\n")


def test_namespace_lists_one_personal_namespace(world: World) -> None:
    assert world.joe.receive_data(b"n NAMESPACE\r\n") == (
        b'* NAMESPACE (("" "/")) NIL NIL\r\nn OK NAMESPACE completed\r\n'
    )


names = st.text("ab/%*", max_size=8)


@given(names, names)
def test_patterns_match_as_the_regular_expressions_do(pattern: str, name: str) -> None:
    written = {"*": ".*", "%": "[^/]*"}
    regular = "".join(written.get(char, re.escape(char)) for char in pattern)
    assert Pattern("", pattern).matches(name) == (re.fullmatch(regular, name) is not None)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("*%" * 30000 + "x", "*x"), ("%" * 60000, "%"), ("a%%/**b", "a%/*b"), ("%*%a%%", "*a%")],
)
def test_a_run_of_wildcards_is_one_wildcard(pattern: str, text: str) -> None:
    assert Pattern("", pattern).text == text
    assert Pattern(pattern[:2], pattern[2:]).text == text


def test_a_pattern_with_many_wildcards_compares_each_character_once() -> None:
    pattern = Pattern("", "*a" * 200 + "b")
    assert not pattern.matches("a" * 1000)
    assert pattern.compared == 1000
    assert Pattern("", "%a" * 500).matches("a" * 1000)


def test_a_pattern_that_is_longer_than_a_name_is_not_compared_with_it() -> None:
    for pattern in (Pattern("", "*a" * 30000), Pattern("", "x" * 60000), Pattern("", "*abcd")):
        assert not pattern.matches("abc")
        assert pattern.compared == 0


def test_list_and_lsub_pause_after_a_limited_number_of_characters() -> None:
    works: list[int] = []

    class Turns:
        async def take(self, session: ImapSession, work: int) -> None:
            works.append(work)

    server = LoopbackServer(ServerConfig(passwords={"joe": "secret"}))
    server._service.backend = replace(server._service.backend, turns=Turns())
    client = server.connect()
    client.receive_data(b"l LOGIN joe secret\r\n")
    for number in range(50):
        name = f"{number:02}{'x' * 900}".encode()
        client.receive_data(b"c CREATE %s\r\ns SUBSCRIBE %s\r\n" % (name, name))
    for word in (b"LIST", b"LSUB"):
        works.clear()
        said = client.receive_data(b'l %s "" "%s%%"\r\n' % (word, b"*x" * 400))
        assert said.count(b"* %s" % word) == 50
        assert works.count(4000) == 9  # after each five names
        assert sum(works) > 50 * 900 // 8  # what is sent counts as well


def test_names_have_a_limited_number_of_levels(world: World) -> None:
    made(world, "/".join("a" * 20))
    assert world.joe.receive_data(b"c CREATE %s\r\n" % b"/".join([b"a"] * 21)).startswith(b"c NO [LIMIT]")


def test_rename_makes_no_name_longer_than_create(world: World) -> None:
    made(world, "a/" + "x" * 900, "b/c/d/e")
    assert world.joe.receive_data(b"r RENAME a %s\r\n" % (b"y" * 100)).startswith(b"r NO [LIMIT]")
    assert world.joe.receive_data(b"r RENAME b %s\r\n" % b"/".join([b"z"] * 18)).startswith(b"r NO [LIMIT]")
    assert world.joe.receive_data(b"r RENAME a %s\r\n" % (b"y" * 99)).startswith(b"r OK")


def test_an_account_has_a_limited_number_of_names(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailboxes, "MOST_NAMES", 3)
    monkeypatch.setattr(listing, "MOST_NAMES", 1)
    made(world, "a", "b")
    assert world.joe.receive_data(b"c CREATE d\r\n").startswith(b"c NO [LIMIT]")
    assert world.joe.receive_data(b"r RENAME INBOX d\r\n").startswith(b"r NO [LIMIT]")
    for _ in range(2):
        assert world.joe.receive_data(b"s SUBSCRIBE a\r\n").startswith(b"s OK")
    assert world.joe.receive_data(b"s SUBSCRIBE b\r\n").startswith(b"s NO [LIMIT]")


@pytest.mark.parametrize("name", ["INBOX", "inbox", "INBOX/"])
def test_inbox_cannot_be_created_even_before_its_first_use(name: str) -> None:
    server = LoopbackServer(ServerConfig(passwords={"new": "secret"}))
    client = server.connect()
    client.receive_data(b"l LOGIN new secret\r\n")
    assert client.receive_data(f"c CREATE {name}\r\n".encode()).startswith(b"c NO [ALREADYEXISTS] ")


@pytest.mark.parametrize("name", ["a&b", "&", "&AGE", "&!-", '"{"', "{3+}\r\n\xff\xfe!"])
@pytest.mark.parametrize("command", ["SELECT %s", "EXAMINE %s", "STATUS %s (MESSAGES)", "DELETE %s", "RENAME %s x"])
def test_a_name_that_cannot_exist_is_nonexistent(world: World, command: str, name: str) -> None:
    world.joe.receive_data(b"c CREATE a&-b\r\n")
    said = world.joe.receive_data(b"x %s\r\n" % (command % name).encode("latin-1"))
    assert said.startswith(b"x NO [NONEXISTENT] "), said


@pytest.mark.parametrize("name", ["per%cent", "st*r", "%", "*"])
def test_a_name_with_a_wildcard_needs_no_quotes(world: World, name: str) -> None:
    asked = f"c CREATE {name}\r\ns SELECT {name}\r\nt STATUS {name} (MESSAGES)\r\nd DELETE {name}\r\n"
    said = world.joe.receive_data(asked.encode())
    assert b"c OK CREATE " in said
    assert b"s OK [READ-WRITE] " in said
    assert b'* STATUS "%s" (MESSAGES 0)\r\n' % name.encode() in said
    assert said.endswith(b"d OK DELETE completed\r\n")
