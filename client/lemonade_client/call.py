"""One call of the client, as far as it has got: what the steps look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cryptography import x509

from lemonade_wire.mscml.document import CONTENT_TYPE, MscmlError, parse_document
from lemonade_wire.mscml.response import Keypress
from lemonade_wire.mscml.response import Response as MscmlResponse
from lemonade_wire.sdp.description import SessionDescription
from lemonade_wire.sip.body import Entity
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
from lemonade_wire.sip.message import Request, Response
from lemonade_wire.sip.smime import UNDECIPHERABLE, Identity, Opening
from lemonade_wire.sip.uri import SipUri

Service = Literal["annc", "ivr"]


@dataclass
class Call:
    """The state of a call. `heard_before` is the media time heard when the present playing was asked for."""

    id: str
    service: Service
    offer: SessionDescription
    """Our last session description; the first is an offer."""
    server: SipUri
    """The media server; the user part names no service of this call's."""
    final: Response | None = None
    """The final response to the INVITE; None while there is none, and where none ever came."""
    refused: bool = False
    ended: EndReason | None = None
    heard_before: float = 0.0
    identity: Identity | None = None
    """By which encrypted bodies are read."""
    certificate: x509.Certificate | None = field(default=None, repr=False)
    """The media server's, where it is known: MSCML is encrypted for it."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Name and id of the MSCML requests whose responses no step has taken yet."""
    responses: list[MscmlResponse] = field(default_factory=list)
    """MSCML responses that no step has taken yet."""
    keypresses: list[Keypress] = field(default_factory=list)
    """Notifications of key presses that no step has taken yet."""
    trouble: str = ""
    """Why the last MSCML body could not be read."""
    undeciphered: bool = False
    """Whether that was because it is encrypted for another key."""
    unsecured: bool = False
    """Whether the last MSCML body came in the clear though what we sent was encrypted (RFC 3261 section 23.2)."""

    @property
    def settled(self) -> bool:
        """Whether the INVITE has come to its end."""
        return self.final is not None or self.refused or self.ended is not None

    @property
    def up(self) -> bool:
        """Whether the call is answered and not over."""
        return self.final is not None and not self.refused and self.ended is None

    @property
    def over(self) -> bool:
        """Whether nothing is left to hang up."""
        return self.refused or self.ended is not None

    @property
    def awaits_no_response(self) -> bool:
        """Whether the response to the last request is here, or can no longer come."""
        return not self.up or any(self._is_for_last(response) for response in self.responses)

    @property
    def status(self) -> str:
        """The final status, in words where there is none."""
        return str(self.final.status) if self.final else "no answer"

    def take_response(self) -> MscmlResponse | None:
        """Return the response to the last request, once; one that names no id is taken for it (E-26)."""
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
        """Take an event of this call."""
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
            case ByeReceived() | CallProgressed():
                pass  # CallEnded follows a BYE; the rest tells the steps nothing

    def _informed(self, request: Request) -> None:
        opening = Opening(self.identity)
        self.undeciphered = False
        try:
            parts = opening.understood(request, lambda part: part.media.name == CONTENT_TYPE)
        except SipParseError as problem:
            self.undeciphered = problem.status == UNDECIPHERABLE
            if problem.status != 415:  # of other bodies the steps know nothing
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
