"""The trace format: what a reference node says of what it sent, received and did.

A trace is JSON lines. Every event has `t` (seconds since 1970, CLOCK_REALTIME), `node` (imap, media, client, testbed,
relay), `n` (1, 2, 3 ... per node, so that a missing line shows; how many there are is noted by who collects the trace,
so that a missing last one shows too) and `event`, one of:

`node`   state (started, ready, stopping, stopped), version, profile, fault
`sip`    way (sent, received), transport (udp, tcp), local, remote, text (the message, redacted), resend (true for a
         retransmission made by the transaction layer)
`imap`   way, side (client, server: which end the node is), local, remote, text (one command or response without its
         CRLF; a literal stands as its `{n}` alone), literals (in order: size, sha256, and text where it is short text)
`rtp`    way, local, remote, ssrc, seq, ts, pt, marker, payload (base64); `t` is the kernel's arrival time
         of what was received; a client tells of what it sends too, the media server of neither
`rtcp`   way, local, remote, kinds (SR, RR, SDES, BYE)
`media`  state (playing, seek, stopped, finished), call, played_ms, offset_ms: what the media server's player did;
         state (recording, recorded), call, and in the end recorded_ms, octets, why: what it recorded
`step`   index, verb, line, state (started, done, failed), why: the client's script
`heard`  packets, lost, jitter_ms, late_ms: the client's measure of one RTP stream, at its end
`relay`  state (lost, duplicated, reordered, cut, healed, cut-off, refused), rule, leg, source, message, nth (such
         message from that source), seq, octets: what the relay between the nodes did; started: seed, rules; stopped:
         passed, struck (counts)
`log`    level, text: everything else

Addresses are written `ip:port`. Secrets never enter: tickets are redacted here, and so are the digits of calls that
asked for it (`mscml/masking.py`); passwords by who traces.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO, Union

from lemonade_wire.mscml.masking import DigitMask
from lemonade_wire.redact import Redactor

Json = Union[str, int, float, bool, None, list["Json"], dict[str, "Json"]]  # noqa: UP007  recursive alias in 3.11


@dataclass
class Trace:
    """Writes events of one node, redacted, one line each, flushed at once (a killed node loses nothing)."""

    node: str
    sink: TextIO | None
    redactor: Redactor
    clock: Callable[[], float] = time.time
    _count: int = field(default=0, init=False)
    _mask: DigitMask = field(default_factory=DigitMask, init=False, repr=False)

    def emit(self, event: str, *, at: float | None = None, **fields: Json) -> None:
        """Write one event; `at` is its time where it is known better than now (a packet's arrival)."""
        if self.sink is None:
            return
        mask_digits(self._mask, event, fields)
        self._count += 1
        head: dict[str, Json] = {
            "t": round(self.clock() if at is None else at, 6),
            "node": self.node,
            "n": self._count,
            "event": event,
        }
        line = json.dumps(head | {name: self._clean(value) for name, value in fields.items()}, ensure_ascii=False)
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


def mask_digits(mask: DigitMask, event: str, fields: dict[str, Json]) -> None:
    """Mask the digits that an event of a trace holds, where its call asks for it."""
    match event, fields:
        case "sip", {"text": str(text)}:
            fields["text"] = mask.text(text)
        case "rtp", {"pt": int(payload_type), "payload": str(payload)}:
            fields["payload"] = mask.packet(payload_type, payload)
