"""Keeps secrets out of logs, traces and reports.

A URLAUTH token is replaced by a fingerprint (LS-3-11, E-39), in the transfer encodings of SIP bodies too. The digits of
calls with `maskdigits="yes"` are hidden (RFC 5022 section 6.4.4).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import quopri
import re
from collections import OrderedDict
from dataclasses import dataclass
from urllib.parse import unquote

DECODED = "; decoded"
"""The note that is added to the Content-Transfer-Encoding of a decoded content."""
_MAX_DEPTH = 8
_ENCODED = re.compile(
    r"^content-transfer-encoding[ \t]*:[ \t]*(base64|quoted-printable)[ \t]*(?=\r?$)", re.IGNORECASE | re.MULTILINE
)
_BLANK_LINE = re.compile(r"\r?\n\r?\n")
_BOUNDARY = re.compile(r"boundary[ \t]*=[ \t]*\"?([^\";\r\n]+)", re.IGNORECASE)
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
FINGERPRINT = re.compile(r"fp-[0-9a-f]{16}(?:-malformed)?")
MALFORMED = "-malformed"
"""How the fingerprint of a token ends that has not the form of RFC 4467, section 9."""
_TOKEN = re.compile(r"[0-9A-Fa-f]{32,}")
MAX_CALLS = 10_000
_FIRST_DYNAMIC = 96
_MAX_EVENTS = 56
"""Characters of base64. A longer payload is audio: a packet of telephone-events has at most ten events."""
_CALL_ID = re.compile(r"^(?:call-id|i)[ \t]*:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)
_CONTENT_TYPE = re.compile(r"^(?:content-type|c)[ \t]*:[ \t]*(\S[^;\r\n]*)", re.IGNORECASE | re.MULTILINE)
_ASKED = re.compile(r"\bmaskdigits\s*=\s*([\"'])\s*(?:yes|true|1)\s*\1")
_ENCRYPTED = re.compile(r"^(?:content-type|c)[ \t]*:[ \t]*application/pkcs7-mime\b", re.IGNORECASE | re.MULTILINE)
_ENCODING = re.compile(r"^content-transfer-encoding[ \t]*:[ \t]*(\S[^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_READABLE = re.compile(r"7bit|8bit|binary|.*; decoded", re.IGNORECASE)
_DIGITS = re.compile(r"(\bdigits?\s*=\s*)(\"[^\"]*\"|'[^']*')")
_LINE = re.compile(r"([^\r\n=]*=)?([^\r\n]*)")
_DURATION = re.compile(r"\s*duration\s*=\s*", re.IGNORECASE)


def decode_bodies(message: str) -> str:
    """Return a SIP message with each base64 or quoted-printable body or part decoded (RFC 2045 section 6).

    The header of a decoded part gets the note `DECODED`. Never raises: damaged content is decoded as far as possible.
    """
    return _decode(message, frozenset(), 0) if _ENCODED.search(message) else message


def _decode(text: str, boundaries: frozenset[str], depth: int) -> str:
    boundaries |= {found.strip() for found in _BOUNDARY.findall(text)}
    delimiter = re.compile(rf"\r?\n--(?:{'|'.join(map(re.escape, sorted(boundaries))) or '(?!)'})")
    pieces: list[str] = []
    place = 0
    while header := _ENCODED.search(text, place):
        blank = _BLANK_LINE.search(text, header.end())
        if blank is None:
            break
        end = delimiter.search(text, blank.end())
        stop = end.start() if end else len(text)
        content = _decoded(text[blank.end() : stop], header[1].lower())
        if depth < _MAX_DEPTH and _ENCODED.search(content):
            content = _decode(content, boundaries, depth + 1)
        pieces += [text[place : header.end()], DECODED, text[header.end() : blank.end()], content]
        place = stop
    return "".join(pieces) + text[place:]


def _decoded(content: str, encoding: str) -> str:
    octets = content.encode(errors="surrogateescape")
    if encoding == "quoted-printable":
        octets = quopri.decodestring(octets)
    else:
        digits = _NOT_BASE64.sub(b"", octets)
        digits = digits[: len(digits) - (len(digits) % 4 == 1)]  # a single last digit is less than one octet
        octets = base64.b64decode(digits + b"=" * (-len(digits) % 4))
    return _text(octets)


def _text(octets: bytes) -> str:
    """Return octets as text; UTF-16 (RFC 2781) is recognised by its byte order mark, or by NULs at its beginning."""
    if octets[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return octets.decode("utf-16", errors="replace")
    if b"\0\0" in {octets[:4:2], octets[1:4:2]}:
        return octets.decode("utf-16-be" if octets[:1] == b"\0" else "utf-16-le", errors="replace")
    return octets.decode(errors="replace")


def _any_encoding(char: str) -> str:
    """Return a pattern for `char` in upper or lower case, plain or percent-encoded any number of times."""
    codes = "|".join(sorted({f"{ord(form):02x}" for form in (char.lower(), char.upper())}))
    return f"(?:{re.escape(char)}|%(?:25)*(?:{codes}))"


_MARK = "".join(_any_encoding(char) for char in ":internal:")
_TICKET = re.compile(rf"({_MARK})([^\s\"'<>;,&(){{}}\\]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Redactor:
    """Replaces the token after `:INTERNAL:` by a fingerprint; the mark may have any case and percent-encoding."""

    salt: str

    def fingerprint(self, token: str) -> str:
        """Return the fingerprint of a token; all percent-encodings of a token have the same fingerprint.

        The fingerprint also says whether the token has the form of one: 32 hexadecimal digits or more.
        """
        decoded = unquote(token)
        while decoded != token:
            token, decoded = decoded, unquote(decoded)
        digest = hmac.new(self.salt.encode(), decoded.encode(), hashlib.sha256).hexdigest()
        return f"fp-{digest[:16]}{'' if _TOKEN.fullmatch(decoded) else MALFORMED}"

    def text(self, text: str) -> str:
        """Return `text` with the token of every ticket replaced; a fingerprint in it stays unchanged.

        If a token is found only without the NULs of UTF-16, the text is returned without NULs.
        """
        if "\0" in text and _TICKET.search(plain := text.replace("\0", "")):
            text = plain
        return _TICKET.sub(self._replace, text)

    def _replace(self, match: re.Match[str]) -> str:
        mark, token = match.groups()
        return mark + (token if FINGERPRINT.fullmatch(token) else self.fingerprint(token))


class DigitMask:
    """The set of masked calls. The messages must be given in the order in which they are traced."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, None] = OrderedDict()

    def text(self, message: str) -> str:
        """Return a SIP message, with its digits replaced if its call is masked."""
        plain = message.replace("\0", "")  # a body may be UTF-16
        encrypted = _ENCRYPTED.search(message) is not None
        if not self._calls and not encrypted and "maskdigits" not in plain:
            return message
        head, blank, body = message.partition("\r\n\r\n")
        call = _CALL_ID.search(head)
        if call is None or not body:
            return message
        if encrypted or ("maskdigits" in plain and _ASKED.search(html.unescape(plain))):
            self._calls[call[1]] = None
            if len(self._calls) > MAX_CALLS:
                self._calls.popitem(last=False)
        return f"{head}{blank}{_masked(head, body)}" if call[1] in self._calls else message

    def packet(self, payload_type: int, payload: str) -> str:
        """Return the payload of an RTP packet, in base64 as given, without its keys if any call is masked."""
        if not self._calls or payload_type < _FIRST_DYNAMIC or len(payload) > _MAX_EVENTS:
            return payload
        octets = bytearray(base64.b64decode(payload))
        if len(octets) % 4:
            return payload
        octets[::4] = b"\xff" * (len(octets) // 4)
        return base64.b64encode(octets).decode()


def _masked(head: str, body: str) -> str:
    found = _CONTENT_TYPE.search(head)
    kind = found[1].strip().lower() if found else ""
    if kind == "application/pkcs7-mime":
        return body
    encoding = _ENCODING.search(head)
    if "\0" in body or (encoding and not _READABLE.fullmatch(encoding[1].strip())):
        return _minus(body)
    if kind.startswith("multipart/"):
        return _masked_parts(head, body)
    if "dtmf" in kind:
        return _LINE.sub(_masked_line, body)
    return _DIGITS.sub(lambda found: found[1] + found[2][0] + _minus(found[2][1:-1]) + found[2][-1], body)


def _masked_parts(head: str, body: str) -> str:
    """Mask each part by its own headers; a part without headers and a body without parts are masked completely."""
    boundary = _BOUNDARY.search(head)
    if boundary is None:
        return _minus(body)
    pieces = re.split(rf"((?:\A|\r?\n)--{re.escape(boundary[1].strip())}(?:--)?[ \t]*(?=\r?\n|\Z))", body)
    for place in range(0, len(pieces), 2):  # the even pieces are the texts between the delimiters
        blank = _BLANK_LINE.search(pieces[place])
        inner = pieces[place][: blank.start()] if blank else ""
        if blank is None or not inner.strip():
            pieces[place] = _minus(pieces[place])
        else:
            pieces[place] = inner + blank[0] + _masked(inner, pieces[place][blank.end() :])
    return "".join(pieces)


def _masked_line(line: re.Match[str]) -> str:
    name, value = line[1] or "", line[2]
    return line[0] if _DURATION.fullmatch(name) else name + _minus(value)


def _minus(text: str) -> str:
    return re.sub(r"\S", "-", text)
