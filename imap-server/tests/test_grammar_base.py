from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_imap.grammar.base import read_date, read_date_time, write_date_time
from lemonade_wire.imap.errors import ImapParseError


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (b"17-Nov-2026 08:12:44 +0100", "2026-11-17T08:12:44+01:00"),
        (b" 1-jan-2026 00:00:00 -0330", "2026-01-01T00:00:00-03:30"),
        (b"01-DEC-1970 23:59:60 +0000", "1970-12-01T23:59:59+00:00"),
    ],
)
def test_each_date_time_is_read_as_this_time(text: bytes, read: str) -> None:
    assert read_date_time(text).isoformat() == read


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"  1-Jan-2026 00:00:00 +0000",
        b"-Jan-2026 00:00:00 +0000",
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
def test_invalid_date_times(text: bytes) -> None:
    with pytest.raises(ImapParseError):
        read_date_time(text)


def test_a_day_of_one_digit_needs_no_blank_before_it() -> None:
    assert read_date_time(b"3-Feb-2025 18:28:47 +0000") == datetime(2025, 2, 3, 18, 28, 47, tzinfo=UTC)


def test_dates_without_a_time() -> None:
    assert read_date("1-Feb-1994") == date(1994, 2, 1)
    assert read_date("01-FEB-1994") == date(1994, 2, 1)
    for text in ("", "1-Feb-94", "30-Feb-1994", "1 Feb 1994", "1-February-1994", "-1-Feb-1994"):
        with pytest.raises(ImapParseError):
            read_date(text)


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        # RFC 3501, 9: date-day-fixed has a space or two digits
        (datetime(2026, 1, 1, tzinfo=UTC), b" 1-Jan-2026 00:00:00 +0000"),
        (datetime(1994, 2, 7, 21, 52, 25, tzinfo=timezone(-timedelta(hours=8))), b" 7-Feb-1994 21:52:25 -0800"),
        (
            datetime(2026, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=5, minutes=45))),
            b"31-Dec-2026 23:59:59 +0545",
        ),
        (datetime(33, 4, 3, 15, tzinfo=UTC), b" 3-Apr-0033 15:00:00 +0000"),
    ],
)
def test_date_times_are_written_at_one_length(moment: datetime, written: bytes) -> None:
    assert write_date_time(moment) == written
    assert read_date_time(written) == moment


ZONES = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=ZONES))
def test_a_written_date_time_is_read_with_the_same_zone(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    read = read_date_time(write_date_time(moment))
    assert (read, read.utcoffset()) == (moment, moment.utcoffset())


@given(
    st.text(alphabet="0123456789 -+:JanFebDec", max_size=30)
    | st.binary(max_size=30).map(lambda octets: octets.decode("latin-1"))
)
def test_any_text_is_invalid_or_written_as_it_was_read(text: str) -> None:
    try:
        moment = read_date_time(text.encode("latin-1"))
    except ImapParseError:
        return
    assert read_date_time(write_date_time(moment)) == moment
