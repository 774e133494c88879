"""NETANN (RFC 4240): the service that a Request-URI asks for, and the parameters of an announcement."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import quote, unquote

from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.transaction.matching import bracketed

Service = Literal["annc", "ivr", "other", ""]
UNESCAPED = "/:&+$[]!~*'()-_."
"""The characters that a SIP URI parameter may have besides letters and digits (RFC 3261 section 25.1, paramchar)."""
SUBSTITUTIONS = tuple(f"param{number}" for number in range(1, 10))
MAX_NUMBER = 999_999_999
"""The limit of a numeric parameter: as milliseconds, over eleven days. A larger number counts as this one."""
_KNOWN = frozenset({"play", "repeat", "delay", "duration", "locale", "content-type", *SUBSTITUTIONS})
_ESCAPED = re.compile(r"([^%]|%[0-9A-Fa-f]{2})*")


class AnnouncementError(Exception):
    """A Request-URI without a valid announcement; it is answered with `status` and `reason` (RFC 4240 section 3)."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


def service_of(uri: SipUri) -> Service:
    """Return the service indicator, the user part (RFC 4240 section 2), compared without case; "" if there is none."""
    if uri.user is None:
        return ""
    name = unquote(uri.user).lower().partition("=")[0]
    return "annc" if name == "annc" else "ivr" if name == "ivr" else "other"


def escape(value: str) -> str:
    """Percent-encode a parameter's value for a SIP URI; `%` becomes `%25`, so that decoding once restores the value."""
    return quote(value, safe=UNESCAPED)


@dataclass(frozen=True)
class AnnouncementUri:
    """The announcement that a `sip:annc@...` URI asks for (RFC 4240 section 3), its values percent-decoded once."""

    play: str
    """URL of the content, percent-decoded exactly once."""
    repeat: int | None = 1
    """Number of times it is played (0 counts as 1); None: without end."""
    delay: int = 0
    """Milliseconds between repetitions."""
    duration: int | None = None
    """Milliseconds after which it is stopped; None: without a limit."""
    locale: str = ""
    content_type: str = ""
    """Replaces the media type of the content itself."""
    substitutions: tuple[str, ...] = ()
    """The values of param1 to param9 up to the last given one; a missing one before it is ""."""

    # RFC 4240 section 3. The ABNF has a fixed order; here any order is accepted:
    #   sip:annc@hostport;play=URL[;content-type=TYPE][;delay=MS][;duration=MS][;repeat=N][;locale=TOKEN]
    #       [;param1=VALUE]...[;param9=VALUE][;EXTENSION=VALUE]... uri-parameters
    # N is a number or "forever".
    @classmethod
    def parse(cls, uri: SipUri) -> Self:
        """Parse a Request-URI; raises AnnouncementError, whose `status` and `reason` are the answer.

        Parameters may have any order and case; unknown ones are ignored (RFC 4240 section 3.1), a known one that is
        repeated is an error (RFC 3261 section 19.1.1). An empty text counts as absent, an empty number is an error.
        """
        found = _parameters(uri)
        if not found.get("play"):
            raise AnnouncementError(400, "Mandatory play parameter missing")
        given = [found.get(name, "") for name in SUBSTITUTIONS]
        while given and not given[-1]:
            given.pop()
        forever = found.get("repeat", "").lower() == "forever"
        return cls(
            play=found["play"],
            repeat=None if forever else max(1, _number(found, "repeat", 1)),
            delay=_number(found, "delay", 0),
            duration=_number(found, "duration", 0) if "duration" in found else None,
            locale=found.get("locale", ""),
            content_type=found.get("content-type", ""),
            substitutions=tuple(given),
        )

    def uri(self, host: str, port: int | None = None) -> SipUri:
        """Return the `sip:annc@host` URI that asks for this announcement, its values percent-encoded."""
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


def _parameters(uri: SipUri) -> dict[str, str]:
    """Return the known parameters, names in lower case, values percent-decoded once; raises AnnouncementError."""
    found: dict[str, str] = {}
    last = ""
    for name, value in uri.params:
        last = unquote(name).lower()
        if last in found:
            raise AnnouncementError(400, f"More than one {last} parameter")
        if last in _KNOWN:
            found[last] = value or ""
    if uri.headers and last == "play":  # a `?` that should have been escaped (E-14)
        found["play"] += f"?{uri.headers}"
    return {name: _decoded(name, value) for name, value in found.items()}


def _decoded(name: str, value: str) -> str:
    try:
        if _ESCAPED.fullmatch(value):
            text = unquote(value, errors="strict")
            text.encode()  # raises where the URI itself has octets that are not UTF-8
            return text
    except UnicodeError:
        pass
    # A guess at the intended URL would fetch another one, and a URLAUTH token is valid for the exact octets only.
    raise AnnouncementError(400, f"Bad {name} parameter")


def _number(found: dict[str, str], name: str, default: int) -> int:
    text = found.get(name)
    if text is None:
        return default
    if not re.fullmatch("[0-9]+", text):
        raise AnnouncementError(400, f"Bad {name} parameter")
    digits = text.lstrip("0")
    return int(digits or "0") if len(digits) <= len(str(MAX_NUMBER)) else MAX_NUMBER
