"""Faults in tickets: which URLs GENURLAUTH authorises, over what tokens are computed, whom URLFETCH lets in."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

from lemonade_imap import urlauth
from lemonade_imap.behaviour import CORRECT, ImapBehaviour
from lemonade_imap.faults.kinds import DecisionFault, LineFault, always
from lemonade_imap.policy import TicketPolicy
from lemonade_imap.urlauth import Roles
from lemonade_wire.faults import Fault
from lemonade_wire.imap.url import Expire, ImapUrl
from lemonade_wire.imap.url_parts import Access, AccessKind, percent_decode


def _signed_without(pattern: str) -> Callable[[str], bytes]:
    """Return a decision that leaves what matches `pattern` out of the octets over which the token is computed."""
    return lambda rump: re.sub(pattern, "", rump, flags=re.IGNORECASE).encode("ascii")


def _open_to_all(kind: AccessKind) -> Callable[[Access, str | None, Roles], bool]:
    """Return a decision that lets every session use URLs with this kind of access identifier."""
    return lambda access, user, roles: access.kind is kind or urlauth.access_allows(access, user, roles)


def _authorised_a_day_longer(rump: str, key: bytes) -> str:
    """Authorise the URL with a later EXPIRE, as the draft's second example does (E-11)."""
    expire = ImapUrl.parse(rump).expire
    if expire is not None:
        rump = rump.replace(expire.text, Expire.of(expire.at + timedelta(days=1)).text)
    return CORRECT.authorised_url(rump, key)


def _lives_half_an_hour(policy: TicketPolicy, url: ImapUrl, now: float) -> bool:
    """Refuse an anonymous URL that lives for more than 1,800 s, whatever the policy allows."""
    anonymous = url.access is not None and url.access.kind is AccessKind.ANONYMOUS
    return anonymous and url.expire is not None and url.expire.at.timestamp() > now + 1800


def _mailbox_as_written(url: ImapUrl) -> str:
    """Return the text between the host and what follows the mailbox."""
    path = url.text.split("/", 3)[3]
    return re.split(r";UIDVALIDITY=|/;UID=", path, flags=re.IGNORECASE)[0]


