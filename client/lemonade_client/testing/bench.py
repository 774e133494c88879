"""A bench for tests of the runner: a script, the engines of `lemonade_client.testing.engines`, and a time.

run = Bench(TICKET_STEPS + "  - announce: {}\n").start().answered()
assert run.states == ["1 done", "2 done", "3 done"]
"""

from __future__ import annotations

from lemonade_client.behaviour import CORRECT, ClientBehaviour
from lemonade_client.call import ClientCall
from lemonade_client.faults.registry import FAULTS
from lemonade_client.mailbox_session import MailboxSession
from lemonade_client.runner import ScriptRunner, StepReported
from lemonade_client.session import Session
from lemonade_client.testing.engines import SERVER, TOKEN, Asked, BenchMail, BenchMedia, BenchPhone
from lemonade_wire.address import Resolver
from lemonade_wire.profile import DRAFT_07, Profile
from lemonade_wire.script import load_yaml, parse_script
from lemonade_wire.sip.event import (
    CallAnswered,
    CallEnded,
    CallRefused,
    EndReason,
    Event,
    InfoReceived,
    ReinviteAnswered,
    RequestAnswered,
)
from lemonade_wire.sip.message import SipRequest, SipResponse, parse_datagram

TICKET_STEPS = "  - find-part: {}\n  - authorise: {access: anonymous, expire: 10 min}\n"
TICKET = (
    "imap://joe@imap.example.com/INBOX;UIDVALIDITY=385759045/;UID=20/;SECTION=2"
    ";EXPIRE=2027-01-15T08:10:00Z;URLAUTH=anonymous:INTERNAL:" + TOKEN
)

ANSWER = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\n"
    "m=audio 16384 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendonly\r\n"
)


def sip_response(status: int, reason: str = "Reason", body: str = "", kind: str = "application/sdp") -> SipResponse:
    """Return a response to an INVITE, parsed from its octets."""
    kind = f"Content-Type: {kind}\r\n" if body else ""
    text = (
        f"SIP/2.0 {status} {reason}\r\nVia: SIP/2.0/UDP 127.0.0.3;branch=z9hG4bK1\r\nFrom: <sip:c@127.0.0.3>;tag=1\r\n"
        f"To: <sip:annc@media.example.net>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContact: <sip:annc@127.0.0.2>\r\n"
        f"{kind}Content-Length: {len(body)}\r\n\r\n{body}"
    )
    message = parse_datagram(text.encode())
    assert isinstance(message, SipResponse)
    return message


def sip_info(body: str, kind: str = "application/mediaservercontrol+xml") -> SipRequest:
    """Return an INFO of the media server, parsed from its octets."""
    text = (
        "INFO sip:c@127.0.0.3 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK2\r\nFrom: <sip:ivr@x>;tag=2\r\n"
        f"To: <sip:c@127.0.0.3>;tag=1\r\nCall-ID: 1\r\nCSeq: 5 INFO\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )
    message = parse_datagram(text.encode())
    assert isinstance(message, SipRequest)
    return message


def behaviour_of(fault: str) -> ClientBehaviour:
    """Return the behaviour of a client with this fault; for an empty name that of the correct client."""
    behaviour = FAULTS.pick(fault) if fault else CORRECT
    assert isinstance(behaviour, ClientBehaviour)
    return behaviour


class Bench:
    """A runner with its three engines and a time that the test sets. Its methods return the bench itself."""

    def __init__(
        self,
        steps: str,
        *,
        head: str = "media: 'sip:media.example.net'\nmedia-length: 12.0\n",
        behaviour: ClientBehaviour = CORRECT,
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
            mailbox=MailboxSession(self.mail),
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
        """Start the script, and exchange IMAP until the runner has to wait for another event."""
        self.runner.start(self.now)
        return self.settle()

    def settle(self) -> Bench:
        """Exchange IMAP commands and answers until none is left."""
        while events := self.mail.pump():
            for event in events:
                self.runner.mail_event(event, self.now)
        return self

    def sip(self, event: Event) -> Bench:
        """Give an event of the user agent to the runner."""
        self.runner.sip_event(event, self.now)
        return self.settle()

    def at(self, seconds: float) -> Bench:
        """Set the time to so many seconds after the start."""
        self.now = 100.0 + seconds
        self.runner.handle_timer(self.now)
        return self.settle()

    def hear(self, seconds: float) -> Bench:
        """Set the seconds of media received in all."""
        self.runner.heard(seconds, self.now)
        return self.settle()

    def last(self, what: str) -> Asked:
        """Return the last call of the user agent's methods with this name."""
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
        """Answer the last INVITE with sendrecv and telephone-event."""
        keys = ANSWER.replace("AVP 0", "AVP 0 101").replace(
            "a=sendonly", "a=rtpmap:101 telephone-event/8000\r\na=sendrecv"
        )
        return self.sip(CallAnswered(self.last("INVITE").name, sip_response(200, "OK", keys)))

    def info_answered(self, status: int = 200) -> Bench:
        """Answer the last INFO."""
        info = self.last("INFO")
        return self.sip(RequestAnswered(info.target, info.name, sip_response(status)))

    def response(self, attributes: str, inner: str = "") -> Bench:
        """Send the response to <playcollect> from the media server."""
        return self.mscml(f'<response request="playcollect" {attributes}>{inner}</response>')

    def mscml(self, body: str) -> Bench:
        """Send an MSCML response or notification from the media server."""
        document = f'<MediaServerControl version="1.0">{body}</MediaServerControl>'
        return self.sip(InfoReceived(self.last("INVITE").name, sip_info(document), "peer-1"))

    def ended(self, why: EndReason = "bye-received") -> Bench:
        """End the last call."""
        return self.sip(CallEnded(self.last("INVITE").name, why))

    @property
    def call(self) -> ClientCall:
        """The call of the script; raises AssertionError if there is none."""
        assert self.session.call is not None
        return self.session.call

    @property
    def states(self) -> list[str]:
        """The reports of ended steps in short form: `1 done`."""
        return [f"{report.index} {report.state}" for report in self.reports if report.state != "started"]

    @property
    def why(self) -> str:
        """The text of the last report."""
        return self.reports[-1].why
