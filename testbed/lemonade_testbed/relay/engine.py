"""Decides for each datagram and each piece of a TCP stream whether and when it is passed on; without sockets or clock.

Whether a rule applies to a message depends on the seed, the rule and the message's identity (`identity.py`), and on no
other message; only `times` counts the messages in the order in which they come. The datagrams of one flow keep their
order, and so do the octets of a stream: `jitter` only delays them, and only `reorder` lets the next message overtake
one. A stream is passed on as octets. If a rule of its leg names SIP, it is passed on message by message.

This file has more than 250 lines because datagrams and the messages of a stream go through the same rules.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from lemonade_testbed.relay.identity import IdentifiedMessage, Identities
from lemonade_testbed.relay.reading import STREAM, RelayedMessage, SipFramer, read_datagram
from lemonade_testbed.relay.rules import Rule, leg_of

HOLD = 0.1
"""Seconds for which a message that `reorder` picked waits for the next one of its flow to overtake it."""


class RelayFlow(NamedTuple):
    """The datagrams from one port of a role to one port of another role."""

    source: str
    target: str
    source_port: int
    target_port: int


@dataclass(frozen=True)
class RelayDatagram:
    """An instruction to send a datagram now."""

    flow: RelayFlow
    data: bytes


@dataclass(frozen=True)
class SendOctets:
    """An instruction to send octets of a stream to the role `target` now."""

    stream: int
    target: str
    data: bytes


@dataclass(frozen=True)
class EndStream:
    """An instruction to end a stream towards the role `target`; with `cut`, both directions end."""

    stream: int
    target: str
    cut: bool = False


Output = RelayDatagram | SendOctets | EndStream


@dataclass(frozen=True)
class Impaired:
    """One thing that a rule did.

    `state` is `lost`, `duplicated` or `reordered` for a message; `cut` or `healed` for a leg; `cut-off` for a datagram
    and `refused` for a connection on a leg that is cut. `rule` is the rule's number. `arrival` is the message; for a
    leg it has no source. `octets` is the message's size; for a cut, the octets that had passed before it.
    """

    state: str
    rule: int
    arrival: IdentifiedMessage
    octets: int


@dataclass
class _Queue:
    """The state of one direction of a flow or stream.

    `last` is the time of its last output: later ones do not leave before it. `held` waits for one that overtakes it.
    """

    last: float = -math.inf
    held: RelayDatagram | SendOctets | None = None


@dataclass
class _Stream:
    leg: str
    ends: tuple[str, str]
    queues: dict[str, _Queue]
    """By the role that receives."""
    framers: dict[str, SipFramer]
    """By the role that sends; empty if no rule of the leg names SIP."""
    number: int
    """The connection's ordinal among those of its leg that `ends[0]` opened."""
    octets: Counter[str] = field(default_factory=Counter)
    """The number of octets that came, by the role that sent them."""
    over: bool = False
    """The stream was cut."""

    def target(self, source: str) -> str:
        return self.ends[0] if source == self.ends[1] else self.ends[1]


@dataclass
class _Cut:
    """The state of a `cut` rule.

    First it waits for `passed` octets or for the time `at`; then it is `active` (the leg is cut) until the time
    `until`; then it is `over`.
    """

    rule: Rule
    passed: int = 0
    at: float = math.inf
    until: float = math.inf
    active: bool = False
    over: bool = False


