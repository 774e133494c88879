from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.url import Expire, ImapUrl, Partial, is_ticket_for
from lemonade_wire.imap.url_parts import Access

TOKEN = "91354a473744909de610943775f92038"  # RFC 4467, section 6
RFC_4467 = f"imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred:internal:{TOKEN}"


def test_rfc_4467_example() -> None:
    url = ImapUrl.parse(RFC_4467)
    assert (url.user, url.host, url.port, url.mailbox, url.uid) == ("joe", "example.com", None, "INBOX", 20)
    assert (url.section, url.uidvalidity, url.partial, url.expire) == ("1.2", None, None, None)
    assert url.access == Access("submit", "fred")
    assert (url.mechanism, url.token) == ("INTERNAL", TOKEN)
    assert url.rump == "imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred"
    assert str(url) == RFC_4467
    assert url.effective_port == 143


def test_every_part_in_any_case() -> None:
    text = (
        "IMAP://j%C3%B6e;AUTH=*@[::1]:1143/Voice%20Mail/%E5%8F%B0;uidValidity=385759045/;Uid=7"
        "/;section=2.MIME/;Partial=10.20;expire=2026-11-22t10:00:00.5z;UrlAuth=Stream"
    )
    url = ImapUrl.parse(text)
    assert (url.user, url.auth, url.host, url.port) == ("jöe", "*", "[::1]", 1143)
    assert (url.mailbox, url.uidvalidity, url.uid) == ("Voice Mail/台", 385759045, 7)
    assert (url.section, url.partial) == ("2.MIME", Partial(10, 20))
    assert url.expire == Expire("2026-11-22t10:00:00.5z", datetime(2026, 11, 22, 10, 0, 0, 500000, UTC))
    assert (url.access, url.token) == (Access("stream"), None)
    assert url.rump == text


def test_the_rump_is_the_text_without_the_token() -> None:
    rump = "iMaP://Joe@EXAMPLE.com:143/inbox/;UID=1;EXPIRE=2026-11-22T10:00:00+01:00;urlauth=USER+%66red"
    url = ImapUrl.parse(f"{rump}:INTERNAL:{TOKEN.upper()}")
    assert url.rump == rump
    assert url.host == "EXAMPLE.com"
    assert url.mailbox == "INBOX"
    assert url.access == Access("user", "fred")
    assert url.expire is not None
    assert url.expire.at == datetime(2026, 11, 22, 10, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("/INBOX/;UID=1", "absolute"),
        ("http://h/INBOX/;UID=1", "scheme"),
        ("imap://h", "server alone"),
        ("imap://h/", "no message"),
        ("imap://h/INBOX", "no message"),
        ("imap://h/INBOX?TEXT%20x", "no message"),
        ("imap://h/INBOX/;UID=0", "UID=n"),
        ("imap://h/INBOX/;UID=1/;SECTION=a.b", "section"),
        ("imap://h/INBOX/;UID=1/;SECTION=1.2/", "section"),
        ("imap://h/IN BOX/;UID=1", "mailbox"),
        ("imap://h/IN%ZZ/;UID=1", "mailbox"),
        ("imap://h/IN%FF/;UID=1", "UTF-8"),
        ("imap://h/IN%00/;UID=1", "NUL"),
        ("imap://h:70000/INBOX/;UID=1", "port"),
        ("imap://h:x/INBOX/;UID=1", "host"),
        ("imap://a@b@h/INBOX/;UID=1", "host"),
        ("imap://h/INBOX/;UID=1;EXPIRE=2026-11-22T10:00:00Z", "missing access identifier"),
        ("imap://h/INBOX/;UID=1;EXPIRE=2026-13-22T10:00:00Z;URLAUTH=anonymous", "exist"),
        ("imap://h/INBOX/;UID=1;EXPIRE=tomorrow;URLAUTH=anonymous", "date-time"),
        ("imap://h/INBOX/;UID=1;EXPIRE=2026-11-22T10:00:00;URLAUTH=anonymous", "date-time"),
        ("imap://h/INBOX/;UID=1;URLAUTH=submit+", "access identifier"),
        ("imap://h/INBOX/;UID=1;URLAUTH=submit", "userid"),
        ("imap://h/INBOX/;UID=1;URLAUTH=", "access identifier"),
        ("imap://h/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL", "token"),
        ("imap://h/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL:", "token"),
        ("imap://h/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL:0123456789abcdef", "32 digits"),
        ("imap://h/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL:" + "g" * 32, "hexadecimal"),
        ("imap://h/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL:" + TOKEN + "/;PARTIAL=1", "hexadecimal"),
        ("imap://h/INBOX/;UID=1;URLAUTH=anonymous/;PARTIAL=1", "access identifier"),
        ("imap://h/INBOX/;UID=1/;PARTIAL=1/;SECTION=1", "path"),
        ("imap://h/ä/;UID=1", "mailbox"),
        ("imap://h/INBOX/;UID=1;URLAUTH=anonymous\r\n", "access identifier"),
    ],
)
def test_bad_urls_are_refused_with_their_reason(text: str, why: str) -> None:
    with pytest.raises(ImapParseError, match=f"(?s).*{why}"):
        ImapUrl.parse(text)


def test_octets_that_are_not_ascii_are_refused() -> None:
    with pytest.raises(ImapParseError, match="ASCII"):
        ImapUrl.parse(b"imap://h/\xff/;UID=1")


