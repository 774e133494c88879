"""The faults of the media server in RTP and RTCP, and in the sound that it plays and records."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from lemonade_wire.faults import FaultRow
from lemonade_wire.rtp.rtcp import (
    Goodbye,
    ReceiverReport,
    SenderReport,
    SourceDescription,
    parse_compound,
    write_compound,
)

_SEQUENCE = slice(2, 4)
_TIMESTAMP = slice(4, 8)
_SSRC = 8
_HEADER = 12
_NTP_EPOCH = 2208988800
"""Seconds from 1900 to 1970."""

PacketEdit: TypeAlias = Callable[[memoryview], None]
"""A function that changes an RTP packet in place."""


def _leave_packet(packet: memoryview) -> None:
    """Change nothing."""


def _send_once(report: bytes) -> tuple[bytes, ...]:
    return (report,)


@dataclass(frozen=True)
class StreamFault(FaultRow):
    """A fault that the RTP sender carries out in each of its streams."""

    new_edit: Callable[[], PacketEdit] = lambda: _leave_packet
    """Makes the function that changes the packets of one stream; it may keep what it needs to know of the stream."""
    reported: Callable[[bytes], tuple[bytes, ...]] = _send_once
    """Returns the RTCP packets to send in the place of a report."""
    reports: bool = True
    """Whether RTCP reports are sent."""
    goodbye: bool = True
    """Whether the last report, with its BYE, is sent."""
    own_port: bool = True
    """Whether RTP is sent from the port that the session description names."""
    speed: float = 1.0
    """How fast the sender's clock runs."""
    ptime_ms: int | None = None
    """The length of packets, whatever was asked for; None for what was asked for."""


def _set_marker(packet: memoryview) -> None:
    packet[1] |= 0x80


def _clear_marker(packet: memoryview) -> None:
    packet[1] &= 0x7F


class _SequenceInTwos:
    """Adds to each sequence number the number of packets before it."""

    def __init__(self) -> None:
        self._sent = 0

    def __call__(self, packet: memoryview) -> None:
        number = int.from_bytes(bytes(packet[_SEQUENCE])) + self._sent
        packet[_SEQUENCE] = (number % 0x10000).to_bytes(2)
        self._sent += 1


