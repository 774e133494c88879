"""Compares what tshark reads in SIP bodies and RTP events with what the testbed's own readers read there.

The ladder and the checks read SDP, MSCML and telephone-events with the testbed's readers (`ladder/sdptext.py`,
`mscmltext.py`, `keytext.py`). tshark's dissectors are another implementation, so that an error of one of them shows as
a difference. A difference is reported as a sentence, which never holds the digits that a caller typed.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from lemonade_testbed.ladder import mscmltext, sdptext
from lemonade_testbed.ladder.keytext import read_reports
from lemonade_testbed.ladder.mscmlshape import read_time
from lemonade_testbed.ladder.mscmltext import (
    AudioText,
    Document,
    KeypressText,
    PlayCollectText,
    RequestText,
    ResponseText,
    Unreadable,
)
from lemonade_testbed.ladder.siptext import SipText, sdp_of

Fields = Mapping[str, Sequence[str]]
"""tshark's fields of one packet: name to all values of the field."""
_KINDS = (
    "configure_conference", "configure_leg", "play", "playcollect", "playrecord", "managecontent", "faxplay",
    "faxrecord", "stop",
)  # fmt: skip
_WITH_PROMPT = ("play", "playcollect", "playrecord")
_PROMPT = ("audio.url", "offset", "stoponerror")
_SDP = ("sdp.owner", "sdp.media", "sdp.media_attr", "sdp.session_attr")
_EVENTS = ("rtpevent.event_id", "rtpevent.end_of_event", "rtpevent.duration")
_OTHERWISE = "is read otherwise by the second reader than by the ladder"
_SECRET = frozenset({"mscml.response.digits", "mscml.notification.keypress.digit"})

_Value = str | float | bool | None
_Read = TypeVar("_Read", PlayCollectText, ResponseText, KeypressText)
_Table = Mapping[str, tuple[Callable[[str], _Value], Callable[[_Read], _Value]]]


def _yes(text: str) -> bool:
    return text in {"yes", "true", "1"}


def _plain(text: str) -> str:
    return text


# Each table maps an attribute's name to two functions: one reads tshark's text, one returns the testbed reader's value.
# The attributes are those of MSCML (RFC 5022).
_COLLECT: _Table[PlayCollectText] = {
    "ffkey": (str.upper, lambda one: one.ff_key),
    "rwkey": (str.upper, lambda one: one.rw_key),
    "escapekey": (str.upper, lambda one: one.escape_key),
    "returnkey": (str.upper, lambda one: one.return_key),
    "skipinterval": (read_time, lambda one: one.skip_interval_ms),
    "firstdigittimer": (read_time, lambda one: one.first_digit_ms),
    "interdigittimer": (read_time, lambda one: one.interdigit_ms),
    "extradigittimer": (read_time, lambda one: one.extra_digit_ms),
    "barge": (_yes, lambda one: one.barge),
    "maxdigits": (_plain, lambda one: one.max_digits),
    "maskdigits": (_yes, lambda one: one.mask_digits),
}
_RESPONSE: _Table[ResponseText] = {
    "request": (_plain, lambda one: one.request),
    "code": (int, lambda one: one.code),
    "text": (_plain, lambda one: one.text),
    "id": (_plain, lambda one: one.id),
    "reason": (_plain, lambda one: one.reason),
    "playduration": (read_time, lambda one: one.play_duration_ms),
    "playoffset": (read_time, lambda one: one.play_offset_ms),
    "recduration": (read_time, lambda one: one.record_duration_ms),
    "reclength": (int, lambda one: one.record_octets),
    "digits": (_plain, lambda one: one.digits),
    "error_info.code": (int, lambda one: one.error_info.code if one.error_info else None),
    "error_info.text": (_plain, lambda one: one.error_info.text if one.error_info else None),
    "error_info.context": (_plain, lambda one: one.error_info.context if one.error_info else None),
}
_KEYPRESS: _Table[KeypressText] = {
    "digit": (str.upper, lambda one: one.digit),
    "length": (_plain, lambda one: one.length),
    "method": (_plain, lambda one: one.method),
    "interdigittime": (read_time, lambda one: one.since_ms),
}
_NO_DEFAULT = frozenset({"ffkey", "rwkey", "maxdigits", *_RESPONSE})
"""Attributes without a default: the testbed's reader has no value if the attribute is absent."""
FIELDS = (
    *_SDP,
    *_EVENTS,
    *(f"mscml.request.{kind}" for kind in _KINDS),
    *(f"mscml.request.{kind}.id" for kind in _KINDS),
    *(f"mscml.request.{kind}.prompturl" for kind in _WITH_PROMPT),
    *(f"mscml.request.{kind}.prompt.{name}" for kind in _WITH_PROMPT for name in _PROMPT),
    *(f"mscml.request.playcollect.{name}" for name in _COLLECT),
    "mscml.response",
    *(f"mscml.response.{name}" for name in _RESPONSE),
    *(f"mscml.notification.keypress.{name}" for name in _KEYPRESS),
)  # fmt: skip
"""The fields of tshark that are compared."""


