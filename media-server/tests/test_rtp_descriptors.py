"""The file descriptors that are left, and when a new call would take those of others."""

from __future__ import annotations

import os
import resource

import pytest

from lemonade_media.rtp import descriptors


def test_open_files_take_from_the_descriptors_that_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    left = descriptors.free_descriptors()
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(10)]
    try:
        assert descriptors.free_descriptors() == left - 10
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        monkeypatch.setattr(resource, "getrlimit", lambda _: (soft - left + 10 + descriptors.RESERVE, hard))
        assert not descriptors.descriptors_are_short()
        monkeypatch.setattr(resource, "getrlimit", lambda _: (soft - left + 9 + descriptors.RESERVE, hard))
        assert descriptors.descriptors_are_short()
    finally:
        for file in files:
            os.close(file)
