"""Decodes content transfer encodings chunk by chunk (RFC 2045, 6; RFC 5524, 3.2).

URLFETCH answers `BINARY NIL` for a part that cannot be decoded, so that a media server does not receive octets that are
no voice message. In base64, octets outside the alphabet are ignored, and so is what follows the padding (RFC 2045,
6.8), since mailing lists and gateways add both. In quoted-printable, white space at the end of a line is removed (6.7,
rule 3), and an invalid escape is an error.
"""

from __future__ import annotations

import binascii
import re
import string
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

IDENTITY = frozenset({"7BIT", "8BIT", "BINARY"})
_WHITE = b" \t\r\n"
_BASE64 = (string.ascii_letters + string.digits + "+/").encode("ascii")
_NOT_BASE64 = bytes(octet for octet in range(256) if octet not in _BASE64)
_HEX_PAIR = re.compile(rb"=([0-9A-Fa-f]{2})")
# Only the first blank of a run begins a match, and no shorter run is tried: the work is linear.
_LINE_WHITE = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n)")
_SOFT_BREAK = re.compile(rb"=\r?\n")
_NOT_QUOTED_PRINTABLE = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n)|[\x80-\xff]")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_MAX_LINE = 65536


class Undecodable(ValueError):  # noqa: N818  says what the content is
    """The content is not valid in its Content-Transfer-Encoding, or the encoding is unknown."""


class Decoder(Protocol):
    """Decodes octets of one content transfer encoding, in constant memory."""

    def feed(self, octets: bytes) -> bytes:
        """Return the decoded octets that these octets complete; raises Undecodable."""
        ...

    def close(self) -> bytes:
        """Return the decoded rest at the end of the content; raises Undecodable if the content is incomplete."""
        ...


class IdentityDecoder:
    """The decoder of 7bit, 8bit and binary, which leave the octets as they are (RFC 2045, 6.2)."""

    def feed(self, octets: bytes) -> bytes:
        """Return the octets unchanged."""
        return octets

    def close(self) -> bytes:
        """Return no octets: `feed` has returned all."""
        return b""


class Base64Decoder:
    """The decoder of base64, which accepts lines of any length (RFC 2045, 6.8).

        quantum = 4 characters of the alphabet = 3 octets; the last one may end with "=" (2 octets) or "==" (1 octet)

    Octets outside of the alphabet are ignored, as RFC 2045 requires it of decoders. The first `=` ends the data:
    mailing lists add a text behind it. The last quantum may lack its padding.
    """

    def __init__(self) -> None:
        self._held = b""
        self._begun = False
        self._ended = False
        self._found = False
        self.irregular = False
        """Whether what was read so far is not to the letter: foreign octets, no padding, or octets behind it."""

    def feed(self, octets: bytes) -> bytes:
        """Return the octets of complete quantums."""
        written = octets.translate(None, _WHITE)
        self._begun = self._begun or bool(written)
        if self._ended:
            self.irregular = self.irregular or bool(written.strip(b"="))
            return b""
        before, padding, behind = written.partition(b"=")
        text = before.translate(None, _NOT_BASE64)
        self.irregular = self.irregular or len(text) < len(before) or bool(behind.strip(b"="))
        text = self._held + text
        whole = len(text) - len(text) % 4
        self._held = text[whole:]
        self._ended = bool(padding)
        self._found = self._found or bool(text)
        return binascii.a2b_base64(text[:whole])

    def close(self) -> bytes:
        """Return the octets of the last quantum.

        Raises Undecodable if it is a single character, or if there are octets but none of the alphabet.
        """
        held, self._held = self._held, b""
        if len(held) == 1:
            raise Undecodable("base64 ends behind the first character of a quantum")
        if self._begun and not self._found:
            raise Undecodable("not base64")
        self.irregular = self.irregular or (bool(held) and not self._ended)
        return binascii.a2b_base64(held + b"=" * (-len(held) % 4))


class QuotedPrintableDecoder:
    """The decoder of quoted-printable, which decodes line by line (RFC 2045, 6.7).

        "=" 2HEXDIG     an octet
        "=" CRLF        a soft line break: no octets

    A bare LF ends a line too.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, octets: bytes) -> bytes:
        """Return the decoded octets of complete lines; raises Undecodable for an invalid escape or a too long line."""
        whole = octets.rfind(b"\n") + 1
        text = bytes(self._held) + octets[:whole] if whole else b""
        if whole:
            self._held.clear()
        self._held += octets[whole:]
        if len(self._held) > _MAX_LINE:
            raise Undecodable("quoted-printable line without an end")
        return _unquote(text)

    def close(self) -> bytes:
        """Return the decoded last line, which has no line end; a `=` at its end is a soft line break."""
        text = bytes(self._held).rstrip(b" \t")
        self._held.clear()
        return _unquote(text[:-1] if text.endswith(b"=") else text)


def _unquote(text: bytes) -> bytes:
    text = _LINE_WHITE.sub(b"", text)
    if _NOT_QUOTED_PRINTABLE.search(text):
        raise Undecodable("not quoted-printable")
    return _HEX_PAIR.sub(lambda escape: bytes.fromhex(escape[1].decode("ascii")), _SOFT_BREAK.sub(b"", text))


_DECODERS: dict[str, Callable[[], Decoder]] = {
    "7BIT": IdentityDecoder,
    "8BIT": IdentityDecoder,
    "BINARY": IdentityDecoder,
    "BASE64": Base64Decoder,
    "QUOTED-PRINTABLE": QuotedPrintableDecoder,
}


def decoder_for(encoding: str) -> Decoder:
    """Return a new decoder for a Content-Transfer-Encoding in upper case; raises Undecodable for an unknown one."""
    try:
        return _DECODERS[encoding]()
    except KeyError:
        raise Undecodable(f"unknown content transfer encoding {encoding[:40]!r}") from None


def decoded(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the decoded octets of `chunks`; raises Undecodable when it reaches an error."""
    decoder = decoder_for(encoding)
    for chunk in chunks:
        if ready := decoder.feed(chunk):
            yield ready
    if ready := decoder.close():
        yield ready


def with_crlf(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield text in which every line ends with CRLF: a bare LF gets a CR before it (RFC 3516, 6)."""
    ended_in_cr = False
    for chunk in chunks:
        fixed = _BARE_LF.sub(b"\r\n", chunk)
        if ended_in_cr and chunk.startswith(b"\n"):
            fixed = fixed[1:]
        ended_in_cr = chunk.endswith(b"\r") if chunk else ended_in_cr
        if fixed:
            yield fixed


def cut(chunks: Iterable[bytes], offset: int, length: int) -> Iterator[bytes]:
    """Yield `length` octets of the chunks from `offset`, and read no further chunks."""
    for chunk in chunks:
        if length <= 0:
            return
        wanted = chunk[offset : offset + length]
        offset = max(0, offset - len(chunk))
        length -= len(wanted)
        if wanted:
            yield wanted
