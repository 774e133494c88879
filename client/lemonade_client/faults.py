"""The client's faults: each is a correct client (`behaviour.py`) that differs at one seam."""

from __future__ import annotations

import base64
from dataclasses import replace
from urllib.parse import quote

from lemonade_client.behaviour import Behaviour
from lemonade_client.call import Service
from lemonade_client.wrong_agents import (
    AckToRecord,
    DraftDialog,
    SilentAgent,
    rewriting,
    with_length,
    without_headers,
)
from lemonade_wire.faults import FaultList
from lemonade_wire.mscml.document import CONTENT_TYPE
from lemonade_wire.mscml.request import Play, PlayCollect
from lemonade_wire.sip.smime import MimeBody


class AckWrongTarget(Behaviour):
    """See `summary`."""

    name = "ack-wrong-target"
    summary = "sends the ACK to the address of record, not to the Contact of the 200 (E-28)"
    breaks = ("LS-2.9-1", "LS-2.9-2")
    dialog_factory = AckToRecord


class NoAck(Behaviour):
    """See `summary`."""

    name = "no-ack"
    summary = "never acknowledges the 200 to its INVITE"
    breaks = ("LS-2.9-1", "LS-2.9-2")
    user_agent = SilentAgent


class NoOkToResponse(Behaviour):
    """See `summary`."""

    name = "no-ok-to-response"
    summary = "leaves the INFO with the response to <playcollect> without an answer"
    breaks = ("LS-2.7-18",)
    answers_response = False


class DownloadsPart(Behaviour):
    """See `summary`."""

    name = "downloads-part"
    summary = "fetches the part's body itself before it is streamed"
    breaks = ("LS-1-2",)
    downloads_part = True


class NoStarttls(Behaviour):
    """See `summary`."""

    name = "no-starttls"
    summary = "logs in to the IMAP server without STARTTLS"
    breaks = ("LS-3-2",)
    begins_tls = False


class NoExpire(Behaviour):
    """See `summary`."""

    name = "no-expire"
    summary = "asks for a ticket without EXPIRE though the script sets one"
    breaks = ("LS-2.3-4",)

    def ticket_life(self, expire: float | None) -> float | None:
        """Return no life at all."""
        return None


class UrlTruncated(Behaviour):
    """See `summary`."""

    name = "url-truncated"
    summary = "hands the URL over without the last digit of its token"
    breaks = ("LS-2.3-11",)

    def url_to_hand_over(self, url: str) -> str:
        """Return the URL without its last character."""
        return url[:-1]


class UrlEscapedTwice(Behaviour):
    """See `summary`."""

    name = "url-escaped-twice"
    summary = "escapes the URL twice into the play parameter"
    breaks = ("LS-2.5-3", "LS-2.5-4")

    def url_to_escape(self, url: str) -> str:
        """Return the URL escaped once already."""
        return quote(url, safe="/:&+$[]!~*'()-_.")


class DtmfWrongKey(Behaviour):
    """See `summary`."""

    name = "dtmf-wrong-key"
    summary = "sends another key than the one pressed"
    breaks = ("LS-2.7-7",)

    def key_to_send(self, key: str) -> str:
        """Return a digit that is not the key."""
        return "9" if key != "9" else "8"


class TimersNotZero(Behaviour):
    """See `summary`."""

    name = "timers-not-zero"
    summary = "sets the digit timers of <playcollect> to 100 ms"
    breaks = ("LS-2.7-5",)

    def request_to_send(self, request: PlayCollect) -> PlayCollect:
        """Return the request with timers that wait for keys."""
        return replace(request, first_digit_ms=100, interdigit_ms=100, extra_digit_ms=100)


class TwoAudios(Behaviour):
    """See `summary`."""

    name = "two-audios"
    summary = "names the content twice in the prompt"
    breaks = ("LS-2.7-9",)

    def request_to_send(self, request: PlayCollect) -> PlayCollect:
        """Return the request with every item of its prompt twice."""
        prompt = request.prompt
        return replace(request, prompt=prompt and replace(prompt, items=prompt.items * 2))


class PlaysOnError(Behaviour):
    """See `summary`."""

    name = "plays-on-error"
    summary = "leaves stoponerror out of the prompt"
    breaks = ("LS-2.7-11",)

    def request_to_send(self, request: PlayCollect) -> PlayCollect:
        """Return the request with the default."""
        return replace(request, prompt=request.prompt and replace(request.prompt, stop_on_error=False))


