"""Transfer encodings (RFC 2045, 6) taken off as far as they go, for parts that an IMAP server refuses to decode."""

from __future__ import annotations

import base64
import binascii
import string

_DIGITS = f"{string.ascii_letters}{string.digits}+/".encode()
_NO_BASE64 = bytes(set(range(256)) - set(_DIGITS))
_IDENTITY = {"7bit", "8bit", "binary"}


def decode_leniently(octets: bytes, encoding: str) -> bytes:
    """Return what can be made of encoded octets; raises ValueError for an encoding that is not known.

    In base64 whatever is no digit of it is passed over, and a last digit without its fellows is left out.
    """
    match encoding.lower():
        case "base64":
            digits = octets.translate(None, _NO_BASE64)  # in one go: the part may be long, and everybody waits
            digits = digits[: len(digits) - (len(digits) % 4 == 1)]
            return base64.b64decode(digits + b"=" * (-len(digits) % 4))
        case "quoted-printable":
            return binascii.a2b_qp(octets)
        case name if name in _IDENTITY:
            return octets
    raise ValueError("the part's transfer encoding is not known here")