def test_the_drafts_tokens_are_accepted_only_as_opaque() -> None:
    draft = (
        "imap://joe@example.com/INBOX/;uid=24356/;section=1.2;expire=2006-12-19T16:39:57-08:00;"
        "urlauth=anonymous:internal:238234982398239898a9898998798b987s87920"
    )
    with pytest.raises(ImapParseError, match="hexadecimal"):
        ImapUrl.parse(draft)
    assert ImapUrl.parse(draft, opaque_token=True).token == "238234982398239898a9898998798b987s87920"


def test_build_writes_urls_of_the_known_form() -> None:
    url = ImapUrl.build(
        user="joe", host="example.com", port=143, mailbox="Voice Mail", uidvalidity=385759045, uid=20, section="2"
    )
    assert str(url) == "imap://joe@example.com/Voice%20Mail;UIDVALIDITY=385759045/;UID=20/;SECTION=2"
    rump = url.with_access(Access("submit", "joe"), datetime(2026, 11, 22, 9, 0, 0, 7, UTC))
    assert str(rump) == str(url) + ";EXPIRE=2026-11-22T09:00:00Z;URLAUTH=submit+joe"
    full = rump.with_token(TOKEN)
    assert str(full) == f"{rump}:INTERNAL:{TOKEN}"
    assert full.rump == str(rump)


def test_build_escapes_what_a_reader_would_take_apart() -> None:
    url = ImapUrl.build(user="a@b;c", host="h", mailbox="/../x;UID=1?y#%", uid=1, partial=Partial(5))
    assert str(url) == "imap://a%40b%3Bc@h/%2F%2E%2E/x%3BUID=1%3Fy%23%25/;UID=1/;PARTIAL=5"
    assert (url.user, url.mailbox) == ("a@b;c", "/../x;UID=1?y#%")


def test_rights_are_given_once() -> None:
    plain = ImapUrl.build(user="joe", host="h", mailbox="INBOX", uid=1)
    rump = plain.with_access(Access("anonymous"))
    with pytest.raises(ImapParseError):
        rump.with_access(Access("anonymous"))
    with pytest.raises(ImapParseError):
        plain.with_token(TOKEN)
    with pytest.raises(ImapParseError):
        rump.with_token(TOKEN).with_token(TOKEN)


def test_a_token_is_in_no_representation() -> None:
    url = ImapUrl.parse(RFC_4467)
    assert TOKEN not in repr(url)
    assert url.redacted == "imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred:INTERNAL:***"


@pytest.mark.parametrize(
    ("answer", "good"),
    [
        (f"RUMP:INTERNAL:{TOKEN}", True),
        (f"RUMP:internal:{TOKEN}", True),
        (f"rump:INTERNAL:{TOKEN}", False),
        (f"RUMPX:INTERNAL:{TOKEN}", False),
        (f"RUMP:OTHER:{TOKEN}", False),
        ("RUMP:INTERNAL:", False),
        ("RUMP", False),
    ],
)
def test_a_ticket_is_the_rump_and_nothing_else_changed(answer: str, good: bool) -> None:
    assert is_ticket_for("RUMP", answer) is good


def test_the_drafts_second_example_is_no_ticket_for_its_request() -> None:
    base = "imap://joe@example.com/INBOX/;uid=24359/;section=1.3;expire="
    asked = base + "2006-12-19T16:39:57-08:00;urlauth=anonymous"
    given_ = base + "2006-12-20T18:31:45-08:00;urlauth=authuser:internal:098230923409284092384092840293480239482"
    assert not is_ticket_for(asked, given_)


def test_leap_seconds_and_fractions() -> None:
    assert Expire.parse("2016-12-31T23:59:60Z").at == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert Expire.parse("2026-01-01T00:00:00.123456789Z").at.microsecond == 123456
    with pytest.raises(ImapParseError):
        Expire.parse("2026-01-01T00:00:61Z")


NAMES = st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), min_size=1, max_size=12)


@settings(max_examples=100, deadline=None)
@given(
    user=NAMES,
    mailbox=NAMES.filter(lambda name: name.upper() != "INBOX"),
    uid=st.integers(1, 2**32 - 1),
    section=st.sampled_from([None, "1", "2.3.MIME", "HEADER"]),
    port=st.sampled_from([None, 1143]),
)
def test_built_urls_read_back(user: str, mailbox: str, uid: int, section: str | None, port: int | None) -> None:
    url = ImapUrl.build(user=user, host="imap.example.com", mailbox=mailbox, uid=uid, section=section, port=port)
    full = url.with_access(Access("submit", user), datetime(2026, 1, 1, tzinfo=UTC)).with_token("0" * 64)
    again = ImapUrl.parse(str(full))
    assert again == full
    assert (again.user, again.mailbox, again.uid, again.section, again.port) == (user, mailbox, uid, section, port)
    assert again.access == Access("submit", user)


FRAGMENTS = st.sampled_from(
    [
        "imap://",
        "joe@",
        "h",
        ":143",
        "/INBOX",
        "/;UID=1",
        "/;SECTION=1",
        ";EXPIRE=",
        ";URLAUTH=",
        "anonymous",
        ":x:",
        "%",
        "9",
    ]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(FRAGMENTS | st.text(max_size=3), max_size=12).map("".join))
def test_anything_raises_only_the_documented_error(text: str) -> None:
    with suppress(ImapParseError):
        assert str(ImapUrl.parse(text)) == text
