import pytest

from lemonade_wire.faults import Fault, FaultList


class NoBye(Fault):
    name = "no-bye"
    summary = "Never hangs up"
    breaks = ("LS-1", "LS-2")


FAULTS = FaultList.of(NoBye)


def test_pick() -> None:
    assert isinstance(FAULTS.pick("no-bye"), NoBye)
    with pytest.raises(ValueError, match=r"'no-by'; did you mean 'no-bye'\?"):
        FAULTS.pick("no-by")
    with pytest.raises(ValueError, match=r"'zzz' \(--faults"):
        FAULTS.pick("zzz")


def test_listing() -> None:
    (line,) = FAULTS.listing().splitlines()
    assert line.split() == ["no-bye", "LS-1", "LS-2", "Never", "hangs", "up"]
