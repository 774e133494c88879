"""Engines for tests of the runner: an IMAP server with a table of answers, and a user agent that records its calls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lemonade_client.mailbox_session import MailAnswered, MailEvent, MailLost, MailOpened
from lemonade_wire.address import Address
from lemonade_wire.imap.client import CommandDone, ImapClient
from lemonade_wire.imap.command import ImapCommand
from lemonade_wire.sdp.codec import Codec
from lemonade_wire.sdp.offer import NegotiatedStream
from lemonade_wire.sip.message.uri import SipUri

STRUCTURE = (
    b'(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 11 1)("AUDIO" "BASIC" NIL NIL NIL "BASE64" 87256) "MIXED")'
)
TOKEN = "01" + "ab" * 20
# Start of a command, in capitals: its untagged responses and tagged result; {arg} is the command's first quoted text.
SERVER = {
    "CAPABILITY": "* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR URLAUTH METADATA\r\n",
    "AUTHENTICATE PLAIN AGPVZQBZZWNYZXQ=": "",
    "SELECT": "* 3 EXISTS\r\n* OK [UIDVALIDITY 385759045] x\r\n",
    "UID SEARCH ALL": "* SEARCH 7 20 9\r\n",
    "UID FETCH 20 (BODYSTRUCTURE)": f"* 3 FETCH (UID 20 BODYSTRUCTURE {STRUCTURE.decode()})\r\n",
    "GENURLAUTH": '* GENURLAUTH "{arg}:INTERNAL:' + TOKEN + '"\r\n',
    "GETMETADATA": "",
    "LOGOUT": "* BYE see you\r\n",
    "NOOP": "",
}


class BenchMail:
    """A `Mail` with the real IMAP engine, whose commands are answered from a table; `sent` holds all command lines."""

    def __init__(self, table: dict[str, str]) -> None:
        self.engine = ImapClient()
        self.table = table
        self.sent: list[str] = []
        self.opened = 0
        self.closed = False
        self.refused = ""
        self.events: list[MailEvent] = []

    @property
    def capabilities(self) -> frozenset[str] | None:
        """The capabilities that the engine knows; None before CAPABILITY was answered."""
        return self.engine.capabilities

    @property
    def encrypted(self) -> bool:
        """Whether TLS has begun."""
        return self.engine.encrypted

    def open(self) -> None:
        """Connect: an event for the greeting, or for the loss if `refused` says why."""
        self.opened += 1
        if self.refused:
            self.events.append(MailLost(self.refused))
            return
        self.engine.receive_data(b"* OK hello\r\n")
        self.events.append(MailOpened())

    def send(self, command: ImapCommand) -> str:
        """Give a command to the engine; returns its tag."""
        return self.engine.send(command)

    def close(self) -> None:
        """Note that the connection is closed."""
        self.closed = True

    def pump(self) -> list[MailEvent]:
        """Answer all commands that wait from the table, and return the events since the last call."""
        for line in self.engine.data_to_send().decode().split("\r\n")[:-1]:
            tag, _, command = line.partition(" ")
            self.sent.append(command)
            key = max((key for key in self.table if command.upper().startswith(key)), key=len, default=None)
            answer = self.table[key] if key else None
            if answer == "silence":
                continue
            last = answer.split("\r\n")[-1] if answer is not None else "BAD not in the table"
            untagged = (answer or "").removesuffix(last)
            argument = command.partition('"')[2].partition('"')[0]
            text = untagged.replace("{arg}", argument) + f"{tag} {last or 'OK done'}\r\n"
            for event in self.engine.receive_data(text.encode()):
                if isinstance(event, CommandDone):
                    if self.engine.tls_awaited:
                        self.engine.tls_begun()
                    self.events.append(MailAnswered(event.tag, event.status, event.untagged))
        taken, self.events = self.events, []
        return taken


@dataclass
class Asked:
    """A call of one of the user agent's methods, with its arguments."""

    what: str
    name: str
    target: str = ""
    """The call or the transaction; empty outside a dialog."""
    sent_to: tuple[str, Address] = ("", Address("", 0))
    """The URI and the next hop of a request outside a dialog."""
    body: bytes = b""
    kind: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    uri: str | None = None


