"""The two runs that the judge's tests change: an announcement and an interactive call."""

from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_testbed.testing.flow import Flow, announcement, interactive


@pytest.fixture
def annc(tmp_path: Path) -> Flow:
    """The messages of the announcement diagram, all of them correct."""
    return Flow(tmp_path, announcement())


@pytest.fixture
def ivr(tmp_path: Path) -> Flow:
    """The messages of the IVR diagram, all of them correct."""
    return Flow(tmp_path, interactive())
