"""Shows on recorded evidence that the judge notices every arrow: each is dropped, each neighbouring pair swapped.

Nothing is played again: the events of a green run are changed in memory and judged once more. What the judge must
report follows from the rules of the ladder; only where signalling divides RTP is it not simply the arrow touched:
without its divider the RTP arrow before grows too long, and is then the first that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import permutations, product

from lemonade_testbed.evidence import Evidence
from lemonade_testbed.judge import judge
from lemonade_testbed.ladder.model import Alt, Arrow, Loop, Opt, Par, Seen, Sequence
from lemonade_testbed.ladder.model import Node as LadderNode
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Verdict

UNANSWERED = 0.5
"""Seconds for which RTP counts to the arrow before, where a dividing request has no final response after it."""
_APART = 1e-6
"""Seconds; the least difference that a trace tells."""


@dataclass(frozen=True)
class Mutation:
    """A change of the evidence, and the arrow that the judge must report (None: the ladder still matches)."""

    kind: str
    touched: str
    evidence: Evidence
    expected: int | None


@dataclass(frozen=True)
class MutationResult:
    """What the judge reported for a mutation."""

    kind: str
    touched: str
    expected: int | None
    reported: int | None

    @property
    def ok(self) -> bool:
        """Whether the judge reported the right arrow."""
        return self.expected == self.reported


class NotGreenError(ValueError):
    """The evidence's own ladder does not match, so that nothing can be learnt from changing it."""


def try_mutations(
    scenario: Scenario, evidence: Evidence, judge_again: Callable[[Scenario, Evidence], Verdict] = judge
) -> list[MutationResult]:
    """Judge every mutation of a green run's evidence; raises NotGreenError where it is not green."""
    green = judge_again(scenario, evidence)
    if green.ladder.mismatch is not None:
        raise NotGreenError(f"{scenario.name}: the ladder does not match at arrow {green.ladder.mismatch.index}")
    results = []
    for mutation in mutations(scenario, evidence, green):
        mismatch = judge_again(scenario, mutation.evidence).ladder.mismatch
        reported = None if mismatch is None else mismatch.index
        results.append(MutationResult(mutation.kind, mutation.touched, mutation.expected, reported))
    return results


def mutations(scenario: Scenario, evidence: Evidence, green: Verdict) -> Iterator[Mutation]:
    """Yield every drop and every swap; `green` is the verdict on the unchanged evidence."""
    walk = _Walk(scenario, evidence, green)
    messages = green.observed.messages
    for place, seen in enumerate(messages):
        yield Mutation("drop", str(seen.text(green.ladder.bindings)), walk.without(place), walk.index_of_drop(place))
    for place in range(len(messages) - 1):
        touched = " <-> ".join(seen.text(green.ladder.bindings) for seen in messages[place : place + 2])
        yield Mutation("swap", touched, walk.swapped(place), walk.index_of_swap(place))


