"""The commands of every session: who is there, and what the server can (RFC 3501, 6.1 and 6.2)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

from lemonade_imap.grammar.command import Command, Reader
from lemonade_imap.state import ALIVE, BEFORE_LOGIN
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.lexer import Lexer

_ID_FIELDS, _ID_NAME, _ID_VALUE = 30, 30, 1024
"""RFC 2971, 3.3: fields of one ID, octets of a field's name and of its value."""


class Capability(Command):
    """CAPABILITY (RFC 3501, 6.1.1)."""

    name = "CAPABILITY"
    legal_in = ALIVE


class Noop(Command):
    """NOOP (RFC 3501, 6.1.2)."""

    name = "NOOP"
    legal_in = ALIVE


class Logout(Command):
    """LOGOUT (RFC 3501, 6.1.3)."""

    name = "LOGOUT"
    legal_in = ALIVE


class Idle(Command):
    """IDLE (RFC 2177): news is told as it comes, until DONE."""

    name = "IDLE"


class IdleDone(Command):
    """The line DONE: it ends IDLE, and gets its tagged answer."""

    name = "IDLE"


class StartTls(Command):
    """STARTTLS (RFC 3501, 6.2.1)."""

    name = "STARTTLS"
    legal_in = BEFORE_LOGIN


@dataclass(frozen=True)
class Id(Command):
    """ID (RFC 2971): what the client says of itself, nothing where it says NIL."""

    name = "ID"
    legal_in = ALIVE
    fields: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Login(Command):
    """LOGIN (RFC 3501, 6.2.3)."""

    name = "LOGIN"
    legal_in = BEFORE_LOGIN
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Authenticate(Command):
    """AUTHENTICATE with the client's one message (RFC 3501, 6.2.2; RFC 4959); `message` is None until it is here."""

    name = "AUTHENTICATE"
    legal_in = BEFORE_LOGIN
    mechanism: str
    message: bytes | None = field(default=None, repr=False)


def sasl_message(octets: bytes) -> bytes:
    """Read a SASL message of the client's; raises ImapParseError."""
    try:
        return base64.b64decode(octets, validate=True)
    except (binascii.Error, ValueError):
        raise ImapParseError("base64 is expected") from None


def _login(lexer: Lexer) -> Command:
    lexer.space()
    user = lexer.text()
    lexer.space()
    return Login(user, lexer.text())


def _authenticate(lexer: Lexer) -> Command:
    lexer.space()
    mechanism = lexer.atom().upper()
    if not lexer.skip_spaces():
        return Authenticate(mechanism)
    initial = lexer.rest()
    # an empty initial response is written `=` (RFC 4959, 3)
    return Authenticate(mechanism, b"" if initial == b"=" else sasl_message(initial))


def _id(lexer: Lexer) -> Command:
    lexer.space()
    fields: list[tuple[str, str | None]] = []
    if lexer.peek() != "(":
        if lexer.nstring() is not None:
            raise ImapParseError("a list of fields or NIL is expected")
        return Id(())
    lexer.expect("(")
    while not lexer.take(")"):
        if fields:
            lexer.space()
        name = _id_string(lexer.string(), _ID_NAME)
        lexer.space()
        value = lexer.nstring()
        fields.append((name, None if value is None else _id_string(value, _ID_VALUE)))
    names = {name.lower() for name, _ in fields}
    if len(fields) > _ID_FIELDS or len(names) < len(fields):
        raise ImapParseError(f"ID takes at most {_ID_FIELDS} fields, each once")
    return Id(tuple(fields))


def _id_string(octets: bytes, most: int) -> str:
    if len(octets) > most:
        raise ImapParseError(f"a string of at most {most} octets is expected")
    return octets.decode("utf-8", "replace")


READERS: dict[str, Reader] = {
    "CAPABILITY": lambda _lexer: Capability(),
    "NOOP": lambda _lexer: Noop(),
    "IDLE": lambda _lexer: Idle(),
    "LOGOUT": lambda _lexer: Logout(),
    "STARTTLS": lambda _lexer: StartTls(),
    "ID": _id,
    "LOGIN": _login,
    "AUTHENTICATE": _authenticate,
}
