"""Reads of /proc what identifies a process: its number together with its start time."""

from __future__ import annotations

from pathlib import Path


def start_time(pid: int) -> int | None:
    """Return the start of a process in clock ticks since boot (field 22 of its stat); None if it has ended."""
    fields = stat_fields(pid)
    return int(fields[19]) if fields and fields[0] not in {"Z", "X"} else None


def stat_fields(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the third on; None if there is no such process.

    The second field is the program's name in brackets, which may hold blanks and brackets.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()
