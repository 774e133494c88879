"""The inputs that `make fuzz` keeps: how they are written, and which are kept."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fuzz import corpus
from fuzz.target import FuzzTarget
from fuzz.targets import TARGETS
from lemonade_wire.imap import mutf7
from lemonade_wire.imap.errors import ImapParseError

MOST_IN_ALL = 400_000
NAME = FuzzTarget("name", mutf7.decode, [b"a"], (ImapParseError,))


@given(st.binary())
def test_an_input_is_one_line_of_ascii(octets: bytes) -> None:
    line = corpus.escape(octets)
    assert line.isascii()
    assert len(line.splitlines()) <= 1
    assert corpus.unescape(line) == octets


def test_inputs_are_read_as_they_were_written(tmp_path: Path) -> None:
    for found, others in (([], []), ([b"\n"], []), ([], [b"\\", b"\0"]), ([b"x"], [b"y\r\n"])):
        corpus.write_corpus("t", found, others, tmp_path)
        assert corpus.read_corpus("t", tmp_path) == (found, others)
    assert corpus.read_corpus("absent", tmp_path) == ([], [])


def test_an_input_is_kept_that_executes_something_new() -> None:
    assert corpus.minimise(NAME, [b"a"], [b"b", b"&AOQ-", b"ab"]) == [b"&AOQ-"]
    assert corpus.minimise(NAME, [b"&AOQ-"], [b"&AOQ-", b"&AOU-"]) == []


def test_the_arcs_of_two_inputs_differ_where_they_take_another_way() -> None:
    assert corpus.arcs_of(NAME, b"a") == corpus.arcs_of(NAME, b"b")
    assert corpus.arcs_of(NAME, b"&AOQ-") - corpus.arcs_of(NAME, b"a")


def test_the_corpus_is_of_targets_and_small() -> None:
    files = list(corpus.FOLDER.iterdir())
    assert {path.stem for path in files} <= TARGETS.keys()
    assert sum(path.stat().st_size for path in files) <= MOST_IN_ALL
