"""Reads MSCML requests, responses and notifications from XML elements (RFC 5022 section 11): types, defaults, rules."""

from __future__ import annotations

import re
from typing import cast

from lemonade_wire.mscml.attributes import Attributes, key, keys, milliseconds, number, word, yes_no
from lemonade_wire.mscml.digitmap import MapTimers, MegacoDigitMap
from lemonade_wire.mscml.grammar import KINDS, Grammar, parse_time
from lemonade_wire.mscml.messages import (
    Command,
    ConfigureLeg,
    ErrorInfo,
    Keypress,
    KeypressSubscription,
    Method,
    MscmlResponse,
    PlayCollectRequest,
    PlayRecordRequest,
    PlayRequest,
    Report,
    Request,
    StopRequest,
    Unsupported,
)
from lemonade_wire.mscml.prompts import ENCODINGS, Tolerance, prompt_of
from lemonade_wire.mscml.structure import Element

_SIGNALS = ("busy", "ring", "CED", "CNG", "400")


def read_request(element: Element, tolerance: Tolerance) -> Request:
    """Return the request of an element that `check_request` has checked; raises ValueError."""
    name = element.attributes.get("id")
    match element.name:
        case "stop":
            return StopRequest(name)
        case "play":
            return PlayRequest(prompt_of(element, tolerance), name)
        case "playcollect":
            return _playcollect(element, tolerance)
        case "playrecord":
            return _playrecord(element, tolerance)
        case "configure_leg":
            return _configure_leg(element)
        case "managecontent":
            _check_managecontent(element.attributes)
    return Unsupported(element.name, name)


def read_response(element: Element) -> MscmlResponse:
    """Return a response; only `request` and `code` are required (E-26, E-27). Raises ValueError."""
    found = element.attributes
    infos = _named(element, "error_info")
    error = None
    if infos:
        info = infos[0].attributes
        error = ErrorInfo(_status(info.get("code")), info.get("text", ""), info.get("context", ""))
    if "request" not in found:
        raise ValueError("<response> without request")
    return MscmlResponse(
        request=found["request"],
        code=_status(found.get("code")),
        text=found.get("text"),
        id=found.get("id"),
        reason=found.get("reason"),
        play_duration_ms=_loose_time(found.get("playduration")),
        play_offset_ms=_loose_time(found.get("playoffset")),
        digits=found.get("digits"),
        name=found.get("name"),
        record_octets=_loose_number(found.get("reclength")),
        record_duration_ms=_loose_time(found.get("recduration")),
        error_info=error,
    )


def read_notification(element: Element) -> Keypress:
    """Return a notification of a key press; raises ValueError for any other kind."""
    if len(element.children) != 1 or element.children[0].name != "keypress":
        raise ValueError("no notification of a key press")
    found = element.children[0].attributes
    status = next((child.attributes for child in _named(element.children[0], "status")), {})
    digit = key(found, "digit")
    if digit is None:
        raise ValueError("<keypress> without digit")
    method = word(found, "method", ("standard", "long", "double"), found.get("length"))
    command = word(status, "command", ("idle", "play", "collect", "record"), "idle")
    return Keypress(
        digit,
        cast("Method", method),
        _loose_time(found.get("interdigittime")) or 0,
        cast("Command", command),
        _loose_time(status.get("duration")) or 0,
    )


def _playcollect(element: Element, tolerance: Tolerance) -> PlayCollectRequest:
    found = element.attributes
    ff, rw = key(found, "ffkey"), key(found, "rwkey")
    if ff is not None and ff == rw:
        raise ValueError("ffkey and rwkey are the same")  # RFC 5022 section 6.4.2
    patterns = _patterns(element)
    if patterns and "maxdigits" in found:
        raise ValueError("maxdigits and <pattern> exclude each other")  # section 6.4.5
    timers = _timers(patterns)
    critical: float | None = None
    if "interdigitcriticaltimer" in found:
        critical = milliseconds(found, "interdigitcriticaltimer", 0, infinite=True)
    barge = yes_no(found, "barge", PlayCollectRequest.barge)
    return PlayCollectRequest(
        prompt=prompt_of(element, tolerance),
        id=found.get("id"),
        clear_digits=_clear_digits(found, barge),
        barge=barge,
        # E-21: the draft's example has `escape` instead of escapekey.
        escape_key=key(found, "escapekey") or key(found, "escape") or PlayCollectRequest.escape_key,
        return_key=key(found, "returnkey") or PlayCollectRequest.return_key,
        skip_interval_ms=milliseconds(found, "skipinterval", PlayCollectRequest.skip_interval_ms),
        ff_key=ff,
        rw_key=rw,
        max_digits=_max_digits(found.get("maxdigits")),
        first_digit_ms=_timer(found, "firstdigittimer", PlayCollectRequest.first_digit_ms, timers.first_ms),
        interdigit_ms=_timer(found, "interdigittimer", PlayCollectRequest.interdigit_ms, timers.long_ms),
        extra_digit_ms=milliseconds(found, "extradigittimer", PlayCollectRequest.extra_digit_ms, infinite=True),
        interdigit_critical_ms=critical if timers.short_ms is None else timers.short_ms,
        mask_digits=yes_no(found, "maskdigits", PlayCollectRequest.mask_digits),
        patterns=patterns,
    )


