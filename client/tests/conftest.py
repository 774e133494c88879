"""A bench for the runner: an IMAP server of a few lines, and a telephone that writes down what it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from lemonade_client.behaviour import CORRECT, Behaviour
from lemonade_client.mail import MailAnswered, Mailbox, MailEvent, MailLost, MailOpened
from lemonade_client.runner import ScriptRunner, StepReported
from lemonade_client.session import Session
from lemonade_wire.address import Address, Resolver
from lemonade_wire.imap.client import CommandDone, ImapClient
from lemonade_wire.imap.command import Command
from lemonade_wire.profile import DRAFT_07, Profile
from lemonade_wire.script import load_yaml, parse_script
from lemonade_wire.sdp.codec import Codec
from lemonade_wire.sdp.offer import NegotiatedStream
from lemonade_wire.sip.event import (
    CallAnswered,
    CallEnded,
    CallRefused,
    Event,
    InfoReceived,
    ReinviteAnswered,
    RequestAnswered,
)
from lemonade_wire.sip.message import Request, Response, parse_datagram
from lemonade_wire.sip.uri import SipUri

STRUCTURE = (
    b'(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 11 1)("AUDIO" "BASIC" NIL NIL NIL "BASE64" 87256) "MIXED")'
)
TOKEN = "01" + "ab" * 20
# Command's beginning, in capitals -> untagged lines and tagged result; {arg} is the command's first quoted text.
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
    """A `Mail` on the real engine, answered from a table; `sent` holds every command line."""

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
        return self.engine.capabilities

    @property
    def encrypted(self) -> bool:
        return self.engine.encrypted

    def open(self) -> None:
        self.opened += 1
        if self.refused:
            self.events.append(MailLost(self.refused))
            return
        self.engine.receive_data(b"* OK hello\r\n")
        self.events.append(MailOpened())

    def send(self, command: Command) -> str:
        return self.engine.send(command)

    def close(self) -> None:
        self.closed = True

    def pump(self) -> list[MailEvent]:
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
    """One thing that the telephone was asked to do."""

    what: str
    name: str
    target: Any = None
    body: bytes = b""
    kind: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    uri: str | None = None


class BenchPhone:
    """A `Phone` that writes down what it is asked; names are call-1, tx-1 and so on."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def _note(self, what: str, prefix: str, **more: Any) -> str:  # noqa: ANN401
        name = f"{prefix}-{len(self.asked) + 1}"
        self.asked.append(Asked(what, name, **more))
        return name

    def invite(
        self, uri: SipUri, *, next_hop: Address, now: float, body: bytes = b"", content_type: str = "application/sdp"
    ) -> str:
        return self._note("INVITE", "call", target=(str(uri), next_hop), body=body, kind=content_type)

    def accept(self, call: str, body: bytes, *, now: float) -> None:
        self._note("accept", "none", target=call, body=body)

    def refuse(self, call: str, status: int, *, now: float) -> None:
        self._note(f"refuse {status}", "none", target=call)

    def reinvite(self, call: str, body: bytes, *, now: float, uri: SipUri | None = None) -> str:
        return self._note("re-INVITE", "tx", target=call, body=body, uri=None if uri is None else str(uri))

    def info(
        self, call: str, body: bytes, content_type: str, *, now: float, headers: Iterable[tuple[str, str]] = ()
    ) -> str:
        return self._note("INFO", "tx", target=call, body=body, kind=content_type, headers=tuple(headers))

    def send(
        self, call: str, method: str, *, now: float, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()
    ) -> str:
        return self._note(method, "tx", target=call, body=body, headers=tuple(headers))

    def bye(self, call: str, *, now: float) -> None:
        self._note("BYE", "none", target=call)

    def respond(self, transaction: str, status: int, *, now: float) -> None:
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
        return self._note(method, "tx", target=(str(uri), next_hop), body=body, headers=tuple(headers))


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
        if self.full:
            raise OSError("none left")
        self.opened.append((medium, codecs, peer))
        return 20000 if medium == "audio" else 20002

    def renew(self, codecs: dict[int, Codec], *, move: bool) -> int:
        if move and self.full:
            raise OSError("none left")
        self.renewed.append((codecs, move))
        self.port = 20004 if move else self.port
        return self.port

    def stay(self) -> None:
        self.port = 20000

    def expect(self, streams: tuple[NegotiatedStream, ...]) -> None:
        self.streams = streams

    def say(self, file: Path) -> float:
        self.said.append(file)
        return 1.5

    def press(self, key: str, held_ms: int) -> float:
        if self.streams[0].telephone_event is None:
            raise ValueError("no telephone-event")
        self.pressed.append((key, held_ms))
        return 0.3

    def close(self) -> None:
        self.closed += 1


ANSWER = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\n"
    "m=audio 16384 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendonly\r\n"
)


def sip_response(status: int, reason: str = "Reason", body: str = "", kind: str = "application/sdp") -> Response:
    """Return a response to an INVITE, read from octets."""
    kind = f"Content-Type: {kind}\r\n" if body else ""
    text = (
        f"SIP/2.0 {status} {reason}\r\nVia: SIP/2.0/UDP 127.0.0.3;branch=z9hG4bK1\r\nFrom: <sip:c@127.0.0.3>;tag=1\r\n"
        f"To: <sip:annc@media.example.net>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContact: <sip:annc@127.0.0.2>\r\n"
        f"{kind}Content-Length: {len(body)}\r\n\r\n{body}"
    )
    message = parse_datagram(text.encode())
    assert isinstance(message, Response)
    return message


