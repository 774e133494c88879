"""A small announcement server that shares no code with the reference nodes; `--wrong NAME` gives it one bug.

It stands for another maker's media server: SIP over UDP, one audio/basic part by URLFETCH, PCMU in packets of 20 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import re
import socket
import struct
from urllib.parse import unquote

Address = tuple[str, int]
WRONG = {
    "none": "nothing",
    "ok-before-fetch": "answers 200 before it has fetched the part",
    "refuses-all": "answers 404 to every INVITE, without having asked for the part",
    "recvonly-answer": "answers recvonly with recvonly",
    "no-contact": "leaves Contact out of the 200",
    "other-tag": "puts another To tag into the 200 than into the 180 before it",
    "before-ack": "plays before the ACK has come",
    "quiet": "plays at -12 dB",
    "no-logout": "closes the IMAP connection without LOGOUT",
    "shortened-url": "fetches the URL without the last digit of its token",
    "bursts": "sends five packets at a time",
    "other-part": "plays the part backwards",
    "no-bye": "never ends the call",
    "cseq-stuck": "gives its BYE the CSeq number of the OPTIONS before it",
    "session-progress": "answers 183 before 200",
    "other-codec": "sends PCMA where PCMU is agreed",
}


def main() -> None:
    """Serve until it is killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", required=True)
    parser.add_argument("--resolve", action="append", default=[])
    parser.add_argument("--wrong", choices=WRONG, default="none")
    given, _ = parser.parse_known_args()
    asyncio.run(Server(given.listen, dict(rule.split("=", 1) for rule in given.resolve), given.wrong).serve())