def _patterns(element: Element) -> tuple[Grammar, ...]:
    """Return the grammars of `<pattern>`; empty if there is no such element."""
    found = _named(element, "pattern")
    if not found:
        return ()
    grammars = found[0].children
    return tuple(
        Grammar(KINDS[child.name].parse(child.attributes["value"]), child.attributes.get("name")) for child in grammars
    )


def _timers(patterns: tuple[Grammar, ...]) -> MapTimers:
    """Return the timers in a digit map, which have precedence over those of the request."""
    digit_map = patterns[0].value if patterns else None
    return digit_map.timers if isinstance(digit_map, MegacoDigitMap) else MapTimers()


def _timer(found: Attributes, name: str, default: float, by_map: float | None) -> float:
    given = milliseconds(found, name, default, infinite=True)
    return given if by_map is None else by_map


def _playrecord(element: Element, tolerance: Tolerance) -> PlayRecordRequest:
    found = element.attributes
    barge = yes_no(found, "barge", PlayRecordRequest.barge)
    return PlayRecordRequest(
        record_url=found["recurl"],
        prompt=prompt_of(element, tolerance),
        id=found.get("id"),
        clear_digits=_clear_digits(found, barge),
        barge=barge,
        escape_key=key(found, "escapekey") or PlayRecordRequest.escape_key,
        encoding=word(found, "recencoding", ENCODINGS) if "recencoding" in found else None,
        append=word(found, "mode", ("overwrite", "append"), "overwrite") == "append",
        limit_ms=milliseconds(found, "duration", PlayRecordRequest.limit_ms, infinite=True),
        beep=yes_no(found, "beep", PlayRecordRequest.beep),
        first_silence_ms=milliseconds(found, "initsilence", PlayRecordRequest.first_silence_ms, infinite=True),
        last_silence_ms=milliseconds(found, "endsilence", PlayRecordRequest.last_silence_ms, infinite=True),
        stop_keys=keys(found, "recstopmask", PlayRecordRequest.stop_keys),
    )


def _clear_digits(found: Attributes, barge: bool) -> bool:
    # RFC 5022 section 6.4.1: without barge, keys that were pressed before are discarded.
    return yes_no(found, "cleardigits", False) or not barge


def _configure_leg(element: Element) -> ConfigureLeg:
    """Return the subscriptions of `<configure_leg>` (RFC 5022 section 7); the parts for conferences are ignored."""
    events = [one for subscribe in _named(element, "subscribe") for one in subscribe.children]
    keypresses = [child.attributes for one in events for child in _named(one, "keypress")]
    signals = [child.attributes for one in events for child in _named(one, "signal")]
    keypress = None
    if keypresses:
        report = word(keypresses[0], "report", ("standard", "long", "both", "none"))
        keypress = KeypressSubscription(cast("Report", report), yes_no(keypresses[0], "maskdigits", False))
    asked = {
        word(one, "type", _SIGNALS): yes_no(one, "report", False) for one in signals
    }  # the last one of a type is used (section 7.2)
    return ConfigureLeg(keypress, tuple(asked.items()), element.attributes.get("id"))


def _check_managecontent(found: Attributes) -> None:
    """Raise ValueError for a `<managecontent>` that RFC 5022 section 8 calls ambiguous."""
    action = word(found, "action", ("move", "delete"), "move")
    method = word(found, "httpmethod", ("post", "put"), "post")
    milliseconds(found, "fetchtimeout", 0)
    if not found.get("src", "").lower().startswith("file:"):
        raise ValueError("src is a file URL")
    if action == "move" and not found.get("dest", "").lower().startswith(("http:", "https:")):
        raise ValueError("dest is an http URL")
    if action == "move" and method == "post" and "name" not in found:
        raise ValueError("post wants the name of the form's field")


def _named(element: Element, name: str) -> list[Element]:
    return [child for child in element.children if child.name == name]


def _max_digits(text: str | None) -> int | None:
    if text is None:
        return None
    count = number(text, "maxdigits")
    if count < 1:
        raise ValueError("maxdigits of 0")
    return count


def _loose_time(text: str | None) -> float | None:
    # A malformed duration in a server's response counts as absent, so that the rest of the response is usable.
    try:
        return None if text is None else parse_time(text)
    except ValueError:
        return None


def _loose_number(text: str | None) -> int | None:
    try:
        return None if text is None else number(text, "reclength")
    except ValueError:
        return None


def _status(text: str | None) -> int:
    if text is None or not re.fullmatch(r"[2-6][0-9]{2}", text):
        raise ValueError(f"code={text!r} is no status")
    return int(text)
