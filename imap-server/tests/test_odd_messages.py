"""Unusual messages of the table `odd_messages.txt`, with the FETCH and SEARCH responses for each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lemonade_imap.testing.world import World


@dataclass
class Odd:
    message: bytes
    answers: list[tuple[bytes, bytes]] = field(default_factory=list)


def octets(lines: list[bytes]) -> bytes:
    """Return the octets that lines of the table stand for, without the empty line before the next heading."""
    text = b"\r\n".join(lines).replace(b"\\n\r\n", b"\n").replace(b"\\n", b"\n")
    return re.sub(rb"\\x([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), text).removesuffix(b"\\c\r\n")


def table() -> dict[str, Odd]:
    found: dict[str, Odd] = {}
    text = (Path(__file__).parent / "odd_messages.txt").read_bytes() + b"\n"
    for entry in re.split(rb"^=== ", text, flags=re.MULTILINE)[1:]:
        message, *asked = re.split(rb"^--- ", entry.removesuffix(b"\n\n") + b"\n", flags=re.MULTILINE)
        name, *lines = message.split(b"\n")
        odd = found[name.decode()] = Odd(octets(lines))
        for question in asked:
            items, *answer = question.removesuffix(b"\n").split(b"\n")
            odd.answers.append((octets([items]), octets(answer)))
    return found


TABLE = table()
QUESTIONS = [(name, items) for name, odd in TABLE.items() for items, _ in odd.answers]


def test_the_table_has_its_messages() -> None:
    assert len(QUESTIONS) > 60
    assert TABLE["nothing but a line end"].message == b"\r\n"
    assert TABLE["a header without an end"].message == b"Subject: x"
    assert TABLE["bare line feeds"].message == b"Subject: unix\nTo: a@b\n\nbody\n"


@pytest.mark.parametrize("name", TABLE)
def test_an_odd_message_has_these_answers(world: World, name: str) -> None:
    odd = TABLE[name]
    world.joe.receive_data(b"c CREATE odd\r\n")
    said = world.joe.receive_data(b"a APPEND odd {%d+}\r\n%s\r\ns EXAMINE odd\r\n" % (len(odd.message), odd.message))
    assert b"\r\ns OK" in said, said
    for items, answer in odd.answers:
        said = world.joe.receive_data(ask(items))
        found = b"* SEARCH %s" % answer if items.startswith(b"SEARCH") else b"* 1 FETCH (%s)" % answer
        assert said.replace(b"* SEARCH\r\n", b"* SEARCH \r\n").startswith(found + b"\r\nf OK "), (name, items, said)


def ask(items: bytes) -> bytes:
    """Return the command, with 8-bit strings as literals."""
    if not items.startswith(b"SEARCH"):
        return b"f FETCH 1 (%s)\r\n" % items

    def literal(word: re.Match[bytes]) -> bytes:
        text = word[0].strip(b'"')
        return b"{%d+}\r\n%s" % (len(text), text)

    return b"f %s\r\n" % re.sub(rb'"[^"]*[\x80-\xff][^"]*"|[^ "]*[\x80-\xff][^ ]*', literal, items)
