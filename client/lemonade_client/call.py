"""The state of one call of the client, which the script's steps read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cryptography import x509

from lemonade_wire.mscml.document import CONTENT_TYPE, MscmlError, parse_document
from lemonade_wire.mscml.messages import Keypress, MscmlResponse
from lemonade_wire.sdp.description import SessionDescription
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.event import (
    ByeReceived,
    CallAnswered,
    CallEnded,
    CallProgressed,
    CallRefused,
    EndReason,
    Event,
    InfoReceived,
)
from lemonade_wire.sip.message import SipRequest, SipResponse
from lemonade_wire.sip.message.body import Entity
from lemonade_wire.sip.message.smime import UNDECIPHERABLE, Opening, SmimeIdentity
from lemonade_wire.sip.message.uri import SipUri

Service = Literal["annc", "ivr"]


@dataclass
class ClientCall:
    """The state of a call, from the INVITE to its end.

    `heard_before` is the seconds of media received in all calls before the running playing was asked for.
    """

    id: str
    service: Service
    offer: SessionDescription
    """The client's last session description, at first its offer in the INVITE."""
    server: SipUri
    """The URI of the media server; its user part is not the service of this call."""
    final: SipResponse | None = None
    """The final response to the INVITE; None if none has come."""
    refused: bool = False
    progressed: bool = False
    """Whether a provisional response has come, which shows that the server is there."""
    ended: EndReason | None = None
    heard_before: float = 0.0
    identity: SmimeIdentity | None = None
    """The client's S/MIME key and certificate, which decrypt bodies; None: there is none."""
    certificate: x509.Certificate | None = field(default=None, repr=False)
    """The media server's certificate, for which MSCML is encrypted; None if it is not known."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Name and id of the MSCML requests whose responses no step has read yet."""
    responses: list[MscmlResponse] = field(default_factory=list)
    """MSCML responses that no step has read yet."""
    keypresses: list[Keypress] = field(default_factory=list)
    """Notifications of key presses that no step has read yet."""
    trouble: str = ""
    """Why the last MSCML body could not be read."""
    undeciphered: bool = False
    """Whether the body of the last INFO was encrypted and could not be decrypted."""
    unsecured: bool = False
    """Whether the last MSCML body came in the clear although requests are encrypted (RFC 3261 section 23.2)."""

    @property
    def settled(self) -> bool:
        """Whether the INVITE has a final response, or the call has ended without one."""
        return self.final is not None or self.refused or self.ended is not None

    @property
    def up(self) -> bool:
        """Whether the call is answered and has not ended."""
        return self.final is not None and not self.refused and self.ended is None

    @property
    def over(self) -> bool:
        """Whether the call was refused or has ended, so that there is nothing to hang up."""
        return self.refused or self.ended is not None

    @property
    def awaits_no_response(self) -> bool:
        """Whether the MSCML response to the last request has come, or cannot come any more."""
        return not self.up or any(self._is_for_last(response) for response in self.responses)

    @property
    def status(self) -> str:
        """The status code of the final response as a text, or "no answer"."""
        return str(self.final.status) if self.final else "no answer"

    def take_response(self) -> MscmlResponse | None:
        """Return the MSCML response to the last request and remove it; None if it has not come.

        A response without an id matches every request of its name (E-26).
        """
        for response in self.responses:
            if self._is_for_last(response):
                self.responses.remove(response)
                self.asked.pop()
                return response
        return None

    def _is_for_last(self, response: MscmlResponse) -> bool:
        if not self.asked:
            return False
        name, number = self.asked[-1]
        return response.request == name and response.id in {None, number}

    def observe(self, event: Event) -> None:
        """Update the state by an event of this call."""
        match event:
            case CallAnswered(response=response):
                self.final = response
            case CallRefused(response=response):
                self.final = response
                self.refused = True
            case CallEnded(why=why):
                self.ended = why
            case InfoReceived(request=request):
                self._informed(request)
            case CallProgressed():
                self.progressed = True
            case ByeReceived():
                pass  # CallEnded follows

    def _informed(self, request: SipRequest) -> None:
        opening = Opening(self.identity)
        self.undeciphered = False
        try:
            parts = opening.understood(request, lambda part: part.media.name == CONTENT_TYPE)
        except SipParseError as problem:
            self.undeciphered = problem.status == UNDECIPHERABLE
            if problem.status != 415:  # 415: the body has another type than MSCML, and no step reads it
                self.trouble = f"the body of an INFO could not be read: {problem}"
            return
        self.unsecured = bool(parts) and self.certificate is not None and not opening.opened
        for part in parts:
            self._read(part)

    def _read(self, part: Entity) -> None:
        try:
            document = parse_document(part.content, charset=part.media.param("charset"))
        except MscmlError as problem:
            self.trouble = f"an MSCML body could not be read: {problem}"
            return
        match document:
            case MscmlResponse():
                self.responses.append(document)
            case Keypress():
                self.keypresses.append(document)
            case _:
                self.trouble = "the media server sent an MSCML request"
