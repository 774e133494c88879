"""The commands a client sends, as values: what goes on the wire without its tag, and how it is to be treated."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

from lemonade_wire.imap import mutf7
from lemonade_wire.imap.framing import Literal, LogicalLine, Part
from lemonade_wire.imap.lexer import quote
from lemonade_wire.sasl.exchange import Exchange, OneMessage, ScramSha256
from lemonade_wire.sasl.prep import trace_information


@dataclass(frozen=True)
class Command:
    """A command without its tag: `name` in capitals (`UID FETCH`), its line, and AUTHENTICATE's exchange.

    The first message of `sasl` is sent as initial response where the server has SASL-IR, else upon its `+` (RFC 4959).
    Since an exchange is used once, such a command is sent once.
    """

    name: str
    line: LogicalLine = field(repr=False)
    sasl: Exchange | None = field(default=None, repr=False)


def _command(name: str, *arguments: Part) -> Command:
    parts: list[Part] = [name.encode("ascii")]
    for argument in arguments:
        parts += [b" ", argument]
    return Command(name, LogicalLine(tuple(parts)))


def _mailbox(name: str) -> Part:
    return quote(mutf7.encode(name))


def capability() -> Command:
    """Ask for the capabilities."""
    return _command("CAPABILITY")


def noop() -> Command:
    """Do nothing, and hear of news."""
    return _command("NOOP")


def logout() -> Command:
    """End the session; the server says BYE."""
    return _command("LOGOUT")


def starttls() -> Command:
    """Begin TLS (RFC 3501 6.2.1): upon OK nothing more is sent or read in the clear."""
    return _command("STARTTLS")


def login(user: str, password: str) -> Command:
    """Log in with a password in the clear (never where LOGINDISABLED is advertised)."""
    return _command("LOGIN", quote(user.encode()), quote(password.encode()))


def authenticate_plain(user: str, password: str, authorize_as: str = "") -> Command:
    """Authenticate by SASL PLAIN (RFC 4616)."""
    message = "\0".join([authorize_as, user, password]).encode()
    return Command("AUTHENTICATE", LogicalLine.of(b"AUTHENTICATE PLAIN"), OneMessage(message))


def authenticate_scram(user: str, password: str) -> Command:
    """Authenticate by SASL SCRAM-SHA-256 (RFC 7677); raises PrepError for a user name that SASLprep prohibits."""
    return Command("AUTHENTICATE", LogicalLine.of(b"AUTHENTICATE SCRAM-SHA-256"), ScramSha256(user, password))


def authenticate_anonymous(trace: str) -> Command:
    """Authenticate by SASL ANONYMOUS with a trace: an e-mail address, or up to 255 characters without @ (RFC 4505).

    Raises PrepError for another one.
    """
    message = trace_information(trace).encode()
    return Command("AUTHENTICATE", LogicalLine.of(b"AUTHENTICATE ANONYMOUS"), OneMessage(message))


def select(mailbox: str) -> Command:
    """Select a mailbox."""
    return _command("SELECT", _mailbox(mailbox))


def examine(mailbox: str) -> Command:
    """Select a mailbox, to read alone."""
    return _command("EXAMINE", _mailbox(mailbox))


def create(mailbox: str) -> Command:
    """Create a mailbox."""
    return _command("CREATE", _mailbox(mailbox))


def list_mailboxes(reference: str = "", pattern: str = "*") -> Command:
    """List mailboxes."""
    return _command("LIST", _mailbox(reference), quote(mutf7.encode(pattern)))


def append(mailbox: str, message: bytes, flags: Sequence[str] = ()) -> Command:
    """Append a message, as a synchronising literal: any server takes it."""
    flag_list: list[Part] = [f"({' '.join(flags)})".encode("ascii")] if flags else []
    return _command("APPEND", _mailbox(mailbox), *flag_list, Literal.of(message))


def uid_search(criteria: str = "ALL") -> Command:
    """Search by criteria as on the wire; UIDs come back."""
    return _command("UID SEARCH", criteria.encode("ascii"))


def uid_fetch_bodystructure(uid: int) -> Command:
    """Fetch the structure of one message (LS-2.1-1)."""
    return _command("UID FETCH", b"%d (BODYSTRUCTURE)" % uid)


def genurlauth(url: str, mechanism: str = "INTERNAL") -> Command:
    """Have a URL authorised (RFC 4467 7). The URL is quoted: `%` and `*` are no atom characters."""
    return _command("GENURLAUTH", quote(url.encode("utf-8")), mechanism.encode("ascii"))


def urlfetch(url: str, params: Sequence[str] = ()) -> Command:
    """Fetch a URL: plain, or extended with `params` (RFC 5524: BODYPARTSTRUCTURE, BINARY or BODY)."""
    quoted = quote(url.encode("utf-8"))
    if not params:
        return _command("URLFETCH", quoted)
    line = LogicalLine.of(b"URLFETCH (", quoted, f" {' '.join(params)})".encode("ascii"))
    return Command("URLFETCH", line)


def resetkey(mailbox: str | None = None) -> Command:
    """Revoke the tickets of one mailbox, or of all."""
    return _command("RESETKEY") if mailbox is None else _command("RESETKEY", _mailbox(mailbox))


def getmetadata(entry: str, mailbox: str = "") -> Command:
    """Ask for one entry: one a command, since some servers refuse a list for one bad name (E-1)."""
    return _command("GETMETADATA", _mailbox(mailbox), quote(entry.encode("utf-8")))


def setmetadata(entry: str, value: bytes | None, mailbox: str = "") -> Command:
    """Set one entry, or remove it with None (RFC 5464 4.3)."""
    written: Part = b"NIL" if value is None else quote(value)
    line = LogicalLine.of(b"SETMETADATA ", _mailbox(mailbox), b" (", quote(entry.encode("utf-8")), b" ", written, b")")
    return Command("SETMETADATA", line)


def raw(text: str) -> Command:
    """Send `text` as it is, behind a tag; a literal cannot be written in it. Raises ValueError for a line break."""
    if any(char in "\r\n\0" for char in text):
        raise ValueError("a raw command is one line without NUL")
    words = text.upper().split()
    name = " ".join(words[: 2 if words[:1] == ["UID"] else 1])
    return Command(name, LogicalLine.of(text.encode("utf-8")))


def sasl_line(message: bytes, *, initial: bool = False) -> bytes:
    """Write a SASL message for the wire; as an initial response an empty one is `=` (RFC 4959 3)."""
    return base64.b64encode(message) or (b"=" if initial else b"")
