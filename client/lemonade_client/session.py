"""The state that the steps of a script share (mailbox, call, media received), and the way in which a step waits.

A step is a generator. It calls the methods of the engines, and yields when it has to wait: the time at which it must be
resumed at the latest, or None. Each event is stored here first; then the step is resumed and checks its condition
again. So an event that comes during an earlier step is not lost.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from lemonade_client.behaviour import CORRECT, ClientBehaviour
from lemonade_client.call import ClientCall, Service
from lemonade_client.mailbox_session import MailAnswered, MailboxSession, MailEvent
from lemonade_client.sdp_answer import answer_to
from lemonade_wire.address import Address, Resolver
from lemonade_wire.imap import command as commands
from lemonade_wire.imap.command import ImapCommand
from lemonade_wire.imap.login import ClientLoginPolicy, ImapLoginError, LoginSteps, log_in, secure
from lemonade_wire.profile import DRAFT_07, Profile
from lemonade_wire.script import Script, ScriptStep
from lemonade_wire.script.verbs import substitute
from lemonade_wire.sdp.codec import Codec, SdpError
from lemonade_wire.sdp.description import SessionDescription
from lemonade_wire.sdp.offer import NegotiatedStream, read_answer
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
from lemonade_wire.sip.message import SipResponse
from lemonade_wire.sip.message.body import session_description
from lemonade_wire.sip.message.smime import UNDECIPHERABLE, Smime
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.tls import TlsPolicy

Steps = Generator[float | None, None, None]
"""A step, or a part of a step that returns nothing."""

CALLS: dict[str, Service] = {"announce": "annc", "ivr": "ivr", "mscml": "ivr"}
"""The steps that call a media server, and the service that each of them calls."""


class StepError(Exception):
    """A step has failed; the text gives the reason, for the trace and for the user."""


class Media(Protocol):
    """The RTP ports of the call: the interface that the steps use."""

    def open(self, medium: Literal["audio", "video"], codecs: dict[int, Codec], peer: str) -> int:
        """Open a pair of ports for an m-line of a call and accept packets from `peer`; returns the RTP port.

        `codecs` maps payload types to codecs. Raises OSError if no pair is free.
        """

    def renew(self, codecs: dict[int, Codec], *, move: bool) -> int:
        """Accept these audio codecs too, with `move` on another pair of ports; returns the RTP port.

        Packets that come to the ports before are still received. Raises OSError if no pair is free.
        """

    def stay(self) -> None:
        """Undo the last move to other ports, which the media server has refused."""

    def expect(self, streams: tuple[NegotiatedStream, ...]) -> None:
        """Use the negotiated streams: accept packets from their addresses, and send RTP and reports there."""

    def press(self, key: str, held_ms: int) -> float:
        """Send a key press by RTP (RFC 4733), held for `held_ms`; returns the seconds until its last packet.

        Raises ValueError if the answer does not allow it.
        """

    def say(self, file: Path) -> float:
        """Send the sound of a WAV file; returns its duration in seconds.

        Raises ValueError if the file cannot be read or the answer does not allow it.
        """

    def close(self) -> None:
        """Close the ports of the call, and write what was heard to the trace."""


class Phone(Protocol):
    """The methods of `lemonade_wire.sip.ua.UserAgent` that the steps use."""

    def invite(
        self, uri: SipUri, *, next_hop: Address, now: float, body: bytes = b"", content_type: str = "application/sdp"
    ) -> str:
        """Send an INVITE; returns the id of the call."""

    def refuse(self, call: str, status: int, *, now: float) -> None:
        """Refuse an INVITE or a re-INVITE that was received."""

    def accept(self, call: str, body: bytes, *, now: float) -> None:
        """Answer a re-INVITE with 200."""

    def reinvite(self, call: str, body: bytes, *, now: float, uri: SipUri | None = None) -> str:
        """Send a re-INVITE; returns its transaction. A `uri` is the Request-URI of another service."""

    def info(
        self, call: str, body: bytes, content_type: str, *, now: float, headers: Iterable[tuple[str, str]] = ()
    ) -> str:
        """Send an INFO in the dialog; returns its transaction."""

    def send(
        self, call: str, method: str, *, now: float, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()
    ) -> str:
        """Send another request in the dialog; returns its transaction."""

    def bye(self, call: str, *, now: float) -> None:
        """End a call: with BYE, or with CANCEL if it is not answered yet."""

    def respond(self, transaction: str, status: int, *, now: float) -> None:
        """Answer a request other than INVITE."""

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
class ChosenServer:
    """A media server to call: its URI, and whether the IMAP server lists it as an authorised user (LS-2.2-8)."""

    uri: SipUri
    authorised: bool = False

    @property
    def service(self) -> Service | None:
        """The service that the URI's user part names, None if it names none (LS-2.2-10, LS-2.2-11)."""
        named = (self.uri.user or "").lower()
        return "annc" if named == "annc" else "ivr" if named == "ivr" else None

    def offers(self, service: Service) -> bool:
        """Whether the service may be called there: the URI names it, or has no user part."""
        return self.service in {service, None} and (self.uri.user is None or self.service is not None)


