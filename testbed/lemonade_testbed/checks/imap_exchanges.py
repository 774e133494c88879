"""IMAP commands with their answers for each connection, and the tickets in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from lemonade_testbed.evidence import Event, Evidence
from lemonade_testbed.ladder.imaptext import (
    CommandText,
    TaggedText,
    UrlData,
    as_text,
    first_url,
    read_command,
    read_genurlauth,
    read_tagged,
    read_urlfetch,
    tokens,
)
from lemonade_testbed.ladder.model import Url
from lemonade_testbed.ladder.observe import ends_of, literals_of
from lemonade_testbed.scenario.model import Scenario

HIDDEN = "***"
"""The user of a session if the login in the trace does not show it."""
_PEERS = ("client", "media")
_RUMP = re.compile(
    r"imap://(?:(?P<user>[^@/;]*)(?:;AUTH=[^@/]*)?@)?(?P<host>[^/]*)/(?P<mailbox>.*?)(?:;UIDVALIDITY=(?P<validity>\d+))?"
    r"/;UID=(?P<uid>\d+)(?:/;SECTION=(?P<section>[^;/]*))?(?:/;PARTIAL=(?P<offset>\d+)(?:\.(?P<length>\d+))?)?"
    r"(?:;EXPIRE=(?P<expire>[^;]*))?(?:;URLAUTH=(?P<access>[^:;]*))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class UntaggedResponse:
    """One untagged response: its time of sending (seconds since 1970), its text, and its literals."""

    t: float
    text: str
    literals: Sequence[Mapping[str, Any]] = ()


@dataclass
class ImapExchange:
    """One IMAP command and the answer of the server.

    `t` and `end` are the times (seconds since 1970) at which the command and its tagged response, or the last line,
    were sent. `lines` are the untagged responses between them. `user` is the account that is logged in: None in an
    anonymous session, empty before a login, HIDDEN if the login does not show it (`user_of` finds it). `opened` is the
    connection. `repeated` is the time of a second tagged response with the same tag, None without one.
    """

    server: str
    asker: str
    opened: str
    t: float
    command: CommandText
    literals: Sequence[Mapping[str, Any]]
    user: str | None
    lines: list[UntaggedResponse] = field(default_factory=list)
    tagged: TaggedText | None = None
    end: float = 0.0
    repeated: float | None = None

    @property
    def arguments(self) -> list[Any]:
        """The arguments of the command as tokens."""
        return tokens(self.command.rest, self.literals)

    @property
    def ok(self) -> bool:
        """Tell whether the command was answered OK."""
        return self.tagged is not None and self.tagged.result == "OK"

    def asked(self) -> list[str]:
        """Return the URLs in a GENURLAUTH or URLFETCH command."""
        found = [first_url([argument]) for argument in self.arguments]
        return [url for url in found if url]

    def wants(self, url: str) -> frozenset[str]:
        """Return the parameters with which URLFETCH asks for a URL, in upper case."""
        for argument in self.arguments:
            if isinstance(argument, list) and first_url([argument]) == url:
                return frozenset(as_text(word).upper() for word in argument[1:])
        return frozenset()

    def fetched(self) -> list[tuple[UntaggedResponse, UrlData]]:
        """Return the answer of URLFETCH to each URL."""
        return [(line, data) for line in self.lines for data in read_urlfetch(line.text, line.literals)]


@lru_cache(maxsize=32)
def exchanges(evidence: Evidence) -> tuple[ImapExchange, ...]:
    """Return the commands of clients and media servers to IMAP servers, in order of time.

    They are read from the trace of the server, or from that of the other node if the server has no trace.
    """
    by_connection: dict[str, list[Event]] = {}
    traced = {event.node for event in evidence.of("imap") if evidence.world.kind_of(event.node) == "imap"}
    for event in evidence.of("imap"):
        source, target = ends_of(event, evidence.world)
        server = next((end for end in (source, target) if evidence.world.kind_of(end) == "imap"), "")
        teller = event.node == server if server in traced else event.node != server
        if teller and {evidence.world.kind_of(source), evidence.world.kind_of(target)} & set(_PEERS):
            by_connection.setdefault(connection_of(event), []).append(event)
    found = [one for events in by_connection.values() for one in _of_connection(events, evidence)]
    return tuple(sorted(found, key=lambda one: one.t))


def connection_of(event: Event) -> str:
    """Return a name for the connection of an IMAP event, made of its two addresses."""
    return " ".join(sorted((event.text("local"), event.text("remote"))))


def _of_connection(events: Sequence[Event], evidence: Evidence) -> list[ImapExchange]:
    found: list[ImapExchange] = []
    user: str | None = ""
    for event in events:
        source, target = ends_of(event, evidence.world)
        text = event.text("text")
        if evidence.world.kind_of(target) == "imap":
            if command := read_command(text):
                opened = connection_of(event)
                found.append(
                    ImapExchange(target or "", source or "", opened, event.t, command, literals_of(event), user)
                )
            continue
        waiting = [one for one in found if one.tagged is None]
        if tagged := read_tagged(text):
            same = [one for one in found if one.command.tag == tagged.tag]
            # the first command with this tag that waits is answered; if none waits, it is a second result
            for one in [other for other in same if other.tagged is None][:1] or same:
                if one.tagged is not None:
                    one.repeated = event.t
                    continue
                one.tagged, one.end = tagged, event.t
                if one.ok and one.command.name in {"LOGIN", "AUTHENTICATE"}:
                    user = _shown_user(one)
        elif waiting and text.startswith("*"):
            waiting[-1].lines.append(UntaggedResponse(event.t, text, literals_of(event)))
            waiting[-1].end = event.t
    return found


def _shown_user(login: ImapExchange) -> str | None:
    shown = as_text(login.arguments[0]) if login.arguments else ""
    if shown.upper() == "ANONYMOUS":
        return None
    return shown if login.command.name == "LOGIN" else HIDDEN


def user_of(one: ImapExchange, scenario: Scenario, evidence: Evidence) -> str | None:
    """Return the account of the session in which a command was sent, None if anonymous, empty before a login.

    If AUTHENTICATE hides the account, it is the one that the scenario gives the node.
    """
    if one.user != HIDDEN:
        return one.user
    if evidence.world.kind_of(one.asker) == "client":
        return scenario.given.owner[0]
    return scenario.given.identity[0] if scenario.given.identity else ""


def mailbox_name(text: str) -> str:
    """Decode the name of a mailbox from modified UTF-7 (RFC 3501, section 5.1.3)."""

    def run(shifted: re.Match[str]) -> str:
        return f"+{shifted[1].replace(',', '/')}-".encode("ascii").decode("utf-7") if shifted[1] else "&"

    name = re.sub(r"&([A-Za-z0-9+,]*)-", run, text)
    return "INBOX" if name.upper() == "INBOX" else name


@dataclass(frozen=True)
class TicketUrl:
    """The components of an IMAP URL, percent-decoded once (RFC 5092, section 6; RFC 4467, section 3).

    `section` is empty for the whole message; `offset` and `length` are those of PARTIAL; `expire` is in seconds since
    1970; `access` is empty for a URL without URLAUTH.
    """

    user: str
    mailbox: str
    uid: int
    section: str
    uidvalidity: int | None = None
    offset: int | None = None
    length: int | None = None
    expire: float | None = None
    access: str = ""

    @classmethod
    def parse(cls, rump: str) -> TicketUrl | None:
        """Read a URL without its token; returns None if it is not an IMAP URL."""
        found = _RUMP.fullmatch(rump)
        if found is None:
            return None
        mailbox = unquote(found["mailbox"])
        return cls(
            unquote(found["user"] or ""),
            "INBOX" if mailbox.upper() == "INBOX" else mailbox,
            int(found["uid"]),
            unquote(found["section"] or "").upper(),
            _number(found["validity"]),
            _number(found["offset"]),
            _number(found["length"]),
            _instant(found["expire"]),
            unquote(found["access"] or ""),
        )


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _instant(text: str | None) -> float | None:
    try:
        return None if text is None else datetime.fromisoformat(text.upper()).timestamp()
    except ValueError:
        return None


@dataclass(frozen=True)
class Authorised:
    """A ticket that GENURLAUTH returned: the server, the time (seconds since 1970), and the URL."""

    server: str
    t: float
    url: Url


def authorised(evidence: Evidence) -> Iterator[Authorised]:
    """Yield the tickets that IMAP servers returned."""
    for one in exchanges(evidence):
        for line in one.lines if one.command.name == "GENURLAUTH" else ():
            if url := read_genurlauth(line.text, line.literals):
                yield Authorised(one.server, line.t, Url.parse(url))
