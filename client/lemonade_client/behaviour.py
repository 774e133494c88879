"""The behaviour of a correct client at each point where a fault can change it: one value or function for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import TypeVar

from lemonade_client.call import Service
from lemonade_wire.faults import FaultRow
from lemonade_wire.imap.bodystructure import BodyStructure
from lemonade_wire.imap.mediaservers import MediaServerEntry, MediaServers
from lemonade_wire.imap.url import ImapUrl
from lemonade_wire.imap.url_parts import Access
from lemonade_wire.mscml.document import CONTENT_TYPE
from lemonade_wire.mscml.messages import PlayCollectRequest, PlayRequest
from lemonade_wire.rtp.rtcp import RtcpPacket
from lemonade_wire.rtp.telephone_event import EventPacket
from lemonade_wire.sip.message.smime import MimeBody
from lemonade_wire.sip.ua import UserAgent
from lemonade_wire.sip.ua.dialog import Dialog

GUESSED_SECTION = "2"
"""The section of the attachment in a message with a text and one attachment."""

_T = TypeVar("_T")


def _same(value: _T) -> _T:
    return value


@dataclass(frozen=True)
class ClientBehaviour(FaultRow):
    """The behaviour of a client; the defaults are those of a correct one, and a fault differs in one of them."""

    _: KW_ONLY
    dialog_factory: type[Dialog] = Dialog
    """The class of the user agent's dialogs."""
    user_agent: type[UserAgent] = UserAgent
    """The class of the user agent."""

    answers_response: bool = True
    """Whether an INFO with an MSCML response is answered."""
    downloads_part: bool = False
    """Whether the client itself fetches the part's body by IMAP."""
    begins_tls: bool = True
    """Whether STARTTLS is used as the policy says."""
    falls_back_to_clear: bool = False
    """Whether MSCML is sent again in the clear after the media server has refused it encrypted."""

    asks_for_list: bool = True
    """Whether discovery asks the IMAP server for its media servers (LS-2.2-2)."""
    discovers_unasked: bool = False
    """Whether the client asks for media servers without a step of the script for it."""
    fetches_structure: bool = True
    """Whether the part is found in the message's BODYSTRUCTURE; if not, `GUESSED_SECTION` is used."""
    falls_back_to_configuration: bool = True
    """Whether the configured media server is called if the IMAP server lists none (LS-2.2-5)."""
    uses_list: bool = True
    """Whether the media servers that discovery found are called instead of the configured one."""
    sends_raw_imap: bool = True
    """Whether the raw commands of a script's `imap` steps are sent."""
    asks_for_ticket: bool = True
    """Whether the client asks for a ticket by GENURLAUTH (LS-2.1-3)."""
    goes_on_without_ticket: bool = False
    """Whether the client uses the URL without a token if GENURLAUTH gives no ticket."""
    mechanism: str = "INTERNAL"
    """The authorisation mechanism in GENURLAUTH (LS-2.3-10)."""

    may_stream: Callable[[BodyStructure], bool] = lambda part: True
    """Returns whether a part with the media type that the script wants may be streamed (LS-1-5, LS-2.3-1)."""
    section_to_ask: Callable[[str], str] = _same
    """Returns the section to write into the URL, given the one from the BODYSTRUCTURE (LS-2.1-1)."""
    mailbox_to_write: Callable[[str], str] = _same
    """Returns the mailbox name to write into the URL, given the selected one (RFC 5092 section 11)."""
    servers_to_call: Callable[[MediaServers], tuple[MediaServerEntry, ...]] = lambda servers: servers.sip
    """Returns the media servers of the list that may be called (LS-2.2-9)."""
    is_authorised: Callable[[MediaServerEntry], bool] = lambda server: server.authorised
    """Returns whether the list marks a media server as one that needs a restricted ticket (LS-2.2-8, LS-7-1)."""
    access_to_ask: Callable[[Access, str], Access] = lambda access, user: access
    """Returns the access to ask for in the URL, given the correct one and the account's user (LS-2.3-7)."""
    ticket_life: Callable[[float | None], float | None] = _same
    """Returns the lifetime of the ticket to ask for, in seconds, given the script's; None: without limit."""
    url_to_ask: Callable[[ImapUrl, Access, datetime | None], str] = lambda plain, access, until: (
        plain.with_access(access, until).text
    )
    """Returns the URL for GENURLAUTH: the plain one, then EXPIRE if its time is given, then URLAUTH (LS-2.3-3)."""
    url_to_hand_over: Callable[[str], str] = _same
    """Returns the URL to give to the media server, given the authorised one: the same octets (LS-2.3-11)."""
    url_to_escape: Callable[[str], str] = _same
    """Returns the URL that is escaped into the parameter `play`, given the one for the media server."""

    gives_up: bool = False
    """Whether the client tries no other media server or service after a call that was refused."""
    leaves_the_silent: bool = True
    """Whether the client calls the next media server before Timer B expires, if a server sends no response."""
    service_to_ask: Callable[[Service | None], Service] = lambda named: named or "ivr"
    """Returns the service to call at a media server, given the one in its URI, or None (LS-2.4-2, LS-2.4-3)."""
    invite_body: Callable[[bytes, bytes], tuple[str, bytes]] = lambda offer, request: ("application/sdp", offer)
    """Returns content type and body of an INVITE to ivr, given the offer and an MSCML request.

    A correct client sends the offer alone (LS-2.7-2).
    """

    mscml_type: str = CONTENT_TYPE
    """The media type of MSCML requests."""
    request_to_send: Callable[[PlayCollectRequest], PlayCollectRequest | PlayRequest] = _same
    """Returns the MSCML request to send, given the `<playcollect>` that plays the URL."""
    clear_body: Callable[[MimeBody], MimeBody] = _same
    """Returns the body to send, given that of an MSCML request in the clear."""
    secured_body: Callable[[MimeBody, MimeBody], MimeBody] = lambda secured, clear: secured
    """Returns the body to send, given the encrypted one and the same one in the clear (LS-2.4-4)."""

    rtp_port_offset: int = 0
    """The difference between the port that RTP is sent to and the port in the answer."""
    says_goodbye: bool = True
    """Whether the client sends a last RTCP packet with BYE for a stream (RFC 3550 section 6.6)."""
    sound_to_send: Callable[[bytes], bytes] = _same
    """Returns the octets of sound to send, given those in the encoding of the payload type (RFC 3551 section 6)."""
    pace: float = 1.0
    """How fast sound is sent, beside its own time (RFC 3550 section 5.1)."""
    last_report: Callable[[list[RtcpPacket]], list[RtcpPacket]] = _same
    """Returns the last compound RTCP packet to send, given the correct one, which begins with a report.

    Source: RFC 3550 section 6.1.
    """
    key_to_send: Callable[[str], str] = _same
    """Returns the key to send, given the key that is pressed."""
    key_packets: Callable[[list[EventPacket]], list[EventPacket]] = _same
    """Returns the RTP packets to send for a key press, given the correct ones (RFC 4733)."""
    key_type: Callable[[int], int] = _same
    """Returns the payload type of keys, given the one that the answer agrees to (LS-2.6-2)."""
    number_after: Callable[[int], int] = lambda sequence: (sequence + 1) % 0x10000
    """Returns the sequence number that follows another one (RFC 3550 section 5.1)."""


CORRECT = ClientBehaviour("correct", "makes no error", ())
