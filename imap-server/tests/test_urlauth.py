from __future__ import annotations

import hashlib
import hmac

import pytest

from lemonade_imap import urlauth
from lemonade_imap.urlauth import (
    Authorisation,
    Roles,
    access_allows,
    expired,
    new_key,
    token_for,
    token_matches,
    why_not_authorise,
)
from lemonade_wire.imap.url import ImapUrl
from lemonade_wire.imap.url_parts import Access

KEY = bytes(range(32))
RUMP = (
    b"imap://joe@Imap.Example.COM:143/INBOX;UIDVALIDITY=7/;UID=20/;SECTION=2;EXPIRE=2026-11-22T10:00:00+01:00;URLAUTH="
)
ROLES = Roles(frozenset({"smtp"}), {"stream": frozenset({"mediaserver"})})


def test_a_token_is_the_version_and_the_hmac_of_the_exact_octets() -> None:
    rump = RUMP + b"submit+joe"
    assert token_for(KEY, rump) == "01" + hmac.new(KEY, rump, hashlib.sha256).hexdigest()


def test_a_token_of_a_known_key_and_rump() -> None:
    # computed with `openssl dgst -sha256 -mac HMAC -macopt hexkey:000102...1f`
    rump = b"imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred"
    assert token_for(KEY, rump) == "010cb7a969612e90de95f649a8f4a62f6e2132ccf63bd73ad1b9384eb28746df27"


@pytest.mark.parametrize("changed", [RUMP.lower(), RUMP.replace(b":143", b""), RUMP + b" ", RUMP[1:]])
def test_nothing_is_normalised(changed: bytes) -> None:
    assert token_for(KEY, changed) != token_for(KEY, RUMP)


def test_a_token_matches_itself_in_either_case_and_nothing_else() -> None:
    token = token_for(KEY, RUMP)
    assert token_matches(KEY, RUMP, token)
    assert token_matches(KEY, RUMP, token.upper())
    assert not token_matches(KEY, RUMP, token[:-1] + ("0" if token[-1] != "0" else "1"))
    assert not token_matches(KEY, RUMP, token[2:])
    assert not token_matches(new_key(), RUMP, token)
    assert not token_matches(None, RUMP, token)
    assert not token_matches(None, RUMP, token_for(urlauth._NO_KEY, RUMP))


@pytest.mark.parametrize(
    ("access", "who_may"),
    [
        ("anonymous", {None, "joe", "ann", "smtp", "mediaserver"}),
        ("ANONYMOUS", {None, "joe", "ann", "smtp", "mediaserver"}),
        ("authuser", {"joe", "ann", "smtp", "mediaserver"}),
        ("user+ann", {"ann"}),
        ("submit+joe", {"smtp"}),
        ("submit+nobody", {"smtp"}),
        ("stream", {"mediaserver"}),
        ("Stream+joe", {"mediaserver"}),
        ("other", set()),
    ],
)
def test_who_may_use_a_ticket(access: str, who_may: set[str | None]) -> None:
    sessions = (None, "joe", "ann", "smtp", "mediaserver")
    assert {user for user in sessions if access_allows(Access.parse(access), user, ROLES)} == who_may


def url(text: str) -> ImapUrl:
    return ImapUrl.parse(text)


def test_a_ticket_is_valid_through_its_last_instant() -> None:
    ticket = url("imap://joe@h/INBOX/;UID=1;EXPIRE=2026-11-22T01:00:00+01:00;URLAUTH=anonymous")
    assert not expired(ticket, 1795305600.0)
    assert expired(ticket, 1795305600.001)
    assert not expired(url("imap://joe@h/INBOX/;UID=1;URLAUTH=anonymous"), 9e9)


@pytest.mark.parametrize(
    ("text", "mechanism", "why"),
    [
        ("imap://joe@h/INBOX/;UID=1;URLAUTH=anonymous", "internal", None),
        ("imap://joe@h/INBOX/;UID=1;URLAUTH=submit+joe", "INTERNAL", None),
        ("imap://joe@h/INBOX/;UID=1;EXPIRE=1999-01-01T00:00:00Z;URLAUTH=stream", "INTERNAL", None),
        ("imap://joe@h/INBOX/;UID=1;URLAUTH=anonymous", "XSAMPLE", "mechanism"),
        ("imap://joe@h/INBOX/;UID=1", "INTERNAL", "missing access identifier"),
        ("imap://h/INBOX/;UID=1;URLAUTH=anonymous", "INTERNAL", "missing owner"),
        ("imap://ann@h/INBOX/;UID=1;URLAUTH=anonymous", "INTERNAL", "owner"),
        ("imap://joe@h/INBOX/;UID=1;URLAUTH=user+nobody", "INTERNAL", "no account"),
        ("imap://joe@h/INBOX/;UID=1;URLAUTH=fax", "INTERNAL", "not known"),
        ("imap://joe@h/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL:" + "0" * 32, "INTERNAL", "authorised already"),
    ],
)
def test_urls_that_genurlauth_refuses(text: str, mechanism: str, why: str | None) -> None:
    said = why_not_authorise(url(text), mechanism, Authorisation("joe", {"joe", "ann"}.__contains__, {"stream"}))
    assert said is None if why is None else why in (said or "")
