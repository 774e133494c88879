"""RTP on Twisted: pairs of UDP sockets that give the kernel's arrival times, and periodic receiver reports."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from lemonade_wire.rtp.receiver import StreamReceiver
from lemonade_wire.rtp.rtcp import ReceiverReport, SourceDescription, write_compound

Source = tuple[str, int]
OnPacket = Callable[[bytes, Source, float], None]

_SO_TIMESTAMPNS = 35  # Linux, not in the socket module; the ancillary message has the same number as the option
_TIMESPEC = struct.Struct("@ll")  # seconds and nanoseconds
_MAX_PACKET = 2048
_BATCH = 64  # packets of one socket per iteration of the reactor, so that one stream cannot delay the others
_REPORT_SECONDS = 5.0


class RtpPorts:
    """Allocates pairs of an even and the next odd port from a range, the least recently used pair first."""

    def __init__(self, address: str, first: int, last: int) -> None:
        self._address = address
        self._free = deque(range(first + first % 2, last, 2))

    def open(self, on_rtp: OnPacket, on_rtcp: OnPacket) -> RtpEndpoint:
        """Bind the next free pair and start reading; raises OSError if none is free."""
        for _ in range(len(self._free)):
            port = self._free.popleft()
            try:
                return RtpEndpoint(self._address, port, on_rtp, on_rtcp, self._free.append)
            except OSError:
                self._free.append(port)  # another program uses the port
        raise OSError(f"no free pair of RTP ports at {self._address}")


class RtpEndpoint:
    """A pair of sockets: RTP at `port`, RTCP at `port + 1`.

    The callbacks get (octets, source, arrival in seconds since 1970). Raises OSError if a port cannot be bound.
    """

    def __init__(
        self,
        address: str,
        port: int,
        on_rtp: OnPacket,
        on_rtcp: OnPacket,
        on_close: Callable[[int], None] | None = None,
    ) -> None:
        self.address, self.port = address, port
        self._reactor = _reactor()
        self._on_close = on_close
        self._reports: list[Any] = []
        self._rtp = _bind(address, port)
        try:
            self._rtcp = _bind(address, port + 1)
        except OSError:
            self._rtp.close()
            raise
        self._readers = (_Reader(self._rtp, on_rtp), _Reader(self._rtcp, on_rtcp))
        for reader in self._readers:
            self._reactor.addReader(reader)

    @property
    def descriptors(self) -> tuple[int, int]:
        """The file descriptors of the RTP and the RTCP socket; a sender duplicates them, and `close` closes them."""
        return self._rtp.fileno(), self._rtcp.fileno()

    def send_rtp(self, octets: bytes, destination: Source) -> None:
        """Send one RTP packet; an error of the kernel is ignored, as if the packet were lost in the network."""
        with contextlib.suppress(OSError):
            self._rtp.sendto(octets, destination)

    def send_rtcp(self, octets: bytes, destination: Source) -> None:
        """Send one RTCP compound packet; an error of the kernel is ignored."""
        with contextlib.suppress(OSError):
            self._rtcp.sendto(octets, destination)

    def report(
        self,
        receiver: StreamReceiver,
        destination: Source,
        ssrc: int,
        cname: str,
        on_sent: Callable[[bytes], None] | None = None,
    ) -> None:
        """Send RR and SDES about every 5 s (RFC 3550 section 6.2) until `close`; `on_sent` gets the octets of each."""
        slot = len(self._reports)

        def send() -> None:
            block = receiver.report_block(time.time())
            octets = write_compound(
                [ReceiverReport(ssrc, (block,) if block else ()), SourceDescription(((ssrc, cname),))]
            )
            self.send_rtcp(octets, destination)
            if on_sent:
                on_sent(octets)
            self._reports[slot] = self._reactor.callLater(_interval(_REPORT_SECONDS), send)

        # RFC 3550 section 6.2: the first report is sent after half the interval.
        self._reports.append(self._reactor.callLater(_interval(_REPORT_SECONDS / 2), send))

    def close(self) -> None:
        """Stop reading and close both sockets; a second call does nothing."""
        if self._rtp.fileno() < 0:
            return
        for call in self._reports:
            if call.active():
                call.cancel()
        for reader in self._readers:
            self._reactor.removeReader(reader)
        self._rtp.close()
        self._rtcp.close()
        if self._on_close:
            self._on_close(self.port)


class _Reader:
    """Reads one socket for the reactor (Twisted's IReadDescriptor)."""

    log = Logger()

    def __init__(self, sock: socket.socket, on_packet: OnPacket) -> None:
        self._socket = sock
        self._on_packet = on_packet

    def fileno(self) -> int:
        """Return the descriptor that the reactor watches."""
        return self._socket.fileno()

    def logPrefix(self) -> str:  # noqa: N802  Twisted's name
        """Return the name under which the reactor logs errors of this reader."""
        return "rtp"

    def connectionLost(self, reason: object) -> None:  # noqa: N802  Twisted's name
        """Do nothing when the reactor stops; `RtpEndpoint` closes the socket."""

    def doRead(self) -> None:  # noqa: N802  Twisted's name
        """Give the packets that have arrived to the callback, with the kernel's arrival time."""
        for _ in range(_BATCH):
            if self._socket.fileno() < 0:
                return  # the callback closed the endpoint
            try:
                octets, ancillary, _, source = self._socket.recvmsg(_MAX_PACKET, 64)
            except BlockingIOError:
                return
            except OSError:
                continue  # the kernel reports an ICMP error for a packet sent earlier
            # If a callback raised, the reactor would remove this reader, and the call would lose its media.
            with self.log.failuresHandled("RTP callback failed"):
                self._on_packet(octets, source[:2], _arrival(ancillary))


def _reactor() -> Any:  # noqa: ANN401  Twisted's interfaces are no types
    from twisted.internet import reactor  # noqa: PLC0415  the import installs a reactor: the program decides when

    return reactor


def _arrival(ancillary: list[tuple[int, int, bytes]]) -> float:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return float(seconds) + float(nanoseconds) / 1e9
    return time.time()


def _bind(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock


def _interval(mean: float) -> float:
    """Return a random interval in seconds: 0.5 to 1.5 times `mean`, divided by e - 1.5 (RFC 3550 section 6.3.1)."""
    return mean * random.uniform(0.5, 1.5) / 1.21828
