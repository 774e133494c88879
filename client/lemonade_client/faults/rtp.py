"""The faults of the client in RTP and RTCP, and in the keys that it sends."""

from __future__ import annotations

from dataclasses import replace

from lemonade_client.behaviour import ClientBehaviour
from lemonade_wire.rtp.g711 import decode_ulaw, encode_alaw
from lemonade_wire.rtp.rtcp import ReceiverReport, ReportBlock

RTP_FAULTS = (
    ClientBehaviour(
        "dtmf-wrong-key",
        "sends another key than the one pressed",
        ("LS-2.7-7",),
        key_to_send=lambda key: "9" if key != "9" else "8",
    ),
    ClientBehaviour(
        "key-type-not-agreed",
        "sends keys with a payload type that the answer does not have",
        ("LS-2.6-2",),
        key_type=lambda agreed: agreed + 1,
    ),
    ClientBehaviour(
        "key-timestamps-change",
        "gives each packet of a key press a timestamp of its own",
        ("RFC4733-2.5.1.2",),
        key_packets=lambda packets: [replace(one, ticks=one.ticks + 160 * place) for place, one in enumerate(packets)],
    ),
    ClientBehaviour(
        "key-duration-stands",
        "tells the same duration in all packets of a key press",
        ("RFC4733-2.5.1.2-2",),
        key_packets=lambda packets: [
            replace(one, payload=one.payload[:2] + packets[-1].payload[2:]) for one in packets
        ],
    ),
    ClientBehaviour(
        "key-marker-always",
        "sets the marker bit of every packet of a key press",
        ("RFC4733-2.5.1.2-3",),
        key_packets=lambda packets: [replace(one, marker=True) for one in packets],
    ),
    ClientBehaviour(
        "key-end-once",
        "reports the end of a key press once",
        ("RFC4733-2.5.1.4",),
        key_packets=lambda packets: packets[:-2],  # the last two repeat the end
    ),
    ClientBehaviour(
        "key-reserved-bit",
        "sets the reserved bit of the packets of a key press",
        ("RFC4733-2.3.3",),
        key_packets=lambda packets: [
            replace(one, payload=bytes((one.payload[0], one.payload[1] | 0x40)) + one.payload[2:]) for one in packets
        ],
    ),
    ClientBehaviour(
        "key-duration-in-ms",
        "tells the duration of a key press in milliseconds",
        ("RFC4733-2.3.5",),
        key_packets=lambda packets: [
            replace(one, payload=one.payload[:2] + (int.from_bytes(one.payload[2:]) // 8).to_bytes(2))
            for one in packets
        ],
    ),
    ClientBehaviour(
        "sequence-stands",
        "gives all its RTP packets the same sequence number",
        ("RFC3550-5.1-2",),
        number_after=lambda sequence: sequence,
    ),
    ClientBehaviour(
        "sound-in-other-law",
        "sends A-law with the payload type of mu-law",
        ("RFC3551-6",),
        sound_to_send=lambda sound: encode_alaw(decode_ulaw(sound)),
    ),
    ClientBehaviour(
        "sound-too-fast",
        "sends sound in half its time",
        ("RFC3550-5.1-3",),
        pace=2.0,
    ),
    ClientBehaviour(
        "rtp-to-other-port",
        "sends its RTP two ports above the one that the answer names",
        ("RFC3264-5.1-2",),
        rtp_port_offset=2,
    ),
    ClientBehaviour(
        "no-rtcp-bye",
        "ends calls without an RTCP BYE",
        ("RFC3550-6.6",),
        says_goodbye=False,
    ),
    ClientBehaviour(
        "rtcp-without-report",
        "begins the last RTCP packet of a call without a report",
        ("RFC3550-6.1",),
        last_report=lambda packets: packets[1:],
    ),
    ClientBehaviour(
        "reports-on-nothing",
        "reports on a source that sends it no RTP in the last RTCP packet of a call",
        ("RFC3550-6.4.2",),
        last_report=lambda packets: [
            replace(one, blocks=(ReportBlock(1, 0, 0, 0, 0, 0, 0),)) if isinstance(one, ReceiverReport) else one
            for one in packets
        ],
    ),
)
