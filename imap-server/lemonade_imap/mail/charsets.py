"""Charsets that are known: those of Python's codecs that turn octets into text, under every name they go by.

Names come from messages and clients; a name is looked up in a table made once, never handed to the import system.
"""

from __future__ import annotations

import codecs
from encodings.aliases import aliases

# what these do is no charset: they escape, or encode host names
_NO_CHARSETS = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}
_EXTRA = {
    "utf_8_sig",
    "cp437",
    "cp737",
    "cp856",
    "cp874",
    "cp875",
    "cp1006",
    "koi8_r",
    "koi8_u",
    "koi8_t",
    "mac_cyrillic",
}


def _is_charset(codec: str) -> bool:
    try:
        b"text".decode(codec, "replace")  # of nothing, every codec makes text
    except (LookupError, UnicodeError):
        return False
    return True


_CODECS = {codec for codec in {*aliases.values(), *_EXTRA} - _NO_CHARSETS if _is_charset(codec)}
_KNOWN = {codec: codec for codec in _CODECS} | {name: codec for name, codec in aliases.items() if codec in _CODECS}


def codec_of(charset: str) -> str | None:
    """Return the name of the codec for a charset (names compare without case, `-` like `_`), or None."""
    return _KNOWN.get(charset.strip().lower().replace("-", "_").replace(":", "_").replace(" ", "_"))


def decoder_of(charset: str | None) -> codecs.IncrementalDecoder:
    """Return a decoder that never fails; UTF-8 for a charset that is missing, US-ASCII or unknown (most likely it)."""
    codec = codec_of(charset or "") or "utf_8"
    return codecs.getincrementaldecoder("utf_8" if codec == "ascii" else codec)("replace")
