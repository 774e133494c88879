"""Dates as IMAP writes them (RFC 3501, 9), without strptime and strftime, whose month names follow the locale."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone

from lemonade_wire.imap.errors import ImapParseError

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = re.compile(r"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_DATE_TIME = re.compile(
    r"((?: [0-9]|[0-9]{2})-[A-Za-z]{3}-[0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)


def read_date(text: str) -> date:
    """Read `1-Jan-2026`; raises ImapParseError."""
    found = _DATE.fullmatch(text)
    try:
        if found is not None:
            return date(int(found[3]), _MONTHS.index(found[2].capitalize()) + 1, int(found[1]))
    except ValueError:
        pass
    raise ImapParseError("a date such as 1-Jan-2026 is expected")


def read_date_time(octets: bytes) -> datetime:
    """Read ` 1-Jan-2026 12:00:00 +0100`; raises ImapParseError."""
    found = _DATE_TIME.fullmatch(octets.decode("latin-1"))
    try:
        if found is not None:
            day = read_date(found[1].strip())
            hour, minute, second = (
                min(int(found[group]), 59) if group == 4 else int(found[group]) for group in (2, 3, 4)
            )
            offset = timedelta(hours=int(found[6]), minutes=int(found[7])) * (1 if found[5] == "+" else -1)
            if int(found[4]) <= 60 and int(found[7]) < 60:
                return datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=timezone(offset))
    except ValueError:
        pass
    raise ImapParseError("a date such as 17-Nov-2026 08:12:44 +0100 is expected")


def write_date_time(at: datetime) -> bytes:
    """Write `17-Nov-2026 08:12:44 +0100`."""
    return f"{at.day:2}-{_MONTHS[at.month - 1]}-{at.year:04} {at:%H:%M:%S %z}".encode("ascii")
