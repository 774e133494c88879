"""Settings that are read from text, and the texts that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_media.cli import listen_address
from lemonade_media.config import existing_folder
from lemonade_wire.address import Address


def test_listen_address_is_one_that_callers_can_reach() -> None:
    assert listen_address("127.0.0.1:5060") == Address("127.0.0.1", 5060)
    assert listen_address("localhost:5060") == Address("127.0.0.1", 5060)
    for text in ("0.0.0.0:5060", "[::]:5060"):
        with pytest.raises(ValueError, match="reach"):
            listen_address(text)


def test_existing_folder_accepts_folders_only(tmp_path: Path) -> None:
    assert existing_folder(str(tmp_path)) == tmp_path
    (tmp_path / "file").touch()
    for text in ("", str(tmp_path / "file"), str(tmp_path / "gone")):
        with pytest.raises(ValueError, match="is no folder"):
            existing_folder(text)
