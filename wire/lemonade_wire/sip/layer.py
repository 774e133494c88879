"""The transaction layer over the transports (RFC 3261 sections 17 and 18, RFC 3581, RFC 6026).

It matches messages with transactions, chooses UDP or TCP, routes responses, and carries out what the tables ask for.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from lemonade_wire.address import Address
from lemonade_wire.sip.entries import Entries, Entry, Flow
from lemonade_wire.sip.event import MessageDropped, MessageSeen, Output, SendDatagram
from lemonade_wire.sip.header import CSeq, Via
from lemonade_wire.sip.matching import (
    COOKIE,
    SIP_PORT,
    Transport,
    ack_of,
    bracketed,
    input_of,
    received_from,
    server_match,
)
from lemonade_wire.sip.message import Request, Response, UnreadableError, parse_datagram
from lemonade_wire.sip.response import respond_to
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.streams import Streams
from lemonade_wire.sip.transaction import (
    INVITE_CLIENT,
    INVITE_SERVER,
    REQUEST_CLIENT,
    REQUEST_SERVER,
    Do,
    Input,
    State,
    Transaction,
)

LARGEST_DATAGRAM = 65507


@dataclass(frozen=True)
class RequestArrived:
    """A new request, or an ACK that belongs to no transaction (`key` is None)."""

    key: str | None
    request: Request
    source: Address


@dataclass(frozen=True)
class ResponseArrived:
    """A response to pass up; `source` is where it came from."""

    key: str
    response: Response
    source: Address


@dataclass(frozen=True)
class RequestFailed:
    """A request of ours got no answer, or could not be sent."""

    key: str


Happening = RequestArrived | ResponseArrived | RequestFailed


class TransactionLayer:
    """Requests and responses down, `happenings` up; `outputs` to the network."""

    def __init__(self, settings: UaSettings, rng: random.Random) -> None:
        self.settings = settings
        self.outputs: list[Output] = []
        self.happenings: list[Happening] = []
        self.streams = Streams(settings, self.outputs)
        self._rng = rng
        self._secret = rng.randbytes(16)
        self._entries = Entries()
        self._count = 0

    # -- from above ----------------------------------------------------------------------------------------------

    def send_request(self, request: Request, next_hop: Address, transport: Transport | None, now: float) -> str:
        """Start a client transaction; `request` has no Via yet. Returns the key that its responses come with."""
        branch = self._branch()
        flow = self._choose(request, branch, next_hop, transport)
        return self._start_client(request, branch, flow, now)

    def send_cancel(self, key: str, now: float) -> None:
        """Cancel an INVITE of ours, on the way that it took (section 9.1)."""
        entry = self._entries[key]
        invite = entry.request
        headers = invite.headers.only("Via", "Route", "Max-Forwards", "From", "To", "Call-ID", "CSeq")
        headers = headers.with_set("CSeq", str(CSeq(invite.cseq.number, "CANCEL")))
        cancel = Request(headers, b"", "CANCEL", invite.target)
        self._add_client(cancel, invite.vias[0].branch, replace(entry.flow, udp_instead=False), now)

    def send_ack(
        self, ack: Request, next_hop: Address, transport: Transport | None, now: float
    ) -> Callable[[float], None]:
        """Send the ACK of a 2xx, which is no transaction of its own; returns what sends it again, given the time."""
        flow = self._choose(ack, branch := self._branch(), next_hop, transport)
        data = bytes(self._with_via(ack, flow, branch))
        self._transmit(flow, data, False, now)

        def again(later: float) -> None:
            self._transmit(flow, data, True, later)

        return again

    def respond(self, key: str, response: Response, now: float) -> None:
        """Send a response; where the transaction is over already it is dropped."""
        entry = self._entries.get(key)
        if entry is not None:
            self._run(entry, input_of(response.status), now, bytes(response))

    def destroy(self, key: str) -> None:
        """Forget a transaction; what still comes for it is stray."""
        if key in self._entries:
            self._entries.drop(self._entries[key])

    def alive(self, key: str) -> bool:
        """Return whether the transaction may still bring something up."""
        return key in self._entries

    def awaits_ack(self, key: str) -> bool:
        """Return whether a refusal of an INVITE was sent whose ACK is not here yet."""
        return key in self._entries and self._entries[key].machine.state is State.COMPLETED

    def awaits_acks(self) -> bool:
        """Return whether there is any such refusal."""
        machines = (entry.machine for entry in self._entries.values())
        return any(machine.table is INVITE_SERVER and machine.state is State.COMPLETED for machine in machines)

    def merged(self, key: str) -> bool:
        """Return whether a request came here before by another way (section 8.2.2.2)."""
        return self._entries.merged(key)

    def invite_of(self, key: str) -> str | None:
        """Return the key of the INVITE that a CANCEL is for (section 9.2)."""
        cancel = self._entries[key]
        entry = self._entries.matching((*cancel.match[:-1], "INVITE"))
        return entry.key if entry else None

    # -- from below ----------------------------------------------------------------------------------------------

    def datagram_received(self, data: bytes, source: Address, now: float) -> None:
        """Take a datagram; empty ones and keep-alives are ignored."""
        if not data.strip(b"\r\n\0 "):
            return
        try:
            message = parse_datagram(data)
        except UnreadableError as error:
            self._refuse(error, data, Flow("udp", source), now)
            return
        self.outputs.append(MessageSeen(data, source, "udp"))
        self._dispatch(message, Flow("udp", source), source, now)

    def stream_received(self, stream: int, data: bytes, now: float) -> bool:
        """Take octets of a stream; returns whether its framing is lost: close it when all before is answered."""
        lost = False
        for message, octets in self.streams.received(stream, data, now):
            source = self.streams.peer(stream)
            if source is None:
                return False
            flow = Flow("tcp", source, stream)
            if isinstance(message, UnreadableError):
                self._refuse(message, octets, flow, now)
                lost = message.fatal
                continue
            self.outputs.append(MessageSeen(octets, source, "tcp"))
            self._dispatch(message, flow, source, now)
        return lost

    def stream_failed(self, stream: int, now: float) -> None:
        """Take note that a stream could not be opened, or was lost; requests on it fail, or go by UDP."""
        never_opened = self.streams.connecting(stream)
        self.streams.gone(stream)
        for entry in list(self._entries.values()):
            if entry.flow.stream != stream or entry.server:
                continue
            if entry.flow.udp_instead and never_opened:
                # Section 18.1.1: what went over TCP for its length alone is tried over UDP.
                self._entries.drop(entry)
                flow = replace(entry.flow, transport="udp", stream=None, udp_instead=False)
                request = entry.request.with_headers(entry.request.headers.without("Via"))
                self._start_client(request, entry.request.vias[0].branch, flow, now, entry.key)
            else:
                self._run(entry, Input.ERROR, now)

    def handle_timer(self, now: float) -> None:
        """Fire what is due."""
        while (entry := self._entries.take_due(now)) is not None:
            self._fire(entry, now)
        idle_at = self.streams.next_timer()
        if idle_at is not None and idle_at <= now:
            busy = {entry.flow.stream for entry in self._entries.values() if entry.flow.stream is not None}
            self.streams.close_idle(now, busy)

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is to be called."""
        times = (self._entries.next_timer(), self.streams.next_timer())
        return min((at for at in times if at is not None), default=None)

    # -- requests of ours ----------------------------------------------------------------------------------------

    def _branch(self) -> str:
        return f"{COOKIE}{self._rng.getrandbits(80):020x}"

    def _choose(self, request: Request, branch: str, next_hop: Address, transport: Transport | None) -> Flow:
        """Choose the transport (section 18.1.1): what is asked for, else UDP unless the request is too long."""
        if transport is not None:
            return Flow(transport, next_hop)
        flow = Flow("udp", next_hop)
        if len(bytes(self._with_via(request, flow, branch))) > self.settings.udp_limit:
            return Flow("tcp", next_hop, udp_instead=True)
        return flow

    def _with_via(self, request: Request, flow: Flow, branch: str) -> Request:
        host, port = self.settings.address
        via = Via(flow.transport.upper(), bracketed(host), port, (("branch", branch),))
        if flow.transport == "udp":
            via = replace(via, params=(*via.params, ("rport", None)))
        return request.with_headers(request.headers.with_top("Via", str(via)))

    def _start_client(self, request: Request, branch: str, flow: Flow, now: float, key: str = "") -> str:
        return self._add_client(self._with_via(request, flow, branch), branch, flow, now, key)

    def _add_client(self, request: Request, branch: str, flow: Flow, now: float, key: str = "") -> str:
        table = INVITE_CLIENT if request.method == "INVITE" else REQUEST_CLIENT
        machine = Transaction.start(table, self.settings.timing, flow.transport == "tcp", now)
        match = ("client", branch, request.method)
        entry = Entry(key or self._key(), match, machine, flow, request, server=False, last=bytes(request))
        self._entries.add(entry)
        if not self._transmit(flow, entry.last, False, now):
            self._run(entry, Input.ERROR, now)
        return entry.key

    # -- messages of the peer ------------------------------------------------------------------------------------

    def _dispatch(self, message: Request | Response, flow: Flow, source: Address, now: float) -> None:
        if isinstance(message, Response):
            self._response(message, source, now)
        else:
            self._request(message, flow, source, now)

    def _response(self, response: Response, source: Address, now: float) -> None:
        via, *others = response.vias
        entry = self._entries.matching(("client", via.branch, response.cseq.method))
        ours = entry is not None and _sent_by(via) == _sent_by(entry.request.vias[0])
        if entry is None or others or not ours:
            # Sections 8.1.3.3 and 18.1.2, RFC 6026 section 7.2: misrouted and stray responses are dropped.
            self.outputs.append(MessageDropped(source, f"a {response.status} that no request waits for"))
            return
        self._run(entry, input_of(response.status), now, arrival=ResponseArrived(entry.key, response, source))

    def _request(self, request: Request, flow: Flow, source: Address, now: float) -> None:
        request, flow.destination = received_from(request, source, flow.transport == "udp")
        match = server_match(request)
        entry = self._entries.matching(match)
        if request.method == "ACK":
            arrival = RequestArrived(None, request, source)
            if entry is None:
                self.happenings.append(arrival)
            else:
                self._run(entry, Input.ACK, now, arrival=arrival)
            return
        if entry is not None:
            self._run(entry, Input.REQUEST, now)
            return
        inside = request.to.tag is not None or request.method == "CANCEL"
        if len(self._entries) >= self.settings.max_transactions * (2 if inside else 1):
            refusal = respond_to(request, 503, tag=self._tag(request), headers=[("Retry-After", "5")])
            self._transmit(flow, bytes(refusal), False, now)
            return
        table = INVITE_SERVER if request.method == "INVITE" else REQUEST_SERVER
        machine = Transaction.start(table, self.settings.timing, flow.transport == "tcp", now)
        entry = Entry(self._key(), match, machine, flow, request, server=True)
        self._entries.add(entry)
        if request.method == "INVITE":
            # Section 17.2.1: 100 at once, since a fetch may take long.
            self.respond(entry.key, respond_to(request, 100, tag=""), now)
        self.happenings.append(RequestArrived(entry.key, request, source))

    def _refuse(self, error: UnreadableError, octets: bytes, flow: Flow, now: float) -> None:
        """Answer what could not be read, without a transaction, where the peer can be told; it was seen then."""
        source = flow.destination
        self.outputs.append(MessageDropped(source, error.reason))
        if error.request is not None:
            if octets:
                self.outputs.append(MessageSeen(octets, source, flow.transport))
            request, flow.destination = received_from(error.request, source, flow.transport == "udp")
            self._transmit(
                flow, bytes(respond_to(request, error.status, tag=self._tag(request), reason=error.reason)), False, now
            )

    # -- carrying out what the tables ask ------------------------------------------------------------------------

    def _run(self, entry: Entry, what: Input, now: float, data: bytes = b"", arrival: Happening | None = None) -> None:
        for do in entry.machine.handle(what, now):
            self._do(entry, do, now, data, arrival)
        self._fire(entry, now)

    def _fire(self, entry: Entry, now: float) -> None:
        for do in entry.machine.due(now):
            self._do(entry, do, now, b"", None)
        if entry.machine.over:
            self._entries.drop(entry)
        else:
            self._entries.schedule(entry)

    def _do(self, entry: Entry, do: Do, now: float, data: bytes, arrival: Happening | None) -> None:
        sent = True
        if do in {Do.SEND, Do.RESEND}:
            entry.last = data or entry.last
            sent = not entry.last or self._transmit(entry.flow, entry.last, do is Do.RESEND, now)
        elif do is Do.SEND_ACK and isinstance(arrival, ResponseArrived):
            ack = bytes(ack_of(entry.request, arrival.response))
            sent = self._transmit(entry.flow, ack, entry.acked, now)
            entry.acked = True
        elif do is Do.PASS and arrival is not None:
            self.happenings.append(arrival)
        elif do in {Do.TELL_TIMEOUT, Do.TELL_ERROR} and not entry.server:
            # The user of a server transaction has nothing to do then: it sees the missing ACK by itself.
            self.happenings.append(RequestFailed(entry.key))
        if not sent:
            self._run(entry, Input.ERROR, now)

    def _transmit(self, flow: Flow, data: bytes, resend: bool, now: float) -> bool:
        """Send octets; False where they cannot be sent at all."""
        if flow.transport == "udp":
            if len(data) > LARGEST_DATAGRAM:
                return False
            self.outputs.append(SendDatagram(data, flow.destination, resend))
            return True
        if flow.stream is None or not self.streams.send(flow.stream, data, resend, now):
            # No connection yet, or it is gone: section 18.2.2 has a response open a new one.
            flow.stream = self.streams.to(flow.destination, now)
            self.streams.send(flow.stream, data, resend, now)
        return True

    def _key(self) -> str:
        self._count += 1
        return f"t{self._count}"

    def _tag(self, request: Request) -> str:
        """Return a tag for an answer without a transaction: a retransmission gets the same (section 8.2.7)."""
        lines = str(request.headers).encode(errors="surrogateescape")
        return hashlib.blake2b(lines, digest_size=8, key=self._secret).hexdigest()


def _sent_by(via: Via) -> tuple[str, int]:
    return via.host.lower(), via.port or SIP_PORT
