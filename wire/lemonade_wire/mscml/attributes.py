"""Readers for the attribute types of MSCML (RFC 5022 section 4.2); each returns the value or raises ValueError.

The caller gives the default for an absent attribute, because the XML parser does not know the schema's defaults.
"""

from __future__ import annotations

import re

from lemonade_wire.mscml.grammar import parse_time
from lemonade_wire.mscml.messages import KEYS

Attributes = dict[str, str]

_YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_KEY = re.compile(r"[0-9A-Da-d#*]")
_DIGITS = re.compile(r"[0-9]{1,9}")
_SIGNED = re.compile(r"[+-]?[0-9]{1,6}(?:\.[0-9]{1,6})?")


def yes_no(found: Attributes, name: str, default: bool) -> bool:
    """Return the value of a yesnoType: yes, true and 1, or no, false and 0."""
    if name not in found:
        return default
    if found[name] not in _YES_NO:
        raise ValueError(f"{name} is yes or no, not {found[name]!r}")
    return _YES_NO[found[name]]


def key(found: Attributes, name: str) -> str | None:
    """Return a key in upper case; None if the attribute is absent."""
    if name not in found:
        return None
    if not _KEY.fullmatch(found[name]):
        raise ValueError(f"{name}={found[name]!r} is no key")
    return found[name].upper()


def keys(found: Attributes, name: str, default: str) -> str:
    """Return the keys of a list, each once, in the order of KEYS."""
    text = found.get(name, default).upper()
    if not set(text) <= set(KEYS):
        raise ValueError(f"{name}={found[name]!r} is no list of keys")
    return "".join(one for one in KEYS if one in text)


def milliseconds(found: Attributes, name: str, default: float, *, infinite: bool = False) -> float:
    """Return a time value in milliseconds; `infinite` says whether the word `infinite` is allowed."""
    return parse_time(found[name], infinite=infinite) if name in found else default


def number(text: str, name: str) -> int:
    """Return a whole number of at most nine digits."""
    if not _DIGITS.fullmatch(text):
        raise ValueError(f"{name}={text!r} is no number")
    return int(text)


def word(found: Attributes, name: str, allowed: tuple[str, ...], default: str | None = None) -> str:
    """Return one of the allowed words; without a default the attribute is required."""
    text = found.get(name, default)
    if text not in allowed:
        raise ValueError(f"{name}={text!r} is none of {', '.join(allowed)}")
    return str(text)


def one_of_two(found: Attributes, first: str, second: str) -> float:
    """Return the number of one of two attributes that exclude each other: gain and gaindelta, or rate and ratedelta.

    0 if both are absent. The number may have a unit (dB, %).
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
