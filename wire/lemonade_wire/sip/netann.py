"""NETANN (RFC 4240): which service a Request-URI asks for, and the announcement's parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import quote, unquote

from lemonade_wire.sip.matching import bracketed
from lemonade_wire.sip.uri import SipUri

Service = Literal["annc", "ivr", "other", ""]
UNESCAPED = "/:&+$[]!~*'()-_."
"""What may stand in a SIP URI parameter beside letters and digits (RFC 3261 section 25.1, paramchar)."""
MAX_SUBSTITUTIONS = 9


class AnnouncementError(Exception):
    """A Request-URI that asks for no announcement; `status` and `reason` are the answer (RFC 4240 section 3)."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


def service_of(uri: SipUri) -> Service:
    """Return the service indicator (RFC 4240 section 2), compared without case; "" where there is no user part."""
    if uri.user is None:
        return ""
    name = unquote(uri.user).lower().partition("=")[0]
    return "annc" if name == "annc" else "ivr" if name == "ivr" else "other"


def escape(value: str) -> str:
    """Escape a parameter's value for a SIP URI; `%` becomes `%25`, so that one decoding restores it."""
    return quote(value, safe=UNESCAPED)


@dataclass(frozen=True)
class AnnouncementUri:
    """The announcement that a `sip:annc@...` URI asks for (RFC 4240 section 3), decoded once."""

    play: str
    """URL of the content, percent-decoded exactly once."""
    repeat: int | None = 1
    """How often it is played in all (0 counts as 1); None: for ever."""
    delay: int = 0
    """Milliseconds between repetitions."""
    duration: int | None = None
    """Milliseconds after which it is stopped."""
    locale: str = ""
    content_type: str = ""
    """Overrides the content's own type."""
    substitutions: tuple[str, ...] = ()
    """param1 to param9, those before the last given one as ""."""

    @classmethod
    def parse(cls, uri: SipUri) -> Self:
        """Read a Request-URI; raises AnnouncementError, whose `status` and `reason` are the answer.

        Parameters come in any order; unknown ones are ignored (RFC 4240 section 3.1). A `?` that should have been
        escaped is taken for a part of `play`.
        """
        values = [(name.lower(), value or "") for name, value in uri.params]
        plays = [value for name, value in values if name == "play"]
        if not plays or not plays[0]:
            raise AnnouncementError(400, "Mandatory play parameter missing")
        if len(plays) > 1:
            raise AnnouncementError(400, "More than one play parameter")
        found = dict(values)
        tail = f"?{uri.headers}" if uri.headers and values[-1][0] == "play" else ""
        given = [unquote(found.get(f"param{number}", "")) for number in range(1, MAX_SUBSTITUTIONS + 1)]
        while given and not given[-1]:
            given.pop()
        forever = found.get("repeat", "").lower() == "forever"
        return cls(
            play=unquote(plays[0] + tail),
            repeat=None if forever else max(1, _number(found, "repeat", 1)),
            delay=_number(found, "delay", 0),
            duration=_number(found, "duration", 0) if "duration" in found else None,
            locale=unquote(found.get("locale", "")),
            content_type=unquote(found.get("content-type", "")),
            substitutions=tuple(given),
        )

    def uri(self, host: str, port: int | None = None) -> SipUri:
        """Return the `sip:annc@host` URI that asks for this, `play` escaped for SIP."""
        usual = type(self)(self.play)
        params: list[tuple[str, str]] = [("play", escape(self.play))]
        if self.content_type:
            params.append(("content-type", escape(self.content_type)))
        if self.delay != usual.delay:
            params.append(("delay", str(self.delay)))
        if self.duration is not None:
            params.append(("duration", str(self.duration)))
        if self.repeat != usual.repeat:
            params.append(("repeat", "forever" if self.repeat is None else str(self.repeat)))
        if self.locale:
            params.append(("locale", escape(self.locale)))
        params += [(f"param{number}", escape(value)) for number, value in enumerate(self.substitutions, 1) if value]
        return SipUri("sip", "annc", bracketed(host), port, tuple(params))


def _number(found: dict[str, str], name: str, default: int) -> int:
    text = found.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise AnnouncementError(400, f"Bad {name} parameter")
    return int(text)
