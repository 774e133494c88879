"""SIP requests of attacks and of the control call, written by hand: no user agent decides what may be sent."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from urllib.parse import quote

from speed.hostile_nodes import NAME

URL = f"imap://joe@{NAME}/INBOX/;UID=%d/;SECTION=2;URLAUTH=anonymous:INTERNAL:{'0a' * 32}"
_TO = re.compile(rb"^To: (.*)$", re.MULTILINE | re.IGNORECASE)


def listen(host: str) -> socket.socket:
    """Return a socket for datagrams at a free port of an address."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host, 0))
    return made


def offer(port: int, host: str, lines: Iterable[str] = ()) -> bytes:
    """Return an offer of G.711 to this address, with more lines."""
    head = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", f"m=audio {port} RTP/AVP 0"]
    return "".join(f"{line}\r\n" for line in (*head, *lines)).encode()


def request(
    method: str,
    uri: str,
    here: tuple[str, int],
    call: str,
    body: bytes = b"",
    *,
    to: str = "<sip:a@example.com>",
    number: int = 1,
    more: str = "",
    kind: str = "application/sdp",
) -> bytes:
    """Return a request; `call` is its Call-ID and part of its branch, `to` the value of To, `more` further fields."""
    address = f"{here[0]}:{here[1]}"
    head = (
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{method}{call}{number};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:b@{here[0]}>;tag=1\r\nTo: {to}\r\nCall-ID: {call}\r\n"
        f"CSeq: {number} {method}\r\nContact: <sip:b@{address}>\r\n{more}"
        + (f"Content-Type: {kind}\r\n" if body else "")
        + f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def announcement(server: tuple[str, int], play: str) -> str:
    """Return the Request-URI that asks for an announcement."""
    return f"sip:annc@{server[0]}:{server[1]};play={quote(play, safe='/')}"


def establish(own: socket.socket, server: tuple[str, int], uri: str, call: str, body: bytes) -> str:
    """Invite and acknowledge; returns the value of To, with the server's tag. Raises OSError if no 200 comes."""
    here = own.getsockname()
    own.settimeout(5)
    own.sendto(request("INVITE", uri, here, call, body), server)
    while not (data := own.recv(65536)).startswith(b"SIP/2.0 200") or call.encode() not in data:
        if not data.startswith(b"SIP/2.0 1"):
            raise OSError(f"no call: {data[:40]!r}")
    found = _TO.search(data)
    to = found[1].decode().strip() if found else ""
    own.sendto(request("ACK", uri, here, call, to=to), server)
    return to
