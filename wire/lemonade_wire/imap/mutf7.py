"""Modified UTF-7, the encoding of mailbox names in IMAP (RFC 3501 section 5.1.3).

Printable ASCII stands for itself, except `&`, which is `&-`. Other characters are `&`, base64 of their UTF-16BE octets
(without padding, with `,` instead of `/`), and `-`.
"""

from __future__ import annotations

import base64
import binascii
import re

from lemonade_wire.imap.errors import ImapParseError

_RUN = re.compile(r"&|[^\x20-\x7e]+")
_SHIFT = re.compile(rb"&([A-Za-z0-9+,]*)-")


def encode(name: str) -> bytes:
    """Encode a mailbox name; INBOX in any case becomes `INBOX`."""
    if name.upper() == "INBOX":
        return b"INBOX"
    return _RUN.sub(_encode_run, name).encode("ascii")


def _encode_run(match: re.Match[str]) -> str:
    if match[0] == "&":
        return "&-"
    octets = match[0].encode("utf-16-be", "surrogatepass")
    return "&" + base64.b64encode(octets).decode("ascii").rstrip("=").replace("/", ",") + "-"


def decode(octets: bytes) -> str:
    """Decode a mailbox name; raises ImapParseError. Raw UTF-8 is accepted, because servers send it."""
    name = ""
    at = 0
    for found in _SHIFT.finditer(octets):
        name += _plain(octets[at : found.start()]) + _decode_run(found[1])
        at = found.end()
    name += _plain(octets[at:])
    return "INBOX" if name.upper() == "INBOX" else name


def _plain(octets: bytes) -> str:
    if b"&" in octets:
        raise ImapParseError("a mailbox name has & without its -")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise ImapParseError("a mailbox name in modified UTF-7 is expected") from None


def _decode_run(run: bytes) -> str:
    if not run:
        return "&"
    try:
        octets = base64.b64decode(run.replace(b",", b"/") + b"=" * (-len(run) % 4), validate=True)
        return octets.decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        raise ImapParseError("a mailbox name's & run is not base64 of UTF-16") from None
