"""The fixture for tests of the real `lemonade-media` on loopback."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from lemonade_media.testing.processes import RunMedia, run_media


@pytest.fixture
def media(tmp_path: Path) -> RunMedia:
    """Return what runs a media server and a caller; its `media.log` and `trace.jsonl` are in `tmp_path`."""
    return partial(run_media, tmp_path)
