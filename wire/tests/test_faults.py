from dataclasses import dataclass

import pytest

from lemonade_wire.faults import Fault, FaultList


class NoBye(Fault):
    name = "no-bye"
    summary = "Never hangs up"
    breaks = ("LS-1", "LS-2")


@dataclass
class HeaderMissing(Fault):
    name: str
    summary: str
    breaks: tuple[str, ...]
    header: str


FAULTS = FaultList.of(NoBye)


def test_an_unknown_fault_suggests_the_nearest_name() -> None:
    assert isinstance(FAULTS.pick("no-bye"), NoBye)
    with pytest.raises(ValueError, match=r"'no-by'; did you mean 'no-bye'\?"):
        FAULTS.pick("no-by")
    with pytest.raises(ValueError, match=r"'zzz' \(--faults"):
        FAULTS.pick("zzz")


def test_a_fault_may_be_a_value() -> None:
    row = HeaderMissing("no-cseq", "Sends no CSeq", ("LS-3",), "CSeq")
    faults = FaultList.of(NoBye, row)
    assert faults.pick("no-cseq") is row
    assert faults.pick("no-bye") is not faults.pick("no-bye")
    assert faults.listing().splitlines()[1].split() == ["no-cseq", "LS-3", "Sends", "no", "CSeq"]


def test_the_listing_has_name_clauses_and_summary() -> None:
    (line,) = FAULTS.listing().splitlines()
    assert line.split() == ["no-bye", "LS-1", "LS-2", "Never", "hangs", "up"]
