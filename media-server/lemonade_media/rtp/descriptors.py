"""The file descriptors that are left to this process, of which new calls leave some for the calls that stand."""

from __future__ import annotations

import os
import resource

RESERVE = 64
"""File descriptors that new calls leave free: for the contents, recordings and fetches of calls that stand."""


def free_descriptors() -> int:
    """Return the number of file descriptors that this process may still open (RLIMIT_NOFILE)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        return soft - len(os.listdir("/proc/self/fd"))
    except OSError:  # not even the folder can be opened
        return 0


def descriptors_are_short() -> bool:
    """Whether a new call would leave fewer than `RESERVE` descriptors to the others."""
    return free_descriptors() < RESERVE
