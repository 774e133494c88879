"""The verbs of a client script, and a pydantic model of the arguments of each; `lemonade verbs` prints them.

The defaults are the behaviour that the draft requires of a client. Only what a scenario has to vary is an argument.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from lemonade_wire.script.duration import ALLOWED, Expiry, Seconds, format_duration, parse_duration

VARIABLES = {
    "url": "the authorised URL, as GENURLAUTH gave it",
    "token": "the token of that URL",
    "uid": "the UID of the message that find-part took",
    "section": "the section of the part that find-part took",
}
SDP_VARIABLES = {
    "address": "the client's own address",
    "audio": "the client's RTP port for audio",
    "video": "the client's RTP port for video",
}
_VARIABLE = re.compile(r"\$(\$|[a-z]+)?")


def substitute(text: str, values: dict[str, str]) -> str:
    """Replace each `$name` in a text by its value, and `$$` by a dollar; raises ValueError for an unknown name."""

    def value(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        if match[1] not in values:
            allowed = ", ".join(f"${name}" for name in (values or VARIABLES))
            raise ValueError(f"{match[0]!r} has no value here; known: {allowed}, and $$ for a dollar")
        return values[match[1]]

    return _VARIABLE.sub(value, text)


def _known_variables(text: str) -> str:
    substitute(text, dict.fromkeys(VARIABLES, ""))
    return text


def _known_in_sdp(text: str) -> str:
    substitute(text, dict.fromkeys(SDP_VARIABLES, ""))
    return text


def _offset(value: object) -> str | float:
    text = str(value)
    if isinstance(value, float) or text == "playoffset":
        return value if isinstance(value, float) else text
    try:
        return parse_duration(text)
    except ValueError:
        raise ValueError(f"{text!r} is not allowed: playoffset, or {ALLOWED}") from None


def _one_line(text: str) -> str:
    if not text or any(ord(char) < 0x20 for char in text):
        raise ValueError("one line of text is expected")
    return text


def _matching(pattern: str, expected: str) -> AfterValidator:
    def check(text: str) -> str:
        if re.fullmatch(pattern, text, re.ASCII) is None:
            raise ValueError(f"{text!r} is not allowed: {expected}")
        return text

    return AfterValidator(check)


def _until(value: object) -> str | float:
    text = str(value)
    if isinstance(value, float) or text in {"bye", "response", "keypress"}:
        return value if isinstance(value, float) else text
    try:
        return parse_duration(text)
    except ValueError:
        raise ValueError(f"{text!r} is not allowed: bye, response, keypress, or {ALLOWED}") from None


_KEY = r"[0-9A-Da-d*#]"
Key = Annotated[str, _matching(_KEY, "one of the keys 0-9, *, #, A-D is expected")]
Codec = Annotated[str, _matching(r"[A-Za-z0-9.-]+/[1-9][0-9]{0,6}(/[1-9])?", "a codec such as PCMU/8000 is expected")]
Offer = Annotated[tuple[Codec, ...], Field(max_length=16)]
Status = Annotated[str, _matching(r"[2-6]([0-9][0-9]|xx)", "a status such as 200, 404 or 4xx is expected")]
StatusOrNone = Annotated[
    str, _matching(r"[2-6]([0-9][0-9]|xx)|none", "a status such as 200, 404 or 4xx is expected, or none")
]
MediaType = Annotated[str, _matching(r"[^/\s]+/[^/\s]+", "a media type such as audio/* or video/mpeg is expected")]
Access = Annotated[
    str,
    _matching(
        r"[A-Za-z0-9]+|submit\+|[A-Za-z0-9]+\+[A-Za-z0-9._~!$'()*+,&=%-]+",
        "an access identifier is expected: anonymous, authuser, stream, submit+ (and the account's user) or user+NAME",
    ),
]
FileName = Annotated[
    str, _matching(r"[A-Za-z0-9][A-Za-z0-9._-]*\.wav", "the name of a WAV file beside the script is expected")
]
RawText = Annotated[str, AfterValidator(_known_variables)]
RawLine = Annotated[str, AfterValidator(_one_line), AfterValidator(_known_variables)]
RawSdp = Annotated[str, AfterValidator(_known_in_sdp)]
Offset = Annotated[
    str | float,
    BeforeValidator(_offset),
    PlainSerializer(lambda value: value if isinstance(value, str) else format_duration(value)),
]
Until = Annotated[
    str | float,
    BeforeValidator(_until),
    PlainSerializer(lambda value: value if isinstance(value, str) else format_duration(value)),
]


class Verb(BaseModel):
    """Base class of the arguments of a verb.

    `summary` is one line of English. `scalar` is the argument that may be written alone: `verb: value`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=False)
    summary: ClassVar[str]
    scalar: ClassVar[str | None] = None


