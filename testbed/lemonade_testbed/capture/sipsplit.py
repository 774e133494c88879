"""Splits one direction of a SIP connection over TCP into messages, by Content-Length (RFC 3261, 18.3).

The second reader's own: it shares no code with the nodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_LENGTH = re.compile(rb"^(?:content-length|l)[ \t]*:[ \t]*([0-9]+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


def split_sip(chunks: Iterable[tuple[float, int, bytes]]) -> Iterator[tuple[float, int, bytes]]:
    """Yield the whole messages in chunks of (time, packet, octets), each with time and packet of its first octet."""
    buffer = b""
    began: tuple[float, int] | None = None
    for t, number, data in chunks:
        buffer += data
        while True:
            buffer = buffer.lstrip(b"\r\n")  # RFC 3261, 7.5: empty lines before a start line
            if not buffer:
                began = None
                break
            began = began or (t, number)
            end = _end(buffer)
            if end is None or len(buffer) < end:
                break
            yield (*began, buffer[:end])
            buffer, began = buffer[end:], None


def _end(buffer: bytes) -> int | None:
    """Return where the first message ends; None before its head is whole."""
    head, blank, _ = buffer.partition(b"\r\n\r\n")
    if not blank:
        return None
    length = _LENGTH.search(head)
    return len(head) + 4 + (int(length[1]) if length else 0)
