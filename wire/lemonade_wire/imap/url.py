"""IMAP URLs of messages and their parts, with or without a URLAUTH token (RFC 5092, RFC 4467 and RFC 5593)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.section import MessageSection
from lemonade_wire.imap.url_parts import ACHAR, BCHAR, Access, host_key, percent_decode, percent_encode

DEFAULT_PORT = 143
MIN_TOKEN_DIGITS = 32

# RFC 5092 section 11 with RFC 4467, condensed; `achar` and `bchar` are in `percent`, `access` is in `access`:
#   authimapurlfull  =  authimapurl iurlauth       ; GENURLAUTH returns it, URLFETCH takes it
#   authimapurlrump  =  authimapurl iurlauth-rump  ; GENURLAUTH takes it
#   authimapurl      =  "imap://" iserver "/" enc-mailbox [";UIDVALIDITY=" nz-number] "/;UID=" nz-number
#                       ["/;SECTION=" enc-section] ["/;PARTIAL=" number ["." nz-number]]
#   iserver          =  [iuserinfo "@"] host [":" port]
#   iuserinfo        =  enc-user [iauth] / [enc-user] iauth
#   iauth            =  ";AUTH=" ( "*" / enc-auth-type )  ; "*" means any mechanism
#   iurlauth-rump    =  [";EXPIRE=" date-time] ";URLAUTH=" access
#   iurlauth         =  iurlauth-rump ":" uauth-mechanism ":" enc-urlauth
#   uauth-mechanism  =  "INTERNAL" / 1*(ALPHA / DIGIT / "-" / ".")  ; any case
#   enc-urlauth      =  32*HEXDIG
#   enc-user, enc-auth-type  =  1*achar
#   enc-mailbox, enc-section  =  1*bchar
_SCHEME = re.compile(r"imap://", re.IGNORECASE)
_AUTHORITY = re.compile(
    rf"(?:(?P<user>{ACHAR}+)?(?P<auth>;AUTH=(?:\*|{ACHAR}+))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~!$&'()*+,=%]+)(?::(?P<port>[0-9]{0,5}))?",
    re.IGNORECASE,
)
_PATH = re.compile(
    rf"(?P<mailbox>{BCHAR}+?)(?:;UIDVALIDITY=(?P<uidvalidity>[1-9][0-9]{{0,9}}))?"
    r"/;UID=(?P<uid>[1-9][0-9]{0,9})"
    rf"(?:/;SECTION=(?P<section>{BCHAR}+?))?"
    r"(?:/;PARTIAL=(?P<offset>[0-9]{1,18})(?:\.(?P<length>[1-9][0-9]{0,17}))?)?",
    re.IGNORECASE,
)
_URLAUTH = re.compile(r"(?:;EXPIRE=(?P<expire>[^;]*))?;URLAUTH=(?P<access>[^:;]*)", re.IGNORECASE)
_TICKET = re.compile(r":(?P<mechanism>[A-Za-z0-9.\-]+):(?P<token>[0-9A-Fa-f]+)")
_OPAQUE_TICKET = re.compile(r":(?P<mechanism>[A-Za-z0-9.\-]+):(?P<token>[^:\x00-\x20\x7f]+)")
# RFC 3339 section 5.6: date "T" hour ":" minute ":" second ["." fraction] ( "Z" / ("+" / "-") hour ":" minute )
_DATE_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):(\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Expire:
    """The time at which a ticket expires: its text as written in the URL, and the time as an aware datetime."""

    text: str
    at: datetime

    @classmethod
    def parse(cls, text: str) -> Expire:
        """Parse an RFC 3339 date-time; raises ImapParseError.

        `T` and `Z` may be in lower case; a fraction and a leap second are allowed.
        """
        found = _DATE_TIME.fullmatch(text)
        if found is None:
            raise ImapParseError("EXPIRE wants a date-time such as 2026-11-22T10:00:00Z")
        day, minute, second, fraction, zone = found.groups()
        # Second 60 is a leap second, which Python does not have. Second 59 is used: the ticket must not live longer.
        digits = f"{day}T{minute}:{min(second, '59')}{(fraction or '')[:7]}{zone.upper()}"
        try:
            at = datetime.fromisoformat(digits)
        except ValueError:
            raise ImapParseError("EXPIRE wants a date and time that exist") from None
        if second > "60":
            raise ImapParseError("EXPIRE wants a date and time that exist")
        return cls(text, at)

    @classmethod
    def of(cls, at: datetime) -> Expire:
        """Make an expiry from the aware datetime `at`, written in UTC and cut to the second."""
        whole = at.astimezone(UTC).replace(microsecond=0)
        return cls(whole.strftime("%Y-%m-%dT%H:%M:%SZ"), whole)


@dataclass(frozen=True)
class Partial:
    """A range of octets: `offset`, and `length` (None: up to the end)."""

    offset: int
    length: int | None = None

    def __str__(self) -> str:
        return str(self.offset) if self.length is None else f"{self.offset}.{self.length}"


@dataclass(frozen=True)
class ImapUrl:
    """A URL of a message or part. `text` is the URL as read or built; it is never normalised.

    `user`, `mailbox` and `section` are percent-decoded. `rump` is `text` without `:<mech>:<token>`; the token is valid
    for exactly these octets. A URL without `access` is a plain one; a URL with `access` and without `token` is the
    argument of GENURLAUTH.
    """

    text: str = field(repr=False)
    rump: str
    user: str | None
    host: str
    port: int | None
    mailbox: str
    uid: int
    uidvalidity: int | None = None
    section: str | None = None
    partial: Partial | None = None
    expire: Expire | None = None
    access: Access | None = None
    mechanism: str | None = None
    token: str | None = field(default=None, repr=False)
    auth: str | None = None

    @classmethod
    def parse(cls, text: str | bytes, *, opaque_token: bool = False) -> ImapUrl:
        """Parse an absolute URL of a message or part; raises ImapParseError, whose text never has the token.

        With `opaque_token` any token without a colon or blank is accepted: a client does not check tokens, and those in
        the draft's examples do not follow the grammar.
        """
        if isinstance(text, bytes):
            try:
                text = text.decode("ascii")
            except UnicodeDecodeError:
                raise ImapParseError("a URL holds ASCII alone") from None
        scheme = _SCHEME.match(text)
        if scheme is None:
            raise ImapParseError("an absolute URL with the scheme imap:// is expected")
        authority_text, slash, path_text = text[scheme.end() :].partition("/")
        authority = _AUTHORITY.fullmatch(authority_text)
        if authority is None:
            raise ImapParseError("[user@]host[:port] is expected behind imap://")
        if not slash:
            raise ImapParseError("the URL names a server alone: a message is expected")
        host_key(authority["host"])  # an invalid host is refused here, not when it is resolved
        port = int(authority["port"]) if authority["port"] else None
        if port is not None and port > 65535:
            raise ImapParseError("the URL's port is above 65535")
        path_end = _end_of_path(path_text)
        path = _PATH.fullmatch(path_text, 0, path_end)
        if path is None:
            raise ImapParseError(_why_no_path(path_text[:path_end]))
        rights = _read_rights(path_text[path_end:], opaque_token)
        ticket_size = len(rights.ticket)
        section = None if path["section"] is None else percent_decode(path["section"])
        if section is not None:
            MessageSection.parse(section)
        return cls(
            text=text,
            rump=text[: len(text) - ticket_size],
            user=None if authority["user"] is None else percent_decode(authority["user"]),
            host=authority["host"],
            port=port,
            mailbox=_mailbox(path["mailbox"]),
            uid=int(path["uid"]),
            uidvalidity=None if path["uidvalidity"] is None else int(path["uidvalidity"]),
            section=section,
            partial=_partial(path),
            expire=rights.expire,
            access=rights.access,
            mechanism=rights.mechanism,
            token=rights.token,
            auth=None if authority["auth"] is None else authority["auth"][6:],
        )

    @classmethod
    def build(
        cls,
        *,
        host: str,
        mailbox: str,
        uid: int,
        user: str | None = None,
        port: int | None = None,
        uidvalidity: int | None = None,
        section: str | None = None,
        partial: Partial | None = None,
    ) -> ImapUrl:
        """Make a plain URL, without the default port and without needless escapes; raises ImapParseError."""
        box = percent_encode(mailbox, "&=:@/")
        # A parser that resolves the path would remove dot segments and empty segments (RFC 3986 section 5.2.4).
        box = "/".join(name.replace(".", "%2E") if name in {".", ".."} else name for name in box.split("/"))
        if box.startswith("/"):
            box = "%2F" + box[1:]
        text = "imap://" + (f"{percent_encode(user)}@" if user else "") + host
        text += f":{port}" if port not in {None, DEFAULT_PORT} else ""
        text += f"/{box}" + (f";UIDVALIDITY={uidvalidity}" if uidvalidity is not None else "") + f"/;UID={uid}"
        text += f"/;SECTION={percent_encode(section, '&=:@/')}" if section is not None else ""
        text += f"/;PARTIAL={partial}" if partial is not None else ""
        return cls.parse(text)

    def with_access(self, access: Access, expire: datetime | None = None) -> ImapUrl:
        """Return the URL with `;EXPIRE=` (if given) and `;URLAUTH=` appended, in that order (LS-2.3-3).

        Raises ImapParseError if it has a URLAUTH already.
        """
        if self.access is not None:
            raise ImapParseError("the URL has its URLAUTH already")
        until = f";EXPIRE={Expire.of(expire).text}" if expire is not None else ""
        return ImapUrl.parse(f"{self.text}{until};URLAUTH={access}")

    def with_token(self, token: str, mechanism: str = "INTERNAL") -> ImapUrl:
        """Return the URL with `:<mech>:<token>` appended; raises ImapParseError unless it is a rump."""
        if self.access is None or self.token is not None:
            raise ImapParseError("a URL with an access identifier and without a token is expected")
        return ImapUrl.parse(f"{self.text}:{mechanism}:{token}")

    @property
    def redacted(self) -> str:
        """The URL for logs and messages, with `***` instead of the token (LS-3-11)."""
        return self.text if self.token is None else f"{self.rump}:{self.mechanism}:***"

    @property
    def effective_port(self) -> int:
        """The port to connect to: 143 if the URL has none."""
        return DEFAULT_PORT if self.port is None else self.port

    def __str__(self) -> str:
        return self.text


def is_ticket_for(rump: str, answer: str, mechanism: str = "INTERNAL") -> bool:
    """Return whether GENURLAUTH's answer is exactly the rump that was sent, `:<mech>:` and a token (E-11)."""
    rest = answer[len(rump) :]
    found = _OPAQUE_TICKET.fullmatch(rest) if answer.startswith(rump) else None
    return found is not None and found["mechanism"].upper() == mechanism.upper()