class FindPartVerb(Verb):
    """Arguments of `find-part`."""

    summary = "takes the newest message's first part of a media type, by its BODYSTRUCTURE; fails where there is none"
    type: MediaType = Field(default="audio/*", description="media type of the part, * for any subtype")
    mailbox: Annotated[str, AfterValidator(_one_line)] = Field(default="INBOX", description="mailbox to select")


class DiscoverVerb(Verb):
    """Arguments of `discover`."""

    summary = "asks the IMAP server's metadata for media servers, by the profile's entry, then by the other"


class AuthoriseVerb(Verb):
    """Arguments of `authorise`."""

    summary = "builds the part's URL, has it authorised by GENURLAUTH and compares what comes back"
    access: Access | None = Field(
        default=None,
        description="access identifier; submit+ alone is submit+ and the account's user; default: the profile's, which "
        "a media server that is listed as authorised gets in any case",
    )
    expire: Expiry = Field(default=600.0, description="life of the ticket from now (a minus: in the past), or none")
    expect: Literal["ticket", "none"] = Field(
        default="ticket", description="ticket, or none: what comes back is no ticket for the URL asked for (E-11)"
    )


class AnnounceVerb(Verb):
    """Arguments of `announce`."""

    summary = "calls the announcement service (annc) with the authorised URL"
    offer: Offer = Field(default=("PCMU/8000", "PCMA/8000"), min_length=1, description="audio codecs, best first")
    video: Offer = Field(default=(), description="video codecs of a second m-line; none: no such line")
    sdp: RawSdp = Field(default="", description="the offer as it stands; $address, $audio and $video may stand in it")
    url: RawLine = Field(default="$url", description="URL to play instead of the authorised one")
    escape: Literal["needed", "semicolons"] = Field(
        default="needed", description="what of the URL is escaped: all that must be, or semicolons alone (E-14)"
    )
    params: dict[str, RawLine] = Field(default={}, description="further parameters of the URI: repeat, delay, ...")
    expect: StatusOrNone = Field(
        default="200", description="final status that makes the step succeed: 200, 404, 4xx; none: no answer in 2 s"
    )
    cancel: Seconds | None = Field(default=None, ge=0, description="when to cancel it, where it is not answered")


class IvrVerb(Verb):
    """Arguments of `ivr`."""

    summary = "calls the IVR service (once per call) and sends <playcollect> with the authorised URL"
    offer: Offer = Field(default=("PCMU/8000", "PCMA/8000"), min_length=1, description="audio codecs, best first")
    video: Offer = Field(default=(), description="video codecs of a second m-line; none: no such line")
    sdp: RawSdp = Field(default="", description="the offer as it stands; $address, $audio and $video may stand in it")
    url: RawLine = Field(default="$url", description="URL to play instead of the authorised one")
    skip: Seconds = Field(default=6.0, gt=0, description="skipinterval: how far ff and rw jump")
    ff: Key | None = Field(default=None, description="key that skips forward")
    rw: Key | None = Field(default=None, description="key that skips back")
    escape: Key = Field(default="*", description="key that ends the playing")
    offset: Offset = Field(
        default=0.0, description="where in the content to begin; playoffset: where the last response says it stopped"
    )
    expect: Status = Field(default="200", description="final status of the INVITE that makes the step succeed")

    @model_validator(mode="after")
    def _keys_differ(self) -> IvrVerb:
        if self.ff is not None and self.ff == self.rw:
            raise ValueError("ff and rw must be different keys")
        return self


class PressVerb(Verb):
    """Arguments of `press`."""

    summary = "sends a key: as INFO application/dtmf-relay, as telephone-event in RTP, or as both"
    key: Key = Field(description="0-9, *, #, A-D")
    by: Literal["info", "rtp", "both"] = Field(
        default="info", description="info, rtp, or both: by RTP, and by INFO when the key is up"
    )
    after: Seconds = Field(default=0.0, ge=0, description="media time heard since the playing began")


class SayVerb(Verb):
    """Arguments of `say`."""

    summary = "sends what a recording holds as the caller's voice, in RTP; done when all is sent"
    scalar = "file"
    file: FileName = Field(
        description="WAV beside the script (in a scenario also among the fixtures): 8,000 Hz, 16 bits, mono"
    )


