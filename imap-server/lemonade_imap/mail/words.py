"""Reads header text for people: encoded words to what they say (RFC 2047), leniently."""

from __future__ import annotations

import base64
import binascii
import re

from lemonade_imap.mail.charsets import decoder_of

# RFC 2231, 5: a language may stand behind the charset
_WORD = re.compile(r"=\?([^?*\s]{1,60})(?:\*[^?\s]*)?\?([BbQq])\?([^?\s]*)\?=")
_ESCAPE = re.compile(rb"=([0-9A-Fa-f]{2})")


def readable(value: str) -> str:
    """Return the value with its encoded words decoded; one that cannot be decoded stays as it is.

    White space between two encoded words goes (RFC 2047, 6.2); neighbours of one charset are decoded together, since
    mailers cut characters in two.
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
    """Return text whose raw octets, kept as surrogates, are shown as what they most likely are: Latin-1."""
    return "".join(chr(ord(char) - 0xDC00) if "\udc80" <= char <= "\udcff" else char for char in text)
