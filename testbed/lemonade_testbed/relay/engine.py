"""Decides for every datagram and every piece of a stream what leaves when; no socket, no clock.

Each leg, direction and kind of message has a random generator of its own, made from the seed: what is lost of RTP does
not depend on how many reports or retransmissions were on the way. Datagrams of one flow keep their order, and a
stream's octets keep theirs: jitter makes them late, only `reorder` lets one message be overtaken by the next. A stream
is octets, unless a rule of its leg names SIP: then it goes on message by message.

One file, above 250 lines: what a rule does to a datagram and to a message of a stream is the same code.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lemonade_testbed.relay.framing import SipFramer
from lemonade_testbed.relay.reading import STREAM, Message, read_datagram
from lemonade_testbed.relay.rules import Rule, leg_of

HOLD = 0.1
"""Seconds for which a message waits for the next of its flow to overtake it."""


class Flow(NamedTuple):
    """Datagrams from one port of a role to one port of another."""

    source: str
    target: str
    source_port: int
    target_port: int


@dataclass(frozen=True)
class SendDatagram:
    """A datagram leaves now."""

    flow: Flow
    data: bytes


@dataclass(frozen=True)
class SendOctets:
    """Octets of a stream leave now, to the role `target`."""

    stream: int
    target: str
    data: bytes


@dataclass(frozen=True)
class EndStream:
    """Nothing more comes to the role `target`; `cut`: nothing is taken from it either."""

    stream: int
    target: str
    cut: bool = False


Output = SendDatagram | SendOctets | EndStream


@dataclass(frozen=True)
class Impaired:
    """What a rule did.

    `state`: lost, duplicated, reordered; cut, healed; `cut-off` for a datagram and `refused` for a connection that met
    a leg that is cut. `source` is the role that sent it, empty for a leg as a whole; `octets` its size, or how many
    had passed before a cut. `nth`: the how-manieth of its label it was from that role on that leg, from 1; 0 for a leg
    as a whole: by it, decisions of several runs compare, whose sequence numbers and times differ.
    """

    state: str
    rule: int
    leg: str
    source: str
    message: Message
    octets: int
    nth: int = 0


@dataclass
class _Queue:
    """What is on its way in one direction: nothing leaves before `last`."""

    last: float = -math.inf
    held: SendDatagram | SendOctets | None = None


@dataclass
class _Stream:
    leg: str
    ends: tuple[str, str]
    queues: dict[str, _Queue]
    framers: dict[str, SipFramer]
    """By the role that sends; none where no rule names messages."""
    over: bool = False

    def target(self, source: str) -> str:
        return self.ends[0] if source == self.ends[1] else self.ends[1]


@dataclass
class _Cut:
    """How far a `cut` rule is: it waits, then the leg is cut, then that is over."""

    rule: Rule
    passed: int = 0
    at: float = math.inf
    until: float = math.inf
    active: bool = False
    over: bool = False


class RelayEngine:
    """Takes what arrives, and gives what leaves, by rules; times are seconds of any clock that never goes back."""

    def __init__(self, seed: int, rules: Sequence[Rule]) -> None:
        self._seed = seed
        self._rules = [rule for rule in rules if rule.act != "cut"]
        self._cuts = [_Cut(rule) for rule in rules if rule.act == "cut"]
        self._random: dict[tuple[str, str, str], random.Random] = {}
        self._flows: dict[Flow, _Queue] = {}
        self._streams: dict[int, _Stream] = {}
        self._waiting: list[tuple[float, int, Output | _Overdue]] = []
        self._count = 0
        self._come: Counter[tuple[str, str, str]] = Counter()
        self._outputs: list[Output] = []
        self._impaired: list[Impaired] = []
        self.struck: Counter[int] = Counter()
        """How often each rule but a cut struck, by its number."""
        self.passed: Counter[str] = Counter()
        """Datagrams and octets of streams that left, by `client-media from client: SIP INVITE`."""

    # -- what arrives -------------------------------------------------------------------------------------------------

    def datagram_received(self, flow: Flow, data: bytes, now: float) -> None:
        """Take a datagram."""
        self.handle_timer(now)
        leg, message = leg_of(flow.source, flow.target), read_datagram(data)
        self._come[leg, flow.source, message.label] += 1
        self._begin(leg, message, now)
        cut = next(self._active(leg, message), None)
        if cut is not None:
            self._tell("cut-off", cut.rule, flow.source, message, len(data))
        elif not self._lost(leg, flow.source, message, len(data)):
            self._pass_on(SendDatagram(flow, data), leg, flow.source, message, now)
            for waiting in self._counting(leg, flow.source, message):
                waiting.passed += len(data)
                if waiting.passed >= (waiting.rule.octets or 0):
                    self._cut_now(waiting, now)
        self._flush(now)

    def stream_opened(self, stream: int, source: str, target: str, now: float) -> bool:
        """Take a connection from `source` to `target`; returns False where the leg is cut and it must be refused."""
        self.handle_timer(now)
        leg = leg_of(source, target)
        self._come[leg, source, STREAM.label] += 1
        self._begin(leg, STREAM, now)
        cut = next(self._active(leg, STREAM), None)
        if cut is not None:
            self._tell("refused", cut.rule, source, STREAM, 0)
            return False
        ends = source, target
        framed = any(rule.leg == leg and rule.what.kind == "SIP" for rule in self._rules)
        framers = {end: SipFramer() for end in ends if framed}
        self._streams[stream] = _Stream(leg, ends, {end: _Queue() for end in ends}, framers)
        return True

    def stream_received(self, stream: int, source: str, data: bytes, now: float) -> None:
        """Take octets of a stream from the role `source`."""
        self.handle_timer(now)
        state = self._streams.get(stream)
        if state is None or state.over:
            return
        cutting = None
        for cut in self._counting(state.leg, source, STREAM):
            room = max(0, (cut.rule.octets or 0) - cut.passed)
            if len(data) >= room:
                data, cutting = data[:room], cut
        for cut in self._counting(state.leg, source, STREAM):
            cut.passed += len(data)
        framer = state.framers.get(source)
        pieces = framer.receive(data) if framer else [(STREAM, data)] if data else []
        for message, piece in pieces:
            if message.kind == "SIP":
                self._come[state.leg, source, message.label] += 1
            if not self._lost(state.leg, source, message, len(piece)):
                self._pass_on(SendOctets(stream, state.target(source), piece), state.leg, source, message, now)
        if cutting is not None:
            self._cut_now(cutting, now)
        self._flush(now)

    def stream_ended(self, stream: int, source: str, now: float) -> None:
        """Take note that nothing more comes from the role `source`, which may still receive."""
        self.handle_timer(now)
        state = self._streams.get(stream)
        if state is not None and not state.over:
            target = state.target(source)
            self._let_go(stream, state, target, now)
            self._later(state.queues[target], EndStream(stream, target), now)
        self._flush(now)

    def _let_go(self, stream: int, state: _Stream, target: str, now: float) -> None:
        """Let leave what waits for more of the stream, which does not come."""
        queue, framer = state.queues[target], state.framers.get(state.target(target))
        if queue.held is not None:
            self._later(queue, queue.held, now)
            queue.held = None
        if framer is not None and (rest := framer.rest()):
            self._later(queue, SendOctets(stream, target, rest), now)

    def stream_closed(self, stream: int) -> None:
        """Forget a connection that both ends have left."""
        self._streams.pop(stream, None)

    # -- what leaves --------------------------------------------------------------------------------------------------

    def outputs(self) -> list[Output]:
        """Return what leaves now, once."""
        taken, self._outputs = self._outputs, []
        return taken

    def impaired(self) -> list[Impaired]:
        """Return what the rules did, once."""
        taken, self._impaired = self._impaired, []
        return taken

    def next_timer(self) -> float | None:
        """Return when `handle_timer` has something to do; None for never."""
        times = [self._waiting[0][0]] if self._waiting else []
        times += [cut.until if cut.active else cut.at for cut in self._cuts if not cut.over]
        return min((time for time in times if time < math.inf), default=None)

    def handle_timer(self, now: float) -> None:
        """Let leave what is due, cut and heal."""
        for cut in self._cuts:
            if not cut.active and not cut.over and now >= cut.at:
                self._cut_now(cut, now)
            if cut.active and now >= cut.until:
                cut.active, cut.over = False, True
                self._tell("healed", cut.rule, "", Message(str(cut.rule.what)), cut.passed)
        self._flush(now)

    def _flush(self, now: float) -> None:
        while self._waiting and self._waiting[0][0] <= now:
            at, _, item = heapq.heappop(self._waiting)
            if not isinstance(item, _Overdue):
                self._outputs.append(item)
            elif item.queue.held is item.output:  # nothing came that could overtake it
                item.queue.held = None
                self._later(item.queue, item.output, at)

    def _later(self, queue: _Queue, output: Output, at: float) -> None:
        queue.last = max(queue.last, at)
        self._push(queue.last, output)

    def _push(self, at: float, item: Output | _Overdue) -> None:
        self._count += 1
        heapq.heappush(self._waiting, (at, self._count, item))

    # -- rules --------------------------------------------------------------------------------------------------------

    def _hits(self, act: str, leg: str, source: str, message: Message) -> Iterator[Rule]:
        """Yield the rules that strike. Each draws its number whether or not it may still strike."""
        for rule in self._rules:
            if rule.act != act or not rule.covers(leg, source, message):
                continue
            drawn = rule.share is None or self._generator(leg, source, message).random() < rule.share
            if drawn and (rule.times is None or self.struck[rule.number] < rule.times):
                self.struck[rule.number] += 1
                yield rule

    def _generator(self, leg: str, source: str, message: Message) -> random.Random:
        key = leg, source, message.kind
        if key not in self._random:
            self._random[key] = random.Random(" ".join((str(self._seed), *key)))
        return self._random[key]

    def _lost(self, leg: str, source: str, message: Message, size: int) -> bool:
        struck = list(self._hits("lose", leg, source, message))
        for rule in struck[:1]:
            self._tell("lost", rule, source, message, size)
        return bool(struck)

    def _late(self, leg: str, source: str, message: Message) -> float:
        late = sum(rule.seconds or 0.0 for rule in self._hits("delay", leg, source, message))
        for rule in self._hits("jitter", leg, source, message):
            late += (rule.seconds or 0.0) * self._generator(leg, source, message).random()
        return late

    def _pass_on(self, output: SendDatagram | SendOctets, leg: str, source: str, message: Message, now: float) -> None:
        size = len(output.data)
        if isinstance(output, SendDatagram):
            queue = self._flows.setdefault(output.flow, _Queue())
        else:
            queue = self._streams[output.stream].queues[output.target]
        if message.stream:
            self.passed[f"{leg} from {source}: TCP octets"] += size
        if message.kind != STREAM.kind:
            self.passed[f"{leg} from {source}: {message.label}"] += 1
        late = self._late(leg, source, message)
        copies = 1
        for rule in self._hits("duplicate", leg, source, message):
            copies += 1
            self._tell("duplicated", rule, source, message, size)
        overtaken = next(iter(list(self._hits("reorder", leg, source, message))), None)
        if overtaken is not None and queue.held is None:
            self._tell("reordered", overtaken, source, message, size)
            queue.held = output
            self._push(max(queue.last, now + late) + HOLD, _Overdue(queue, output))
            copies -= 1
        held = queue.held if queue.held is not output else None
        for _ in range(copies):
            self._later(queue, output, now + late)
        if held is not None:
            queue.held = None
            self._later(queue, held, now)

    # -- cuts ---------------------------------------------------------------------------------------------------------

    def _begin(self, leg: str, message: Message, now: float) -> None:
        """Set the time of cuts that count from the leg's first traffic."""
        for cut in self._cuts:
            rule = cut.rule
            if rule.seconds is not None and cut.at == math.inf and rule.leg == leg and rule.what.covers(message):
                cut.at = now + rule.seconds

    def _active(self, leg: str, message: Message) -> Iterator[_Cut]:
        return (cut for cut in self._cuts if cut.active and cut.rule.leg == leg and cut.rule.what.covers(message))

    def _counting(self, leg: str, source: str, message: Message) -> list[_Cut]:
        """Return the cuts that wait for octets such as these."""
        waiting = [cut for cut in self._cuts if not cut.active and not cut.over and cut.rule.octets is not None]
        return [cut for cut in waiting if cut.rule.covers(leg, source, message)]

    def _cut_now(self, cut: _Cut, now: float) -> None:
        rule = cut.rule
        cut.active = True
        cut.until = math.inf if rule.heal is None else now + rule.heal
        self._tell("cut", rule, "", Message(str(rule.what)), cut.passed)
        for number, stream in self._streams.items():
            if stream.leg == rule.leg and rule.what.covers(STREAM) and not stream.over:
                stream.over = True
                for target in stream.ends:
                    self._let_go(number, stream, target, now)
                    self._later(stream.queues[target], EndStream(number, target, cut=True), now)

    def _tell(self, state: str, rule: Rule, source: str, message: Message, octets: int) -> None:
        nth = self._come[rule.leg, source, message.label]
        self._impaired.append(Impaired(state, rule.number, rule.leg, source, message, octets, nth))


@dataclass(frozen=True)
class _Overdue:
    """A held message has waited long enough."""

    queue: _Queue = field(repr=False)
    output: SendDatagram | SendOctets