@dataclass(frozen=True)
class ChosenPart:
    """The message part to be streamed, which the step `find-part` has found."""

    mailbox: str
    uidvalidity: int | None
    uid: int
    section: str


@dataclass
class Session:
    """The state that the steps of a script share.

    `epoch` + `now` is the time in seconds since 1970. `address` is the IP address for SDP. `tls` is the policy for the
    IMAP connection.
    """

    script: Script
    mailbox: MailboxSession
    phone: Phone
    media: Media
    address: str
    epoch: float
    resolver: Resolver = field(default_factory=Resolver)
    profile: Profile = DRAFT_07
    behaviour: ClientBehaviour = CORRECT
    tls: TlsPolicy = TlsPolicy.PREFERRED
    smime: Smime = field(default_factory=Smime)
    """Key and certificates for encrypted MSCML. If it has any certificate, a media server without one gets no MSCML."""
    now: float = 0.0
    heard: float = 0.0
    """Seconds of media received in all calls."""
    part: ChosenPart | None = None
    url: str | None = None
    """The authorised URL, with the same octets as the IMAP server gave it."""
    ahead: tuple[ScriptStep, ...] = ()
    """The script's steps after the running one."""
    targets: tuple[ChosenServer, ...] = ()
    """The media servers that discovery found; empty: only the configured one can be called."""
    play_offset_ms: float = 0.0
    """The `playoffset` of the last MSCML response: the position, in ms, at which the playing stopped."""
    call: ClientCall | None = None
    waiting_for: str = ""
    notes: list[str] = field(default_factory=list)
    """Texts that are reported with the success of the running step."""
    _finals: dict[str, SipResponse | None] = field(default_factory=dict)
    _requests: int = 0

    # -- events --------------------------------------------------------------------------------------------------

    def note_mail(self, event: MailEvent) -> None:
        """Store an event of the IMAP connection."""
        self.mailbox.note(event)

    def note_sip(self, event: SipEvent) -> None:
        """Store an event of the user agent, and answer requests from the media server."""
        match event:
            case InviteReceived(call=call):
                self.phone.refuse(call, 486, now=self.now)
            case ReinviteReceived():
                self._reinvited(event)
            case ReinviteConfirmed(ack=ack) if ack.body and self.call is not None:
                with suppress(SdpError):  # without a usable answer, packets to the offered ports are still received
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
                    # RFC 5022 section 5.1: the INFO gets 200 for any response in it, also one with an unknown id.
                    undeciphered = self.call is not None and self.call.undeciphered
                    self._respond(transaction, UNDECIPHERABLE if undeciphered else 200)
            case _:
                self._note_call(event)

    def _reinvited(self, event: ReinviteReceived) -> None:
        """Answer a re-INVITE of the media server (`sdp_answer.py`); one without an offer gets the last description."""
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
        """Wait until `ready()` is true or the time `at` has come; `what` names the event in the error of a timeout."""
        self.waiting_for = what
        while not ready() and (at is None or self.now < at):
            yield at

    def command(self, command: ImapCommand) -> Generator[float | None, None, MailAnswered]:
        """Send an IMAP command and return its answer; connect and log in first if that is not done yet.

        Raises StepError if the connection is lost or the login fails.
        """
        if not self.mailbox.logged_in:
            yield from self._log_in()
        return (yield from self.exchange(command))

    def exchange(self, command: ImapCommand) -> Generator[float | None, None, MailAnswered]:
        """Send an IMAP command on the open connection and return its answer; raises StepError if it is lost."""
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
        policy = ClientLoginPolicy(self.tls, cleartext=True, mechanisms=("PLAIN", "LOGIN"))
        if self.behaviour.begins_tls:
            yield from self._carry_out(secure(box.mail, policy))
        account = self.script.account
        yield from self._carry_out(log_in(box.mail, policy, (account.user, account.password)))
        if box.mail.capabilities is None:  # RFC 3501 section 6.2: the capabilities may change by the login
            yield from self.exchange(commands.capability())
        box.logged_in = True

    def _carry_out(self, steps: LoginSteps) -> Steps:
        """Send the commands of a login; raises StepError."""
        try:
            command = next(steps)
            while True:
                answer = yield from self.exchange(command)
                command = steps.send(answer.status)
        except StopIteration:
            return
        except ImapLoginError as problem:
            raise StepError(f"IMAP: the server {problem.why}") from None

    def answer(self, transaction: str, what: str) -> Generator[float | None, None, SipResponse | None]:
        """Wait for the final response to a request of the client and return it; None if none came in time."""
        yield from self.until(lambda: transaction in self._finals, f"the answer to {what}")
        return self._finals.pop(transaction)

    # -- values --------------------------------------------------------------------------------------------------

    def text(self, text: str, escaped: Callable[[str], str] = str) -> str:
        """Replace the variables in a step's text by their `escaped` values; raises StepError if one is not set."""
        values: dict[str, str] = {}
        if self.url is not None:
            values |= {"url": self.url, "token": self.url.rpartition(":")[2]}
        if self.part is not None:
            values |= {"uid": str(self.part.uid), "section": self.part.section}
        try:
            return substitute(text, {name: escaped(value) for name, value in values.items()})
        except ValueError as problem:
            raise StepError(f"{problem} (an earlier step sets it)") from problem

    def next_id(self) -> str:
        """Return an id for an MSCML request that no other request of this script has."""
        self._requests += 1
        return str(self._requests)

    def hop(self, uri: SipUri) -> Address:
        """Return the address to which requests for a URI are sent."""
        return self.resolver.resolve(uri.host.strip("[]"), uri.port or 5060)

    def configured(self) -> ChosenServer | None:
        """Return the media server that the script configures, without its URI's user part; None if there is none."""
        if self.script.media is None or not self.behaviour.falls_back_to_configuration:
            return None
        uri = SipUri.parse(self.script.media)
        return ChosenServer(SipUri("sip", None, uri.host, uri.port, uri.params))

    def media_server(self, service: Service) -> ChosenServer:
        """Return the first discovered media server that offers a service, else the configured one.

        Raises StepError if there is neither.
        """
        found = self._first_target(service)
        if found is None:
            raise StepError(f"no media server for {service}: none was discovered, and the script names none")
        return found

    def next_media_server(self) -> ChosenServer | None:
        """Return the media server that the script's next call goes to; None if there is none.

        For a script without a further call it is the first media server, whatever services it offers.
        """
        return self._first_target(next((CALLS[step.verb] for step in self.ahead if step.verb in CALLS), None))

    def _first_target(self, service: Service | None) -> ChosenServer | None:
        offering = (target for target in self.targets if service is None or target.offers(service))
        return next(offering, None) or self.configured()
