from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis.strategies import integers

from lemonade_imap.policy import MIN_ANONYMOUS_LIFE, TicketPolicy, TicketUse
from lemonade_wire.imap.url import ImapUrl

NOW = 1795305600.0  # 2026-11-22T00:00:00Z


def url(expire: str | None, access: str = "anonymous") -> ImapUrl:
    until = f";EXPIRE={expire}" if expire else ""
    return ImapUrl.parse(f"imap://joe@h/INBOX/;UID=1{until};URLAUTH={access}")


@pytest.mark.parametrize(
    ("life", "expire", "access", "too_long"),
    [
        (None, "2099-01-01T00:00:00Z", "anonymous", False),
        (None, None, "anonymous", False),
        (7200.0, "2026-11-22T02:00:00Z", "anonymous", False),
        (7200.0, "2026-11-22T02:00:01Z", "anonymous", True),
        (7200.0, "2026-11-22T04:00:00+02:00", "ANONYMOUS", False),
        (7200.0, "2020-01-01T00:00:00Z", "anonymous", False),
        (7200.0, None, "anonymous", True),
        (7200.0, "2099-01-01T00:00:00Z", "authuser", False),
        (7200.0, None, "submit+joe", False),
        (7200.0, None, "stream", False),
    ],
)
def test_the_lifetime_of_an_anonymous_url_is_limited(
    life: float | None, expire: str | None, access: str, too_long: bool
) -> None:
    assert TicketPolicy(anonymous_life=life).lives_too_long(url(expire, access), NOW) is too_long


@given(integers(0, MIN_ANONYMOUS_LIFE), integers(0, 100_000))
def test_an_hour_is_allowed_with_any_limit(ahead: int, life: int) -> None:
    minutes, seconds = divmod(ahead, 60)
    text = f"2026-11-22T{minutes // 60:02}:{minutes % 60:02}:{seconds:02}Z"
    assert not TicketPolicy(anonymous_life=life).lives_too_long(url(text), NOW)


LISTED = TicketPolicy(networks=(ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")), users=frozenset({"media"}))


@pytest.mark.parametrize(
    ("user", "host", "may"),
    [
        (None, "192.0.2.9", True),
        (None, "2001:db8::9", True),
        (None, "::ffff:192.0.2.9", True),
        (None, "198.51.100.1", False),
        (None, "2001:db9::9", False),
        ("joe", "198.51.100.1", False),
        ("media", "198.51.100.1", True),
        ("joe", "192.0.2.9", True),
        (None, "not an address", False),
        (None, "", False),
    ],
)
def test_listed_networks_and_users_may_fetch(user: str | None, host: str, may: bool) -> None:
    assert LISTED.may_fetch(user, host) is may
    assert TicketPolicy().may_fetch(user, host)


def test_an_anonymous_session_is_no_listed_user() -> None:
    assert not TicketPolicy(users=frozenset({"media"})).may_fetch(None, "192.0.2.9")


def test_the_size_of_a_part_is_limited() -> None:
    policy = TicketPolicy(max_part=10)
    assert (policy.fits(10), policy.fits(11), TicketPolicy().fits(10**12)) == (True, False, True)


def test_the_limit_of_a_minute_may_be_used_at_once_and_then_recovers() -> None:
    use = TicketUse()
    assert use.admits("fetch", 30, 30, NOW)
    assert not use.admits("fetch", 1, 30, NOW)
    assert use.admits("authorise", 1, 30, NOW)
    assert not use.admits("fetch", 1, 30, NOW + 1.9)
    assert use.admits("fetch", 1, 30, NOW + 2)
    assert not use.admits("fetch", 1, 30, NOW + 2)
    assert use.admits("fetch", 30, 30, NOW + 120)
    assert use.admits("fetch", 10**6, None, NOW)


def test_a_clock_that_goes_back_does_not_raise_the_limit() -> None:
    use = TicketUse()
    assert use.admits("fetch", 30, 30, NOW)
    assert not use.admits("fetch", 1, 30, NOW - 3600)


def test_the_delay_of_refusals_doubles_and_decreases_with_time() -> None:
    use = TicketUse()
    assert [use.delay(3, NOW) for _ in range(7)] == [0, 0, 0, 0.1, 0.2, 0.4, 0.8]
    assert max(use.delay(3, NOW) for _ in range(60)) == 10.0
    assert use.delay(3, NOW + 86400) == 0
    assert [TicketUse().delay(None, NOW) for _ in range(9)] == [0] * 9