class _TimestampHalfStep:
    """Halves the distance of each timestamp to the first one."""

    def __init__(self) -> None:
        self._first: int | None = None

    def __call__(self, packet: memoryview) -> None:
        timestamp = int.from_bytes(bytes(packet[_TIMESTAMP]))
        first = self._first = timestamp if self._first is None else self._first
        packet[_TIMESTAMP] = struct.pack("!L", (first + (timestamp - first) % (1 << 32) // 2) % (1 << 32))


class _SsrcChanges:
    """Changes the last octet of the SSRC in each packet after the first 20."""

    def __init__(self) -> None:
        self._sent = 0

    def __call__(self, packet: memoryview) -> None:
        self._sent += 1
        if self._sent > 20:
            packet[_SSRC + 3] ^= 0xFF


class _TimestampStands:
    """Gives each packet the timestamp that follows the packet before it, as if there were no silence between them."""

    def __init__(self) -> None:
        self._next: int | None = None

    def __call__(self, packet: memoryview) -> None:
        timestamp = int.from_bytes(bytes(packet[_TIMESTAMP])) if self._next is None else self._next
        packet[_TIMESTAMP] = struct.pack("!L", timestamp)
        self._next = (timestamp + len(packet) - _HEADER) % (1 << 32)


def _without_sdes(report: bytes) -> tuple[bytes, ...]:
    kept = [one for one in parse_compound(report) if not isinstance(one, SourceDescription)]
    return (write_compound(kept),)


def _with_reports(report: bytes, edit: Callable[[SenderReport], SenderReport]) -> tuple[bytes, ...]:
    packets = parse_compound(report)
    return (write_compound([edit(one) if isinstance(one, SenderReport) else one for one in packets]),)


def _with_unix_time(report: SenderReport) -> SenderReport:
    return replace(report, ntp=(report.ntp - (_NTP_EPOCH << 32)) % (1 << 64))


def _with_other_names(report: bytes) -> tuple[bytes, ...]:
    """Add the packet count of the sender report to the CNAME, so that it differs from report to report."""
    packets = parse_compound(report)
    count = next((str(one.packets) for one in packets if isinstance(one, SenderReport)), "")
    edited = [
        replace(one, cnames=tuple((ssrc, name + count) for ssrc, name in one.cnames))
        if isinstance(one, SourceDescription)
        else one
        for one in packets
    ]
    return (write_compound(edited),)


def _with_other_bye(report: bytes) -> tuple[bytes, ...]:
    packets = parse_compound(report)
    edited = [replace(one, ssrcs=(1,)) if isinstance(one, Goodbye) else one for one in packets]
    return (write_compound(edited),)


def _with_bye(report: bytes) -> tuple[bytes, ...]:
    packets = parse_compound(report)
    sources = tuple(one.ssrc for one in packets if isinstance(one, SenderReport | ReceiverReport))
    has_bye = any(isinstance(one, Goodbye) for one in packets)
    return (report if has_bye else write_compound([*packets, Goodbye(sources)]),)


_STREAM_ROWS = (
    StreamFault(
        "marker-every-packet",
        "sets the marker bit of every RTP packet",
        ("RFC3551-4.1",),
        new_edit=lambda: _set_marker,
    ),
    StreamFault(
        "marker-never",
        "leaves the marker bit of RTP unset after a gap",
        ("RFC3551-4.1-2",),
        new_edit=lambda: _clear_marker,
    ),
    StreamFault(
        "sequence-in-twos",
        "raises the RTP sequence number by two for each packet",
        ("RFC3550-5.1-2",),
        new_edit=_SequenceInTwos,
    ),
    StreamFault(
        "timestamp-half-step",
        "raises the RTP timestamp by half of each packet's samples",
        ("RFC3550-5.1-3",),
        new_edit=_TimestampHalfStep,
    ),
    StreamFault("ssrc-changes", "takes another SSRC after 20 packets", ("RFC3550-8",), new_edit=_SsrcChanges),
    StreamFault(
        "timestamp-stands",
        "goes on after a silence with the timestamp that it had before",
        ("RFC3550-5.1-3",),
        new_edit=_TimestampStands,
    ),
    StreamFault(
        "rtp-from-other-port",
        "sends RTP from another port than its session description names",
        ("RFC4961-4",),
        own_port=False,
    ),
    StreamFault("no-sender-report", "sends no RTCP sender reports", ("RFC3550-6.4-2",), reports=False),
    StreamFault("no-rtcp-bye", "sends no RTCP BYE at the end of a call", ("RFC3550-6.6",), goodbye=False),
    StreamFault("no-cname", "sends RTCP reports without SDES", ("RFC3550-6.1-2",), reported=_without_sdes),
    StreamFault(
        "reports-miscount",
        "counts three times the packets in its sender reports",
        ("RFC3550-6.4.1",),
        reported=lambda report: _with_reports(report, lambda one: replace(one, packets=3 * one.packets)),
    ),
    StreamFault(
        "reports-of-another",
        "sends sender reports of an SSRC that sends no RTP",
        ("RFC3550-6.4.1",),
        reported=lambda report: _with_reports(report, lambda one: replace(one, ssrc=one.ssrc ^ 1)),
    ),
    StreamFault(
        "reports-count-headers",
        "counts the RTP headers among the octets of its sender reports",
        ("RFC3550-6.4.1",),
        reported=lambda report: _with_reports(report, lambda one: replace(one, octets=one.octets + 12 * one.packets)),
    ),
    StreamFault(
        "reports-unix-time",
        "writes seconds since 1970 into the NTP time of its sender reports",
        ("RFC3550-6.4.1-2",),
        reported=lambda report: _with_reports(report, _with_unix_time),
    ),
    StreamFault("cname-changes", "gives another CNAME in every report", ("RFC3550-6.5.1",), reported=_with_other_names),
    StreamFault(
        "bye-of-another", "names another SSRC than its own in RTCP BYE", ("RFC3550-6.6-3",), reported=_with_other_bye
    ),
    StreamFault(
        "reports-often", "sends each RTCP report five times", ("RFC3550-6.2",), reported=lambda report: (report,) * 5
    ),
    StreamFault(
        "rtcp-bye-early", "sends an RTCP BYE with every report, and goes on", ("RFC3550-6.6-2",), reported=_with_bye
    ),
    StreamFault("speed-2-percent", "sends RTP 2 % too slowly", ("LS-2.1-6",), speed=0.98),
    StreamFault("packets-of-60-ms", "sends packets of 60 ms, whatever ptime asks for", ("RFC3264-6.1-2",), ptime_ms=60),
)
STREAM_FAULTS = {fault.name: fault for fault in _STREAM_ROWS}
"""The faults that the RTP sender carries out, by name."""

TIMESTAMP_RESET_ON_SEEK = FaultRow("timestamp-reset-on-seek", "sets the RTP timestamp back at a seek", ("LS-2.7-7",))
BURST = FaultRow("burst", "sends RTP in bursts of five packets", ("LS-2.1-6",))
GAIN_12DB_DOWN = FaultRow("gain-12db-down", "plays everything 12 dB softer than it is", ("LS-2.1-6",))
PLAYS_OTHER_PART = FaultRow(  # the octets of the part in reverse order, which are as long
    "plays-other-part", "plays other content than the part that it fetched", ("LS-2.1-6",)
)
LOSES_SPEECH = FaultRow("loses-speech", "leaves out every tenth packet of sound when it records", ("RFC5022-6.5.2",))

RTP_FAULTS = (*_STREAM_ROWS, TIMESTAMP_RESET_ON_SEEK, BURST, GAIN_12DB_DOWN, PLAYS_OTHER_PART, LOSES_SPEECH)
