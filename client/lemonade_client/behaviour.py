"""What a correct client does at the seams that its faults use: one method or value per fault."""

from __future__ import annotations

from lemonade_client.call import Service
from lemonade_wire.faults import Fault
from lemonade_wire.mscml.document import CONTENT_TYPE
from lemonade_wire.mscml.request import Play, PlayCollect
from lemonade_wire.sip.dialog import Dialog
from lemonade_wire.sip.smime import MimeBody
from lemonade_wire.sip.ua import UserAgent


class Behaviour(Fault):
    """What a correct client does at each seam; a fault is a subclass that differs in one of them."""

    dialog_factory: type[Dialog] = Dialog
    """What the user agent makes its dialogs with."""
    user_agent: type[UserAgent] = UserAgent
    """What runs the calls."""

    answers_response = True
    """Whether the INFO with the `<response>` is answered."""
    downloads_part = False
    """Whether the part's body is fetched by the client itself."""
    begins_tls = True
    """Whether STARTTLS is used as the policy says."""
    falls_back_to_clear = False
    """Whether MSCML that is refused encrypted is sent in the clear."""

    def ticket_life(self, expire: float | None) -> float | None:
        """Return the life to ask for, of the one that the script wants."""
        return expire

    def url_to_hand_over(self, url: str) -> str:
        """Return the URL to give to the media server, of the authorised one (LS-2.3-11: the same octets)."""
        return url

    def url_to_escape(self, url: str) -> str:
        """Return what is escaped into `play=`, of the URL to give."""
        return url

    def key_to_send(self, key: str) -> str:
        """Return the key to send, of the key pressed."""
        return key

    gives_up = False
    """Whether nothing is tried after a call that was refused."""
    mscml_type = CONTENT_TYPE
    """The media type that a request is sent as."""

    def service_to_ask(self, named: Service | None) -> Service:
        """Return the service to ask a media server for, of the one that its URI names (LS-2.4-2, LS-2.4-3)."""
        return named or "ivr"

    def request_to_send(self, request: PlayCollect) -> PlayCollect | Play:
        """Return the request to send, of the `<playcollect>` that plays the URL."""
        return request

    def invite_body(self, description: bytes, request: bytes) -> tuple[str, bytes]:
        """Return type and body of an INVITE to ivr, of the offer and a request that could stand beside it."""
        return "application/sdp", description

    def secured_body(self, secured: MimeBody, clear: MimeBody) -> MimeBody:
        """Return the body to send, of the encrypted one and of what it holds (LS-2.4-4)."""
        return secured


CORRECT = Behaviour()
