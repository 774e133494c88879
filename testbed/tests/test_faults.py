from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.faults import UnknownFaultError, known_faults, read_fault

KNOWN = {"imap": ("token-not-checked",), "media": ("no-bye", "wrong-skip")}


def test_each_node_is_asked_for_its_own(fake_programs: Callable[..., dict[str, list[str]]]) -> None:
    assert known_faults(fake_programs()).keys() == {"imap", "media", "client"}
    assert all(list(faults) == ["no-bye"] for faults in known_faults(fake_programs()).values())


def test_a_program_that_fails_or_is_missing_is_a_broken_environment() -> None:
    with pytest.raises(EnvironmentBroken, match=r"/no/such cannot be run .*make setup"):
        known_faults({"imap": ["/no/such"]})
    with pytest.raises(EnvironmentBroken, match="--faults does not answer"):
        known_faults({"imap": [sys.executable, "-c", "raise SystemExit(2)"]})


def test_a_fault_is_a_role_and_a_name() -> None:
    assert read_fault("media=wrong-skip", KNOWN) == ("media", "wrong-skip")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no-bye", r"NODE=NAME is expected, with one of imap, media"),
        ("server=no-bye", r"NODE=NAME is expected"),
        ("media=no-by", r"no fault 'no-by'; did you mean 'no-bye'\?"),
        ("media=", r"no fault ''.*lemonade-media --faults"),
        ("imap=no-bye", r"the imap node has no fault 'no-bye'"),
    ],
)
def test_an_unknown_fault_is_refused_with_the_allowed_ones(text: str, why: str) -> None:
    with pytest.raises(UnknownFaultError, match=why):
        read_fault(text, KNOWN)


def test_a_fault_of_a_named_node_is_one_of_its_role() -> None:
    kinds = {"ms1": "media"}
    assert read_fault("ms1=wrong-skip", KNOWN, kinds) == ("ms1", "wrong-skip")
    with pytest.raises(UnknownFaultError, match="the ms1 node has no fault 'no-part'"):
        read_fault("ms1=no-part", KNOWN, kinds)
    with pytest.raises(UnknownFaultError, match=r"with one of .*ms1"):
        read_fault("ms2=wrong-skip", KNOWN, kinds)