TICKET_FAULTS: tuple[Fault, ...] = (
    # GENURLAUTH
    DecisionFault(
        "genurlauth-rewrites-expire",
        "GENURLAUTH answers a URL that expires a day later than the one asked for (E-11)",
        ("LS-2.3-10",),
        ImapBehaviour.authorised_url,
        _authorised_a_day_longer,
    ),
    DecisionFault(
        "anonymous-hour-refused",
        "GENURLAUTH refuses an anonymous URL whose EXPIRE is more than half an hour away",
        ("LS-2.3-6",),
        ImapBehaviour.lives_too_long,
        _lives_half_an_hour,
    ),
    DecisionFault(
        "anonymous-life-ignored",
        "GENURLAUTH authorises anonymous URLs that live longer than its policy allows",
        ("LS-2.3-5",),
        ImapBehaviour.lives_too_long,
        always(False),
    ),
    DecisionFault(
        "text-not-authorised",
        "GENURLAUTH refuses section 1, where a message has its text, since that is nothing to stream",
        ("LS-5-1",),
        ImapBehaviour.lives_too_long,
        lambda policy, url, now: url.section == "1" or policy.lives_too_long(url, now),
    ),
    DecisionFault(
        "access-by-case",
        "GENURLAUTH knows access identifiers in lower case alone",
        ("LS-7-1",),
        ImapBehaviour.accepts_case_of,
        lambda url: url.access is None or url.rump.endswith(f"={url.access}"),
    ),
    DecisionFault(
        "genurlauth-for-foreign-mailbox",
        "GENURLAUTH authorises URLs of other users' mailboxes",
        ("RFC4467-7-2",),
        ImapBehaviour.owner_of,
        lambda url, user: url.user or user,
    ),
    DecisionFault(
        "genurlauth-any-mechanism",
        "GENURLAUTH authorises by INTERNAL whatever mechanism it is asked for",
        ("RFC4467-7-2",),
        ImapBehaviour.mechanism_of,
        always("INTERNAL"),
    ),
    LineFault(
        "genurlauth-line-missing",
        "GENURLAUTH is answered OK without the URL",
        ("RFC4467-7-6",),
        "GENURLAUTH",
        rb"^\* GENURLAUTH",
    ),
    # The token
    DecisionFault(
        "token-short",
        "gives tokens of 16 digits",
        ("RFC4467-9",),
        ImapBehaviour.token_of,
        lambda key, rump: CORRECT.token_of(key, rump)[:16],
    ),
    DecisionFault(
        "token-not-checked",
        "URLFETCH accepts any token of the right form",
        ("LS-2.1-10",),
        ImapBehaviour.token_matches,
        lambda key, url: key is not None,
    ),
    DecisionFault(
        "token-ignores-expire",
        "a ticket stays good when its EXPIRE is changed",
        ("RFC4467-6",),
        ImapBehaviour.signed,
        _signed_without(r";EXPIRE=[^;]*"),
    ),
    DecisionFault(
        "token-ignores-access",
        "a ticket stays good when its access identifier is changed",
        ("RFC4467-6",),
        ImapBehaviour.signed,
        _signed_without(r";URLAUTH=.*"),
    ),
    DecisionFault(
        "token-ignores-section",
        "a ticket stays good when its SECTION is changed",
        ("RFC4467-6",),
        ImapBehaviour.signed,
        _signed_without(r"/;SECTION=[^/;]*"),
    ),
    DecisionFault(
        "token-ignores-case",
        "a ticket stays good when the case of its letters is changed",
        ("RFC4467-6",),
        ImapBehaviour.signed,
        lambda rump: rump.lower().encode("ascii"),
    ),
    # The rest of the URL, and the session
    DecisionFault(
        "expire-ignored",
        "URLFETCH accepts a URL whose EXPIRE has passed",
        ("LS-2.3-4",),
        ImapBehaviour.expired,
        always(False),
    ),
    DecisionFault(
        "uidvalidity-ignored",
        "GENURLAUTH and URLFETCH take URLs with another UIDVALIDITY than the mailbox's",
        ("RFC5092-6-3",),
        ImapBehaviour.uidvalidity_fits,
        always(True),
    ),
    DecisionFault(
        "mailbox-decoded-twice",
        "the mailbox of a URL is percent-decoded twice",
        ("LS-2.3-10",),
        ImapBehaviour.mailbox_of,
        lambda url: percent_decode(url.mailbox),
    ),
    DecisionFault(
        "mailbox-not-decoded",
        "the mailbox of a URL is looked for as it is written, with its percent-encodings",
        ("LS-2.3-10",),
        ImapBehaviour.mailbox_of,
        _mailbox_as_written,
    ),
    DecisionFault(
        "access-not-checked",
        "URLFETCH accepts a submit+, user+, authuser or application URL from any session",
        ("LS-2.2-3", "LS-3-3"),
        ImapBehaviour.access_allows,
        always(True),
    ),
    DecisionFault(
        "authuser-open-to-anonymous",
        "URLFETCH accepts authuser URLs in anonymous sessions",
        ("RFC4467-3-2",),
        ImapBehaviour.access_allows,
        _open_to_all(AccessKind.AUTHUSER),
    ),
    DecisionFault(
        "anonymous-for-anonymous-alone",
        "URLFETCH refuses anonymous URLs in sessions that are logged in with an account",
        ("LS-2.8-11",),
        ImapBehaviour.access_allows,
        lambda access, session_user, roles: (
            session_user is None
            if access.kind is AccessKind.ANONYMOUS
            else CORRECT.access_allows(access, session_user, roles)
        ),
    ),
    DecisionFault(
        "submit-open-to-all",
        "URLFETCH accepts submit+ URLs in sessions that are of no submission entity",
        ("RFC4467-3-2",),
        ImapBehaviour.access_allows,
        _open_to_all(AccessKind.SUBMIT),
    ),
    DecisionFault(
        "user-open-to-all",
        "URLFETCH accepts user+ URLs in sessions of other users",
        ("RFC4467-3-2",),
        ImapBehaviour.access_allows,
        _open_to_all(AccessKind.USER),
    ),
    DecisionFault(
        "fetch-list-ignored",
        "URLFETCH answers sessions that are of no listed media server",
        ("LS-2.2-3",),
        ImapBehaviour.may_fetch,
        always(True),
    ),
    # RESETKEY
    DecisionFault(
        "resetkey-idle",
        "RESETKEY is answered OK, and old tickets stay good",
        ("LS-2.1-10",),
        ImapBehaviour.resets_keys,
        always(False),
    ),
    DecisionFault(
        "resetkey-all-idle",
        "RESETKEY without a mailbox is answered OK, and old tickets stay good",
        ("RFC4467-7-4",),
        ImapBehaviour.resets_keys,
        lambda mailbox: mailbox is not None,
    ),
    DecisionFault(
        "resetkey-takes-all",
        "RESETKEY of one mailbox revokes the tickets of all",
        ("LS-2.8-11",),
        ImapBehaviour.mailbox_to_reset,
        always(None),
    ),
)
