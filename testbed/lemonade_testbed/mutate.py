"""Shows on recorded evidence that the judge reports every missing or misplaced message.

Each observed message is dropped, and each pair of neighbours is swapped. No node runs again: the events of a run that
matched its ladder are changed in memory, and the ladder is matched once more. Which arrow must be reported follows from
the rules of the ladder. In most cases it is the arrow of the changed message. The exception is a SIP request of or to
the client, which divides RTP into arrows: without it the RTP arrow before it becomes too long, and is the first
mismatch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise, permutations, product

from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.matcher import match_ladder
from lemonade_testbed.ladder.model import Alt, Arrow, LadderResult, Loop, Observed, ObservedMessage, Opt, Par, Sequence
from lemonade_testbed.ladder.model import Node as LadderNode
from lemonade_testbed.ladder.observe import observe
from lemonade_testbed.scenario.model import Scenario

UNANSWERED = 0.5
"""Seconds for which RTP counts to the arrow before a dividing request that has no final response after it."""
_APART = 1e-6
"""Seconds: the resolution of the times in a trace."""
Matched = tuple[Observed, LadderResult]


@dataclass(frozen=True)
class Mutation:
    """A change of the evidence, and what the judge must report.

    `kind` is `drop` or `swap`, `touched` is the text of the changed messages, `expected` is the index of the arrow that
    must be reported, or None if the ladder still matches.
    """

    kind: str
    touched: str
    evidence: Evidence
    expected: int | None


@dataclass(frozen=True)
class MutationResult:
    """What the judge reported for a mutation: `reported` is an arrow's index, or None for a ladder that matches."""

    kind: str
    touched: str
    expected: int | None
    reported: int | None

    @property
    def ok(self) -> bool:
        """Whether the judge reported the right arrow."""
        return self.expected == self.reported


class NotGreenError(ValueError):
    """The unchanged evidence does not match its ladder, so a mismatch after a change would show nothing."""


def match_evidence(scenario: Scenario, evidence: Evidence) -> Matched:
    """Return the messages that a run's evidence shows, and their match with the scenario's ladder."""
    observed = observe(evidence, scenario.ladder.named)
    return observed, match_ladder(scenario.ladder, observed, evidence.world.media_length)


def try_mutations(
    scenario: Scenario, evidence: Evidence, match: Callable[[Scenario, Evidence], Matched] = match_evidence
) -> list[MutationResult]:
    """Match the ladder for every mutation of a run's evidence; raises NotGreenError if the unchanged one fails."""
    observed, ladder = match(scenario, evidence)
    if ladder.mismatch is not None:
        raise NotGreenError(f"{scenario.name}: the ladder does not match at arrow {ladder.mismatch.index}")
    results = []
    for mutation in mutations(scenario, evidence, observed, ladder):
        mismatch = match(scenario, mutation.evidence)[1].mismatch
        reported = None if mismatch is None else mismatch.index
        results.append(MutationResult(mutation.kind, mutation.touched, mutation.expected, reported))
    return results


def mutations(scenario: Scenario, evidence: Evidence, observed: Observed, ladder: LadderResult) -> Iterator[Mutation]:
    """Yield every drop and every swap; `observed` and `ladder` are those of the unchanged evidence."""
    walk = _Walk(scenario, evidence, observed, ladder)
    messages = observed.messages
    for place, seen in enumerate(messages):
        yield Mutation("drop", str(seen.text(ladder.bindings)), walk.without(place), walk.index_of_drop(place))
    for place in range(len(messages) - 1):
        touched = " <-> ".join(seen.text(ladder.bindings) for seen in messages[place : place + 2])
        yield Mutation("swap", touched, walk.swapped(place), walk.index_of_swap(place))


