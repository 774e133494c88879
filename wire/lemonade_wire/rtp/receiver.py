"""Measures the reception of one RTP stream: loss, order, jitter (RFC 3550 appendices A.1, A.3, A.8) and lateness."""

from __future__ import annotations

from dataclasses import dataclass

from lemonade_wire.rtp.packet import RtpPacket
from lemonade_wire.rtp.rtcp import ReportBlock, SenderReport

_MAX_DROPOUT = 3000
_MAX_MISORDER = 100
_MODULUS = 1 << 16


@dataclass(frozen=True)
class Reception:
    """The measurement of a stream up to now.

    A packet is due at the arrival of the first packet plus the difference of their RTP timestamps; `late_ms` and
    `early_ms` are the greatest differences from that time. `lost` is the number of packets missing now, at least 0.
    """

    ssrc: int
    packets: int
    lost: int
    duplicates: int
    reordered: int
    jitter_ms: float
    late_ms: float
    early_ms: float


class StreamReceiver:
    """Measures the packets of one SSRC, that of the first packet; packets of other SSRCs are ignored.

    `clock` is the RTP clock in Hz; arrival times are in seconds of any one clock, best the kernel's. There is no
    probation (RFC 3550 appendix A.1): the call was negotiated, so that the first packet is valid.
    """

    def __init__(self, clock: int = 8000) -> None:
        self._clock = clock
        self._ssrc: int | None = None
        self._base = 0  # extended sequence number of the first packet
        self._highest = 0
        self._bad: int | None = None  # the sequence number with which a second packet confirms a restart of the source
        self._seen: set[int] = set()
        self._packets = 0
        self._duplicates = 0
        self._reordered = 0
        self._first: tuple[int, float] = (0, 0.0)
        self._timestamp = 0  # extended
        self._transit: float | None = None
        self._jitter = 0.0
        self._late = 0.0
        self._early = 0.0
        self._before_restart = (0, 0)  # packets expected and received before the source restarted
        self._prior = (0, 0)
        self._sr: tuple[int, float] | None = None

    def receive(self, packet: RtpPacket, arrival: float) -> int | None:
        """Process a packet; returns its extended sequence number, or None if it is ignored.

        Ignored are duplicates, packets of another SSRC, and sequence numbers far from the expected one.
        """
        if self._ssrc is None:
            self._ssrc = packet.ssrc
            self._start(packet, arrival)
        if packet.ssrc != self._ssrc:
            return None
        extended = self._extend(packet, arrival)
        if extended is None:
            return None
        if extended in self._seen:
            self._duplicates += 1
            return None
        if extended < self._highest:
            self._reordered += 1
        self._highest = max(self._highest, extended)
        self._base = min(self._base, extended)
        self._seen.add(extended)
        self._packets += 1
        if len(self._seen) > 2 * _MAX_DROPOUT:
            self._seen = {number for number in self._seen if number > self._highest - _MAX_DROPOUT}
        self._time(packet, arrival)
        return extended

    def sender_report(self, report: SenderReport, arrival: float) -> None:
        """Record an SR of the source, for LSR and DLSR of our next report block (RFC 3550 section 6.4.1)."""
        if report.ssrc == self._ssrc or self._ssrc is None:
            self._sr = (report.ntp >> 16 & 0xFFFFFFFF, arrival)

    def measure(self) -> Reception:
        """Return the measurement up to now."""
        return Reception(
            ssrc=self._ssrc or 0,
            packets=self._packets,
            lost=max(self._expected() - self._packets, 0),
            duplicates=self._duplicates,
            reordered=self._reordered,
            jitter_ms=self._jitter * 1000 / self._clock,
            late_ms=self._late * 1000,
            early_ms=self._early * 1000,
        )

    def report_block(self, now: float) -> ReportBlock | None:
        """Return the block for the next RR, and start a new interval for the fraction lost; None before any packet."""
        if self._ssrc is None:
            return None
        # RFC 3550 appendix A.3, where duplicates count as received.
        expected, received = self._expected(), self._packets + self._duplicates
        new_expected, new_received = expected - self._prior[0], received - self._prior[1]
        self._prior = (expected, received)
        missing = new_expected - new_received
        fraction = (missing << 8) // new_expected if new_expected > 0 and missing > 0 else 0
        last, delay = (self._sr[0], int((now - self._sr[1]) * 65536)) if self._sr else (0, 0)
        return ReportBlock(
            ssrc=self._ssrc,
            fraction_lost=min(fraction, 255),
            lost=expected - received,
            highest_sequence=self._highest & 0xFFFFFFFF,
            jitter=min(int(self._jitter), 0xFFFFFFFF),
            last_sr=last,
            delay_since_sr=max(delay, 0) & 0xFFFFFFFF,
        )

    def _expected(self) -> int:
        return self._before_restart[0] + (self._highest - self._base + 1 if self._seen else 0)

    def _start(self, packet: RtpPacket, arrival: float) -> None:
        # One cycle is added, so that a late packet from before the first one has a positive number.
        self._base = self._highest = packet.sequence + _MODULUS
        self._first = (packet.timestamp, arrival)
        self._timestamp = packet.timestamp
        self._transit = None
        self._seen = set()
        self._bad = None

    def _extend(self, packet: RtpPacket, arrival: float) -> int | None:
        """Return the extended sequence number (appendix A.1), or None if the number is far from the expected one."""
        ahead = (packet.sequence - self._highest) % _MODULUS
        if ahead < _MAX_DROPOUT:
            self._bad = None
            return self._highest + ahead
        if ahead > _MODULUS - _MAX_MISORDER:
            return self._highest + ahead - _MODULUS
        if packet.sequence != self._bad:
            self._bad = (packet.sequence + 1) % _MODULUS
            return None
        # Two consecutive numbers far from the expected ones: the source has restarted (appendix A.1).
        self._before_restart = (self._expected(), self._packets)
        self._start(packet, arrival)
        return self._highest

    def _time(self, packet: RtpPacket, arrival: float) -> None:
        step = (packet.timestamp - self._timestamp + 0x80000000) % 0x100000000 - 0x80000000
        extended = self._timestamp + step
        self._timestamp = extended
        due = self._first[1] + (extended - self._first[0]) / self._clock
        self._late = max(self._late, arrival - due)
        self._early = max(self._early, due - arrival)
        # Appendix A.8, in timestamp units. Relative to the first packet, so that floats are precise enough.
        transit = (arrival - due) * self._clock
        if self._transit is not None:
            self._jitter += (abs(transit - self._transit) - self._jitter) / 16
        self._transit = transit
