"""Writes MSCML requests, responses and notifications as XML elements, valid by the schema of RFC 5022 section 11."""

from __future__ import annotations

from lemonade_wire.mscml.grammar import ELEMENTS, write_time
from lemonade_wire.mscml.messages import (
    KEYS,
    Audio,
    ConfigureLeg,
    Keypress,
    MscmlResponse,
    PlayCollectRequest,
    PlayRecordRequest,
    PlayRequest,
    Prompt,
    Request,
    Variable,
    request_name,
)
from lemonade_wire.mscml.structure import Element

# The attributes that a response to a request must have (RFC 5022 section 10), with the value if nothing was played,
# pressed or recorded.
_MUST_SAY = {
    "play": {"playduration": "0ms", "playoffset": "0ms"},
    "playcollect": {"playduration": "0ms", "playoffset": "0ms", "digits": ""},
    "playrecord": {"playduration": "0ms", "playoffset": "0ms", "digits": "", "reclength": "0", "recduration": "0ms"},
}


def request_element(request: Request) -> Element:
    """Return the element of a request; attributes that equal their default are left out."""
    element = Element(request_name(request), _attributes(id=request.id))
    match request:
        case PlayCollectRequest():
            element.attributes |= _collecting(request)
        case PlayRecordRequest():
            element.attributes |= _recording(request)
        case ConfigureLeg():
            element.children += _subscribe(request)
    if isinstance(request, PlayRequest | PlayCollectRequest | PlayRecordRequest) and request.prompt:
        element.children.append(_prompt(request.prompt))
    if isinstance(request, PlayCollectRequest) and request.patterns:
        grammars = [
            Element(ELEMENTS[type(one.value)], _attributes(value=str(one.value), name=one.name))
            for one in request.patterns
        ]
        element.children.append(Element("pattern", {}, grammars))
    return element


def response_element(response: MscmlResponse) -> Element:
    """Return the element of a response, with the attributes that RFC 5022 section 10 requires for its request."""
    said = _attributes(
        id=response.id,
        request=response.request,
        code=str(response.code),
        text=response.text or "",
        reason=response.reason,
        playduration=_maybe_time(response.play_duration_ms),
        playoffset=_maybe_time(response.play_offset_ms),
        digits=response.digits,
        name=response.name,
        reclength=None if response.record_octets is None else str(response.record_octets),
        recduration=_maybe_time(response.record_duration_ms),
    )
    required = _MUST_SAY.get(response.request, {})
    element = Element("response", said | {name: said.get(name, value) for name, value in required.items()})
    if response.error_info:
        info = response.error_info
        element.children.append(
            Element("error_info", _attributes(code=str(info.code), text=info.text, context=info.context))
        )
    return element


def keypress_element(keypress: Keypress) -> Element:
    """Return the `<keypress>` element of a notification."""
    status = Element("status", {"command": keypress.command, "duration": write_time(keypress.command_ms)})
    return Element(
        "keypress",
        {
            "digit": keypress.digit,
            "length": keypress.length,
            "method": keypress.method,
            "interdigittime": write_time(keypress.since_ms),
        },
        [status],
    )


def _collecting(request: PlayCollectRequest) -> dict[str, str]:
    usual = PlayCollectRequest
    return {
        **_times(
            skipinterval=(request.skip_interval_ms, usual.skip_interval_ms),
            firstdigittimer=(request.first_digit_ms, usual.first_digit_ms),
            interdigittimer=(request.interdigit_ms, usual.interdigit_ms),
            extradigittimer=(request.extra_digit_ms, usual.extra_digit_ms),
        ),
        **_switches(
            cleardigits=(request.clear_digits, usual.clear_digits),
            barge=(request.barge, usual.barge),
            maskdigits=(request.mask_digits, usual.mask_digits),
        ),
        **_attributes(
            # The escape key is always written, because the draft's clients depend on it (E-21).
            escapekey=request.escape_key,
            returnkey=None if request.return_key == usual.return_key else request.return_key,
            ffkey=request.ff_key,
            rwkey=request.rw_key,
            interdigitcriticaltimer=_maybe_time(request.interdigit_critical_ms),
            maxdigits=None if request.max_digits is None else str(request.max_digits),
        ),
    }


def _recording(request: PlayRecordRequest) -> dict[str, str]:
    usual = PlayRecordRequest
    return {
        **_attributes(recurl=request.record_url, recencoding=request.encoding),
        **({"mode": "append"} if request.append else {}),
        **_times(
            duration=(request.limit_ms, usual.limit_ms),
            initsilence=(request.first_silence_ms, usual.first_silence_ms),
            endsilence=(request.last_silence_ms, usual.last_silence_ms),
        ),
        **_switches(
            cleardigits=(request.clear_digits, usual.clear_digits),
            barge=(request.barge, usual.barge),
            beep=(request.beep, usual.beep),
        ),
        **_attributes(
            escapekey=None if request.escape_key == usual.escape_key else request.escape_key,
            # Schema and text of RFC 5022 differ in the default, so that every list but the full one is written.
            recstopmask=None if request.stop_keys == KEYS else request.stop_keys,
        ),
    }


def _subscribe(request: ConfigureLeg) -> list[Element]:
    events = Element("events")
    if request.keypress:
        masked = {"maskdigits": "yes"} if request.keypress.mask_digits else {}
        events.children.append(Element("keypress", {"report": request.keypress.report, **masked}))
    for kind, report in request.signals:
        events.children.append(Element("signal", {"type": kind, "report": _yes(report)}))
    return [Element("subscribe", {}, [events])] if events.children else []


def _prompt(prompt: Prompt) -> Element:
    usual = Prompt
    attributes = {
        **_attributes(
            locale=prompt.locale,
            stoponerror="yes" if prompt.stop_on_error else None,
            repeat=None if prompt.repeat == 1 else "infinite" if prompt.repeat is None else str(prompt.repeat),
        ),
        **_times(
            offset=(prompt.offset_ms, usual.offset_ms),
            delay=(prompt.delay_ms, usual.delay_ms),
            duration=(prompt.duration_ms, usual.duration_ms),
        ),
    }
    return Element("prompt", attributes, [_item(item) for item in prompt.items])


def _item(item: Audio | Variable) -> Element:
    if isinstance(item, Audio):
        gain = f"{item.gain_db:.6f}".rstrip("0").rstrip(".") if item.gain_db else None
        return Element("audio", _attributes(url=item.url, encoding=item.encoding, gain=gain))
    return Element("variable", _attributes(type=item.kind, subtype=item.subtype, value=item.value))


def _attributes(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _times(**values: tuple[float, float]) -> dict[str, str]:
    return {name: write_time(ms) for name, (ms, usual) in values.items() if ms != usual}


def _switches(**values: tuple[bool, bool]) -> dict[str, str]:
    return {name: _yes(value) for name, (value, usual) in values.items() if value != usual}


def _maybe_time(ms: float | None) -> str | None:
    return None if ms is None else write_time(ms)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
