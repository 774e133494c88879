"""The trace format: the record of what a reference node sent, received and did.

A trace has one JSON object per line. Every event has `t` (seconds since 1970, CLOCK_REALTIME), `node` (imap, media,
client, testbed, relay), `n` (1, 2, 3 ... per node, so that a missing line is detected; the collector of the traces
stores the number of lines, so that a missing last line is detected too) and `event`, one of:

`node`   state (started, ready, stopping, stopped), version, profile, fault
`sip`    way (sent, received), transport (udp, tcp), local, remote, text (the message, redacted; bodies and parts in
         base64 and quoted-printable decoded, their Content-Transfer-Encoding then ends in `; decoded`), resend (true
         for a retransmission made by the transaction layer)
`imap`   way, side (client, server: the role of the node), local, remote, text (one command or response without its
         CRLF; a literal is only its `{n}`; `***` instead of a client's line that is no command), literals (in order:
         size, sha256, and text if it is short UTF-8 text)
`rtp`    way, local, remote, ssrc, seq, ts, pt, marker, payload (base64); `t` of a received packet is the kernel's
         arrival time; a client traces the packets that it sends too, the media server traces no packets
`rtcp`   way, local, remote, kinds (SR, RR, SDES, BYE), and the values of `lemonade_wire.rtp.rtcp.traced_values`
`media`  state (playing, seek, stopped, finished), call, played_ms, offset_ms: actions of the media server's player;
         state (recording, recorded), call, and at the end recorded_ms, octets, why: its recordings
`step`   index, verb, line, state (started, done, failed), why: the steps of the client's script
`heard`  packets, lost, jitter_ms, late_ms: the client's measurement of one RTP stream, at its end
`relay`  state (lost, duplicated, reordered, cut, healed, cut-off, refused), rule, leg, source, message, of and nth
         (the message's identity), seq, octets: actions of the relay between the nodes; started: seed, rules; stopped:
         decided (identities of the messages that rules were applied to, as ranges), struck (counts)
`log`    level, text: everything else

Addresses are written `ip:port`. A trace has no secrets: this module redacts tickets, the passwords that the node knows,
and the digits of calls with `maskdigits` (`redaction.py`), in each spelling that is decoded (`decoded_text.py`). The
callers of `emit` leave out the passwords that clients send (`imap/shown_command.py`). A text that cannot be decoded is
not written: `redaction.UNREADABLE` stands instead. The payload of RTP is sound and is not searched.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO, Union

from lemonade_wire.redaction import DigitMask, Redactor, decode_bodies

Json = Union[str, int, float, bool, None, list["Json"], dict[str, "Json"]]  # noqa: UP007  recursive alias in 3.11


@dataclass
class Trace:
    """Writes the events of one node, redacted, one line each; each line is flushed, so that a killed node loses none.

    `sink` None: nothing is written. `clock` returns seconds since 1970.
    """

    node: str
    sink: TextIO | None
    redactor: Redactor
    clock: Callable[[], float] = time.time
    _count: int = field(default=0, init=False)
    _mask: DigitMask = field(default_factory=DigitMask, init=False, repr=False)

    def emit(self, event: str, *, at: float | None = None, **fields: Json) -> None:
        """Write one event; `at` is its time in seconds since 1970 (a packet's arrival), None for the present time."""
        if self.sink is None:
            return
        conceal_digits(self._mask, event, fields)
        self._count += 1
        head: dict[str, Json] = {
            "t": round(self.clock() if at is None else at, 6),
            "node": self.node,
            "n": self._count,
            "event": event,
        }
        shown = {name: value if name == "payload" else self._clean(value) for name, value in fields.items()}
        line = json.dumps(head | shown, ensure_ascii=False)
        self.sink.write(line + "\n")
        self.sink.flush()

    def _clean(self, value: Json) -> Json:
        if isinstance(value, str):
            return self.redactor.text(value)
        if isinstance(value, list):
            return [self._clean(item) for item in value]
        if isinstance(value, dict):
            return {name: self._clean(item) for name, item in value.items()}
        return value


def conceal_digits(mask: DigitMask, event: str, fields: dict[str, Json]) -> None:
    """Decode the transfer encodings in an event's SIP message, and mask the digits of masked calls, in `fields`."""
    match event, fields:
        case "sip", {"text": str(text)}:
            fields["text"] = mask.text(decode_bodies(text))
        case "rtp", {"pt": int(payload_type), "payload": str(payload)}:
            fields["payload"] = mask.packet(payload_type, payload)
