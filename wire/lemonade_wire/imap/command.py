"""IMAP commands as a client writes them, and the strings and lists in them (RFC 3501 sections 6 and 9)."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lemonade_wire.imap import mutf7
from lemonade_wire.imap.framing import ImapLiteral, LogicalLine, Part
from lemonade_wire.imap.lexer import quote
from lemonade_wire.sasl import OneMessage, SaslExchange, ScramSha256, trace_information

Joined = list[Part]


def text_string(text: str) -> Joined:
    """Write text as a quoted string, or as a literal if it is not ASCII, has line breaks or is long."""
    return [quote(text.encode("utf-8", "surrogateescape"))]


def nstring(text: str | None) -> Joined:
    """Write text, or NIL for None."""
    return [b"NIL"] if text is None else text_string(text)


def join(before: bytes, items: Iterable[Joined], after: bytes) -> Joined:
    """Join items with single spaces, between `before` and `after`."""
    written: Joined = [before]
    for index, item in enumerate(items):
        written += [b" ", *item] if index else item
    return [*written, after]


def line_of(parts: Iterable[Part]) -> LogicalLine:
    """Make a line from parts; adjacent texts are merged into one, and each octet is copied once."""
    merged: list[Part] = []
    texts: list[bytes] = []
    for part in parts:
        if isinstance(part, bytes):
            texts.append(part)
            continue
        if texts or not merged:
            merged.append(b"".join(texts))
            texts.clear()
        merged.append(part)
    if texts or not merged:
        merged.append(b"".join(texts))
    return LogicalLine(tuple(merged))


@dataclass(frozen=True)
class ImapCommand:
    """A command without its tag: `name` in capitals (`UID FETCH`), its line, and the SASL exchange of AUTHENTICATE.

    The first message of `sasl` is sent as initial response if the server has SASL-IR, else after its `+` (RFC 4959).
    An exchange cannot be repeated, so that such a command can be sent once only.
    """

    name: str
    line: LogicalLine = field(repr=False)
    sasl: SaslExchange | None = field(default=None, repr=False)


def _command(name: str, *arguments: Part) -> ImapCommand:
    parts: list[Part] = [name.encode("ascii")]
    for argument in arguments:
        parts += [b" ", argument]
    return ImapCommand(name, LogicalLine(tuple(parts)))


def _mailbox(name: str) -> Part:
    return quote(mutf7.encode(name))


def capability() -> ImapCommand:
    """Make CAPABILITY, which asks for the server's capabilities."""
    return _command("CAPABILITY")


def noop() -> ImapCommand:
    """Make NOOP, which does nothing, so that the server can send untagged updates."""
    return _command("NOOP")


def logout() -> ImapCommand:
    """Make LOGOUT, which ends the session; the server sends BYE."""
    return _command("LOGOUT")


def starttls() -> ImapCommand:
    """Make STARTTLS (RFC 3501 section 6.2.1); after the OK nothing is sent or read without TLS."""
    return _command("STARTTLS")


def login(user: str, password: str) -> ImapCommand:
    """Make LOGIN, which sends the password unencrypted; not allowed if the server has LOGINDISABLED."""
    return _command("LOGIN", quote(user.encode()), quote(password.encode()))


def authenticate_plain(user: str, password: str, authorize_as: str = "") -> ImapCommand:
    """Make AUTHENTICATE with SASL PLAIN (RFC 4616)."""
    message = "\0".join([authorize_as, user, password]).encode()
    return ImapCommand("AUTHENTICATE", LogicalLine.of(b"AUTHENTICATE PLAIN"), OneMessage(message))


def authenticate_scram(user: str, password: str) -> ImapCommand:
    """Make AUTHENTICATE with SASL SCRAM-SHA-256 (RFC 7677); raises PrepError for a name that SASLprep prohibits."""
    return ImapCommand("AUTHENTICATE", LogicalLine.of(b"AUTHENTICATE SCRAM-SHA-256"), ScramSha256(user, password))


def authenticate_anonymous(trace: str) -> ImapCommand:
    """Make AUTHENTICATE with SASL ANONYMOUS and its trace information (RFC 4505).

    `trace` is an e-mail address, or up to 255 characters without `@`; raises PrepError for another text.
    """
    message = trace_information(trace).encode()
    return ImapCommand("AUTHENTICATE", LogicalLine.of(b"AUTHENTICATE ANONYMOUS"), OneMessage(message))