def sip_info(body: str, kind: str = "application/mediaservercontrol+xml") -> Request:
    """Return an INFO of the media server, read from octets."""
    text = (
        "INFO sip:c@127.0.0.3 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK2\r\nFrom: <sip:ivr@x>;tag=2\r\n"
        f"To: <sip:c@127.0.0.3>;tag=1\r\nCall-ID: 1\r\nCSeq: 5 INFO\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )
    message = parse_datagram(text.encode())
    assert isinstance(message, Request)
    return message


class Bench:
    """A runner with its three engines, at a time that the test sets."""

    def __init__(
        self,
        steps: str,
        *,
        head: str = "media: 'sip:media.example.net'\nmedia-length: 12.0\n",
        behaviour: Behaviour = CORRECT,
        profile: Profile = DRAFT_07,
        server: dict[str, str] | None = None,
    ) -> None:
        text = f"account: {{host: imap.example.com, user: joe, password: secret}}\n{head}steps:\n{steps}"
        self.mail = BenchMail({**SERVER, **(server or {})})
        self.phone = BenchPhone()
        self.media = BenchMedia()
        self.reports: list[StepReported] = []
        self.now = 100.0
        self.session = Session(
            script=parse_script(load_yaml(text, "script.yaml")),
            mailbox=Mailbox(self.mail),
            phone=self.phone,
            media=self.media,
            address="127.0.0.3",
            epoch=1_800_000_000.0 - 100.0,  # the script begins at 2027-01-15T08:00:00Z
            resolver=Resolver.parse(["media.example.net=127.0.0.2:5060"]),
            behaviour=behaviour,
            profile=profile,
        )
        self.runner = ScriptRunner(self.session, self.reports.append)

    def start(self) -> Bench:
        """Begin, and let IMAP run as far as it goes."""
        self.runner.start(self.now)
        return self.settle()

    def settle(self) -> Bench:
        """Carry IMAP to and fro until nothing is left."""
        while events := self.mail.pump():
            for event in events:
                self.runner.mail_event(event, self.now)
        return self

    def sip(self, event: Event) -> Bench:
        """Have something happen on the telephone."""
        self.runner.sip_event(event, self.now)
        return self.settle()

    def at(self, seconds: float) -> Bench:
        """Move the time to so many seconds after the beginning."""
        self.now = 100.0 + seconds
        self.runner.handle_timer(self.now)
        return self.settle()

    def hear(self, seconds: float) -> Bench:
        """Have so much media arrive in all."""
        self.runner.heard(seconds, self.now)
        return self.settle()

    make_response = staticmethod(sip_response)
    make_info = staticmethod(sip_info)

    def last(self, what: str) -> Asked:
        """Return the last thing of that kind that the telephone was asked."""
        return next(one for one in reversed(self.phone.asked) if one.what == what)

    def answered(self, status: int = 200, *, body: str = ANSWER, kind: str = "application/sdp") -> Bench:
        """Answer the last INVITE."""
        call = self.last("INVITE").name
        if status < 300:
            return self.sip(CallAnswered(call, sip_response(status, "OK", body, kind)))
        return self.sip(CallRefused(call, sip_response(status)))

    def reinvite_answered(self, status: int = 200, body: str = ANSWER) -> Bench:
        """Answer the last re-INVITE."""
        asked = self.last("re-INVITE")
        return self.sip(ReinviteAnswered(asked.target, asked.name, sip_response(status, "Reason", body)))

    def answered_with_keys(self) -> Bench:
        """Answer the last INVITE both ways, telephone-event agreed to."""
        keys = ANSWER.replace("AVP 0", "AVP 0 101").replace(
            "a=sendonly", "a=rtpmap:101 telephone-event/8000\r\na=sendrecv"
        )
        return self.sip(CallAnswered(self.last("INVITE").name, sip_response(200, "OK", keys)))

    def info_answered(self, status: int = 200) -> Bench:
        """Answer the last INFO."""
        info = self.last("INFO")
        return self.sip(RequestAnswered(info.target, info.name, sip_response(status)))

    def response(self, attributes: str, inner: str = "") -> Bench:
        """Have the media server send the response to <playcollect>."""
        return self.mscml(f'<response request="playcollect" {attributes}>{inner}</response>')

    def mscml(self, body: str) -> Bench:
        """Have the media server send a response or a notification."""
        document = f'<MediaServerControl version="1.0">{body}</MediaServerControl>'
        return self.sip(InfoReceived(self.last("INVITE").name, sip_info(document), "peer-1"))

    def ended(self, why: Any = "bye-received") -> Bench:  # noqa: ANN401
        """End the last call."""
        return self.sip(CallEnded(self.last("INVITE").name, why))

    @property
    def states(self) -> list[str]:
        """The reports in short: `1 done`."""
        return [f"{report.index} {report.state}" for report in self.reports if report.state != "started"]

    @property
    def why(self) -> str:
        """What the last report says."""
        return self.reports[-1].why


@pytest.fixture
def bench() -> Callable[..., Bench]:
    return Bench


TICKET_STEPS = "  - find-part: {}\n  - authorise: {access: anonymous, expire: 10 min}\n"
TICKET = (
    "imap://joe@imap.example.com/INBOX;UIDVALIDITY=385759045/;UID=20/;SECTION=2"
    ";EXPIRE=2027-01-15T08:10:00Z;URLAUTH=anonymous:INTERNAL:" + TOKEN
)


@pytest.fixture
def ticket_steps() -> str:
    return TICKET_STEPS


@pytest.fixture
def ticket() -> str:
    return TICKET
