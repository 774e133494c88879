"""The base of all command parsers: session states, the class of a command, shared arguments, and dates (RFC 3501, 9).

    date-text      = date-day "-" date-month "-" date-year              1-Jan-2026
    date-time      = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
    date-day-fixed = (SP DIGIT) / 2DIGIT
    zone           = ("+" / "-") 4DIGIT

`strptime` and `strftime` are not used, because their month names depend on the locale.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from typing import ClassVar

from lemonade_wire.imap import mutf7
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.lexer import Lexer

INBOX = "INBOX"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = re.compile(r"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_DATE_TIME = re.compile(
    r"((?: ?[0-9]|[0-9]{2})-[A-Za-z]{3}-[0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)


class SessionState(Enum):
    """The state of a session (RFC 3501, 3).

    ANONYMOUS is a state of this server: the client logged in as anonymous (RFC 4505) and may use few commands. The
    values complete the sentence "this command is not possible ..."; `why_not_possible` chooses the one that is meant.
    """

    NOT_AUTHENTICATED = "before authentication"
    ANONYMOUS = "in an anonymous session"
    AUTHENTICATED = "without a selected mailbox"
    SELECTED = "with a mailbox selected"
    LOGOUT = "after LOGOUT"


ALIVE = frozenset(SessionState) - {SessionState.LOGOUT}
BEFORE_LOGIN = frozenset({SessionState.NOT_AUTHENTICATED})
LOGGED_IN = frozenset({SessionState.AUTHENTICATED, SessionState.SELECTED})
TICKET_HOLDERS = LOGGED_IN | {SessionState.ANONYMOUS}
SELECTED = frozenset({SessionState.SELECTED})


def why_not_possible(name: str, legal_in: frozenset[SessionState], state: SessionState) -> str:
    """Return the text of the BAD for a command in a state in which it is not legal."""
    if legal_in == BEFORE_LOGIN and state in TICKET_HOLDERS:
        return f"{name} is not possible after authentication"
    return f"{name} is not possible {state.value}"


@dataclass(frozen=True)
class ParsedCommand:
    """Base class of the commands.

    `name`: the command's name in the protocol. `legal_in`: the states in which the session accepts it.
    """

    name: ClassVar[str] = ""
    legal_in: ClassVar[frozenset[SessionState]] = LOGGED_IN


Reader = Callable[[Lexer], ParsedCommand]
"""Parses the arguments of a command up to the end of the line; raises ImapParseError."""


def mailbox_name(lexer: Lexer) -> str:
    """Parse the name of a mailbox and decode it from modified UTF-7 (RFC 3501, 5.1.3); raises ImapParseError.

    A name with `%` or `*` is accepted without quotes, as clients send it.
    """
    return with_inbox(mutf7.decode(lexer.mailbox()))


def present_mailbox_name(lexer: Lexer) -> str:
    """Parse the name of a mailbox that should exist; raises ImapParseError.

    A name that is not in modified UTF-7 is the name of no mailbox: it is returned as the empty name, which no mailbox
    has, so that the command is answered like one for any other mailbox that does not exist.
    """
    octets = lexer.mailbox()
    try:
        return with_inbox(mutf7.decode(octets))
    except ImapParseError:
        return ""


def with_inbox(name: str) -> str:
    """Return a name below INBOX with INBOX in capitals, since INBOX ignores letter case (RFC 3501, 5.1)."""
    return f"{INBOX}{name[len(INBOX) :]}" if name.upper().startswith(f"{INBOX}/") else name


def parenthesised(lexer: Lexer, read: Callable[[], str]) -> list[str]:
    """Parse a list in parentheses, which may be empty, by `read` for each item; raises ImapParseError.

    The form of the list:

        "(" [item *(SP item)] ")"     also accepted: blanks behind "(" and before ")" (E-31)
    """
    lexer.expect("(")
    lexer.skip_spaces()
    found: list[str] = []
    while not lexer.take(")"):
        found.append(read())
        if not lexer.skip_spaces() and lexer.peek() != ")":
            raise ImapParseError("a space or ) is expected")
    return found


def read_date(text: str) -> date:
    """Parse a date-text such as `1-Jan-2026`; raises ImapParseError."""
    found = _DATE.fullmatch(text)
    try:
        if found is not None:
            return date(int(found[3]), _MONTHS.index(found[2].capitalize()) + 1, int(found[1]))
    except ValueError:
        pass
    raise ImapParseError("a date such as 1-Jan-2026 is expected")


def read_date_time(octets: bytes) -> datetime:
    """Parse a date-time such as ` 1-Jan-2026 12:00:00 +0100`, without its quotes; raises ImapParseError.

    A day of one digit may stand without the blank before it. Second 60, a leap second, becomes 59.
    """
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
    """Return a date-time such as `17-Nov-2026 08:12:44 +0100`, without quotes."""
    return f"{at.day:2}-{_MONTHS[at.month - 1]}-{at.year:04} {at:%H:%M:%S %z}".encode("ascii")