@dataclass(frozen=True)
class _Rights:
    """The values behind the path of a URL; `ticket` is `:<mech>:<token>` as written."""

    expire: Expire | None = None
    access: Access | None = None
    mechanism: str | None = None
    token: str | None = None
    ticket: str = ""


def _end_of_path(text: str) -> int:
    """Return the index of `;EXPIRE=` or `;URLAUTH=`; the path cannot contain them, as its own `;` are escaped."""
    found = re.search(r";(?:EXPIRE|URLAUTH)=", text, re.IGNORECASE)
    return found.start() if found else len(text)


def _why_no_path(path: str) -> str:
    if not re.search(r"/;UID=", path, re.IGNORECASE):
        return "the URL names no message: /;UID= is expected behind the mailbox"
    return "mailbox[;UIDVALIDITY=n]/;UID=n[/;SECTION=s][/;PARTIAL=offset[.length]] is expected as the URL's path"


def _read_rights(text: str, opaque_token: bool) -> _Rights:
    if not text:
        return _Rights()
    head = _URLAUTH.match(text)
    if head is None:
        raise ImapParseError("missing access identifier in supplied URL: ;URLAUTH= is expected behind ;EXPIRE=")
    expire = None if head["expire"] is None else Expire.parse(head["expire"])
    access = Access.parse(head["access"])
    ticket = text[head.end() :]
    if not ticket:
        return _Rights(expire, access)
    found = (_OPAQUE_TICKET if opaque_token else _TICKET).fullmatch(ticket)
    if found is None:
        raise ImapParseError("the URL's end is not :<mechanism>:<hexadecimal token>")
    if not opaque_token and len(found["token"]) < MIN_TOKEN_DIGITS:
        raise ImapParseError(f"the URL's token has fewer than {MIN_TOKEN_DIGITS} digits")
    return _Rights(expire, access, found["mechanism"].upper(), found["token"], ticket)


def _mailbox(text: str) -> str:
    name = percent_decode(text)
    return "INBOX" if name.upper() == "INBOX" else name


def _partial(path: re.Match[str]) -> Partial | None:
    if path["offset"] is None:
        return None
    return Partial(int(path["offset"]), None if path["length"] is None else int(path["length"]))
