"""Reads SIP messages as they stand in a trace: redacted, so their lengths no longer fit, and perhaps a vendor's.

That is why the strict parser of the nodes is not used here. Nothing raises: what cannot be read is empty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote

from lemonade_testbed.ladder.model import Url
from lemonade_wire.mscml.document import CONTENT_TYPE, Document, MscmlError, Tolerance, parse_document
from lemonade_wire.mscml.request import Audio, Play, PlayCollect, PlayRecord, request_name
from lemonade_wire.mscml.response import Keypress, Response
from lemonade_wire.sdp.description import SdpError, SessionDescription

_COMPACT = {"v": "via", "i": "call-id", "m": "contact", "f": "from", "t": "to", "l": "content-length",
            "c": "content-type"}  # fmt: skip
_SIGNAL = re.compile(r"signal[ \t]*=[ \t]*([0-9A-Da-d*#]+|-)", re.IGNORECASE)
_MASKED = re.compile(r'<keypress\b(?=[^>]*\bdigit="-")[^>]*\bmethod="(\w+)"')
_SIGNAL_NUMBERS = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
_TOLERANT = Tolerance(close_audio=True)


@dataclass(frozen=True)
class SipText:
    """One SIP message: start line, header values by lower-case long name, and body."""

    start: str
    headers: Mapping[str, tuple[str, ...]]
    body: str = ""
    raw_lines: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_response(self) -> bool:
        """Whether the start line is a status line."""
        return self.start.startswith("SIP/2.0 ")

    @property
    def status(self) -> str:
        """The status of a response; empty for a request."""
        return self.start.split(" ", 2)[1] if self.is_response else ""

    @property
    def method(self) -> str:
        """The method of a request, or the one that a response answers (by CSeq)."""
        return self.cseq.partition(" ")[2] if self.is_response else self.start.partition(" ")[0]

    @property
    def uri(self) -> str:
        """The Request-URI; empty for a response."""
        words = self.start.split(" ")
        return "" if self.is_response or len(words) < 2 else words[1]

    @property
    def cseq(self) -> str:
        """Number and method, one blank between."""
        return " ".join(self.header("cseq").split())

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        return self.header("call-id")

    @property
    def branch(self) -> str:
        """The branch of the topmost Via."""
        match = re.search(r";\s*branch\s*=\s*([^;,\s]+)", self.header("via"), re.IGNORECASE)
        return match[1] if match else ""

    @property
    def content_type(self) -> str:
        """The body's media type without parameters, in lower case."""
        return self.header("content-type").partition(";")[0].strip().lower()

    def header(self, name: str) -> str:
        """Return the first value of a header by its lower-case long name; empty where it is missing."""
        return self.headers.get(name, ("",))[0]

    def contact_uri(self) -> str:
        """Return the URI of the Contact header, or an empty text."""
        contact = self.header("contact")
        bracketed = re.search(r"<([^>]*)>", contact)
        return bracketed[1] if bracketed else contact.partition(";")[0].strip()

    def service(self) -> str:
        """Return the service indicator of the Request-URI (`annc`, `ivr`) in lower case, or an empty text."""
        scheme, _, rest = self.uri.partition(":")
        user, at, _ = rest.partition("@")
        return re.split("[;=:]", user)[0].lower() if at and scheme.lower() in {"sip", "sips"} else ""

    def played_url(self) -> str | None:
        """Return the URL of the `play` parameter, unescaped once, or None."""
        match = re.search(r";play=([^;?]*)", self.uri, re.IGNORECASE)
        return unquote(match[1]) if match else None


@lru_cache(maxsize=4096)
def read_sip(text: str) -> SipText:
    """Read one message; folded header lines are joined."""
    head, _, body = text.replace("\r\n", "\n").partition("\n\n")
    lines: list[str] = []
    for line in head.split("\n"):
        if line[:1] in {" ", "\t"} and len(lines) > 1:
            lines[-1] += " " + line.strip()
        else:
            lines.append(line)
    headers: dict[str, tuple[str, ...]] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        name = name.strip().lower()
        name = _COMPACT.get(name, name)
        headers[name] = (*headers.get(name, ()), value.strip())
    return SipText(lines[0], headers, body, tuple(lines))


@lru_cache(maxsize=1024)
def _read_mscml(content_type: str, body: str) -> Document | MscmlError | None:
    if content_type != CONTENT_TYPE:
        return None
    try:
        return parse_document(body.encode(), tolerance=_TOLERANT)
    except MscmlError as problem:
        return problem


def mscml_of(message: SipText) -> Document | None:
    """Return the MSCML content of a message, or None where there is none that can be read."""
    content = _read_mscml(message.content_type, message.body)
    return None if isinstance(content, MscmlError) else content


def prompt_url(request: Document | None) -> str | None:
    """Return the URL of the first `<audio>` of a request, or None."""
    prompt = request.prompt if isinstance(request, Play | PlayCollect | PlayRecord) else None
    return next((item.url for item in prompt.items if isinstance(item, Audio)), None) if prompt else None


def pressed_key(message: SipText) -> str | None:
    """Return the key of a DTMF INFO, `-` where it is masked, or None."""
    if message.content_type == "application/dtmf":
        return message.body.strip() or None
    match = _SIGNAL.search(message.body) if message.content_type == "application/dtmf-relay" else None
    return _SIGNAL_NUMBERS.get(match[1], match[1].upper()) if match else None


def holds(message: SipText) -> bool:
    """Tell whether a request offers to receive nothing (RFC 3264 section 8.4)."""
    if message.content_type != "application/sdp":
        return False
    try:
        offer = SessionDescription.parse(message.body)
    except SdpError:
        return False
    return not any(_receives(offer, index) for index in range(len(offer.media)))


def _receives(offer: SessionDescription, index: int) -> bool:
    media, connection = offer.media[index], offer.connection_of(index)
    return not media.rejected and media.direction(offer).receives and not (connection and connection.is_hold)


def label_words(message: SipText) -> tuple[str | Url, ...]:
    """Return the words of the message's label in a ladder."""
    if message.is_response:
        return ("SIP", message.status, message.method)
    words: tuple[str | Url, ...] = ("SIP", message.method)
    if message.method == "INFO":
        return words + _info_words(message)
    if message.method == "INVITE":
        url = message.played_url()
        words += (message.service(),) if message.service() else ()
        words += (Url.parse(url),) if url else ()
    return words


def _info_words(message: SipText) -> tuple[str | Url, ...]:
    key = pressed_key(message)
    if key is not None:
        return (message.content_type.partition("/")[2], key)
    if "pkcs7" in message.content_type:
        return ("encrypted",)
    match _read_mscml(message.content_type, message.body):
        case MscmlError(request=str(name)):  # of a request that cannot be read the name alone is told
            return (name,)
        case None | MscmlError():
            masked = _MASKED.search(message.body)
            return ("keypress", "-", masked[1]) if masked else ("other",)
        case Response() as response:
            plain = response.reason or ("" if response.code == 200 else str(response.code))
            return ("response", plain or response.request)
        case Keypress(digit, method):
            return ("keypress", digit, method)
        case request:
            url = prompt_url(request)
            return (request_name(request), *([Url.parse(url)] if url else ()))
