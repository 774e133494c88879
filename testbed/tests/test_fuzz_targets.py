"""The targets of `make fuzz`, without the fuzzer: seeds, kept inputs and any octets raise only what is allowed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.corpus import read_corpus
from fuzz.target import FuzzTarget, PropertyBrokenError, in_pieces, require
from fuzz.targets import TARGETS

SLOW = {"container", "scenario"}
"""Targets of which one input takes long; each has tests of its own in its package."""


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_kept_inputs_raise_only_what_is_allowed(name: str) -> None:
    target = TARGETS[name]
    found, others = read_corpus(name)
    for octets in (*target.seeds, *found, *others):
        target.call(octets)


@pytest.mark.parametrize("name", sorted(TARGETS.keys() - SLOW))
@settings(max_examples=25, deadline=None)
@given(octets=st.data())
def test_octets_that_are_like_a_seed_raise_only_what_is_allowed(name: str, octets: st.DataObject) -> None:
    target = TARGETS[name]
    seed = octets.draw(st.sampled_from(target.seeds))
    at = octets.draw(st.integers(0, len(seed)))
    to = octets.draw(st.integers(at, min(len(seed), at + 8)))
    target.call(seed[:at] + octets.draw(st.binary(max_size=8)) + seed[to:])


@pytest.mark.parametrize("name", sorted(TARGETS.keys() - SLOW))
@pytest.mark.parametrize("digits", [b"9" * 5000, b"0" * 5000, b"1" * 25, "²".encode(), "٣".encode()])
def test_a_number_of_any_length_and_any_script_raises_only_what_is_allowed(name: str, digits: bytes) -> None:
    # Python's `int` raises ValueError for more than 4,300 digits, and `str.isdigit` is true for a superscript
    target = TARGETS[name]
    for seed in target.seeds:
        for number in list(re.finditer(rb"[0-9]+", seed))[:40]:
            target.call(seed[: number.start()] + digits + seed[number.end() :])


@pytest.mark.parametrize("name", TARGETS)
def test_a_seed_is_not_longer_than_the_inputs_may_be(name: str) -> None:
    assert [len(seed) for seed in TARGETS[name].seeds if len(seed) > TARGETS[name].most] == []
    assert TARGETS[name].seeds


def test_an_exception_that_is_not_allowed_is_raised() -> None:
    def fail(octets: bytes) -> None:
        require(octets != b"x", "it is x")
        int(octets)

    target = FuzzTarget("t", fail, [b"1"], (ValueError,))
    target.call(b"no number")
    with pytest.raises(PropertyBrokenError, match="it is x"):
        target.call(b"x")


@given(st.binary())
def test_the_first_octet_decides_on_the_size_of_all_pieces(octets: bytes) -> None:
    pieces = in_pieces(octets)
    assert b"".join(pieces) == octets[1:]
    assert all(len(piece) == octets[0] + 1 for piece in pieces[:-1])
