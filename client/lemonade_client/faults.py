"""The client's faults, and the seam that each of them uses: one method of `Behaviour` per fault."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from lemonade_wire.faults import Fault, FaultList
from lemonade_wire.mscml.document import CONTENT_TYPE
from lemonade_wire.mscml.request import PlayCollect
from lemonade_wire.sip.dialog import Dialog
from lemonade_wire.sip.event import Output, SendDatagram, SendStream
from lemonade_wire.sip.ua import UserAgent


class AckToRecord(Dialog):
    """A dialog that sends its ACK to the address of record, as the draft's example does (E-28)."""

    def ack_target(self) -> str:
        """Return the URI of the To header instead of the Contact's."""
        return self.remote.uri


class SilentAgent(UserAgent):
    """A user agent that never acknowledges a 2xx."""

    def outputs(self) -> list[Output]:
        """Return the outputs without the ACKs."""
        return [one for one in super().outputs() if not _is_ack(one)]


def _is_ack(output: Output) -> bool:
    return isinstance(output, SendDatagram | SendStream) and output.data.startswith(b"ACK ")


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

    def request_to_send(self, request: PlayCollect) -> PlayCollect:
        """Return the `<playcollect>` to send, of the one that plays the URL."""
        return request

    def invite_body(self, description: bytes, request: bytes) -> tuple[str, bytes]:
        """Return type and body of an INVITE to ivr, of the offer and a request that could stand beside it."""
        return "application/sdp", description


CORRECT = Behaviour()


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


FAULTS = FaultList.of(
    AckWrongTarget,
    NoAck,
    NoOkToResponse,
    DownloadsPart,
    NoExpire,
    UrlTruncated,
    UrlEscapedTwice,
    DtmfWrongKey,
    TimersNotZero,
    TwoAudios,
    PlaysOnError,
    MscmlInInvite,
)
