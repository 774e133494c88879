"""The list of media servers that discovery gave to a client, and the calls that the client made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lemonade_testbed.checks.facts import Signal, answer_to, is_raw, signals
from lemonade_testbed.checks.imap_exchanges import ImapExchange, exchanges
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.imaptext import as_text, tokens
from lemonade_testbed.ladder.model import Url
from lemonade_testbed.ladder.siptext import mscml_of, prompt_url
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.scenario.world import MEDIA_NAME

ENTRIES = {"draft-07": "/public/mediaservers", "rfc5616": "/shared/mediaservers"}
"""The METADATA entry of each profile, in lower case (draft section 2.2; RFC 5616, section 3.2)."""
_TOKENS = frozenset({"stream", "submit+", "submit", "authuser"})
"""The tokens behind the URI of an authorised media server in a list (E-2), in lower case."""
_TUPLE = re.compile(r"<([^<>]*)>(?::([^;<>]*))?")
_BARE = re.compile(r"(?:^|;)(sips?:[^;<>]+)", re.IGNORECASE)
_URI = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*):(?://)?(?:(?P<user>[^@;?:]*)(?::[^@;?]*)?@)?(?P<host>\[[^\]]*\]|[^:;?/]+)(?::(?P<port>\d+))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ListedServer:
    """A media server as a URI names it: scheme, host and user in lower case, and port (else that of the scheme).

    `token` is the text behind the URI in a list, None without one. `bare` is True if the URI has no brackets, so that
    its end is uncertain.
    """

    scheme: str
    user: str
    host: str
    port: int
    token: str | None = None
    bare: bool = False

    @classmethod
    def parse(cls, uri: str, token: str | None = None, *, bare: bool = False) -> ListedServer | None:
        """Read a URI with the token behind it in a list; returns None if it is not a URI with a host."""
        found = _URI.match(re.sub(r"\s", "", uri))
        if found is None:
            return None
        scheme = found["scheme"].lower()
        port = int(found["port"] or (5061 if scheme == "sips" else 5060))
        user = re.split("[;=:]", found["user"] or "")[0].lower()
        return cls(scheme, user, found["host"].lower(), port, token, bare)

    @property
    def authorised(self) -> bool:
        """Tell whether the token marks an authorised user of the IMAP server, in upper or lower case."""
        return self.token is not None and self.token.strip().lower() in _TOKENS

    def is_at(self, other: ListedServer) -> bool:
        """Tell whether both servers have the same host and port."""
        return (self.host, self.port) == (other.host, other.port)

    def __str__(self) -> str:
        return f"{self.scheme}:{f'{self.user}@' if self.user else ''}{self.host}:{self.port}"


def read_list(value: str) -> tuple[ListedServer, ...]:
    """Read the value of the entry: `<URI>[:token]` separated by `;` (draft section 7); white space is ignored (E-3)."""
    text = re.sub(r"\s", "", value)
    found = [ListedServer.parse(uri, token or None) for uri, token in _TUPLE.findall(text)]
    found += [ListedServer.parse(uri, bare=True) for uri in _BARE.findall(_TUPLE.sub("", text))]
    return tuple(one for one in found if one is not None)


@dataclass(frozen=True)
class Discovery:
    """One GETMETADATA that a client composed itself, and its answer.

    `entries` are the entries that it asks for, in lower case, and `servers` the media servers in the answer. `t` and
    `end` are the times of the command and of the answer, in seconds since 1970.
    """

    node: str
    t: float
    end: float
    entries: tuple[str, ...]
    servers: tuple[ListedServer, ...]


def discoveries(scenario: Scenario, evidence: Evidence) -> tuple[Discovery, ...]:
    """Return the GETMETADATA commands for media servers, except those that the script gives word for word."""
    return tuple(
        Discovery(one.asker, one.t, one.end, entries, _listed(one) if one.ok else ())
        for one in exchanges(evidence)
        if one.command.name == "GETMETADATA" and evidence.world.kind_of(one.asker) == "client"
        if "" in _words(one.arguments)  # the entries of the server, not those of a mailbox (RFC 5464, section 4.2)
        if (entries := tuple(word for word in _words(one.arguments) if word.endswith("/mediaservers")))
        and not is_raw(scenario, evidence, one.t)
    )


def _words(items: Sequence[object]) -> Iterator[str]:
    for item in items:
        yield from _words(item) if isinstance(item, list) else [as_text(item).lower()]


def _listed(one: ImapExchange) -> tuple[ListedServer, ...]:
    found: tuple[ListedServer, ...] = ()
    for line in one.lines:
        words = tokens(line.text, line.literals)
        if len(words) < 4 or as_text(words[1]).upper() != "METADATA" or not isinstance(words[3], list):
            continue
        for name, value in zip(words[3][::2], words[3][1::2], strict=False):
            if as_text(name).lower().endswith("/mediaservers"):
                found += read_list(as_text(value))
    return found


def servers_known(found: Sequence[Discovery], node: str, t: float) -> tuple[ListedServer, ...]:
    """Return the media servers that a client knew from discovery at `t`: those of the last list that was not empty."""
    return next((one.servers for one in reversed(found) if one.node == node and one.end <= t and one.servers), ())


def configured_servers(evidence: Evidence) -> list[ListedServer]:
    """Return the media servers that the client's script is configured with, under each name that they may have."""
    names = [place.name for node, place in evidence.world.roles.items() if evidence.world.kind_of(node) == "media"]
    return [ListedServer("sip", "", name.lower(), 5060) for name in dict.fromkeys((*names[:1], MEDIA_NAME))]


@dataclass(frozen=True)
class ListedCall:
    """One call of a client, from its first INVITE on.

    It has the INVITE, the media server in its Request-URI, the URLs that the client handed over in the call (each with
    its time, in seconds since 1970), and the status of the final response (empty without one).
    """

    invite: Signal
    server: ListedServer
    urls: tuple[tuple[float, Url], ...]
    status: str


def calls(evidence: Evidence) -> tuple[ListedCall, ...]:
    """Return the calls of clients to media servers, in order of time."""
    all_signals = signals(evidence)
    found: list[ListedCall] = []
    for one in all_signals:
        invites = one.message.method == "INVITE" and not one.message.is_response
        anew = any(call.invite.message.call_id == one.message.call_id for call in found) and "tag=" in _to(one)
        server = ListedServer.parse(one.message.uri) if invites and not anew else None
        if server is None or evidence.world.kind_of(one.source) != "client":
            continue
        inside = [
            other
            for other in all_signals
            if other.message.call_id == one.message.call_id and other.source == one.source
        ]
        urls = [(other.t, url) for other in inside if (url := _handed(other))]
        final = next((a for a in (answer_to(one, all_signals, digit) for digit in "23456") if a), None)
        found.append(ListedCall(one, server, tuple(urls), final.message.status if final else ""))
    return tuple(found)


def _to(signal: Signal) -> str:
    return signal.message.header("to").rpartition(">")[2].lower()


def _handed(signal: Signal) -> Url | None:
    if signal.message.is_response:
        return None
    url = signal.message.played_url() if signal.message.method == "INVITE" else prompt_url(mscml_of(signal.message))
    return Url.parse(url) if url else None