class Server(asyncio.DatagramProtocol):
    """The SIP side: one call after another."""

    def __init__(self, listen: str, resolve: dict[str, str], wrong: str) -> None:
        self.host, port = listen.split(":")
        self.port, self.resolve, self.wrong = int(port), resolve, wrong
        self.final: dict[str, bytes] = {}
        self.acknowledged, self.answered = asyncio.Event(), asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Open the SIP port and handle messages until the process is killed."""
        loop = asyncio.get_running_loop()
        self.sip, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.host, self.port))
        await asyncio.Event().wait()

    def datagram_received(self, data: bytes, peer: Address) -> None:
        """Take one SIP message."""
        text = data.decode()
        method, call = text.split(" ", 1)[0], header(text, "Call-ID")
        if method == "INVITE" and call not in self.final:
            self.final[call] = b""
            self.sip.sendto(response(text, peer, "100 Trying"), peer)
            task = asyncio.get_running_loop().create_task(self.play(text, peer))
            self.tasks.add(task)
        elif method == "INVITE" and self.final[call]:
            self.sip.sendto(self.final[call], peer)
        elif method == "ACK":
            self.acknowledged.set()
        elif method in {"OPTIONS", "BYE"}:
            self.sip.sendto(response(text, peer, "200 OK", "t0"), peer)
        elif method == "SIP/2.0" and "BYE" in header(text, "CSeq"):
            self.answered.set()

    async def play(self, invite: str, peer: Address) -> None:
        """Carry out one call."""
        await asyncio.sleep(0.1)  # without a trace of this node, the 100 is where the client receives it
        url = unquote(re.findall(r";play=([^;? ]*)", invite)[0])
        part = b""
        if self.wrong != "ok-before-fetch":
            part = b"" if self.wrong == "refuses-all" else await self.fetch(url)
        if not part and self.wrong != "ok-before-fetch":
            warning = f'Warning: 399 {self.host} "The part cannot be had"\r\n'
            await self.insist(
                header(invite, "Call-ID"), response(invite, peer, "404 Not Found", "t0", more=warning), peer
            )
            return
        early = {"session-progress": "183 Session Progress", "other-tag": "180 Ringing"}.get(self.wrong)
        if early:
            self.sip.sendto(response(invite, peer, early, "t1" if self.wrong == "other-tag" else "t0"), peer)
        rtp = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for number, one in enumerate(rtp):
            one.bind((self.host, 16400 + number))
        contact = "" if self.wrong == "no-contact" else f"Contact: <sip:annc@{self.host}:{self.port}>\r\n"
        answered = response(invite, peer, "200 OK", "t0", more=contact, sdp=self.answer(16400))
        sound = asyncio.create_task(self.send(rtp, invite, part)) if self.wrong == "before-ack" else None
        await asyncio.sleep(0.2 if sound else 0)
        await self.insist(header(invite, "Call-ID"), answered, peer)
        if self.wrong == "ok-before-fetch":
            part = await self.fetch(url)
        await (sound or self.send(rtp, invite, part))
        if self.wrong == "cseq-stuck":
            self.sip.sendto(self.request("OPTIONS", 7, invite), peer)
        for _ in range(0 if self.wrong == "no-bye" else 8):
            if not self.answered.is_set():
                self.sip.sendto(self.request("BYE", 7, invite), peer)
                await asyncio.sleep(0.5)

    async def insist(self, call: str, message: bytes, peer: Address) -> None:
        """Send a final response until the ACK comes (RFC 3261, section 17.2.1)."""
        self.final[call] = message
        while not self.acknowledged.is_set():
            self.sip.sendto(message, peer)
            await asyncio.wait([asyncio.create_task(self.acknowledged.wait())], timeout=0.5)

    def answer(self, port: int) -> str:
        """Return the session description of the answer."""
        way = "recvonly" if self.wrong == "recvonly-answer" else "sendonly"
        return (
            f"v=0\r\no=- 7 7 IN IP4 {self.host}\r\ns=-\r\nc=IN IP4 {self.host}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na={way}\r\n"
        )

    def request(self, method: str, number: int, invite: str) -> bytes:
        """Return a request inside of the dialog."""
        target = re.findall(r"<([^>]*)>", header(invite, "Contact"))[0]
        lines = (
            f"{method} {target} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.host}:{self.port};branch=z9hG4bK{method}{number};rport",
            "Max-Forwards: 70",
            f"From: {header(invite, 'To')};tag=t0",
            f"To: {header(invite, 'From')}",
            f"Call-ID: {header(invite, 'Call-ID')}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:annc@{self.host}:{self.port}>",
            "Content-Length: 0",
        )
        return "\r\n".join((*lines, "", "")).encode()

    async def fetch(self, url: str) -> bytes:
        """Return the content of a URL's part; empty if the server has none."""
        host = re.findall(r"imap://(?:[^/@]*@)?([^/]*)", url)[0]
        reader, writer = await asyncio.open_connection(*self.resolve[host].split(":"), local_addr=(self.host, 0))
        asked = url[:-1] if self.wrong == "shortened-url" else url
        lines = {
            b"+": b"a AUTHENTICATE ANONYMOUS",
            b"a ": base64.b64encode(b"annc@example.org"),
            b"b ": f'b URLFETCH ("{asked}" BODYPARTSTRUCTURE BINARY)'.encode(),
            b"c ": b"" if self.wrong == "no-logout" else b"c LOGOUT",
        }
        part = b""
        await reader.readline()
        for awaited, line in lines.items():
            if line:
                writer.write(line + b"\r\n")
            while line and (got := await reader.readline()) and not got.startswith(awaited):
                if literal := re.search(rb"~?\{(\d+)\}\r\n$", got):
                    part = await reader.readexactly(int(literal[1]))
        writer.close()
        return part

    async def send(self, rtp: list[socket.socket], invite: str, part: bytes) -> None:
        """Send the part as PCMU, with the RTCP that belongs to it."""
        host, port = re.findall(r"c=IN IP4 (\S+)", invite)[0], int(re.findall(r"m=audio (\d+)", invite)[0])
        sound = {"other-part": part[::-1], "quiet": bytes(map(quieter, part))}.get(self.wrong, part)
        start, packets = asyncio.get_running_loop().time(), range(0, len(sound), 160)
        for number, at in enumerate(packets):
            due = start + 0.02 * (number // 5 * 5 if self.wrong == "bursts" else number)
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            kind = (8 if self.wrong == "other-codec" else 0) | (0x80 if number == 0 else 0)
            head = struct.pack("!BBHII", 0x80, kind, 1000 + number, 5000 + at, 77)
            rtp[0].sendto(head + sound[at : at + 160], (host, port))
        report = struct.pack("!BBHIIIIII", 0x80, 200, 6, 77, 0, 0, 5000 + len(sound), len(packets), len(sound))
        name = b"annc@example.org"
        items = struct.pack("!BB", 1, len(name)) + name
        items += b"\0" * (4 - len(items) % 4)
        described = struct.pack("!BBHI", 0x81, 202, 1 + len(items) // 4, 77) + items
        rtp[1].sendto(report + described + struct.pack("!BBHI", 0x81, 203, 1, 77), (host, port + 1))


def quieter(octet: int) -> int:
    """Return a mu-law octet at about a quarter of its amplitude: two segments less (ITU-T G.711)."""
    plain = ~octet & 0xFF
    return ~(plain & 0x8F | max(0, (plain >> 4 & 7) - 2) << 4) & 0xFF


def header(text: str, name: str) -> str:
    """Return the first value of a header."""
    found = re.search(rf"^{name}:[ \t]*(.*?)\r?$", text, re.IGNORECASE | re.MULTILINE)
    return found[1] if found else ""


def response(request: str, peer: Address, status: str, tag: str = "", *, more: str = "", sdp: str = "") -> bytes:
    """Return a response to a request from `peer`."""
    via = header(request, "Via").replace(";rport", f";rport={peer[1]};received={peer[0]}")
    to = header(request, "To")
    lines = (
        f"SIP/2.0 {status}",
        f"Via: {via}",
        f"From: {header(request, 'From')}",
        f"To: {to};tag={tag}" if tag and ";tag=" not in to else f"To: {to}",
        f"Call-ID: {header(request, 'Call-ID')}",
        f"CSeq: {header(request, 'CSeq')}",
    )
    kind = "Content-Type: application/sdp\r\n" if sdp else ""
    return ("\r\n".join((*lines, "")) + f"{more}{kind}Content-Length: {len(sdp)}\r\n\r\n{sdp}").encode()


if __name__ == "__main__":
    main()
