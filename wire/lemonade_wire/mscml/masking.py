"""Keeps the digits of calls that asked for `maskdigits` out of traces (RFC 5022 section 6.4.4).

Every node traces the same messages, so that all of them mask by what the messages themselves say. A call is masked from
the first INFO with `maskdigits="yes"` on, request or subscription, until it ends: keys that are pressed late still
belong to what was asked, and a response may cross the next request. What an encrypted body asks for nobody sees on the
wire, so that its call is masked too, and the body itself stands as it is. A masked octet becomes a minus, so that
lengths still agree; a key in RTP (RFC 4733) becomes an event that is none, in all streams, since packets name no call.
"""

from __future__ import annotations

import base64
import html
import re
from collections import OrderedDict

MAX_CALLS = 10_000
_FIRST_DYNAMIC = 96
_MAX_EVENTS = 56
"""Longer payloads, in BASE64, are sound: a packet tells of ten keys at most."""
_CALL_ID = re.compile(r"^(?:call-id|i)[ \t]*:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)
_CONTENT_TYPE = re.compile(r"^(?:content-type|c)[ \t]*:[ \t]*(\S[^;\r\n]*)", re.IGNORECASE | re.MULTILINE)
_ASKED = re.compile(r"\bmaskdigits\s*=\s*([\"'])\s*(?:yes|true|1)\s*\1")
_ENCRYPTED = re.compile(r"^(?:content-type|c)[ \t]*:[ \t]*application/pkcs7-mime\b", re.IGNORECASE | re.MULTILINE)
_DIGITS = re.compile(r"(\bdigits?\s*=\s*)(\"[^\"]*\"|'[^']*')")
_LINE = re.compile(r"([^\r\n=]*=)?([^\r\n]*)")
_DURATION = re.compile(r"\s*duration\s*=\s*", re.IGNORECASE)


class DigitMask:
    """The calls that are masked. Messages are given in the order in which they are traced."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, None] = OrderedDict()

    def text(self, message: str) -> str:
        """Return a SIP message with the digits of a masked call replaced."""
        plain = message.replace("\0", "")  # UTF-16, as a body may be
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
        """Return the payload of an RTP packet, both in BASE64, without its keys if there is a masked call."""
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
    if "\0" in body or kind.startswith("multipart/"):  # whose parts may be encoded once more
        return _minus(body)
    if "dtmf" in kind:
        return _LINE.sub(_masked_line, body)
    return _DIGITS.sub(lambda found: found[1] + found[2][0] + _minus(found[2][1:-1]) + found[2][-1], body)


def _masked_line(line: re.Match[str]) -> str:
    name, value = line[1] or "", line[2]
    return line[0] if _DURATION.fullmatch(name) else name + _minus(value)


def _minus(text: str) -> str:
    return re.sub(r"\S", "-", text)
