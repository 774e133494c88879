"""Reads MSCML bodies (RFC 5022) as a trace has them, with Python's XML parser; shares no code with the nodes.

No function raises an error. A body that is not XML becomes `Unreadable`. A document that is not valid by RFC 5022,
section 11, is read as far as possible, and `problems` say what is wrong. Attribute values are those of the document;
absent attributes have the default values of the RFC.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from xml.etree import ElementTree as Xml

from lemonade_testbed.ladder.mscmlshape import is_number, problems_of, read_time, tag_of

CONTENT_TYPE = "application/mediaservercontrol+xml"
_NAME = re.compile(r"<(?:\w+:)?request\b[^>]*>\s*<(?:\w+:)?(\w+)")
_OPEN_AUDIO = re.compile(r"(<audio\s[^<>]*[^/<>])>(\s*</prompt>)")
_DOCTYPE = re.compile(r"<!(?:DOCTYPE|ENTITY)")
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True)
class AudioText:
    """An `<audio>` of a prompt: its URL, after `baseurl` of the prompt if it is relative."""

    url: str


@dataclass(frozen=True)
class VariableText:
    """A `<variable>` of a prompt, which is spoken."""

    type: str
    value: str


@dataclass(frozen=True)
class PromptText:
    """What a request plays; times are in milliseconds, or `math.nan` if they cannot be read."""

    items: tuple[AudioText | VariableText, ...]
    offset_ms: float = 0
    delay_ms: float = 0
    duration_ms: float = math.inf
    repeat: str = "1"
    stop_on_error: bool = False


@dataclass(frozen=True)
class RequestText:
    """A request: the name of its element, and what it plays; `problems` say what is not valid."""

    name: str
    id: str | None = None
    prompt: PromptText | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlayCollectText(RequestText):
    """`<playcollect>` (RFC 5022, section 6.4); times are in milliseconds, or `math.nan` if they cannot be read."""

    escape_key: str = "*"
    return_key: str = "#"
    ff_key: str | None = None
    rw_key: str | None = None
    skip_interval_ms: float = 6000
    first_digit_ms: float = 5000
    interdigit_ms: float = 2000
    extra_digit_ms: float = 1000
    barge: bool = True
    max_digits: str | None = None
    mask_digits: bool = False


@dataclass(frozen=True)
class ErrorInfoText:
    """`<error_info>`: status and phrase from the server of a URL, and the URL as `context`; an unreadable code is 0."""

    code: int
    text: str
    context: str


@dataclass(frozen=True)
class ResponseText:
    """The result of a request (RFC 5022, section 10); None for what is absent.

    Times are in milliseconds, or `math.nan` if they cannot be read; an unreadable `code` is 0. Digits may be secret, so
    a repr leaves them out.
    """

    request: str
    code: int
    text: str | None = None
    id: str | None = None
    reason: str | None = None
    play_duration_ms: float | None = None
    play_offset_ms: float | None = None
    record_duration_ms: float | None = None
    record_octets: int | None = None
    digits: str | None = field(default=None, repr=False)
    name: str | None = None
    error_info: ErrorInfoText | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class KeypressText:
    """A notification of a key press (RFC 5022, section 7.1); `method` is the length if the document has no method."""

    digit: str = field(repr=False)
    method: str
    length: str
    since_ms: float = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unreadable:
    """A body that is not a valid MSCML document; `name` is that of the request if it can be seen, else empty."""

    why: str
    name: str = ""


Document = RequestText | ResponseText | KeypressText | Unreadable


@lru_cache(maxsize=1024)
def read_mscml(text: str) -> Document:
    """Read a document; see the module for what becomes of an invalid one."""
    try:
        root = _parsed(text)
    except (Xml.ParseError, ValueError) as problem:
        name = _NAME.search(text)
        return Unreadable(f"no XML: {problem}", name[1] if name else "")
    bodies = list(root)
    if tag_of(root) != "MediaServerControl" or len(bodies) != 1:
        return Unreadable("no <MediaServerControl> with one request, response or notification")
    problems = [] if "version" in root.attrib else ["<MediaServerControl> without version"]
    body = bodies[0]
    match tag_of(body), [*body]:
        case "response", _:
            return _response(body, problems)
        case "notification", [press, *_] if tag_of(press) == "keypress":
            return _keypress(press, problems)
        case "request", [request]:
            return _request(request, [*problems, *problems_of(request)])
    return Unreadable(f"<{tag_of(body)}> with nothing known in it")


def _parsed(text: str) -> Xml.Element:
    """Parse a document; the example of the draft leaves an `<audio>` open, which is closed here (E-23)."""
    if _DOCTYPE.search(text):
        raise ValueError("a document type declaration")
    text = _DECLARATION.sub("", text).strip()  # it names an encoding, but the text is decoded already
    try:
        return Xml.fromstring(text)  # noqa: S314  a document type is refused above, so there are no entities
    except Xml.ParseError:
        closed = _OPEN_AUDIO.sub(r"\1/>\2", text)
        if closed == text:
            raise
        return Xml.fromstring(closed)  # noqa: S314  as above


def _request(element: Xml.Element, problems: list[str]) -> RequestText:
    found, name = element.attrib, tag_of(element)
    common = (name, found.get("id"), _prompt(element), tuple(problems))
    if name != "playcollect":
        return RequestText(*common)
    keys = {key: found[key].upper() for key in ("escapekey", "escape", "returnkey", "ffkey", "rwkey") if key in found}
    return PlayCollectText(
        *common,
        escape_key=keys.get("escapekey") or keys.get("escape") or "*",  # the word of the draft (E-21)
        return_key=keys.get("returnkey") or "#",
        ff_key=keys.get("ffkey"),
        rw_key=keys.get("rwkey"),
        skip_interval_ms=read_time(found.get("skipinterval", "6s")),
        first_digit_ms=read_time(found.get("firstdigittimer", "5000ms")),
        interdigit_ms=read_time(found.get("interdigittimer", "2000ms")),
        extra_digit_ms=read_time(found.get("extradigittimer", "1000ms")),
        barge=_yes(found.get("barge", "yes")),
        max_digits=found.get("maxdigits"),
        mask_digits=_yes(found.get("maskdigits", "no")),
    )


def _prompt(element: Xml.Element) -> PromptText | None:
    if "prompturl" in element.attrib:  # deprecated, but still in RFC 5022
        return PromptText((AudioText(element.attrib["prompturl"]),), read_time(element.attrib.get("offset", "0")))
    prompt = next((child for child in element if tag_of(child) == "prompt"), None)
    if prompt is None:
        return None
    found = prompt.attrib
    items: list[AudioText | VariableText] = []
    for child in prompt:
        if tag_of(child) == "audio":
            url = child.get("url", "")
            items.append(AudioText(url if _SCHEME.match(url) else found.get("baseurl", "") + url))
        else:
            items.append(VariableText(child.get("type", ""), child.get("value", "")))
    return PromptText(
        tuple(items),
        read_time(found.get("offset", "0")),
        read_time(found.get("delay", "0")),
        read_time(found.get("duration", "infinite")),
        found.get("repeat", "1"),
        _yes(found.get("stoponerror", "no")),
    )


def _response(element: Xml.Element, problems: list[str]) -> ResponseText:
    found = element.attrib
    problems = [*problems, *(f"<response> without {name}" for name in ("request", "code") if not found.get(name))]
    octets = found.get("reclength")
    return ResponseText(
        found.get("request", ""),
        _status(found.get("code", "")),
        text=found.get("text"),
        id=found.get("id"),
        reason=found.get("reason"),
        play_duration_ms=_time_in(found, "playduration"),
        play_offset_ms=_time_in(found, "playoffset"),
        record_duration_ms=_time_in(found, "recduration"),
        record_octets=None if octets is None else int(octets) if is_number(octets) else -1,
        digits=found.get("digits"),
        name=found.get("name"),
        error_info=_error_info(element),
        problems=tuple(problems),
    )


def _error_info(element: Xml.Element) -> ErrorInfoText | None:
    info = next((child.attrib for child in element if tag_of(child) == "error_info"), None)
    if info is None:
        return None
    return ErrorInfoText(_status(info.get("code", "")), info.get("text", ""), info.get("context", ""))


def _time_in(found: Mapping[str, str], name: str) -> float | None:
    return read_time(found[name]) if name in found else None


def _keypress(element: Xml.Element, problems: list[str]) -> KeypressText:
    found = element.attrib
    length = found.get("length", "")
    problems = [*problems, *(f"<keypress> without {name}" for name in ("digit", "length") if not found.get(name))]
    return KeypressText(
        found.get("digit", "").upper(),
        found.get("method", length),
        length,
        read_time(found.get("interdigittime", "0")),
        tuple(problems),
    )


def _yes(text: str) -> bool:
    return text in {"yes", "true", "1"}


def _status(text: str) -> int:
    return int(text) if len(text) == 3 and is_number(text) and "2" <= text[0] <= "6" else 0
