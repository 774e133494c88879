"""Every fault is wrong in one way, and says which clause that breaks. What each does is shown beside what it spoils."""

import re

import pytest

from lemonade_client.faults import CORRECT, FAULTS, Behaviour

SEAMS = [name for name in vars(Behaviour) if not name.startswith("_")]


@pytest.mark.parametrize("name", sorted(FAULTS.faults))
def test_a_fault_differs_in_one_seam_and_names_its_clauses(name: str) -> None:
    fault = FAULTS.faults[name]
    assert [seam for seam in SEAMS if getattr(fault, seam) is not getattr(Behaviour, seam)] != []
    assert len([seam for seam in SEAMS if seam in vars(fault)]) == 1
    assert fault.breaks
    assert all(re.fullmatch(r"LS-[0-9.]+-[0-9]+", clause) for clause in fault.breaks)
    assert fault.summary


def test_correct_behaviour_changes_nothing() -> None:
    assert CORRECT.ticket_life(3.0) == 3.0
    assert CORRECT.url_to_hand_over("imap://x") == CORRECT.url_to_escape("imap://x") == "imap://x"
    assert CORRECT.key_to_send("6") == "6"


def test_the_wrong_key_is_never_the_right_one() -> None:
    wrong = FAULTS.pick("dtmf-wrong-key")
    assert isinstance(wrong, Behaviour)
    assert all(wrong.key_to_send(key) != key for key in "0123456789*#ABCD")
