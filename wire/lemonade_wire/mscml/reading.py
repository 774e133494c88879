"""From XML elements to MSCML requests and responses: types, defaults, rules (RFC 5022 section 11)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lemonade_wire.mscml.request import (
    Audio,
    Play,
    PlayCollect,
    Prompt,
    Regex,
    Request,
    Stop,
    Unsupported,
    Variable,
)
from lemonade_wire.mscml.response import ErrorInfo, Response
from lemonade_wire.mscml.timevalue import parse_time
from lemonade_wire.mscml.xmltree import Element

REQUESTS = frozenset(
    [
        "configure_conference",
        "configure_leg",
        "play",
        "playcollect",
        "playrecord",
        "managecontent",
        "faxplay",
        "faxrecord",
        "stop",
    ]
)
_YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_KEY = re.compile(r"[0-9A-Da-d#*]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_SPACES = re.compile(r"[ \t\r\n]+")
_DIGITS = re.compile(r"[0-9]{1,9}")
_VARIABLES = frozenset(["dat", "dig", "dur", "mth", "mny", "num", "sil", "str", "tme", "wkd"])


@dataclass(frozen=True)
class Tolerance:
    """What is taken in spite of RFC 5022, because the draft's example does it.

    `repeat_zero_is_one`: a playcollect of one imap URL with `repeat="0"` plays once (E-22). `close_audio`: an
    `<audio ...>` without an end before `</prompt>` is closed (E-23). `strip_url_spaces`: line breaks within an imap URL
    go (E-24); without it such a URL is refused.
    """

    repeat_zero_is_one: bool = True
    close_audio: bool = False
    strip_url_spaces: bool = False


def read_request(element: Element, tolerance: Tolerance) -> Request:
    """Return the request of an element within `<request>`; raises ValueError. Unknown attributes are passed over."""
    name = element.attributes.get("id")
    if element.name == "stop":
        return Stop(name)
    if element.name == "play":
        return Play(_prompt_of(element, tolerance, collect=False), name)
    if element.name == "playcollect":
        if any(child.name != "regex" for part in _named(element, "pattern") for child in part.children):
            return Unsupported(element.name, name)  # MGCP and Megaco digit maps
        return _playcollect(element, tolerance)
    if element.name in REQUESTS:
        return Unsupported(element.name, name)
    raise ValueError(f"no request <{element.name}>")


def read_response(element: Element) -> Response:
    """Return a response; only `request` and `code` must be there (E-26, E-27). Raises ValueError."""
    found = element.attributes
    infos = _named(element, "error_info")
    error = None
    if infos:
        info = infos[0].attributes
        error = ErrorInfo(_status(info.get("code")), info.get("text", ""), info.get("context", ""))
    if "request" not in found:
        raise ValueError("<response> without request")
    return Response(
        request=found["request"],
        code=_status(found.get("code")),
        text=found.get("text"),
        id=found.get("id"),
        reason=found.get("reason"),
        play_duration_ms=_loose_time(found.get("playduration")),
        play_offset_ms=_loose_time(found.get("playoffset")),
        digits=found.get("digits"),
        name=found.get("name"),
        error_info=error,
    )


def _playcollect(element: Element, tolerance: Tolerance) -> PlayCollect:
    found = element.attributes
    plain = PlayCollect()
    ff, rw = _key(found, "ffkey"), _key(found, "rwkey")
    if ff is not None and ff == rw:
        raise ValueError("ffkey and rwkey are the same")  # RFC 5022 section 6.4.2
    critical = found.get("interdigitcriticaltimer")
    barge = _yes(found, "barge", plain.barge)
    return PlayCollect(
        prompt=_prompt_of(element, tolerance, collect=True),
        id=found.get("id"),
        # RFC 5022 section 6.4.1: without barge, what was typed before counts for nothing
        clear_digits=_yes(found, "cleardigits", plain.clear_digits) or not barge,
        barge=barge,
        # E-21: the draft's example calls it `escape`
        escape_key=_key(found, "escapekey") or _key(found, "escape") or plain.escape_key,
        return_key=_key(found, "returnkey") or plain.return_key,
        skip_interval_ms=_time(found, "skipinterval", plain.skip_interval_ms),
        ff_key=ff,
        rw_key=rw,
        max_digits=_max_digits(found.get("maxdigits")),
        first_digit_ms=_time(found, "firstdigittimer", plain.first_digit_ms, infinite=True),
        interdigit_ms=_time(found, "interdigittimer", plain.interdigit_ms, infinite=True),
        extra_digit_ms=_time(found, "extradigittimer", plain.extra_digit_ms, infinite=True),
        interdigit_critical_ms=None if critical is None else parse_time(critical, infinite=True),
        mask_digits=_yes(found, "maskdigits", plain.mask_digits),
        patterns=tuple(
            Regex(child.attributes["value"], child.attributes.get("name"))
            for part in _named(element, "pattern")
            for child in part.children
            if "value" in child.attributes
        ),
    )


def _prompt_of(element: Element, tolerance: Tolerance, *, collect: bool) -> Prompt | None:
    """Return the prompt of a play or playcollect, from `<prompt>` or from the deprecated `prompturl`."""
    known = ("prompt", "pattern") if collect else ("prompt",)
    extra = [child.name for child in element.children if child.name not in known]
    if extra:
        raise ValueError(f"<{extra[0]}> does not belong into <{element.name}>")
    prompts, url = _named(element, "prompt"), element.attributes.get("prompturl")
    if len(prompts) + (url is not None) > 1:
        raise ValueError("more than one prompt")
    if url is not None:
        audio = Audio(_url(url, "", tolerance), element.attributes.get("promptencoding"))
        return Prompt((audio,), offset_ms=_time(element.attributes, "offset", 0))
    return _prompt(prompts[0], tolerance, collect=collect) if prompts else None


def _prompt(element: Element, tolerance: Tolerance, *, collect: bool) -> Prompt:
    found = element.attributes
    for pair in (("gain", "gaindelta"), ("rate", "ratedelta")):
        if all(name in found for name in pair):
            raise ValueError(f"{pair[0]} and {pair[1]} exclude each other")
    base = found.get("baseurl", "")
    items = tuple(_item(child, base, tolerance) for child in element.children)
    if not items:
        raise ValueError("<prompt> without content")
    repeat: int | None = None
    if found.get("repeat") != "infinite":
        repeat = _number(found.get("repeat", "1"), "repeat")
    single = len(items) == 1 and isinstance(items[0], Audio) and items[0].url.lower().startswith("imap:")
    if repeat == 0 and collect and single and tolerance.repeat_zero_is_one:
        repeat = 1
    return Prompt(
        items,
        offset_ms=_time(found, "offset", 0),
        delay_ms=_time(found, "delay", 0),
        duration_ms=parse_time(found.get("duration", "infinite"), infinite=True),
        repeat=repeat,
        stop_on_error=_yes(found, "stoponerror", False),
        locale=found.get("locale"),
    )


def _item(element: Element, base: str, tolerance: Tolerance) -> Audio | Variable:
    found = element.attributes
    if element.name == "audio":
        if "url" not in found:
            raise ValueError("<audio> without url")
        return Audio(_url(found["url"], base, tolerance), found.get("encoding"))
    if element.name == "variable":
        if found.get("type") not in _VARIABLES:
            raise ValueError(f"no variable of type {found.get('type')!r}")
        return Variable(found["type"], found.get("subtype"), found.get("value"))
    raise ValueError(f"<{element.name}> does not belong into <prompt>")


def _url(text: str, base: str, tolerance: Tolerance) -> str:
    url = text if _SCHEME.match(text) else base + text
    if url.lower().startswith("imap:") and _SPACES.search(url):
        # A line break in an attribute has become a space (XML 1.0 section 3.3.3), which is never legal in a URL.
        if not tolerance.strip_url_spaces:
            raise ValueError("a blank within an imap URL")
        url = _SPACES.sub("", url)
    return url


def _named(element: Element, name: str) -> list[Element]:
    return [child for child in element.children if child.name == name]


def _yes(found: dict[str, str], name: str, default: bool) -> bool:
    if name not in found:
        return default
    if found[name] not in _YES_NO:
        raise ValueError(f"{name} is yes or no, not {found[name]!r}")
    return _YES_NO[found[name]]


def _key(found: dict[str, str], name: str) -> str | None:
    if name not in found:
        return None
    if not _KEY.fullmatch(found[name]):
        raise ValueError(f"{name}={found[name]!r} is no key")
    return found[name].upper()


def _time(found: dict[str, str], name: str, default: float, *, infinite: bool = False) -> float:
    return parse_time(found[name], infinite=infinite) if name in found else default


def _max_digits(text: str | None) -> int | None:
    if text is None:
        return None
    number = _number(text, "maxdigits")
    if number < 1:
        raise ValueError("maxdigits of 0")
    return number


def _number(text: str, name: str) -> int:
    if not _DIGITS.fullmatch(text):
        raise ValueError(f"{name}={text!r} is no number")
    return int(text)


def _loose_time(text: str | None) -> float | None:
    # What a server says of the past must not make its whole response unreadable.
    try:
        return None if text is None else parse_time(text)
    except ValueError:
        return None


def _status(text: str | None) -> int:
    if text is None or not re.fullmatch(r"[2-6][0-9]{2}", text):
        raise ValueError(f"code={text!r} is no status")
    return int(text)