class MscmlInInvite(Behaviour):
    """See `summary`."""

    name = "mscml-in-invite"
    summary = "sends the first MSCML request in the INVITE, beside the offer"
    breaks = ("LS-2.7-2",)

    def invite_body(self, description: bytes, request: bytes) -> tuple[str, bytes]:
        """Return both as parts of one body."""
        parts = (("application/sdp", description), (CONTENT_TYPE, request))
        body = b"".join(b"--part\r\nContent-Type: %s\r\n\r\n%s\r\n" % (kind.encode(), one) for kind, one in parts)
        return "multipart/mixed;boundary=part", body + b"--part--\r\n"


class PlaysOnly(Behaviour):
    """See `summary`."""

    name = "plays-only"
    summary = "asks by <play>, which no key controls"
    breaks = ("LS-2.7-4",)

    def request_to_send(self, request: PlayCollect) -> PlayCollect | Play:
        """Return a request for the same prompt without its keys."""
        return Play(request.prompt, request.id)


class MscmlAsText(Behaviour):
    """See `summary`."""

    name = "mscml-as-text"
    summary = "sends MSCML requests as text/xml"
    breaks = ("LS-2.7-3", "LS-2.4-5")
    mscml_type = "text/xml"


class AnncFirst(Behaviour):
    """See `summary`."""

    name = "annc-first"
    summary = "asks for the announcement service where it knows nothing of a media server"
    breaks = ("LS-2.4-3",)

    def service_to_ask(self, named: Service | None) -> Service:
        """Return the simpler one."""
        return named or "annc"


class ServiceIgnored(Behaviour):
    """See `summary`."""

    name = "service-ignored"
    summary = "asks for the IVR service whatever a media server's URI names"
    breaks = ("LS-2.4-2",)

    def service_to_ask(self, named: Service | None) -> Service:
        """Return the same for all."""
        return "ivr"


class GivesUp(Behaviour):
    """See `summary`."""

    name = "gives-up"
    summary = "tries nothing else after a call that was refused"
    breaks = ("LS-2.4-6", "LS-2.5-7")
    gives_up = True


class DraftHeaders(Behaviour):
    """See `summary`."""

    name = "draft-headers"
    summary = "sends an INVITE with the draft's headers alone: no Via, no Max-Forwards, no From tag (E-15)"
    breaks = ("LS-2.5-2",)
    user_agent = rewriting(without_headers)


class LengthTooSmall(Behaviour):
    """See `summary`."""

    name = "length-too-small"
    summary = "says in an INVITE's Content-Length 7 octets less than there are, as the draft does (E-19)"
    breaks = ("LS-2.6-1",)
    user_agent = rewriting(with_length(-7))


class LengthTooLarge(Behaviour):
    """See `summary`."""

    name = "length-too-large"
    summary = "says in an INVITE's Content-Length 7 octets more than there are (E-19)"
    breaks = ("LS-2.6-1",)
    user_agent = rewriting(with_length(7))


class DraftSequence(Behaviour):
    """See `summary`."""

    name = "draft-sequence"
    summary = "sends the ACK to the address of record and leaves gaps in CSeq, as the draft does (E-28, E-29)"
    breaks = ("LS-2.9-2",)
    dialog_factory = DraftDialog


class MscmlInClear(Behaviour):
    """See `summary`."""

    name = "mscml-in-clear"
    summary = "sends MSCML in the clear though it could encrypt it"
    breaks = ("LS-2.4-4", "LS-3-5")

    def secured_body(self, secured: MimeBody, clear: MimeBody) -> MimeBody:
        """Return what should have been encrypted."""
        return clear


class FallsBackToClear(Behaviour):
    """See `summary`."""

    name = "falls-back-to-clear"
    summary = "sends MSCML in the clear where it is refused encrypted"
    breaks = ("LS-2.4-4", "LS-3-5")
    falls_back_to_clear = True


class SmimeInBase64(Behaviour):
    """See `summary`."""

    name = "smime-in-base64"
    summary = "sends encrypted bodies in base64"
    breaks = ("SM-4-1",)

    def secured_body(self, secured: MimeBody, clear: MimeBody) -> MimeBody:
        """Return the body in base64."""
        headers = [(name, "base64" if value == "binary" else value) for name, value in secured.headers]
        return replace(secured, headers=tuple(headers), octets=base64.encodebytes(secured.octets))


FAULTS = FaultList.of(
    AckWrongTarget,
    NoAck,
    NoOkToResponse,
    DownloadsPart,
    NoStarttls,
    NoExpire,
    UrlTruncated,
    UrlEscapedTwice,
    DtmfWrongKey,
    TimersNotZero,
    TwoAudios,
    PlaysOnError,
    MscmlInInvite,
    PlaysOnly,
    MscmlAsText,
    AnncFirst,
    ServiceIgnored,
    GivesUp,
    DraftHeaders,
    LengthTooSmall,
    LengthTooLarge,
    DraftSequence,
    MscmlInClear,
    FallsBackToClear,
    SmimeInBase64,
)
