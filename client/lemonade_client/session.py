"""What the steps of a script share: the mailbox, the calls, what was heard; and how a step waits.

A step is a generator. It acts on the engines at once, and yields where it has to wait: the time at which it wants to
be woken at the latest, or None. Every event is first noted here, then the step is resumed and looks again at what it
waits for; so an event that came during an earlier step is never lost.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from lemonade_client.answering import answer_to
from lemonade_client.behaviour import CORRECT, Behaviour
from lemonade_client.call import Call, Service
from lemonade_client.mail import MailAnswered, Mailbox, MailEvent
from lemonade_wire.address import Address, Resolver
from lemonade_wire.imap import command as commands
from lemonade_wire.imap.bodystructure import BodyStructure
from lemonade_wire.imap.command import Command
from lemonade_wire.profile import DRAFT_07, Profile
from lemonade_wire.script import Script
from lemonade_wire.script.verbs import substitute
from lemonade_wire.sdp.codec import Codec, SdpError
from lemonade_wire.sdp.description import SessionDescription
from lemonade_wire.sdp.offer import NegotiatedStream, read_answer
from lemonade_wire.sip.body import session_description
from lemonade_wire.sip.errors import SipParseError, SipUsageError
from lemonade_wire.sip.event import Event as SipEvent
from lemonade_wire.sip.event import (
    InfoReceived,
    InviteReceived,
    ReinviteAnswered,
    ReinviteConfirmed,
    ReinviteReceived,
    RequestAnswered,
    RequestReceived,
)
from lemonade_wire.sip.message import Response as SipResponse
from lemonade_wire.sip.smime import UNDECIPHERABLE, Smime
from lemonade_wire.sip.uri import SipUri
from lemonade_wire.tls.policy import TlsPolicy

Steps = Generator[float | None, None, None]
"""A step, or a part of one that gives nothing back."""


class StepError(Exception):
    """A step cannot be done; `str()` says why, for the trace and for people."""


class Media(Protocol):
    """The RTP ports of the call, as the steps use them."""

    def open(self, medium: Literal["audio", "video"], codecs: dict[int, Codec], peer: str) -> int:
        """Open a port pair for a call's medium and listen to packets from `peer`; returns the RTP port.

        Raises OSError where no pair is free.
        """

    def renew(self, codecs: dict[int, Codec], *, move: bool) -> int:
        """Listen for these audio codecs too, if `move` on another pair of ports; returns the RTP port.

        What still comes to the ports before is heard as well. Raises OSError where no pair is free.
        """

    def stay(self) -> None:
        """Take the last move back: it was refused."""

    def expect(self, streams: tuple[NegotiatedStream, ...]) -> None:
        """Take note of the answer: listen to its addresses too, and send reports there."""

    def press(self, key: str, held_ms: int) -> float:
        """Press a key by RTP, held for so long; returns the seconds until it is sent.

        Raises ValueError where the answer does not let it.
        """

    def say(self, file: Path) -> float:
        """Send what a WAV file holds; returns the seconds it takes.

        Raises ValueError where it cannot be read or the answer does not let it.
        """

    def close(self) -> None:
        """Close the ports of the call and say what was heard."""


class Phone(Protocol):
    """What the steps ask of `lemonade_wire.sip.ua.UserAgent`."""

    def invite(
        self, uri: SipUri, *, next_hop: Address, now: float, body: bytes = b"", content_type: str = "application/sdp"
    ) -> str:
        """Call; returns the call."""

    def refuse(self, call: str, status: int, *, now: float) -> None:
        """Refuse a call that came in, or a re-INVITE."""

    def accept(self, call: str, body: bytes, *, now: float) -> None:
        """Accept a re-INVITE."""

    def reinvite(self, call: str, body: bytes, *, now: float, uri: SipUri | None = None) -> str:
        """Offer another session, where a `uri` is given by another service; returns the re-INVITE's transaction."""

    def info(
        self, call: str, body: bytes, content_type: str, *, now: float, headers: Iterable[tuple[str, str]] = ()
    ) -> str:
        """Send INFO; returns its transaction."""

    def send(
        self, call: str, method: str, *, now: float, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()
    ) -> str:
        """Send another request in the dialog; returns its transaction."""

    def bye(self, call: str, *, now: float) -> None:
        """Hang up, or give up a call that is not answered."""

    def respond(self, transaction: str, status: int, *, now: float) -> None:
        """Answer a request."""

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
        """Send a request outside a dialog; returns its transaction."""


