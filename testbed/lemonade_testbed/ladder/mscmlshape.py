"""What an MSCML request may contain (RFC 5022, section 11): elements, attributes, and the form of their values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)(ms|s)?")
_LEVELS = "gain gaindelta rate ratedelta"
_PLAY = "id prompturl promptencoding offset"
_COLLECT = f"{_PLAY} barge cleardigits escapekey"
_TIMERS = "firstdigittimer interdigittimer extradigittimer interdigitcriticaltimer"
_REPEATED = frozenset({"audio", "variable", "regex", "signal", "teammate"})
_TIMES = frozenset(f"offset delay duration skipinterval initsilence endsilence fetchtimeout {_TIMERS}".split())
_YES_NO = frozenset({"barge", "cleardigits", "maskdigits", "beep", "stoponerror"})
_KEY = frozenset({"escapekey", "escape", "returnkey", "ffkey", "rwkey"})


@dataclass(frozen=True)
class _Shape:
    """An element: its attributes (the required ones with `!`), and its children by name."""

    attributes: str
    children: dict[str, _Shape] = field(default_factory=dict)


_PROMPT_PARTS = {
    "audio": _Shape(f"url! encoding {_LEVELS}"),
    "variable": _Shape("type! subtype value!"),
}
_PROMPT = {"prompt": _Shape(f"baseurl locale offset delay duration repeat stoponerror {_LEVELS}", _PROMPT_PARTS)}
_MAP = _Shape("value! name")
_PATTERN = {"pattern": _Shape("", {"regex": _MAP, "mgcpdigitmap": _MAP, "megacodigitmap": _MAP})}
_GAIN = _Shape("", {"auto": _Shape("startlevel targetlevel silencethreshold"), "fixed": _Shape("level")})
_TALKERS = _Shape("", {"activetalkers": _Shape("report! interval")})
_KEYS = _Shape("", {"keypress": _Shape("report! maskdigits"), "signal": _Shape("type! report!")})
_TEAM = _Shape("id action!", {"teammate": _Shape("id!")})
_REQUESTS = {
    "configure_conference": _Shape(
        "id reservedtalkers reserveconfmedia", {"subscribe": _Shape("", {"events": _TALKERS})}
    ),
    "configure_leg": _Shape(
        "id type mixmode dtmfclamp toneclamp",
        {
            "inputgain": _GAIN,
            "outputgain": _GAIN,
            "configure_team": _TEAM,
            "subscribe": _Shape("", {"events": _KEYS}),
        },
    ),
    "play": _Shape(_PLAY, _PROMPT),
    "playcollect": _Shape(
        f"{_COLLECT} escape returnkey ffkey rwkey skipinterval maxdigits maskdigits {_TIMERS}", _PROMPT | _PATTERN
    ),
    "playrecord": _Shape(
        f"{_COLLECT} recurl! recencoding mode duration beep initsilence endsilence recstopmask", _PROMPT
    ),
    "managecontent": _Shape("id src! dest action httpmethod name fetchtimeout mimetype"),
    "faxplay": _Shape("id lclid rmtid prompturl recurl", _PROMPT),
    "faxrecord": _Shape("id lclid rmtid prompturl recurl", _PROMPT),
    "stop": _Shape("id"),
}


def problems_of(request: Element) -> Iterator[str]:
    """Yield each thing in the element of a request, and in those below it, that is not valid."""
    yield from _invalid(request, _REQUESTS.get(tag_of(request)))


def _invalid(element: Element, shape: _Shape | None) -> Iterator[str]:
    """Yield each thing in an element, and in those below it, that is not valid."""
    tag = tag_of(element)
    if shape is None:
        yield f"<{tag}> is not known here"
        return
    names = shape.attributes.split()
    for name, value in element.attrib.items():
        if name.startswith("{"):  # it belongs to another namespace
            continue
        if name not in names and f"{name}!" not in names:
            yield f"<{tag}> has no attribute {name}"
        elif not _is_valid(name, value):
            yield f"{name}={value!r} in <{tag}>"
    for name in names:
        if name.endswith("!") and name[:-1] not in element.attrib:
            yield f"<{tag}> without {name[:-1]}"
    if (element.text or "").strip() or any((child.tail or "").strip() for child in element):
        yield f"text within <{tag}>"
    tags = [tag_of(child) for child in element]
    yield from (f"more than one <{one}> in <{tag}>" for one in sorted(set(tags) - _REPEATED) if tags.count(one) > 1)
    for child in element:
        yield from _invalid(child, shape.children.get(tag_of(child)))


def _is_valid(name: str, value: str) -> bool:
    if name in _TIMES:
        return not math.isnan(read_time(value))
    if name in _YES_NO:
        return value in {"yes", "no", "true", "false", "1", "0"}
    if name in _KEY:
        return len(value) == 1 and value.upper() in "0123456789ABCD#*"
    if name == "url":
        return not (value.lower().startswith("imap:") and re.search(r"\s", value))
    if name == "repeat":
        return value == "infinite" or is_number(value)
    if name == "maxdigits":
        return is_number(value) and int(value) > 0
    return True


def tag_of(element: Element) -> str:
    """Return the name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def read_time(text: str) -> float:
    """Return the milliseconds of a time value (RFC 5022, section 4.2.1)."""
    match = _TIME.fullmatch(text)
    if match is None:
        return {"infinite": math.inf, "immediate": 0}.get(text, math.nan)
    return float(match[1]) * (1000 if match[2] == "s" else 1)


def is_number(text: str) -> bool:
    """Tell whether a text has digits alone, and not too many."""
    return text.isascii() and text.isdigit() and len(text) < 20
