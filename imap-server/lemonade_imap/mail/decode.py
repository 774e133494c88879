"""Takes content transfer encodings off, chunk by chunk (RFC 2045, 6; RFC 5524, 3.2).

Strict where the RFC leaves a choice: URLFETCH answers `BINARY NIL` for what does not decode, and a media server must
not be handed half a voice message. White space inside base64 is no error (RFC 2045, 6.8), anything else outside the
alphabet is; in quoted-printable, white space at the end of a line goes (6.7, rule 3), a wrong escape is an error.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

IDENTITY = frozenset({"7BIT", "8BIT", "BINARY"})
_WHITE = b" \t\r\n"
_HEX_PAIR = re.compile(rb"=([0-9A-Fa-f]{2})")
_LINE_WHITE = re.compile(rb"[ \t]+(?=\r?\n)")
_SOFT_BREAK = re.compile(rb"=\r?\n")
_NOT_QUOTED_PRINTABLE = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n)|[\x80-\xff]")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_MAX_LINE = 65536


class Undecodable(ValueError):  # noqa: N818  says what the content is
    """The content is not what its Content-Transfer-Encoding says, or the encoding is unknown."""


class Decoder(Protocol):
    """Turns encoded octets into decoded ones, in constant memory."""

    def feed(self, octets: bytes) -> bytes:
        """Return what these octets complete; raises Undecodable."""
        ...

    def close(self) -> bytes:
        """Return what is left; raises Undecodable where the content ends too early."""
        ...


class IdentityDecoder:
    """7bit, 8bit and binary: nothing to take off."""

    def feed(self, octets: bytes) -> bytes:
        """Return the octets."""
        return octets

    def close(self) -> bytes:
        """Return nothing: nothing is held back."""
        return b""


class Base64Decoder:
    """Base64 in quantums of four characters, whatever the line lengths (RFC 2045, 6.8)."""

    def __init__(self) -> None:
        self._held = b""
        self._ended = False

    def feed(self, octets: bytes) -> bytes:
        """Return the whole quantums; raises Undecodable for what is outside the alphabet or follows the padding."""
        text = self._held + octets.translate(None, _WHITE)
        whole = len(text) - len(text) % 4
        self._held = text[whole:]
        if not text:
            return b""
        if self._ended:
            raise Undecodable("octets after the padding of base64")
        return self._decode(text[:whole])

    def _decode(self, text: bytes) -> bytes:
        try:
            decoded = binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error as problem:
            raise Undecodable(f"not base64: {problem}") from problem
        self._ended = text.endswith(b"=")
        return decoded

    def close(self) -> bytes:
        """Return nothing; raises Undecodable where a quantum is not whole."""
        if self._held:
            raise Undecodable("base64 ends inside a quantum")
        return b""


class QuotedPrintableDecoder:
    """Quoted-printable, line by line (RFC 2045, 6.7)."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, octets: bytes) -> bytes:
        """Return the whole lines decoded; raises Undecodable for a wrong escape or an endless line."""
        whole = octets.rfind(b"\n") + 1
        text = bytes(self._held) + octets[:whole] if whole else b""
        if whole:
            self._held.clear()
        self._held += octets[whole:]
        if len(self._held) > _MAX_LINE:
            raise Undecodable("quoted-printable line without an end")
        return _unquote(text)

    def close(self) -> bytes:
        """Return the last line, which has no line end; a soft break may end it."""
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
    """Yield the content of `chunks` without its encoding; raises Undecodable on the way."""
    decoder = decoder_for(encoding)
    for chunk in chunks:
        if ready := decoder.feed(chunk):
            yield ready
    if ready := decoder.close():
        yield ready


def with_crlf(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield text with every line ended by CRLF: a bare LF gets its CR (RFC 3516, 6)."""
    ended_in_cr = False
    for chunk in chunks:
        fixed = _BARE_LF.sub(b"\r\n", chunk)
        if ended_in_cr and chunk.startswith(b"\n"):
            fixed = fixed[1:]
        ended_in_cr = chunk.endswith(b"\r") if chunk else ended_in_cr
        if fixed:
            yield fixed


def cut(chunks: Iterable[bytes], offset: int, length: int) -> Iterator[bytes]:
    """Yield `length` octets from `offset` of what the chunks hold, and read no further."""
    for chunk in chunks:
        if length <= 0:
            return
        wanted = chunk[offset : offset + length]
        offset = max(0, offset - len(chunk))
        length -= len(wanted)
        if wanted:
            yield wanted