class BenchPhone:
    """A `Phone` that records the calls of its methods; calls and transactions are named call-1, tx-1 and so on."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def _note(self, what: str, prefix: str, **more: Any) -> str:  # noqa: ANN401  the fields of Asked
        name = f"{prefix}-{len(self.asked) + 1}"
        self.asked.append(Asked(what, name, **more))
        return name

    def invite(
        self, uri: SipUri, *, next_hop: Address, now: float, body: bytes = b"", content_type: str = "application/sdp"
    ) -> str:
        """Record an INVITE; `sent_to` is where it goes."""
        return self._note("INVITE", "call", sent_to=(str(uri), next_hop), body=body, kind=content_type)

    def accept(self, call: str, body: bytes, *, now: float) -> None:
        """Record that a call or a re-INVITE is accepted."""
        self._note("accept", "none", target=call, body=body)

    def refuse(self, call: str, status: int, *, now: float) -> None:
        """Record that a call or a re-INVITE is refused: `refuse 488`."""
        self._note(f"refuse {status}", "none", target=call)

    def reinvite(self, call: str, body: bytes, *, now: float, uri: SipUri | None = None) -> str:
        """Record a re-INVITE."""
        return self._note("re-INVITE", "tx", target=call, body=body, uri=None if uri is None else str(uri))

    def info(
        self, call: str, body: bytes, content_type: str, *, now: float, headers: Iterable[tuple[str, str]] = ()
    ) -> str:
        """Record an INFO."""
        return self._note("INFO", "tx", target=call, body=body, kind=content_type, headers=tuple(headers))

    def send(
        self, call: str, method: str, *, now: float, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()
    ) -> str:
        """Record a request inside a call."""
        return self._note(method, "tx", target=call, body=body, headers=tuple(headers))

    def bye(self, call: str, *, now: float) -> None:
        """Record a BYE."""
        self._note("BYE", "none", target=call)

    def respond(self, transaction: str, status: int, *, now: float) -> None:
        """Record a response to a request: `respond 501`."""
        self._note(f"respond {status}", "none", target=transaction)

    def request(
        self,
        method: str,
        uri: SipUri,
        *,
        next_hop: Address,
        now: float,
        body: bytes = b"",
        headers: Iterable[tuple[str, str]] = (),
    ) -> str:
        """Record a request outside a dialog; `sent_to` is where it goes."""
        return self._note(method, "tx", sent_to=(str(uri), next_hop), body=body, headers=tuple(headers))


@dataclass
class BenchMedia:
    """A `Media` without sockets."""

    opened: list[tuple[str, dict[int, Codec], str]] = field(default_factory=list)
    streams: tuple[NegotiatedStream, ...] = ()
    closed: int = 0
    full: bool = False
    port: int = 20000
    renewed: list[tuple[dict[int, Codec], bool]] = field(default_factory=list)
    pressed: list[tuple[str, int]] = field(default_factory=list)
    said: list[Path] = field(default_factory=list)

    def open(self, medium: Literal["audio", "video"], codecs: dict[int, Codec], peer: str) -> int:
        """Record the request for a port; returns it. Raises OSError if no port is free."""
        if self.full:
            raise OSError("none left")
        self.opened.append((medium, codecs, peer))
        return 20000 if medium == "audio" else 20002

    def renew(self, codecs: dict[int, Codec], *, move: bool) -> int:
        """Record the codecs of a new offer; returns the port. Raises OSError if it is to move and no port is free."""
        if move and self.full:
            raise OSError("none left")
        self.renewed.append((codecs, move))
        self.port = 20004 if move else self.port
        return self.port

    def stay(self) -> None:
        """Return to the first port."""
        self.port = 20000

    def expect(self, streams: tuple[NegotiatedStream, ...]) -> None:
        """Keep the streams of the answer."""
        self.streams = streams

    def say(self, file: Path) -> float:
        """Record the file that is spoken; returns its length in seconds."""
        self.said.append(file)
        return 1.5

    def press(self, key: str, held_ms: int) -> float:
        """Record a key and its length; returns the seconds that it takes. Raises ValueError without telephone-event."""
        if self.streams[0].telephone_event is None:
            raise ValueError("no telephone-event")
        self.pressed.append((key, held_ms))
        return 0.3

    def close(self) -> None:
        """Count the call of this method."""
        self.closed += 1
