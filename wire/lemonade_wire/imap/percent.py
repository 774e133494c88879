"""Percent-encoding of the parts of an IMAP URL (RFC 5092 11): UTF-8, strict, nothing that is not needed."""

from __future__ import annotations

import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

from lemonade_wire.imap.errors import ImapParseError

_UCHAR = r"[A-Za-z0-9\-._~!$'()*+,]|%[0-9A-Fa-f]{2}"
ACHAR = rf"(?:{_UCHAR}|[&=])"
BCHAR = rf"(?:{_UCHAR}|[&=:@/])"
_UCHAR_SAFE = "-._~!$'()*+,"
_PLAIN = re.compile(r"[ -$&-~]*")
"""Nothing to decode and nothing to refuse: most texts are so, and servers read many."""
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def percent_encode(text: str, safe: str = "&=") -> str:
    """Encode a user (safe as given) or, with `safe="&=:@/"`, a mailbox or section."""
    return quote_from_bytes(text.encode("utf-8"), safe=_UCHAR_SAFE + safe)


def percent_decode(text: str) -> str:
    """Decode to text; raises ImapParseError for a broken escape, or octets that are not UTF-8 or hold NUL, CR, LF."""
    if _PLAIN.fullmatch(text):
        return text
    if _BAD_PERCENT.search(text):
        raise ImapParseError("two hexadecimal digits are expected behind %")
    try:
        decoded = unquote_to_bytes(text).decode("utf-8")
    except UnicodeError:
        raise ImapParseError("percent-encoded UTF-8 is expected") from None
    if any(char in "\0\r\n" for char in decoded):
        raise ImapParseError("NUL, CR and LF are not allowed in a URL's parts")
    return decoded