class RelayEngine:
    """Takes datagrams and octets as they arrive, and returns what is to be sent, by the rules.

    Each time `now` is in seconds of any monotonic clock.
    """

    def __init__(self, seed: int, rules: Sequence[Rule]) -> None:
        self._seed = seed
        self._rules = [rule for rule in rules if rule.act != "cut"]
        self._cuts = [_Cut(rule) for rule in rules if rule.act == "cut"]
        self._identities = Identities()
        self._flows: dict[RelayFlow, _Queue] = {}
        self._streams: dict[int, _Stream] = {}
        self._waiting: list[tuple[float, int, Output | _Overdue]] = []
        self._count = 0
        self._outputs: list[Output] = []
        self._impaired: list[Impaired] = []
        self.struck: Counter[int] = Counter()
        """How often each rule other than a `cut` was applied, by the rule's number."""
        self.decided: defaultdict[str, set[int]] = defaultdict(set)
        """The messages on which rules decided: `client-media from client: SIP INVITE 1` to their ordinal numbers."""

    # -- input --------------------------------------------------------------------------------------------------------

    def datagram_received(self, flow: RelayFlow, data: bytes, now: float) -> None:
        """Take a datagram that arrived."""
        self.handle_timer(now)
        arrival = self._identities.identify(leg_of(flow.source, flow.target), flow.source, read_datagram(data))
        self._begin(arrival, now)
        cut = next(self._active(arrival), None)
        if cut is not None:
            self._report("cut-off", cut.rule, arrival, len(data))
        elif not self._lost(arrival, len(data)):
            self._pass_on(RelayDatagram(flow, data), arrival, now)
            for waiting in self._counting(arrival):
                waiting.passed += len(data)
                if waiting.passed >= (waiting.rule.octets or 0):
                    self._cut_now(waiting, now)
        self._flush(now)

    def stream_opened(self, stream: int, source: str, target: str, now: float) -> bool:
        """Take a new connection from `source` to `target`; returns False if it must be refused, as the leg is cut."""
        self.handle_timer(now)
        leg = leg_of(source, target)
        arrival = self._identities.identify(leg, source, STREAM)
        self._begin(arrival, now)
        cut = next(self._active(arrival), None)
        if cut is not None:
            self._report("refused", cut.rule, arrival, 0)
            return False
        ends = source, target
        framed = any(rule.leg == leg and rule.what.kind == "SIP" for rule in self._rules)
        framers = {end: SipFramer() for end in ends if framed}
        self._streams[stream] = _Stream(leg, ends, {end: _Queue() for end in ends}, framers, arrival.nth)
        return True

    def stream_received(self, stream: int, source: str, data: bytes, now: float) -> None:
        """Take octets of a stream that arrived from the role `source`."""
        self.handle_timer(now)
        state = self._streams.get(stream)
        if state is None or state.over:
            return
        cutting = None
        octets = IdentifiedMessage(state.leg, source, STREAM, f"TCP {state.number} from {state.ends[0]}")
        for cut in self._counting(octets):
            room = max(0, (cut.rule.octets or 0) - cut.passed)
            if len(data) >= room:
                data, cutting = data[:room], cut
        for cut in self._counting(octets):
            cut.passed += len(data)
        framer = state.framers.get(source)
        pieces = framer.receive(data) if framer else [(STREAM, data)] if data else []
        for message, piece in pieces:
            state.octets[source] += len(piece)
            if message.kind == "SIP":
                arrival = self._identities.identify(state.leg, source, message)
            else:
                arrival = replace(octets, nth=state.octets[source])
            if not self._lost(arrival, len(piece)):
                self._pass_on(SendOctets(stream, state.target(source), piece), arrival, now)
        if cutting is not None:
            self._cut_now(cutting, now)
        self._flush(now)

    def stream_ended(self, stream: int, source: str, now: float) -> None:
        """Note that the role `source` ended its direction of a stream; it may still receive."""
        self.handle_timer(now)
        state = self._streams.get(stream)
        if state is not None and not state.over:
            target = state.target(source)
            self._let_go(stream, state, target, now)
            self._later(state.queues[target], EndStream(stream, target), now)
        self._flush(now)

    def _let_go(self, stream: int, state: _Stream, target: str, now: float) -> None:
        """Send what is held back until more of the stream comes, because no more comes."""
        queue, framer = state.queues[target], state.framers.get(state.target(target))
        if queue.held is not None:
            self._later(queue, queue.held, now)
            queue.held = None
        if framer is not None and (rest := framer.rest()):
            self._later(queue, SendOctets(stream, target, rest), now)

    def stream_closed(self, stream: int) -> None:
        """Remove a connection that both ends have closed."""
        self._streams.pop(stream, None)

    # -- output -------------------------------------------------------------------------------------------------------

    def outputs(self) -> list[Output]:
        """Return what is to be sent now; each output is returned once."""
        taken, self._outputs = self._outputs, []
        return taken

    def impaired(self) -> list[Impaired]:
        """Return what the rules did since the last call."""
        taken, self._impaired = self._impaired, []
        return taken

    def next_timer(self) -> float | None:
        """Return the time at which `handle_timer` must be called, or None."""
        times = [self._waiting[0][0]] if self._waiting else []
        times += [cut.until if cut.active else cut.at for cut in self._cuts if not cut.over]
        return min((time for time in times if time < math.inf), default=None)

    def handle_timer(self, now: float) -> None:
        """Cut and heal the legs whose time has come, and add what is due to the outputs."""
        for cut in self._cuts:
            if not cut.active and not cut.over and now >= cut.at:
                self._cut_now(cut, now)
            if cut.active and now >= cut.until:
                cut.active, cut.over = False, True
                self._report("healed", cut.rule, _leg_of(cut.rule), cut.passed)
        self._flush(now)

    def _flush(self, now: float) -> None:
        while self._waiting and self._waiting[0][0] <= now:
            at, _, item = heapq.heappop(self._waiting)
            if not isinstance(item, _Overdue):
                self._outputs.append(item)
            elif item.queue.held is item.output:  # no message came that could overtake it
                item.queue.held = None
                self._later(item.queue, item.output, at)

    def _later(self, queue: _Queue, output: Output, at: float) -> None:
        queue.last = max(queue.last, at)
        self._push(queue.last, output)

    def _push(self, at: float, item: Output | _Overdue) -> None:
        self._count += 1
        heapq.heappush(self._waiting, (at, self._count, item))

    # -- rules --------------------------------------------------------------------------------------------------------

    def _hits(self, act: str, arrival: IdentifiedMessage) -> Iterator[Rule]:
        """Yield the rules with the action `act` that are applied to a message, and count them."""
        for rule in self._rules:
            if rule.act != act or not rule.covers(arrival.leg, arrival.source, arrival.message):
                continue
            drawn = rule.share is None or arrival.drawn(self._seed, rule.number) < rule.share
            if drawn and (rule.times is None or self.struck[rule.number] < rule.times):
                self.struck[rule.number] += 1
                yield rule

    def _lost(self, arrival: IdentifiedMessage, size: int) -> bool:
        if arrival.message.kind != STREAM.kind:
            self.decided[f"{arrival.leg} from {arrival.source}: {arrival.of}"].add(arrival.nth)
        struck = list(self._hits("lose", arrival))
        for rule in struck[:1]:
            self._report("lost", rule, arrival, size)
        return bool(struck)

    def _late(self, arrival: IdentifiedMessage) -> float:
        late = sum(rule.seconds or 0.0 for rule in self._hits("delay", arrival))
        for rule in self._hits("jitter", arrival):
            late += (rule.seconds or 0.0) * arrival.drawn(self._seed, rule.number)
        return late

    def _pass_on(self, output: RelayDatagram | SendOctets, arrival: IdentifiedMessage, now: float) -> None:
        size = len(output.data)
        if isinstance(output, RelayDatagram):
            queue = self._flows.setdefault(output.flow, _Queue())
        else:
            queue = self._streams[output.stream].queues[output.target]
        late = self._late(arrival)
        copies = 1
        for rule in self._hits("duplicate", arrival):
            copies += 1
            self._report("duplicated", rule, arrival, size)
        reordering = list(self._hits("reorder", arrival))
        for rule in reordering[:1]:
            self._report("reordered", rule, arrival, size)
        held = queue.held
        if reordering and held is None:  # if one is held, this message overtakes it and so is reordered already
            queue.held = output
            self._push(max(queue.last, now + late) + HOLD, _Overdue(queue, output))
            copies -= 1
        for _ in range(copies):
            self._later(queue, output, now + late)
        if held is not None:
            queue.held = None
            self._later(queue, held, now)

    # -- cuts ---------------------------------------------------------------------------------------------------------

    def _begin(self, arrival: IdentifiedMessage, now: float) -> None:
        """Set the time of the cuts that are due some seconds after the leg's first message."""
        for cut in self._of_leg(arrival):
            if cut.rule.seconds is not None and cut.at == math.inf:
                cut.at = now + cut.rule.seconds

    def _active(self, arrival: IdentifiedMessage) -> Iterator[_Cut]:
        return (cut for cut in self._of_leg(arrival) if cut.active)

    def _of_leg(self, arrival: IdentifiedMessage) -> Iterator[_Cut]:
        """Yield the cuts of a message's leg that cover such messages, from either end."""
        for cut in self._cuts:
            if cut.rule.leg == arrival.leg and cut.rule.what.covers(arrival.message):
                yield cut

    def _counting(self, arrival: IdentifiedMessage) -> list[_Cut]:
        """Return the cuts that wait for a number of octets and count those of this message."""
        waiting = [cut for cut in self._cuts if not cut.active and not cut.over and cut.rule.octets is not None]
        return [cut for cut in waiting if cut.rule.covers(arrival.leg, arrival.source, arrival.message)]

    def _cut_now(self, cut: _Cut, now: float) -> None:
        rule = cut.rule
        cut.active = True
        cut.until = math.inf if rule.heal is None else now + rule.heal
        self._report("cut", rule, _leg_of(rule), cut.passed)
        for number, stream in self._streams.items():
            if stream.leg == rule.leg and rule.what.covers(STREAM) and not stream.over:
                stream.over = True
                for target in stream.ends:
                    self._let_go(number, stream, target, now)
                    self._later(stream.queues[target], EndStream(number, target, cut=True), now)

    def _report(self, state: str, rule: Rule, arrival: IdentifiedMessage, octets: int) -> None:
        self._impaired.append(Impaired(state, rule.number, arrival, octets))


def _leg_of(rule: Rule) -> IdentifiedMessage:
    """Return the identity with which a cut of a whole leg is reported."""
    return IdentifiedMessage(rule.leg, "", RelayedMessage(str(rule.what)))


@dataclass(frozen=True)
class _Overdue:
    """A timer: the held message `output` is sent, if no other one has overtaken it by then."""

    queue: _Queue = field(repr=False)
    output: RelayDatagram | SendOctets
