"""Reads SIP messages as a trace or a capture has them: start line, headers, and the parts of their bodies.

It uses the standard library's `email` package and shares no code with the nodes, so that a mistake of the nodes'
parsers cannot hide itself. No function raises an error: what cannot be read is left out.

A Content-Transfer-Encoding that ends in `; decoded` was decoded when the trace was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email import message_from_string
from email.errors import MessageError
from email.message import Message
from functools import cached_property, lru_cache
from urllib.parse import unquote

from lemonade_testbed.ladder import mscmltext, sdptext
from lemonade_testbed.ladder.model import Url
from lemonade_testbed.ladder.mscmltext import AudioText, Document, KeypressText, RequestText, ResponseText, Unreadable

DECODED = "; decoded"
"""The end of a Content-Transfer-Encoding that was decoded when the trace was written (see
`lemonade_wire/redaction.py`).
"""
_ENCODED = {"base64", "quoted-printable"}
_COMPACT = {"v": "via", "i": "call-id", "m": "contact", "f": "from", "t": "to", "l": "content-length",
            "c": "content-type", "k": "supported", "x": "session-expires"}  # fmt: skip
_SIGNAL = re.compile(r"signal[ \t]*=[ \t]*([0-9A-Da-d*#]+|-)", re.IGNORECASE)
_SIGNAL_NUMBERS = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}


@dataclass(frozen=True)
class BodyText:
    """A body, or a part of a multipart body.

    `content_type` is the media type in lower case without parameters, empty if there is none. `text` is the content
    with its transfer encoding decoded. `encoding` is the Content-Transfer-Encoding in lower case, empty if there is
    none.
    """

    content_type: str
    text: str
    encoding: str = ""


def read_parts(content_type: str, encoding: str, body: str) -> tuple[BodyText, ...]:
    """Return the parts of a body in order, by its headers Content-Type and Content-Transfer-Encoding."""
    if not body:
        return ()
    head = f"Content-Type: {content_type}\n" if content_type else ""
    head += f"Content-Transfer-Encoding: {encoding}\n" if encoding else ""
    try:
        return tuple(_leaves(message_from_string(f"{head}\n{body}")))
    except (MessageError, LookupError, ValueError, RecursionError):
        return ()


def _leaves(entity: Message) -> Iterator[BodyText]:
    content = entity.get_payload()
    if isinstance(content, list):
        for part in content:
            yield from _leaves(part) if isinstance(part, Message) else ()
        return
    encoding = " ".join(str(entity.get("Content-Transfer-Encoding", "")).lower().split())
    if encoding in _ENCODED:
        octets = entity.get_payload(decode=True)
        content = _text(octets) if isinstance(octets, bytes) else ""
    yield BodyText(_media_type(entity), str(content), encoding)


def _media_type(entity: Message) -> str:
    return str(entity.get("Content-Type", "")).partition(";")[0].strip().lower()


def _text(octets: bytes) -> str:
    """Return octets as text: UTF-16 if a byte order mark or NULs in the first two characters show it, else UTF-8."""
    if octets[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return octets.decode("utf-16", errors="replace")
    if b"\0\0" in {octets[:4:2], octets[1:4:2]}:
        return octets.decode("utf-16-be" if octets[:1] == b"\0" else "utf-16-le", errors="replace")
    return octets.decode(errors="replace")


@dataclass(frozen=True)
class SipText:
    """One SIP message: start line, header values by lower-case long name, and body.

    The lines of `body` end in LF; `raw_body` has the line ends that the trace has.
    """

    start: str
    headers: Mapping[str, tuple[str, ...]]
    body: str = ""
    raw_lines: tuple[str, ...] = field(default=(), repr=False)
    raw_body: str = field(default="", repr=False)

    @property
    def is_response(self) -> bool:
        """Tell whether the start line is a status line."""
        return re.match(r"SIP/[0-9.]+ ", self.start) is not None

    @property
    def status(self) -> str:
        """The status of a response; empty for a request."""
        return self.start.split(" ", 2)[1] if self.is_response else ""

    @property
    def method(self) -> str:
        """The method of a request, or of the request that a response answers (by CSeq)."""
        return self.cseq.partition(" ")[2] if self.is_response else self.start.partition(" ")[0]

    @property
    def uri(self) -> str:
        """The Request-URI; empty for a response."""
        words = self.start.split(" ")
        return "" if self.is_response or len(words) < 2 else words[1]

    @property
    def cseq(self) -> str:
        """Number and method of the CSeq, with one blank between."""
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
        """The media type of the body without parameters, in lower case."""
        return self.header("content-type").partition(";")[0].strip().lower()

    def header(self, name: str) -> str:
        """Return the first value of a header by its lower-case long name; empty if it is missing."""
        return self.headers.get(name, ("",))[0]

    @cached_property
    def parts(self) -> tuple[BodyText, ...]:
        """The body, or the parts of a multipart body, with transfer encodings decoded."""
        return read_parts(self.header("content-type"), self.header("content-transfer-encoding"), self.body)

    def content(self, content_type: str) -> str | None:
        """Return the text of the first part with a media type; None without one."""
        return next((part.text for part in self.parts if part.content_type == content_type), None)

    def contact_uri(self) -> str:
        """Return the URI of the Contact header, or an empty text."""
        contact = re.sub(r'^"(?:[^"\\]|\\.)*"', "", self.header("contact"))  # a display name may contain any character
        bracketed = re.search(r"<([^>]*)>", contact)
        return bracketed[1] if bracketed else contact.partition(";")[0].strip()

    def service(self) -> str:
        """Return the service in the Request-URI (`annc`, `ivr`), or an empty text.

        The user part of a SIP URI is case-sensitive (RFC 3261, section 19.1.4).
        """
        scheme, _, rest = self.uri.partition(":")
        user, at, _ = rest.partition("@")
        return re.split("[;=:]", user)[0] if at and scheme.lower() in {"sip", "sips"} else ""

    def is_call_to(self, service: str) -> bool:
        """Tell whether this is an INVITE to a service (`annc`, `ivr`)."""
        return not self.is_response and self.method == "INVITE" and self.service() == service

    def played_url(self) -> str | None:
        """Return the URL in the parameter `play`, unescaped once, or None."""
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
    raw = text.partition("\r\n\r\n")[2] or body.replace("\n", "\r\n")
    return SipText(lines[0], headers, body, tuple(lines), raw)


def mscml_of(message: SipText) -> Document | None:
    """Return the MSCML content of a message; None if there is none that is valid."""
    content = _mscml_content(message)
    return None if content is None or isinstance(content, Unreadable) or content.problems else content


def _mscml_content(message: SipText) -> Document | None:
    text = message.content(mscmltext.CONTENT_TYPE)
    return None if text is None else mscmltext.read_mscml(text)


def sdp_of(message: SipText) -> sdptext.SdpText | None:
    """Return the session description of a message, or None."""
    text = message.content(sdptext.CONTENT_TYPE)
    return None if text is None else sdptext.read_sdp(text)


def prompt_url(request: Document | None) -> str | None:
    """Return the URL of the first `<audio>` of a request, or None."""
    prompt = request.prompt if isinstance(request, RequestText) else None
    return next((item.url for item in prompt.items if isinstance(item, AudioText)), None) if prompt else None


def pressed_key(message: SipText) -> str | None:
    """Return the key of a DTMF INFO, `-` if it is masked, or None."""
    key = message.content("application/dtmf")
    match = _SIGNAL.search(key or message.content("application/dtmf-relay") or "")
    if key is not None and match is None:
        return key.strip() or None
    return _SIGNAL_NUMBERS.get(match[1], match[1].upper()) if match else None


def holds(message: SipText) -> bool:
    """Tell whether a request puts the call on hold: it offers to receive nothing (RFC 3264, section 8.4)."""
    offer = sdp_of(message)
    return offer is not None and not any(line.receives for line in offer.media)


def label_words(message: SipText) -> tuple[str | Url, ...]:
    """Return the words of the label that the message has in a ladder."""
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
        return ("dtmf-relay" if message.content("application/dtmf") is None else "dtmf", key)
    if "pkcs7" in message.content_type:
        return ("encrypted",)
    match _mscml_content(message):
        case Unreadable(name=name) | RequestText(name=name, problems=(_, *_)) if (
            name
        ):  # not valid: the label has the name of the request alone
            return (name,)
        case ResponseText(problems=()) as response:
            said = response.reason or ("" if response.code == 200 else str(response.code))
            return ("response", said or response.request)
        case KeypressText(digit, method, problems=()):
            return ("keypress", digit, method)
        case RequestText(name=name, problems=()) as request:
            url = prompt_url(request)
            return (name, *([Url.parse(url)] if url else ()))
    return ("other",)