def body_differences(message: SipText, read: Fields) -> Iterator[str]:
    """Yield a sentence for each difference between tshark's fields of a SIP body and the testbed's reading of it.

    Nothing is compared if tshark shows no field of a body with a transfer encoding.
    """
    encoded = any(part.encoding in {"base64", "quoted-printable"} for part in message.parts)
    present = [name for name in read if name.startswith(("sdp.", "mscml."))]
    if encoded and not present:  # tshark does not undo the transfer encoding of a whole body
        return
    yield from _sdp_differences(sdp_of(message), read)
    text = message.content(mscmltext.CONTENT_TYPE)
    yield from _mscml_differences(None if text is None else mscmltext.read_mscml(text), read)


def key_differences(payload: bytes, read: Fields) -> Iterator[str]:
    """Yield a sentence for each difference in the telephone-events of an RTP packet (RFC 4733, section 2.3).

    `payload` is the RTP payload, and `read` are tshark's fields of the packet.
    """
    if not read.get("rtpevent.event_id"):
        return
    ours = [(str(one.event), str(one.end), str(one.duration)) for one in read_reports(payload)]
    theirs = list(zip(*(read.get(name, ()) for name in _EVENTS), strict=False))
    for place, what in enumerate(("code", "end", "duration")):
        if [one[place] for one in ours[: len(theirs)]] != [one[place] for one in theirs]:
            yield f"the {what} of telephone-events {_OTHERWISE}"


def _sdp_differences(description: sdptext.SdpText | None, read: Fields) -> Iterator[str]:
    ours: dict[str, list[str]] = {name: [] for name in _SDP}
    if description is not None:
        ours["sdp.owner"] = [" ".join(description.origin)] if description.origin else []
        ours["sdp.session_attr"] = [_attribute(*one) for one in description.attributes]
        for line in description.media:
            ours["sdp.media"].append(" ".join((line.media, str(line.port), line.protocol, *line.formats)))
            ours["sdp.media_attr"] += [_attribute(*one) for one in line.attributes]
    for name in _SDP:
        theirs = [" ".join(value.split()) for value in read.get(name, ())]
        if theirs != [" ".join(value.split()) for value in ours[name]]:
            yield _sentence(name, theirs, ours[name])


def _attribute(name: str, value: str) -> str:
    return f"{name}:{value}" if value else name


def _mscml_differences(document: Document | None, read: Fields) -> Iterator[str]:
    kinds = [kind for kind in _KINDS if f"mscml.request.{kind}" in read]
    theirs = kinds or ["response"] * ("mscml.response" in read)
    theirs = theirs or ["keypress"] * ("mscml.notification.keypress.digit" in read)
    match document:
        case None:
            ours = []
        case RequestText(name=name) | Unreadable(name=name):
            ours = [name] if name in _KINDS else []
        case ResponseText():
            ours = ["response"]
        case KeypressText():
            ours = ["keypress"]
    if ours != theirs:
        yield _sentence("the MSCML element", theirs, ours)
        return
    match document:
        case RequestText(name=name):
            yield from _request_differences(document, f"mscml.request.{name}", read)
        case ResponseText():
            yield from _attribute_differences("mscml.response", _RESPONSE, document, read)
        case KeypressText():
            yield from _attribute_differences("mscml.notification.keypress", _KEYPRESS, document, read)


def _request_differences(request: RequestText, path: str, read: Fields) -> Iterator[str]:
    prompt = request.prompt
    values: dict[str, list[_Value]] = {
        "id": [request.id],
        "prompt.audio.url": [item.url for item in prompt.items if isinstance(item, AudioText)] if prompt else [],
        "prompt.offset": [prompt.offset_ms if prompt else None],
        "prompt.stoponerror": [prompt.stop_on_error if prompt else None],
    }
    of_text = {"prompt.offset": read_time, "prompt.stoponerror": _yes}
    for name, ours in values.items():
        seen = read.get(f"{path}.{name}") or (read.get(f"{path}.prompturl") if name == "prompt.audio.url" else None)
        theirs = [of_text.get(name, _plain)(html.unescape(value)) for value in seen or ()]
        if theirs != ours and (theirs or name in {"id", "prompt.audio.url"}) and (theirs or any(ours)):
            yield _sentence(f"{path}.{name}", theirs, ours)
    if isinstance(request, PlayCollectText):
        yield from _attribute_differences(path, _COLLECT, request, read)


def _attribute_differences(path: str, table: _Table[_Read], document: _Read, read: Fields) -> Iterator[str]:
    for name, (of_text, value) in table.items():
        field, ours = f"{path}.{name}", value(document)
        seen = read.get(field)
        if not seen:
            if ours not in {None, ""} and name in _NO_DEFAULT:  # tshark shows nothing of an empty attribute
                yield _sentence(field, [], [ours])
            continue
        try:
            theirs = of_text(html.unescape(seen[0]))
        except ValueError:
            continue  # the text is no number, so there is no value to compare
        if theirs != ours:
            yield _sentence(field, [theirs], [ours])


def _sentence(what: str, theirs: Sequence[object], ours: Sequence[object]) -> str:
    if what in _SECRET:
        return f"{what} {_OTHERWISE}"
    first, second = (", ".join(map(str, values)) or "nothing" for values in (theirs, ours))
    return f"{what} is {first} to the second reader, and {second} to the ladder"
