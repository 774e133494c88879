"""Reads the prompt of an MSCML request from its XML elements (RFC 5022 section 6.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lemonade_wire.mscml.attributes import Attributes, milliseconds, number, one_of_two, word, yes_no
from lemonade_wire.mscml.messages import Audio, Prompt, Variable
from lemonade_wire.mscml.structure import Element

MAX_ITEMS = 64
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_SPACES = re.compile(r"[ \t\r\n]+")
ENCODINGS = ("ulaw", "alaw", "msgsm")
_SUBTYPES = ("mdy", "dmy", "ymd", "t12", "t24", "gen", "ndn", "crd", "ord", "USD")
_VARIABLES = ("dat", "dig", "dur", "mth", "mny", "num", "sil", "str", "tme", "wkd")


@dataclass(frozen=True)
class Tolerance:
    """The errors of the draft's example that are accepted in spite of RFC 5022.

    `repeat_zero_is_one`: a playcollect of one imap URL with `repeat="0"` plays it once (E-22). `close_audio`: an
    `<audio ...>` that is not closed before `</prompt>` counts as closed (E-23). `strip_url_spaces`: line breaks in an
    imap URL are removed (E-24); without it such a URL is refused.
    """

    repeat_zero_is_one: bool = True
    close_audio: bool = False
    strip_url_spaces: bool = False


def prompt_of(element: Element, tolerance: Tolerance) -> Prompt | None:
    """Return the prompt of a request, from `<prompt>` or from the deprecated `prompturl`; raises ValueError.

    None if the request has no prompt.
    """
    found = element.attributes
    prompts, url = [child for child in element.children if child.name == "prompt"], found.get("prompturl")
    if len(prompts) + (url is not None) > 1:
        raise ValueError("more than one prompt")
    if url is not None:
        audio = Audio(_url(url, "", tolerance), _encoding(found, "promptencoding"))
        return Prompt((audio,), offset_ms=milliseconds(found, "offset", 0))
    return _prompt(prompts[0], tolerance, collect=element.name == "playcollect") if prompts else None


def _prompt(element: Element, tolerance: Tolerance, *, collect: bool) -> Prompt:
    found = element.attributes
    gain_db = one_of_two(found, "gain", "gaindelta")
    one_of_two(found, "rate", "ratedelta")  # the rate is ignored, but an invalid one is an error
    base = found.get("baseurl", "")
    if len(element.children) > MAX_ITEMS:
        raise ValueError(f"a <prompt> of more than {MAX_ITEMS} pieces")
    items = tuple(_item(child, base, gain_db, tolerance) for child in element.children)
    repeat = None if found.get("repeat") == "infinite" else number(found.get("repeat", "1"), "repeat")
    single = len(items) == 1 and isinstance(items[0], Audio) and items[0].url.lower().startswith("imap:")
    if repeat == 0 and collect and single and tolerance.repeat_zero_is_one:
        repeat = 1
    return Prompt(
        items,
        offset_ms=milliseconds(found, "offset", Prompt.offset_ms),
        delay_ms=milliseconds(found, "delay", Prompt.delay_ms),
        duration_ms=milliseconds(found, "duration", Prompt.duration_ms, infinite=True),
        repeat=repeat,
        stop_on_error=yes_no(found, "stoponerror", Prompt.stop_on_error),
        locale=found.get("locale"),
    )


def _item(element: Element, base: str, gain_db: float, tolerance: Tolerance) -> Audio | Variable:
    found = element.attributes
    if element.name == "variable":
        subtype = word(found, "subtype", _SUBTYPES) if "subtype" in found else None
        return Variable(word(found, "type", _VARIABLES), subtype, found["value"])
    one_of_two(found, "rate", "ratedelta")
    own_db = one_of_two(found, "gain", "gaindelta")
    # gain is absolute and replaces the gain of the prompt; gaindelta is added to it.
    sum_db = own_db if "gain" in found else gain_db + own_db
    return Audio(_url(found["url"], base, tolerance), _encoding(found, "encoding"), sum_db)


def _encoding(found: Attributes, name: str) -> str | None:
    return word(found, name, ENCODINGS) if name in found else None


def _url(text: str, base: str, tolerance: Tolerance) -> str:
    url = text if _SCHEME.match(text) else base + text
    if url.lower().startswith("imap:") and _SPACES.search(url):
        # The XML parser turns a line break in an attribute into a space (XML 1.0 section 3.3.3). A URL has no spaces.
        if not tolerance.strip_url_spaces:
            raise ValueError("a blank within an imap URL")
        url = _SPACES.sub("", url)
    return url
