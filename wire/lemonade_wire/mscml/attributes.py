"""The attribute types of MSCML (RFC 5022 section 4.2): each reader gives the value or raises ValueError.

Defaults belong to the protocol and not to the XML parser: a reader is told what an absent attribute means.
"""

from __future__ import annotations

import re

from lemonade_wire.mscml.request import KEYS
from lemonade_wire.mscml.timevalue import parse_time

Attributes = dict[str, str]

_YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_KEY = re.compile(r"[0-9A-Da-d#*]")
_DIGITS = re.compile(r"[0-9]{1,9}")
_SIGNED = re.compile(r"[+-]?[0-9]{1,6}(?:\.[0-9]{1,6})?")


def yes_no(found: Attributes, name: str, default: bool) -> bool:
    """Return a yesnoType: yes, no, true, false, 1, 0."""
    if name not in found:
        return default
    if found[name] not in _YES_NO:
        raise ValueError(f"{name} is yes or no, not {found[name]!r}")
    return _YES_NO[found[name]]


def key(found: Attributes, name: str) -> str | None:
    """Return a key in upper case; None where the attribute is absent."""
    if name not in found:
        return None
    if not _KEY.fullmatch(found[name]):
        raise ValueError(f"{name}={found[name]!r} is no key")
    return found[name].upper()


def keys(found: Attributes, name: str, default: str) -> str:
    """Return a list of keys, each once, in the order of KEYS."""
    text = found.get(name, default).upper()
    if not set(text) <= set(KEYS):
        raise ValueError(f"{name}={found[name]!r} is no list of keys")
    return "".join(one for one in KEYS if one in text)


def milliseconds(found: Attributes, name: str, default: float, *, infinite: bool = False) -> float:
    """Return a time value in milliseconds."""
    return parse_time(found[name], infinite=infinite) if name in found else default


def number(text: str, name: str) -> int:
    """Return a whole number of at most nine digits."""
    if not _DIGITS.fullmatch(text):
        raise ValueError(f"{name}={text!r} is no number")
    return int(text)


def word(found: Attributes, name: str, allowed: tuple[str, ...], default: str | None = None) -> str:
    """Return one of the allowed words; without a default the attribute must be there."""
    text = found.get(name, default)
    if text not in allowed:
        raise ValueError(f"{name}={text!r} is none of {', '.join(allowed)}")
    return str(text)


def one_of_two(found: Attributes, first: str, second: str) -> float:
    """Return the number of one of two attributes that exclude each other: gain and gaindelta, rate and ratedelta.

    0 where neither is there. A unit (dB, %) may stand behind it.
    """
    given = [name for name in (first, second) if name in found]
    if len(given) > 1:
        raise ValueError(f"{first} and {second} exclude each other")
    if not given:
        return 0
    text = re.sub(r"(?:dB|%)\Z", "", found[given[0]], flags=re.IGNORECASE)
    if not _SIGNED.fullmatch(text):
        raise ValueError(f"{given[0]}={found[given[0]]!r} is no number")
    return float(text)
