"""Where a session stands, and which states a command may be legal in."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Where a session stands (RFC 3501, 3); ANONYMOUS is authenticated with hardly any rights (RFC 4505)."""

    NOT_AUTHENTICATED = "before authentication"
    ANONYMOUS = "in an anonymous session"
    AUTHENTICATED = "without a selected mailbox"
    SELECTED = "with a mailbox selected"
    LOGOUT = "after LOGOUT"


ALIVE = frozenset(State) - {State.LOGOUT}
BEFORE_LOGIN = frozenset({State.NOT_AUTHENTICATED})
LOGGED_IN = frozenset({State.AUTHENTICATED, State.SELECTED})
TICKET_HOLDERS = LOGGED_IN | {State.ANONYMOUS}
SELECTED = frozenset({State.SELECTED})
