"""The access identifier of a URLAUTH URL: who may use the ticket (RFC 4467 3, RFC 5593)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.percent import ACHAR, percent_decode, percent_encode

_ACCESS = re.compile(rf"(?P<name>[A-Za-z0-9]+)(?:\+(?P<user>{ACHAR}+))?")


class AccessKind(Enum):
    """The classes of access."""

    ANONYMOUS = "anonymous"  # any session, anonymous ones included
    AUTHUSER = "authuser"  # any session that is not anonymous
    USER = "user"  # the session of this user
    SUBMIT = "submit"  # a session of a submission entity; the user is not checked by the server
    APPLICATION = "application"  # a session of an entity of that application; the user is not checked


_NAMED = {kind.value: kind for kind in AccessKind}


@dataclass(frozen=True)
class Access:
    """An access identifier: `name` in lower case, `user` decoded, None where there is no `+user`."""

    name: str
    user: str | None = None

    @classmethod
    def parse(cls, text: str) -> Access:
        """Read `anonymous`, `authuser`, `user+U`, `submit+U`, `stream`, `stream+U`; raises ImapParseError.

        Names compare without case. `submit+` and `user+` want a userid (E-5), the first two take none.
        """
        found = _ACCESS.fullmatch(text)
        if found is None:
            raise ImapParseError("an access identifier such as anonymous, stream or submit+joe is expected")
        access = cls(found["name"].lower(), None if found["user"] is None else percent_decode(found["user"]))
        if access.kind in {AccessKind.USER, AccessKind.SUBMIT} and not access.user:
            raise ImapParseError(f"{access.name}+ wants a userid behind it")
        if access.kind in {AccessKind.ANONYMOUS, AccessKind.AUTHUSER} and access.user is not None:
            raise ImapParseError(f"{access.name} takes no userid")
        return access

    @property
    def kind(self) -> AccessKind:
        """The class that the name belongs to."""
        return _NAMED.get(self.name, AccessKind.APPLICATION)

    def __str__(self) -> str:
        return self.name if self.user is None else f"{self.name}+{percent_encode(self.user)}"
