"""Parses the commands of a session: CAPABILITY to LOGOUT, LOGIN, AUTHENTICATE, ID and ENABLE.

Sources: RFC 3501, 6.1 and 6.2; RFC 2177 (IDLE); RFC 2971 (ID); RFC 4959 (initial response).

    login        = "LOGIN" SP astring SP astring
    authenticate = "AUTHENTICATE" SP auth-type [SP (base64 / "=")] *(CRLF base64)
    id           = "ID" SP ("(" [string SP nstring *(SP string SP nstring)] ")" / nil)
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

from lemonade_imap.grammar.base import ALIVE, BEFORE_LOGIN, ParsedCommand, Reader
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.lexer import Lexer

_ID_FIELDS, _ID_NAME, _ID_VALUE = 30, 30, 1024
"""Limits of RFC 2971, 3.3: fields in one ID, octets of a field's name, octets of its value."""


@dataclass(frozen=True)
class Enable(ParsedCommand):
    """ENABLE (RFC 5161); `names` are the extensions in capitals, also those that this server does not know."""

    name = "ENABLE"
    names: tuple[str, ...]


# enable = "ENABLE" 1*(SP capability)     (RFC 5161, 4)
def _enable(lexer: Lexer) -> ParsedCommand:
    names: list[str] = []
    lexer.space()
    names.append(lexer.atom().upper())
    while lexer.skip_spaces() and not lexer.at_end:
        names.append(lexer.atom().upper())
    return Enable(tuple(names))


class Capability(ParsedCommand):
    """CAPABILITY (RFC 3501, 6.1.1)."""

    name = "CAPABILITY"
    legal_in = ALIVE


class Noop(ParsedCommand):
    """NOOP (RFC 3501, 6.1.2)."""

    name = "NOOP"
    legal_in = ALIVE


class Logout(ParsedCommand):
    """LOGOUT (RFC 3501, 6.1.3)."""

    name = "LOGOUT"
    legal_in = ALIVE


class Idle(ParsedCommand):
    """IDLE (RFC 2177): the server sends updates when they occur, until the client sends DONE."""

    name = "IDLE"


class IdleDone(ParsedCommand):
    """The line DONE, which ends IDLE; the answer is the tagged response to IDLE (RFC 2177, 3)."""

    name = "IDLE"


class StartTls(ParsedCommand):
    """STARTTLS (RFC 3501, 6.2.1)."""

    name = "STARTTLS"
    legal_in = BEFORE_LOGIN


@dataclass(frozen=True)
class Id(ParsedCommand):
    """ID (RFC 2971): the client's description of itself; no fields for NIL."""

    name = "ID"
    legal_in = ALIVE
    fields: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Login(ParsedCommand):
    """LOGIN (RFC 3501, 6.2.3)."""

    name = "LOGIN"
    legal_in = BEFORE_LOGIN
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Authenticate(ParsedCommand):
    """AUTHENTICATE with one message of the client (RFC 3501, 6.2.2; RFC 4959).

    `message`: the message, decoded from base64; None if it must still be asked for with a continuation.
    """

    name = "AUTHENTICATE"
    legal_in = BEFORE_LOGIN
    mechanism: str
    message: bytes | None = field(default=None, repr=False)


def sasl_message(octets: bytes) -> bytes:
    """Decode a client's SASL message from base64; raises ImapParseError."""
    try:
        return base64.b64decode(octets, validate=True)
    except (binascii.Error, ValueError):
        raise ImapParseError("base64 is expected") from None


def _login(lexer: Lexer) -> ParsedCommand:
    lexer.space()
    user = lexer.text()
    lexer.space()
    return Login(user, lexer.text())


def _authenticate(lexer: Lexer) -> ParsedCommand:
    lexer.space()
    mechanism = lexer.atom().upper()
    if not lexer.skip_spaces():
        return Authenticate(mechanism)
    initial = lexer.rest()
    # an empty initial response is sent as `=` (RFC 4959, 3)
    return Authenticate(mechanism, b"" if initial == b"=" else sasl_message(initial))


def _id(lexer: Lexer) -> ParsedCommand:
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
    "ENABLE": _enable,
    "CAPABILITY": lambda _lexer: Capability(),
    "NOOP": lambda _lexer: Noop(),
    "IDLE": lambda _lexer: Idle(),
    "LOGOUT": lambda _lexer: Logout(),
    "STARTTLS": lambda _lexer: StartTls(),
    "ID": _id,
    "LOGIN": _login,
    "AUTHENTICATE": _authenticate,
}