class _Walk:
    """The messages of a run that matched its ladder; computes the evidence after a change, and what must be reported.

    A `place` is the position of a message among the observed ones.
    """

    def __init__(self, scenario: Scenario, evidence: Evidence, observed: Observed, ladder: LadderResult) -> None:
        self._evidence = evidence
        self._messages = observed.messages
        self._arrows = [index for index in ladder.arrows if index is not None]
        self._expected: dict[int, Arrow] = {arrow.index: arrow for arrow in scenario.ladder.arrows}
        self._optional = set(_optional(scenario.ladder.tree))
        self._free = set(_interleaved(scenario.ladder.tree))
        self._behind = dict(_passed_over(scenario.ladder.tree))

    def without(self, place: int) -> Evidence:
        """Return the evidence without the events of the message at `place`."""
        gone = set(self._messages[place].events)
        return replace(
            self._evidence, events=tuple(event for at, event in enumerate(self._evidence.events) if at not in gone)
        )

    def swapped(self, place: int) -> Evidence:
        """Return the evidence with the message at `place` and the next one exchanged.

        An RTP stream is not moved: the other message moves to before its start or behind its end.
        """
        first, second = self._messages[place : place + 2]
        moves: dict[int, float] = {}
        if first.rtp is None:
            to = second.t if second.rtp is None else self._last(second) + _APART
            moves |= dict.fromkeys(first.events, to - first.t)
        if second.rtp is None:
            to = first.t if first.rtp is None else first.t - _APART
            moves |= dict.fromkeys(second.events, to - second.t)
            moves |= {at: to - _APART - self._evidence.events[at].t for at in self._data_of(second, first.t)}
        events = [replace(event, t=event.t + moves.get(at, 0.0)) for at, event in enumerate(self._evidence.events)]
        return replace(self._evidence, events=tuple(sorted(events, key=lambda event: event.t)))

    def _data_of(self, seen: ObservedMessage, since: float) -> list[int]:
        """Return the untagged lines before a tagged IMAP response, from `since` on: they are sent with it."""
        if not seen.response or seen.words[0] != "IMAP":
            return []
        tagged = {self._evidence.events[at].node: self._evidence.events[at] for at in seen.events}
        return [
            at
            for at, event in enumerate(self._evidence.events)
            if (end := tagged.get(event.node)) is not None
            and event.kind == "imap"
            and since <= event.t < end.t
            and event.text("text").startswith("*")
            and (event.text("local"), event.text("remote")) == (end.text("local"), end.text("remote"))
        ]

    def _last(self, seen: ObservedMessage) -> float:
        return max(self._evidence.events[at].t for at in seen.events)

    def index_of_drop(self, place: int) -> int | None:
        """Return the index of the first arrow that mismatches without the message at `place`, or None."""
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
        return None if index in self._optional else self._behind.get(index, index)

    def index_of_swap(self, place: int) -> int | None:
        """Return the index of the first arrow that mismatches after the swap of a message with the next, or None."""
        if (self._arrows[place], self._arrows[place + 1]) in self._free:
            return None
        first, second = self._messages[place : place + 2]
        free = _fetches(second) and self._arrows[place] not in self._optional
        if free and any(before.words == second.words for before in self._messages[:place]):
            # moved forward, the message counts as one more fetch of the URL of an earlier arrow; its own arrow is due
            return self._arrows[place + 1]
        if self._answers_divider(place) and second.rtp is not None:
            before, _ = self._rtp_around(self._request_of(place))
            grown = self._too_long(before, second.rtp.seconds)
        elif _divides(first) and self._answers_divider(place + 1) and self._request_of(place + 1) == place:
            before, after = self._rtp_around(place)
            grown = self._too_long(before, min(UNANSWERED, self._seconds(after)))
        else:
            grown = None
        return self._behind.get(self._arrows[place], self._arrows[place]) if grown is None else grown

    def _rtp_around(self, place: int) -> tuple[int | None, int | None]:
        """Return the places of the RTP stream that the request at `place` ends and of the one that follows it.

        Either is None if there is no RTP between that request and the next dividing one.
        """
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
        """Tell whether the message is the final response to a request that divides RTP."""
        seen = self._messages[place]
        final = seen.response and seen.words[0] == "SIP" and not str(seen.words[1]).startswith("1")
        return final and "client" in {seen.source, seen.target}

    def _seconds(self, place: int | None) -> float:
        rtp = None if place is None else self._messages[place].rtp
        return 0.0 if rtp is None else rtp.seconds

    def _too_long(self, place: int | None, more: float) -> int | None:
        """Return the index of the RTP arrow at `place` if `more` seconds of RTP make it too long, else None."""
        if place is None or not more:
            return None
        label = self._expected[self._arrows[place]].rtp
        if label is None:
            return None
        high = label.high.value(self._evidence.world.media_length)
        return self._arrows[place] if self._seconds(place) + more > high else None


def _fetches(seen: ObservedMessage) -> bool:
    """Tell whether a message is a URLFETCH command between a media server and an IMAP server."""
    return not seen.response and seen.words[:2] == ("IMAP", "URLFETCH") and "client" not in {seen.source, seen.target}


def _divides(seen: ObservedMessage) -> bool:
    """Tell whether a message is a SIP request of or to the client: such a request ends an RTP arrow."""
    return seen.words[0] == "SIP" and not seen.response and "client" in {seen.source, seen.target}


def _optional(node: LadderNode) -> Iterator[int]:
    """Yield the indices of the arrows that may be missing alone: each is the only arrow of its `opt`."""
    match node:
        case Opt(Sequence((Arrow() as arrow,))):
            yield arrow.index
        case Sequence(items) | Alt(items) | Par(items):
            for item in items:
                yield from _optional(item)
        case _:
            return


def _passed_over(node: LadderNode) -> Iterator[tuple[int, int]]:
    """Yield, for each `opt` of several arrows, the index of its first arrow and of the arrow behind the `opt`.

    Without its first arrow the `opt` is skipped, and the matcher expects the arrow behind it.
    """
    if isinstance(node, Sequence):
        for item, behind in pairwise(node.items):
            inside = list(_arrows(item)) if isinstance(item, Opt) else []
            if len(inside) > 1 and isinstance(behind, Arrow):
                yield inside[0], behind.index
    if isinstance(node, Sequence | Alt | Par):
        for item in node.items if isinstance(node, Sequence) else node.branches:
            yield from _passed_over(item)


def _interleaved(node: LadderNode) -> Iterator[tuple[int, int]]:
    """Yield the pairs of arrow indices that may come in either order, because two branches of a `par` hold them."""
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
