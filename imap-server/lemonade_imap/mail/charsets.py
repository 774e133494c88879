"""Decodes text of mail: finds the decoder of a charset, and reads encoded words (RFC 2047).

Names come from messages and clients, so that they are looked up in a table and never given to Python's import system.

    encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?="     encoding: B or Q

The language is that of RFC 2231, 5.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from encodings.aliases import aliases

# These codecs are not charsets: they escape characters, encode host names, or exist on Windows only.
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
# RFC 2231, 5: a language may follow the charset
_WORD = re.compile(r"=\?([^?*\s]{1,60})(?:\*[^?\s]*)?\?([BbQq])\?([^?\s]*)\?=")
_ESCAPE = re.compile(rb"=([0-9A-Fa-f]{2})")


def _is_charset(codec: str) -> bool:
    try:
        b"text".decode(codec, "replace")  # of an empty string, every codec makes text
    except (LookupError, UnicodeError):
        return False
    return True


_CODECS = {codec for codec in {*aliases.values(), *_EXTRA} - _NO_CHARSETS if _is_charset(codec)}
_KNOWN = {codec: codec for codec in _CODECS} | {name: codec for name, codec in aliases.items() if codec in _CODECS}


_MARKS = {
    "utf_16": {codecs.BOM_UTF16_LE: "utf_16_le", codecs.BOM_UTF16_BE: "utf_16_be"},
    "utf_32": {codecs.BOM_UTF32_LE: "utf_32_le", codecs.BOM_UTF32_BE: "utf_32_be"},
}
"""The charsets whose text may begin with a byte order mark: each mark, and the codec of the text behind it.

Python's own decoders for them fail for text without a mark."""


class TextDecoder:
    """Decodes text of one charset that comes in pieces; it replaces invalid octets by U+FFFD and never fails."""

    def __init__(self, codec: str) -> None:
        self._marks = _MARKS.get(codec, {})
        self._begin = b""
        self._decoder = codecs.getincrementaldecoder(f"{codec}_be" if self._marks else codec)("replace")

    def decode(self, octets: bytes, final: bool = False) -> str:
        """Return the text that octets complete; with `final` they are the last ones."""
        if self._marks:
            self._begin += octets
            size = len(next(iter(self._marks)))
            if len(self._begin) < size and not final:
                return ""
            octets, codec = self._begin, self._marks.get(self._begin[:size])
            if codec is not None:
                octets, self._decoder = octets[size:], codecs.getincrementaldecoder(codec)("replace")
            self._marks = {}
        try:
            return self._decoder.decode(octets, final)
        except UnicodeError:
            # Python's decoders of ISO-2022 hold at most 8 octets of what is incomplete.
            self._decoder.reset()
            text = self._decoder.decode(octets, True)
            self._decoder.reset()
            return text


def codec_of(charset: str) -> str | None:
    """Return the name of the codec for a charset, or None; letter case is ignored, and `-` is the same as `_`."""
    return _KNOWN.get(charset.strip().lower().replace("-", "_").replace(":", "_").replace(" ", "_"))


def keeps_line_ends(charset: str | None) -> bool:
    """Tell whether CR and LF are the single octets 0D and 0A in a charset.

    They are not in UTF-16, UTF-32 and EBCDIC, where such an octet may be a part of another character. A missing charset
    is US-ASCII (RFC 2045, 5.2). Of an unknown one this is not known: the answer is False.
    """
    if charset is None:
        return True
    codec = codec_of(charset)
    try:
        return codec is not None and b"\r\n".decode(codec) == "\r\n" and "\r\n".encode(codec) == b"\r\n"
    except UnicodeError:
        return False


def decoder_of(charset: str | None) -> TextDecoder:
    """Return a decoder for a charset that replaces invalid octets and never fails.

    A missing or unknown charset and US-ASCII get the decoder of UTF-8, which such text most likely is. UTF-16 and
    UTF-32 without a byte order mark are big-endian (RFC 2781, 4.3).
    """
    codec = codec_of(charset or "") or "utf_8"
    return TextDecoder("utf_8" if codec == "ascii" else codec)


def readable(value: str) -> str:
    """Return the value with its encoded words decoded; a word that cannot be decoded stays as it is.

    White space between two encoded words is removed (RFC 2047, 6.2). Adjacent words of one charset are decoded
    together, since some mail programs divide a character between two words.
    """
    text = ""
    at = 0
    held: list[bytes] = []
    charset = ""
    for found in _WORD.finditer(value):
        octets = _octets(found[2], found[3])
        if octets is None:
            continue
        between = value[at : found.start()]
        if held and (between.strip(" \t") or found[1].lower() != charset):
            text += _decoded(held, charset)
            held = []
            text += between if between.strip(" \t") else ""
        elif not held:
            text += _raw(between if not at or between.strip(" \t") else "")
        held.append(octets)
        charset, at = found[1].lower(), found.end()
    return text + _decoded(held, charset) + _raw(value[at:])


def _octets(encoding: str, text: str) -> bytes | None:
    octets = text.encode("utf-8", "surrogateescape")
    if encoding in "Qq":
        return _ESCAPE.sub(lambda escape: bytes.fromhex(escape[1].decode("ascii")), octets.replace(b"_", b" "))
    try:
        return base64.b64decode(octets + b"=" * (-len(octets) % 4))
    except binascii.Error:
        return None


def _decoded(held: list[bytes], charset: str) -> str:
    return decoder_of(charset).decode(b"".join(held), final=True)


def _raw(text: str) -> str:
    """Return text in which surrogate escapes are replaced by the Latin-1 characters that the octets most likely are."""
    return "".join(chr(ord(char) - 0xDC00) if "\udc80" <= char <= "\udcff" else char for char in text)