@dataclass(frozen=True)
class Target:
    """A media server to call: its URI, and whether the IMAP server says it is an authorised user (LS-2.2-8)."""

    uri: SipUri
    authorised: bool = False

    @property
    def service(self) -> Service | None:
        """The service that the URI's user part names; None where it names none (LS-2.2-10, LS-2.2-11)."""
        named = (self.uri.user or "").lower()
        return "annc" if named == "annc" else "ivr" if named == "ivr" else None

    def offers(self, service: Service) -> bool:
        """Whether the service may be asked for there: named, or nothing named."""
        return self.service in {service, None} and (self.uri.user is None or self.service is not None)


@dataclass(frozen=True)
class Part:
    """The part to be streamed, as `find-part` found it."""

    mailbox: str
    uidvalidity: int | None
    uid: int
    section: str
    structure: BodyStructure


@dataclass
class Session:
    """The state that steps share.

    `epoch` + now is the time since 1970; `address` goes into SDP; `tls` is the policy for the mailbox.
    """

    script: Script
    mailbox: Mailbox
    phone: Phone
    media: Media
    address: str
    epoch: float
    resolver: Resolver = field(default_factory=Resolver)
    profile: Profile = DRAFT_07
    behaviour: Behaviour = CORRECT
    tls: TlsPolicy = TlsPolicy.PREFERRED
    smime: Smime = field(default_factory=Smime)
    """By which MSCML is encrypted: for the media servers whose certificates it has, and then for no other one."""
    now: float = 0.0
    heard: float = 0.0
    """Seconds of media received in all calls."""
    part: Part | None = None
    url: str | None = None
    """The authorised URL, exactly as the server gave it."""
    targets: tuple[Target, ...] = ()
    """What discovery found; empty: the configured media server alone."""
    play_offset_ms: float = 0.0
    """Where the last response to `<playcollect>` says that the playing stopped."""
    call: Call | None = None
    waiting_for: str = ""
    notes: list[str] = field(default_factory=list)
    """What is worth telling of the running step beside its success."""
    _finals: dict[str, SipResponse | None] = field(default_factory=dict)
    _requests: int = 0

    # -- events --------------------------------------------------------------------------------------------------

    def note_mail(self, event: MailEvent) -> None:
        """Take an event of the IMAP connection."""
        self.mailbox.note(event)

    def note_sip(self, event: SipEvent) -> None:
        """Take an event of the user agent, and answer what has to be answered at once."""
        match event:
            case InviteReceived(call=call):
                self.phone.refuse(call, 486, now=self.now)
            case ReinviteReceived():
                self._reinvited(event)
            case ReinviteConfirmed(ack=ack) if ack.body and self.call is not None:
                with suppress(SdpError):  # our offer stands, and what is sent to it is heard
                    self.media.expect(read_answer(self.call.offer, SessionDescription.parse(ack.body)))
            case RequestReceived(transaction=transaction):
                self._respond(transaction, 501)
            case RequestAnswered() | ReinviteAnswered():
                transaction, response = event.transaction, event.response
                self._finals[transaction] = response
            case InfoReceived(call=call, transaction=transaction):
                known = len(self.call.responses) if self.call else 0
                self._note_call(event)
                is_response = self.call is not None and len(self.call.responses) > known
                if self.behaviour.answers_response or not is_response:
                    # RFC 5022 section 5.1: 200 whatever is in it, an id that is not known included.
                    undeciphered = self.call is not None and self.call.undeciphered
                    self._respond(transaction, UNDECIPHERABLE if undeciphered else 200)
            case _:
                self._note_call(event)

    def _reinvited(self, event: ReinviteReceived) -> None:
        """Answer the media server's re-INVITE by what the call can do; without an offer it gets our last one."""
        call = self.call
        if call is None or call.id != event.call:
            self.phone.refuse(event.call, 481, now=self.now)
            return
        try:
            offer = session_description(event.request)
            if offer is not None:
                made = answer_to(call.offer, SessionDescription.parse(offer), self.address)
                call.offer = made.description
                self.media.expect(made.streams)
        except (SdpError, SipParseError):
            self.phone.refuse(call.id, 488, now=self.now)
        else:
            self.phone.accept(call.id, bytes(call.offer), now=self.now)

    def _respond(self, transaction: str, status: int) -> None:
        with suppress(SipUsageError):  # the call ended first, and the user agent has answered
            self.phone.respond(transaction, status, now=self.now)

    def _note_call(self, event: SipEvent) -> None:
        if self.call is not None and getattr(event, "call", None) == self.call.id:
            self.call.observe(event)

    # -- waiting -------------------------------------------------------------------------------------------------

    def until(self, ready: Callable[[], bool], what: str, at: float | None = None) -> Steps:
        """Wait until `ready()`, or until the time `at`; `what` names it if the step's deadline comes first."""
        self.waiting_for = what
        while not ready() and (at is None or self.now < at):
            yield at

    def command(self, command: Command) -> Generator[float | None, None, MailAnswered]:
        """Send an IMAP command, connecting and logging in first where that is not done; return its answer."""
        if not self.mailbox.logged_in:
            yield from self._log_in()
        return (yield from self.exchange(command))

    def exchange(self, command: Command) -> Generator[float | None, None, MailAnswered]:
        """Send an IMAP command on the open connection and return its answer; raises StepError where it is lost."""
        box = self.mailbox
        tag = box.mail.send(command)
        yield from self.until(lambda: tag in box.answers or bool(box.lost), f"the answer to {command.name}")
        if tag not in box.answers:
            raise StepError(f"{command.name}: {box.lost}")
        return box.answers.pop(tag)

    def _log_in(self) -> Steps:
        box = self.mailbox
        box.open()
        yield from self.until(lambda: box.is_open or bool(box.lost), "the IMAP greeting")
        if box.lost:
            raise StepError(f"IMAP: {box.lost}")
        if box.mail.capabilities is None:
            yield from self.exchange(commands.capability())
        yield from self._secure()
        account = self.script.account
        known = box.mail.capabilities or frozenset()
        if "AUTH=PLAIN" in known:
            login = commands.authenticate_plain(account.user, account.password)
        elif "LOGINDISABLED" in known:
            raise StepError("IMAP: the server takes no password by any way that this client has here")
        else:
            login = commands.login(account.user, account.password)
        answer = yield from self.exchange(login)
        if answer.status.result != "OK":
            raise StepError(f"IMAP: the login got {answer.status.result} {answer.status.text}")
        if box.mail.capabilities is None:  # RFC 3501 section 6.2: what was known before the login is out of date
            yield from self.exchange(commands.capability())
        box.logged_in = True

    def _secure(self) -> Steps:
        """Begin TLS as the policy says (RFC 3501, 6.2.1); what was offered before counts no more."""
        mail = self.mailbox.mail
        if mail.encrypted or self.tls is TlsPolicy.NEVER or not self.behaviour.begins_tls:
            return
        why = "offers no STARTTLS"
        if "STARTTLS" in (mail.capabilities or ()):
            answer = yield from self.exchange(commands.starttls())
            if answer.status.result == "OK":
                yield from self.exchange(commands.capability())
                return
            why = f"answered STARTTLS with {answer.status.result}"
        if self.tls is TlsPolicy.REQUIRED:
            raise StepError(f"IMAP: the server {why}")

    def answer(self, transaction: str, what: str) -> Generator[float | None, None, SipResponse | None]:
        """Wait for the final response to a request of ours; None where none came."""
        yield from self.until(lambda: transaction in self._finals, f"the answer to {what}")
        return self._finals.pop(transaction)

    # -- values --------------------------------------------------------------------------------------------------

    def text(self, text: str, escaped: Callable[[str], str] = str) -> str:
        """Put the values known by now, `escaped`, into a raw step's text; raises StepError where one is missing."""
        values = {}
        if self.url is not None:
            values["url"] = self.url
        if self.part is not None:
            values |= {"uid": str(self.part.uid), "section": self.part.section}
        try:
            return substitute(text, {name: escaped(value) for name, value in values.items()})
        except ValueError as problem:
            raise StepError(f"{problem} (an earlier step sets it)") from problem

    def next_id(self) -> str:
        """Return an id that no other request of this script has."""
        self._requests += 1
        return str(self._requests)

    def hop(self, uri: SipUri) -> Address:
        """Return where requests for a URI are sent."""
        return self.resolver.resolve(uri.host.strip("[]"), uri.port or 5060)

    def configured(self) -> Target | None:
        """Return the script's own media server; its user part is not looked at."""
        if self.script.media is None:
            return None
        uri = SipUri.parse(self.script.media)
        return Target(SipUri("sip", None, uri.host, uri.port, uri.params))

    def media_server(self, service: Service) -> Target:
        """Return the first media server that offers a service: of those discovered, else the configured one."""
        found = next((target for target in self.targets if target.offers(service)), None) or self.configured()
        if found is None:
            raise StepError(f"no media server for {service}: none was discovered, and the script names none")
        return found