class _Walk:
    """The observed ladder of a green run, with what follows from a change at each place."""

    def __init__(self, scenario: Scenario, evidence: Evidence, green: Verdict) -> None:
        self._evidence = evidence
        self._messages = green.observed.messages
        self._arrows = [index for index in green.ladder.arrows if index is not None]
        self._expected: dict[int, Arrow] = {arrow.index: arrow for arrow in scenario.ladder.arrows}
        self._optional = set(_optional(scenario.ladder.tree))
        self._free = set(_interleaved(scenario.ladder.tree))

    def without(self, place: int) -> Evidence:
        """Return the evidence without a message."""
        gone = set(self._messages[place].events)
        return replace(
            self._evidence, events=tuple(event for at, event in enumerate(self._evidence.events) if at not in gone)
        )

    def swapped(self, place: int) -> Evidence:
        """Return the evidence with a message and the next one exchanged; RTP stays where it is, as a whole."""
        first, second = self._messages[place : place + 2]
        moves: dict[int, float] = {}
        if first.rtp is None:
            to = second.t if second.rtp is None else self._last(second) + _APART
            moves |= dict.fromkeys(first.events, to - first.t)
        if second.rtp is None:
            to = first.t if first.rtp is None else first.t - _APART
            moves |= dict.fromkeys(second.events, to - second.t)
        events = [replace(event, t=event.t + moves.get(at, 0.0)) for at, event in enumerate(self._evidence.events)]
        return replace(self._evidence, events=tuple(sorted(events, key=lambda event: event.t)))

    def _last(self, seen: Seen) -> float:
        return max(self._evidence.events[at].t for at in seen.events)

    def index_of_drop(self, place: int) -> int | None:
        """Return the arrow that is wrong first once a message is gone."""
        seen, index = self._messages[place], self._arrows[place]
        if _divides(seen):
            before, after = self._rtp_around(place)
            grown = self._too_long(before, self._seconds(after))
        elif self._answers_divider(place):
            before, after = self._rtp_around(self._request_of(place))
            grown = self._too_long(before, min(UNANSWERED, self._seconds(after)))
        else:
            grown = None
        if grown is not None:
            return grown
        return None if index in self._optional else index

    def index_of_swap(self, place: int) -> int | None:
        """Return the arrow that is wrong first once a message and the next one have changed places; None: none is."""
        if (self._arrows[place], self._arrows[place + 1]) in self._free:
            return None
        first, second = self._messages[place : place + 2]
        if self._answers_divider(place) and second.rtp is not None:
            before, _ = self._rtp_around(self._request_of(place))
            grown = self._too_long(before, second.rtp.seconds)
        elif _divides(first) and self._answers_divider(place + 1) and self._request_of(place + 1) == place:
            before, after = self._rtp_around(place)
            grown = self._too_long(before, min(UNANSWERED, self._seconds(after)))
        else:
            grown = None
        return self._arrows[place] if grown is None else grown

    def _rtp_around(self, place: int) -> tuple[int | None, int | None]:
        """Return the places of the RTP arrow that the request at `place` ends, and of the one that follows it."""
        before = after = None
        for at in range(place - 1, -1, -1):
            if self._messages[at].rtp is not None:
                before = at
            if before is not None or _divides(self._messages[at]):
                break
        for at in range(place + 1, len(self._messages)):
            if self._messages[at].rtp is not None:
                after = at
            if after is not None or _divides(self._messages[at]):
                break
        return before, after

    def _request_of(self, place: int) -> int:
        answers = self._messages[place].answers
        return next(at for at, seen in enumerate(self._messages) if not seen.response and seen.answers == answers)

    def _answers_divider(self, place: int) -> bool:
        """Tell whether this is the final response to a request that divides RTP."""
        seen = self._messages[place]
        final = seen.response and seen.words[0] == "SIP" and not str(seen.words[1]).startswith("1")
        return final and {seen.source, seen.target} == {"client", "media"}

    def _seconds(self, place: int | None) -> float:
        rtp = None if place is None else self._messages[place].rtp
        return 0.0 if rtp is None else rtp.seconds

    def _too_long(self, place: int | None, more: float) -> int | None:
        """Return the index of the RTP arrow at `place` where `more` seconds make it too long."""
        if place is None or not more:
            return None
        label = self._expected[self._arrows[place]].rtp
        if label is None:
            return None
        high = label.high.value(self._evidence.world.media_length)
        return self._arrows[place] if self._seconds(place) + more > high else None


def _divides(seen: Seen) -> bool:
    """Tell whether a message is a request between client and media server: those divide RTP."""
    return seen.words[0] == "SIP" and not seen.response and {seen.source, seen.target} == {"client", "media"}


def _optional(node: LadderNode) -> Iterator[int]:
    """Yield the arrows that may be missing alone: each is all that its `opt` holds."""
    match node:
        case Opt(Sequence((Arrow() as arrow,))):
            yield arrow.index
        case Sequence(items):
            for item in items:
                yield from _optional(item)
        case _:
            return


def _interleaved(node: LadderNode) -> Iterator[tuple[int, int]]:
    """Yield the pairs of arrows that may come in either order: they stand in two branches of a `par`."""
    match node:
        case Par(branches):
            inside = [list(_arrows(branch)) for branch in branches]
            for one, other in permutations(inside, 2):
                yield from product(one, other)
        case Sequence(items):
            for item in items:
                yield from _interleaved(item)
        case _:
            return


def _arrows(node: LadderNode) -> Iterator[int]:
    match node:
        case Arrow():
            yield node.index
        case Sequence(items) | Alt(items) | Par(items):
            for item in items:
                yield from _arrows(item)
        case Opt(body) | Loop(body):
            yield from _arrows(body)