class StopVerb(Verb):
    """Arguments of `stop`."""

    summary = "sends INFO <stop>"
    after: Seconds = Field(default=0.0, ge=0, description="media time heard since the playing began")


class MscmlVerb(Verb):
    """Arguments of `mscml`."""

    summary = "sends an MSCML request as it stands; calls the IVR service first, where no call is up"
    scalar = "request"
    request: RawText = Field(description="the element within <request>; $url, $uid and $section may stand in it")
    after: Seconds = Field(default=0.0, ge=0, description="media time heard since the playing began")
    expect: Status = Field(default="200", description="final status of the INFO that makes the step succeed")


class ReinviteVerb(Verb):
    """Arguments of `reinvite`."""

    summary = "offers the session anew by a re-INVITE: on hold, to another service, ...; without arguments off hold"
    service: Literal["annc", "ivr"] | None = Field(
        default=None, description="service of the same media server that the call moves to; default: it stays"
    )
    url: RawLine = Field(default="$url", description="with annc: URL to play instead of the authorised one")
    after: Seconds = Field(default=0.0, ge=0, description="media time heard since the playing began")
    hold: Literal["no", "direction", "address"] = Field(
        default="no", description="hold, by a=sendonly or a=inactive (direction), or by c=0.0.0.0 (address)"
    )
    offer: Offer = Field(default=(), description="audio codecs, best first; none: those of the offer before")
    move: bool = Field(default=False, description="yes: hear on a new pair of ports")
    expect: Status = Field(default="200", description="final status that makes the step succeed")

    @model_validator(mode="after")
    def _url_is_for_annc(self) -> ReinviteVerb:
        if "url" in self.model_fields_set and self.service != "annc":
            raise ValueError("url goes with service: annc")
        return self


class ListenVerb(Verb):
    """Arguments of `listen`."""

    summary = "listens until the peer's BYE, the response to the last request, the next notification, or for some time"
    until: Until = Field(default="bye", description="bye, response, keypress, or a duration")
    expect: Status = Field(default="200", description="code that the response must have")


class HangUpVerb(Verb):
    """Arguments of `hang-up`."""

    summary = "sends BYE"


class StreamVerb(Verb):
    """Arguments of `stream`."""

    summary = "does the whole of it: discovery, ticket, IVR and, where refused, announcement, each server in turn"
    offer: Offer = Field(default=("PCMU/8000", "PCMA/8000"), min_length=1, description="audio codecs, best first")
    access: Access | None = Field(
        default=None, description="access identifier for media servers that are not listed as authorised"
    )
    expire: Expiry = Field(default=600.0, description="life of the ticket from now, or none")
    expect: Literal["played", "none"] = Field(
        default="played", description="played, or none: no ticket comes back, and no media server is called"
    )
    answer_within: Seconds = Field(
        default=4.0,
        gt=0,
        alias="answer-within",
        description="how long a server may send no response at all before the next one is tried",
    )


class ImapVerb(Verb):
    """Arguments of `imap`."""

    summary = "sends one IMAP command as it stands, with a tag before it"
    scalar = "command"
    command: RawLine = Field(
        description="the command without tag and CRLF; $url, $token, $uid and $section may stand in it"
    )
    expect: Literal["OK", "NO", "BAD"] = Field(default="OK", description="tagged result that makes the step succeed")


class SipVerb(Verb):
    """Arguments of `sip`."""

    summary = "sends one SIP request: inside the call where there is one, else to the URI on its own"
    method: Annotated[str, _matching(r"[A-Z]+", "a method in capitals is expected")] = Field(description="OPTIONS, ...")
    uri: RawLine | None = Field(default=None, description="Request-URI; default: the call's, else the media server's")
    headers: dict[str, RawLine] = Field(default={}, description="further headers, name to value")
    body: RawText = Field(default="", description="body, as it stands; name its type with a Content-Type header")
    expect: Status = Field(default="200", description="final status that makes the step succeed")


VERBS: dict[str, type[Verb]] = {
    "find-part": FindPartVerb,
    "discover": DiscoverVerb,
    "authorise": AuthoriseVerb,
    "announce": AnnounceVerb,
    "ivr": IvrVerb,
    "press": PressVerb,
    "say": SayVerb,
    "stop": StopVerb,
    "mscml": MscmlVerb,
    "reinvite": ReinviteVerb,
    "listen": ListenVerb,
    "hang-up": HangUpVerb,
    "stream": StreamVerb,
    "imap": ImapVerb,
    "sip": SipVerb,
}
