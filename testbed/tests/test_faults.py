from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from lemonade_testbed.faults import UnknownFaultError, known_faults, read_fault
from lemonade_testbed.runtime.base import EnvironmentBroken

KNOWN = {"imap": ("token-not-checked",), "media": ("no-bye", "wrong-skip")}


def test_each_node_is_asked_for_its_own(fake_programs: Callable[..., dict[str, list[str]]]) -> None:
    assert known_faults(fake_programs()) == dict.fromkeys(("imap", "media", "client"), ("no-bye",))


def test_a_program_that_is_missing_or_silent_is_the_machines_trouble() -> None:
    with pytest.raises(EnvironmentBroken, match=r"/no/such cannot be run .*make setup"):
        known_faults({"imap": ["/no/such"]})
    with pytest.raises(EnvironmentBroken, match="--faults does not answer"):
        known_faults({"imap": [sys.executable, "-c", "raise SystemExit(2)"]})


def test_a_fault_is_a_role_and_a_name() -> None:
    assert read_fault("media=wrong-skip", KNOWN) == ("media", "wrong-skip")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no-bye", r"ROLE=NAME is expected, with one of imap, media"),
        ("server=no-bye", r"ROLE=NAME is expected"),
        ("media=no-by", r"no fault 'no-by'; did you mean 'no-bye'\?"),
        ("media=", r"no fault ''.*lemonade-media --faults"),
        ("imap=no-bye", r"the imap node has no fault 'no-bye'"),
    ],
)
def test_what_is_no_fault_is_told_with_what_is_allowed(text: str, why: str) -> None:
    with pytest.raises(UnknownFaultError, match=why):
        read_fault(text, KNOWN)
