"""Settings as texts: what is read and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_media.cli import listen_address
from lemonade_media.config import PortRange, existing_folder, whole_seconds
from lemonade_wire.address import Address


def test_port_range() -> None:
    assert PortRange.parse("16384-16484") == PortRange(16384, 16484)


@pytest.mark.parametrize("text", ["16384", "16384-", "a-b", "80-90", "20000-20000", "20001-20000", "20000-70000"])
def test_bad_port_range(text: str) -> None:
    with pytest.raises(ValueError, match="is expected"):
        PortRange.parse(text)


def test_listen_address_is_one_that_callers_can_reach() -> None:
    assert listen_address("127.0.0.1:5060") == Address("127.0.0.1", 5060)
    assert listen_address("localhost:5060") == Address("127.0.0.1", 5060)
    for text in ("0.0.0.0:5060", "[::]:5060"):
        with pytest.raises(ValueError, match="reach"):
            listen_address(text)


def test_folder_is_there(tmp_path: Path) -> None:
    assert existing_folder(str(tmp_path)) == tmp_path
    (tmp_path / "file").touch()
    for text in ("", str(tmp_path / "file"), str(tmp_path / "gone")):
        with pytest.raises(ValueError, match="is no folder"):
            existing_folder(text)


def test_whole_seconds() -> None:
    assert whole_seconds("90") == 90
    for text in ("", "0", "-1", "1.5", "14401", "9" * 5000, "٣"):
        with pytest.raises(ValueError, match="is expected"):
            whole_seconds(text)
