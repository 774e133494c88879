"""Keeps secrets out of logs, traces and reports.

A URLAUTH token is replaced by a fingerprint (LS-3-11, E-39) and a password by `***`, in each spelling that is decoded
somewhere in a node. The digits of calls with `maskdigits="yes"` are hidden (RFC 5022 section 6.4.4).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import quopri
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from urllib.parse import unquote

from lemonade_wire.decoded_text import (
    MAX_PASSES,
    DecodedText,
    TooDeepError,
    decode_spellings,
    find_encoded,
    without_nuls,
)

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
_PERCENT_SIGNS = re.compile(r"%(?:25)+(?=[0-9A-Fa-f]{2})")
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


UNREADABLE = "*** (spelt in a way that is not decoded)"
"""What is written instead of a text in which secrets could not be looked for."""
STARS = "***"
_TICKET = re.compile(r":internal:(?=[^\s\"'<>;,&(){}\\])", re.IGNORECASE)
_IN_TOKEN = re.compile(r"[^\s\"'<>;,&(){}\\]*")
_ENDS_IN_XML = frozenset("\"'<>& \t\r\n")
"""Characters at which a token ends although a character reference stands for them."""
_MAX_KNOWN = 100
_SHORTEST_MARK = 11
_FEWEST_DIGITS = 5
_FEWEST_OCTETS = 4
"""Digits of base64, and octets in hexadecimal digits, that tell a password from other text."""
_BASE64_DIGITS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-")
_REST_OF_DIGITS = re.compile(r"[A-Za-z0-9+/_-]*=*")
_MAX_LAYERS = 3
"""Words of base64 or hexadecimal digits inside of each other."""


@dataclass(frozen=True)
class Redactor:
    """Replaces secrets in texts: the token after `:INTERNAL:` by a fingerprint, and the passwords of `hide` by `***`.

    They are found in each spelling that `lemonade_wire.decoded_text` decodes. A word of base64 or hexadecimal digits
    that holds a secret becomes `***` as a whole.
    """

    salt: str
    _known: dict[str, KnownPassword] = field(default_factory=dict, init=False, repr=False, compare=False)

    def hide(self, password: str) -> None:
        """Hide a password from now on, wherever it stands as a word; at most 100 are kept."""
        if password and len(self._known) < _MAX_KNOWN:
            self._known[password] = KnownPassword.of(password)

    def fingerprint(self, token: str) -> str:
        """Return the fingerprint of a token; all spellings of a token have the same fingerprint.

        The fingerprint also says whether the token has the form of one: 32 hexadecimal digits or more.
        """
        decoded = token
        for _ in range(MAX_PASSES):
            before, decoded = decoded, unquote(_PERCENT_SIGNS.sub("%", decoded))
            if decoded == before:
                break
        digest = hmac.new(self.salt.encode(), decoded.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()
        return f"fp-{digest[:16]}{'' if _TOKEN.fullmatch(decoded) else MALFORMED}"

    def text(self, text: str) -> str:
        """Return `text` with all secrets replaced; a fingerprint in it stays unchanged.

        If a secret is found only without the NULs of UTF-16, the text is returned without NULs. A text with more
        spellings inside of each other than are decoded becomes `UNREADABLE`.
        """
        if len(text) < _SHORTEST_MARK and not self._known:
            return text
        try:
            plain = decode_spellings(text)
            if not self._shown_in(plain, _MAX_LAYERS):
                return text
            text = without_nuls(text)
            return self._without_secrets(DecodedText.of(text), text)
        except TooDeepError:
            return UNREADABLE

    def _shown_in(self, plain: str, layers: int) -> bool:
        """Tell whether a decoded text shows a secret, or holds one in `layers` words inside of each other at most."""
        if _TICKET.search(plain) is not None or any(known.find(plain) for known in self._known.values()):
            return True
        return any(self._holds(inner, layers) for _, _, inner in find_encoded(plain))

    def _holds(self, text: str, layers: int) -> bool:
        try:
            return layers > 0 and self._shown_in(decode_spellings(text), layers - 1)
        except TooDeepError:
            return False  # octets that are no text may look like spellings

    def _without_secrets(self, decoded: DecodedText, text: str) -> str:
        """Replace what stands in the decoded text, at the places where it is written."""
        plain, starts = decoded.text, decoded.starts
        hidden: list[tuple[int, int, str]] = []
        end = 0
        for mark in _TICKET.finditer(plain):
            if mark.end() < end:
                continue
            end = _end_of_token(decoded, text, mark.end())
            written = text[starts[mark.end()] : starts[end]]
            if FINGERPRINT.fullmatch(written) is None:
                token = plain[mark.end() : end]
                shown = self.fingerprint(token if token.isascii() else written)
                hidden.append((starts[mark.end()], starts[end], shown))
        for known in self._known.values():
            hidden += [(starts[at], starts[end], STARS) for at, end in known.find(plain)]
        for at, end, inner in find_encoded(plain):
            if self._holds(inner, _MAX_LAYERS):
                hidden.append((starts[at], starts[end], STARS))
        return _replaced(text, hidden)


@dataclass(frozen=True)
class KnownPassword:
    """A password as a word, and in base64 and hexadecimal digits as a piece of a longer text, in UTF-8 and UTF-16."""

    _word: re.Pattern[str]
    _encoded: re.Pattern[str]

    @classmethod
    def of(cls, password: str) -> KnownPassword:
        """Make the patterns of a password."""
        plain = decode_spellings(password)
        octets = plain.encode(errors="surrogatepass")
        forms = "|".join(re.escape(form) for form in dict.fromkeys((plain, octets.decode("latin-1"))))
        word = rf"(?<![A-Za-z0-9])(?:{forms})(?![A-Za-z0-9])"
        codes = {password.encode(code, "surrogatepass") for code in ("utf-8", "utf-16-le", "utf-16-be")}
        digits = [digits for code in codes for digits in _digits_of(code) if len(digits) >= _FEWEST_DIGITS]
        digits = [*map(re.escape, digits), *(f"(?i:{code.hex()})" for code in codes if len(code) >= _FEWEST_OCTETS)]
        return cls(re.compile(word), re.compile("|".join(digits) or "(?!)"))

    def find(self, plain: str) -> list[tuple[int, int]]:
        """Return where the password stands in a decoded text; an encoded one with the digits around it."""
        found = [one.span() for one in self._word.finditer(plain)]
        end = 0
        for one in self._encoded.finditer(plain):
            if one.start() < end:
                continue
            start = one.start()
            while start > end and plain[start - 1] in _BASE64_DIGITS:
                start -= 1
            behind = _REST_OF_DIGITS.match(plain, one.end())
            end = behind.end() if behind else one.end()
            found.append((start, end))
        return found


def _digits_of(octets: bytes) -> list[str]:
    """Return the digits of base64 that octets have in a longer text, for each of the three places in a group."""
    found = []
    for place in range(3):
        digits = base64.b64encode(b"\0" * place + octets + b"\0" * (-(place + len(octets)) % 3)).decode()
        first = (place * 8 + 5) // 6
        whole = (place + len(octets)) * 8 // 6
        found += [digits[first:whole], digits[first:whole].replace("+", "-").replace("/", "_")]
    return found


def _end_of_token(decoded: DecodedText, text: str, at: int) -> int:
    """Return where the token ends that begins at `at` in the decoded text.

    A delimiter ends it. One that is percent-encoded does not, since it is a part of the URL.
    """
    plain, starts = decoded.text, decoded.starts
    while True:
        run = _IN_TOKEN.match(plain, at)
        at = run.end() if run else at
        if at == len(plain):
            return at
        sign = text[starts[at] : starts[at + 1]][:1]
        if not (sign == "%" != plain[at] or (sign == "&" and len(text[starts[at] : starts[at + 1]]) > 1)):
            return at
        if sign == "&" and plain[at] in _ENDS_IN_XML:
            return at
        at += 1


def _replaced(text: str, hidden: list[tuple[int, int, str]]) -> str:
    """Return the text with the pieces (start, end, what is written instead) replaced; the first of two that overlap."""
    pieces: list[str] = []
    place = 0
    for start, end, instead in sorted(hidden):
        if start >= place:
            pieces += [text[place:start], instead]
            place = end
    return "".join([*pieces, text[place:]])


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
