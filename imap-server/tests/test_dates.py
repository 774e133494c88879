from __future__ import annotations

from datetime import date

import pytest

from lemonade_imap.grammar.dates import read_date, read_date_time
from lemonade_wire.imap.errors import ImapParseError


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (b"17-Nov-2026 08:12:44 +0100", "2026-11-17T08:12:44+01:00"),
        (b" 1-jan-2026 00:00:00 -0330", "2026-01-01T00:00:00-03:30"),
        (b"01-DEC-1970 23:59:60 +0000", "1970-12-01T23:59:59+00:00"),
    ],
)
def test_moments(text: bytes, read: str) -> None:
    assert read_date_time(text).isoformat() == read


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"1-Jan-2026 00:00:00 +0000",
        b"31-Feb-2026 00:00:00 +0000",
        b" 1-Jan-2026 24:00:00 +0000",
        b" 1-Jan-2026 00:00:61 +0000",
        b" 1-Jan-2026 00:00:00 +0060",
        b" 1-Jan-2026 00:00:00 +2400",
        b" 1-Jan-2026 00:00:00 0000",
        b" 1-Jan-2026  0:00:00 +0000",
        b" 1-Jan-2026 00:00:00",
        b" 1-M\xe4r-2026 00:00:00 +0000",
    ],
)
def test_what_is_no_moment(text: bytes) -> None:
    with pytest.raises(ImapParseError):
        read_date_time(text)


def test_days() -> None:
    assert read_date("1-Feb-1994") == date(1994, 2, 1)
    assert read_date("01-FEB-1994") == date(1994, 2, 1)
    for text in ("", "1-Feb-94", "30-Feb-1994", "1 Feb 1994", "1-February-1994", "-1-Feb-1994"):
        with pytest.raises(ImapParseError):
            read_date(text)
