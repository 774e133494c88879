from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_imap.store.base import StoreError
from lemonade_imap.store.secret import SIZE, kept_secret


def test_a_folder_keeps_its_secret_to_its_owner(tmp_path: Path) -> None:
    made = kept_secret(tmp_path)
    assert len(made) == SIZE
    assert kept_secret(tmp_path) == made
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    (tmp_path / "other").mkdir()
    assert kept_secret(tmp_path / "other") != made


def test_what_is_no_secret_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"")
    with pytest.raises(StoreError, match="0 octets instead of 32"):
        kept_secret(tmp_path)
    with pytest.raises(StoreError, match="No such file"):
        kept_secret(tmp_path / "nowhere")
