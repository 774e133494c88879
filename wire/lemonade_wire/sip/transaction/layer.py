"""The transaction layer, with the transport selection below it (RFC 3261 sections 17 and 18, RFC 3581, RFC 6026).

It matches messages with transactions, chooses UDP or TCP, routes responses, and carries out the actions of the
transaction tables.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from lemonade_wire.address import Address, is_ip_address
from lemonade_wire.sip.event import MessageDropped, MessageSeen, Output, SendDatagram
from lemonade_wire.sip.message.header_values import CSeq, Via
from lemonade_wire.sip.message.message import SipRequest, SipResponse, UnreadableError, parse_datagram
from lemonade_wire.sip.message.response import respond_to
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.tcp import TcpConnections
from lemonade_wire.sip.transaction.index import SipFlow, TransactionEntry, TransactionIndex
from lemonade_wire.sip.transaction.matching import (
    COOKIE,
    SIP_PORT,
    Transport,
    ack_of,
    bracketed,
    input_of,
    received_from,
    server_match,
)
from lemonade_wire.sip.transaction.state_machine import (
    INVITE_CLIENT,
    INVITE_SERVER,
    REQUEST_CLIENT,
    REQUEST_SERVER,
    Do,
    Input,
    Transaction,
    TransactionState,
)

LARGEST_DATAGRAM = 65507


@dataclass(frozen=True)
class RequestArrived:
    """A new request, or an ACK that matches no transaction, such as the ACK of a 2xx (`key` is None)."""

    key: str | None
    request: SipRequest
    source: Address


@dataclass(frozen=True)
class ResponseArrived:
    """A response for the user agent; `source` is the address that sent it."""

    key: str
    response: SipResponse
    source: Address


@dataclass(frozen=True)
class RequestFailed:
    """A request of ours timed out, or could not be sent."""

    key: str


Happening = RequestArrived | ResponseArrived | RequestFailed


class TransactionLayer:
    """Sends requests and responses for the user agent, and parses and matches what the network delivers.

    `happenings` collects the events for the user agent, `outputs` the work for the network. It does no I/O. `now` is
    in seconds, monotonic.
    """

    def __init__(self, settings: UaSettings, rng: random.Random) -> None:
        self.settings = settings
        self.outputs: list[Output] = []
        self.happenings: list[Happening] = []
        self.streams = TcpConnections(settings, self.outputs)
        self._rng = rng
        self._secret = rng.randbytes(16)
        self._entries = TransactionIndex()
        self._count = 0

    # -- called by the user agent --------------------------------------------------------------------------------

    def send_request(self, request: SipRequest, next_hop: Address, transport: Transport | None, now: float) -> str:
        """Start a client transaction; `request` has no Via yet. Returns the key that its responses will have."""
        branch = self._branch()
        flow = self._choose(request, branch, next_hop, transport)
        return self._start_client(request, branch, flow, now)

    def send_cancel(self, key: str, now: float) -> None:
        """Cancel an INVITE of ours, by the same transport and to the same address (section 9.1)."""
        entry = self._entries[key]
        invite = entry.request
        headers = invite.headers.only("Via", "Route", "Max-Forwards", "From", "To", "Call-ID", "CSeq")
        headers = headers.with_set("CSeq", str(CSeq(invite.cseq.number, "CANCEL")))
        cancel = SipRequest(headers, b"", "CANCEL", invite.target)
        self._add_client(cancel, invite.vias[0].branch, replace(entry.flow, udp_instead=False), now)

    def send_ack(
        self, ack: SipRequest, next_hop: Address, transport: Transport | None, now: float
    ) -> Callable[[float], None]:
        """Send the ACK of a 2xx; it starts no transaction. Returns a function of the time that sends the ACK again."""
        flow = self._choose(ack, branch := self._branch(), next_hop, transport)
        data = bytes(self._with_via(ack, flow, branch))
        self._transmit(flow, data, False, now)

        def again(later: float) -> None:
            self._transmit(flow, data, True, later)

        return again

    def respond(self, key: str, response: SipResponse, now: float) -> None:
        """Send a response; if the transaction has ended, the response is dropped."""
        entry = self._entries.get(key)
        if entry is not None:
            self._run(entry, input_of(response.status), now, bytes(response))

    def destroy(self, key: str) -> None:
        """Delete a transaction; later messages for it match nothing."""
        if key in self._entries:
            self._entries.drop(self._entries[key])

    def alive(self, key: str) -> bool:
        """Return whether the transaction exists, so that it may still give events to the user agent."""
        return key in self._entries

    def awaits_ack(self, key: str) -> bool:
        """Return whether a 300-699 to this INVITE was sent and its ACK has not arrived."""
        return key in self._entries and self._entries[key].machine.state is TransactionState.COMPLETED

    def awaits_acks(self) -> bool:
        """Return whether the ACK of any 300-699 to an INVITE is awaited."""
        machines = (entry.machine for entry in self._entries.values())
        return any(
            machine.table is INVITE_SERVER and machine.state is TransactionState.COMPLETED for machine in machines
        )

    def merged(self, key: str) -> bool:
        """Return whether the same request has arrived before by another path: a merged request (section 8.2.2.2)."""
        return self._entries.merged(key)

    def invite_of(self, key: str) -> str | None:
        """Return the key of the INVITE that the CANCEL `key` cancels; None if there is none (section 9.2)."""
        cancel = self._entries[key]
        entry = self._entries.matching((*cancel.match[:-1], "INVITE"))
        return entry.key if entry else None

    # -- called by the transport ---------------------------------------------------------------------------------

    def datagram_received(self, data: bytes, source: Address, now: float) -> None:
        """Process a UDP datagram; an empty one and a keep-alive are ignored."""
        if not data.strip(b"\r\n\0 "):
            return
        try:
            message = parse_datagram(data)
        except UnreadableError as error:
            self._refuse(error, data, SipFlow("udp", source), now)
            return
        self.outputs.append(MessageSeen(data, source, "udp"))
        self._dispatch(message, SipFlow("udp", source), source, now)

    def stream_received(self, stream: int, data: bytes, now: float) -> bool:
        """Process octets of a TCP stream; returns true if its framing is lost.

        The caller then closes the stream, after the messages before the error have been answered.
        """
        lost = False
        for message, octets in self.streams.received(stream, data, now):
            source = self.streams.peer(stream)
            if source is None:
                return False
            flow = SipFlow("tcp", source, stream)
            if isinstance(message, UnreadableError):
                self._refuse(message, octets, flow, now)
                lost = message.fatal
                continue
            self.outputs.append(MessageSeen(octets, source, "tcp"))
            self._dispatch(message, flow, source, now)
        return lost

    def stream_failed(self, stream: int, now: float) -> None:
        """Handle a TCP stream that could not be opened or was closed.

        The client transactions on it fail. A request that chose TCP only for its length is sent by UDP instead, if the
        stream was never open.
        """
        never_opened = self.streams.connecting(stream)
        self.streams.gone(stream)
        for entry in list(self._entries.values()):
            if entry.flow.stream != stream or entry.server:
                continue
            if entry.flow.udp_instead and never_opened:
                # Section 18.1.1: a request that was sent by TCP only for its length is retried by UDP.
                self._entries.drop(entry)
                flow = replace(entry.flow, transport="udp", stream=None, udp_instead=False)
                request = entry.request.with_headers(entry.request.headers.without("Via"))
                self._start_client(request, entry.request.vias[0].branch, flow, now, entry.key)
            else:
                self._run(entry, Input.ERROR, now)

    def handle_timer(self, now: float) -> None:
        """Fire the timers that are due, and close the idle streams."""
        while (entry := self._entries.take_due(now)) is not None:
            self._fire(entry, now)
        idle_at = self.streams.next_timer()
        if idle_at is not None and idle_at <= now:
            self.streams.close_idle(now, self.busy_streams())

    def busy_streams(self) -> set[int]:
        """Return the ids of the TCP streams that have transactions."""
        return {entry.flow.stream for entry in self._entries.values() if entry.flow.stream is not None}

    def next_timer(self) -> float | None:
        """Return the time at which `handle_timer` is to be called; None if nothing waits for a time."""
        times = (self._entries.next_timer(), self.streams.next_timer())
        return min((at for at in times if at is not None), default=None)

    # -- requests of ours ----------------------------------------------------------------------------------------

    def _branch(self) -> str:
        return f"{COOKIE}{self._rng.getrandbits(80):020x}"

    def _choose(self, request: SipRequest, branch: str, next_hop: Address, transport: Transport | None) -> SipFlow:
        """Choose the transport (section 18.1.1): the given one, else UDP, or TCP for a request above `udp_limit`."""
        if transport is not None:
            return SipFlow(transport, next_hop)
        flow = SipFlow("udp", next_hop)
        if len(bytes(self._with_via(request, flow, branch))) > self.settings.udp_limit:
            return SipFlow("tcp", next_hop, udp_instead=True)
        return flow

    def _with_via(self, request: SipRequest, flow: SipFlow, branch: str) -> SipRequest:
        host, port = self.settings.address
        via = Via(flow.transport.upper(), bracketed(host), port, (("branch", branch),))
        if flow.transport == "udp":
            via = replace(via, params=(*via.params, ("rport", None)))
        return request.with_headers(request.headers.with_top("Via", str(via)))

    def _start_client(self, request: SipRequest, branch: str, flow: SipFlow, now: float, key: str = "") -> str:
        return self._add_client(self._with_via(request, flow, branch), branch, flow, now, key)

    def _add_client(self, request: SipRequest, branch: str, flow: SipFlow, now: float, key: str = "") -> str:
        table = INVITE_CLIENT if request.method == "INVITE" else REQUEST_CLIENT
        machine = Transaction.start(table, self.settings.timing, flow.transport == "tcp", now)
        match = ("client", branch, request.method)
        entry = TransactionEntry(key or self._key(), match, machine, flow, request, server=False, last=bytes(request))
        self._entries.add(entry)
        if not self._transmit(flow, entry.last, False, now):
            self._run(entry, Input.ERROR, now)
        return entry.key

    # -- messages of the peer ------------------------------------------------------------------------------------

    def _dispatch(self, message: SipRequest | SipResponse, flow: SipFlow, source: Address, now: float) -> None:
        if isinstance(message, SipResponse):
            self._response(message, source, now)
        else:
            self._request(message, flow, source, now)

    def _response(self, response: SipResponse, source: Address, now: float) -> None:
        via, *others = response.vias
        entry = self._entries.matching(("client", via.branch, response.cseq.method))
        ours = entry is not None and _sent_by(via) == _sent_by(entry.request.vias[0])
        if entry is None or others or not ours:
            # A response with several Via values, another sent-by, or no transaction is dropped (sections 8.1.3.3 and
            # 18.1.2, RFC 6026 section 7.2).
            self.outputs.append(MessageDropped(source, f"a {response.status} that no request waits for"))
            return
        self._run(entry, input_of(response.status), now, arrival=ResponseArrived(entry.key, response, source))

    def _request(self, request: SipRequest, flow: SipFlow, source: Address, now: float) -> None:
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
        entry = TransactionEntry(self._key(), match, machine, flow, request, server=True)
        self._entries.add(entry)
        if request.method == "INVITE":
            # Section 17.2.1: 100 is sent at once, because the application may need more than 200 ms: it fetches media.
            self.respond(entry.key, respond_to(request, 100, tag=""), now)
        self.happenings.append(RequestArrived(entry.key, request, source))

    def _refuse(self, error: UnreadableError, octets: bytes, flow: SipFlow, now: float) -> None:
        """Report a malformed message as dropped, and answer it without a transaction if it can be answered.

        `octets` is empty if the framing was lost; otherwise an answered message is traced as received.
        """
        source = flow.destination
        self.outputs.append(MessageDropped(source, error.reason))
        if error.request is not None:
            if octets:
                self.outputs.append(MessageSeen(octets, source, flow.transport))
            request, flow.destination = received_from(error.request, source, flow.transport == "udp")
            self._transmit(
                flow, bytes(respond_to(request, error.status, tag=self._tag(request), reason=error.reason)), False, now
            )

    # -- carrying out the actions of the tables ------------------------------------------------------------------

    def _run(
        self, entry: TransactionEntry, what: Input, now: float, data: bytes = b"", arrival: Happening | None = None
    ) -> None:
        for do in entry.machine.handle(what, now):
            self._do(entry, do, now, data, arrival)
        self._fire(entry, now)

    def _fire(self, entry: TransactionEntry, now: float) -> None:
        for do in entry.machine.due(now):
            self._do(entry, do, now, b"", None)
        if entry.machine.over:
            self._entries.drop(entry)
        else:
            self._entries.schedule(entry)

    def _do(self, entry: TransactionEntry, do: Do, now: float, data: bytes, arrival: Happening | None) -> None:
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
            # A server transaction does not report this: the user agent has its own timeout for a missing ACK.
            self.happenings.append(RequestFailed(entry.key))
        if not sent:
            self._run(entry, Input.ERROR, now)

    def _transmit(self, flow: SipFlow, data: bytes, resend: bool, now: float) -> bool:
        """Send octets; returns False if they are too long for a datagram or the destination is no IP address."""
        if flow.transport == "udp":
            if len(data) > LARGEST_DATAGRAM or not is_ip_address(flow.destination.host):
                return False
            self.outputs.append(SendDatagram(data, flow.destination, resend))
            return True
        if flow.stream is None or not self.streams.send(flow.stream, data, resend, now):
            # There is no connection, or it was closed: a response opens a new one too (section 18.2.2).
            flow.stream = self.streams.to(flow.destination, now)
            self.streams.send(flow.stream, data, resend, now)
        return True

    def _key(self) -> str:
        self._count += 1
        return f"t{self._count}"

    def _tag(self, request: SipRequest) -> str:
        """Return a To tag for a response without a transaction; a retransmission gets the same tag (section 8.2.7)."""
        lines = str(request.headers).encode(errors="surrogateescape")
        return hashlib.blake2b(lines, digest_size=8, key=self._secret).hexdigest()


def _sent_by(via: Via) -> tuple[str, int]:
    return via.host.lower(), via.port or SIP_PORT