def select(mailbox: str) -> ImapCommand:
    """Make SELECT, which opens a mailbox."""
    return _command("SELECT", _mailbox(mailbox))


def examine(mailbox: str) -> ImapCommand:
    """Make EXAMINE, which opens a mailbox read-only."""
    return _command("EXAMINE", _mailbox(mailbox))


def create(mailbox: str) -> ImapCommand:
    """Make CREATE, which creates a mailbox."""
    return _command("CREATE", _mailbox(mailbox))


def list_mailboxes(reference: str = "", pattern: str = "*") -> ImapCommand:
    """Make LIST, which lists the mailboxes that match a pattern."""
    return _command("LIST", _mailbox(reference), quote(mutf7.encode(pattern)))


def append(mailbox: str, message: bytes, flags: Sequence[str] = ()) -> ImapCommand:
    """Make APPEND of a message, as a synchronising literal, which every server accepts."""
    flag_list: list[Part] = [f"({' '.join(flags)})".encode("ascii")] if flags else []
    return _command("APPEND", _mailbox(mailbox), *flag_list, ImapLiteral.of(message))


def uid_search(criteria: str = "ALL") -> ImapCommand:
    """Make UID SEARCH with criteria as written in IMAP; the response has UIDs."""
    return _command("UID SEARCH", criteria.encode("ascii"))


def uid_fetch_bodystructure(uid: int) -> ImapCommand:
    """Make UID FETCH of the BODYSTRUCTURE of one message (LS-2.1-1)."""
    return _command("UID FETCH", b"%d (BODYSTRUCTURE)" % uid)


def genurlauth(url: str, mechanism: str = "INTERNAL") -> ImapCommand:
    """Make GENURLAUTH, which authorises a URL (RFC 4467 section 7). It is quoted: an atom cannot have `%` and `*`."""
    return _command("GENURLAUTH", quote(url.encode("utf-8")), mechanism.encode("ascii"))


def urlfetch(url: str, params: Sequence[str] = ()) -> ImapCommand:
    """Make URLFETCH of a URL; `params` (BODYPARTSTRUCTURE, BINARY or BODY) make it an extended one (RFC 5524)."""
    quoted = quote(url.encode("utf-8"))
    if not params:
        return _command("URLFETCH", quoted)
    line = LogicalLine.of(b"URLFETCH (", quoted, f" {' '.join(params)})".encode("ascii"))
    return ImapCommand("URLFETCH", line)


def resetkey(mailbox: str | None = None) -> ImapCommand:
    """Make RESETKEY, which revokes the tickets of one mailbox, or of all (RFC 4467 section 7)."""
    return _command("RESETKEY") if mailbox is None else _command("RESETKEY", _mailbox(mailbox))


def getmetadata(entry: str, mailbox: str = "") -> ImapCommand:
    """Make GETMETADATA of one entry; one per command, because some servers refuse a list for one bad name (E-1)."""
    return _command("GETMETADATA", _mailbox(mailbox), quote(entry.encode("utf-8")))


def setmetadata(entry: str, value: bytes | None, mailbox: str = "") -> ImapCommand:
    """Make SETMETADATA, which sets one entry, or removes it if `value` is None (RFC 5464 section 4.3)."""
    written: Part = b"NIL" if value is None else quote(value)
    line = LogicalLine.of(b"SETMETADATA ", _mailbox(mailbox), b" (", quote(entry.encode("utf-8")), b" ", written, b")")
    return ImapCommand("SETMETADATA", line)


def raw(text: str) -> ImapCommand:
    """Make a command from `text` as written; it cannot have literals. Raises ValueError for a line break or NUL."""
    if any(char in "\r\n\0" for char in text):
        raise ValueError("a raw command is one line without NUL")
    words = text.upper().split()
    name = " ".join(words[: 2 if words[:1] == ["UID"] else 1])
    return ImapCommand(name, LogicalLine.of(text.encode("utf-8")))


def sasl_line(message: bytes, *, initial: bool = False) -> bytes:
    """Encode a SASL message in base64; an empty initial response is written as `=` (RFC 4959 section 3)."""
    return base64.b64encode(message) or (b"=" if initial else b"")
