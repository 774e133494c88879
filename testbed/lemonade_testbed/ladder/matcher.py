"""Matches an observed ladder with an expected one, message by message.

The matcher computes what may still come after each message (partial derivatives of the expected tree). It follows all
ways of reading the messages at once, in the order of the document. The result is therefore the same every time, and a
mismatch can name the arrow that was due.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from lemonade_testbed.ladder.model import (
    Alt,
    Arrow,
    Bindings,
    Bound,
    Ladder,
    LadderResult,
    Loop,
    Mismatch,
    Node,
    Observed,
    ObservedMessage,
    Opt,
    Par,
    RtpLabel,
    RtpSeen,
    Sequence,
    Url,
    arrows_of,
)
from lemonade_testbed.ladder.parser import STATUS

_EPSILON = 1e-6
_AROUND = 3
How = Literal["missing", "extra", "out-of-order", "changed"]


@dataclass(frozen=True)
class _State:
    """One way of reading the messages so far: what may still come, the URLs of names, and the arrows that matched."""

    rest: Node
    names: tuple[tuple[str, Url], ...] = ()
    trail: tuple[int, ...] = ()


@dataclass(frozen=True)
class Matcher:
    """Matches observed ladders with one expected ladder; `media_length` is the value of `media` in RTP labels, in
    seconds.
    """

    ladder: Ladder
    media_length: float = 0.0
    _arrows: tuple[Arrow, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_arrows", self.ladder.arrows)

    def match(self, observed: Observed) -> LadderResult:
        """Match all messages; the result names the first place where they differ from the ladder, if there is one."""
        states = [_State(self.ladder.tree)]
        for position, seen in enumerate(observed.messages):
            after = self._advance(states, seen)
            after = after or _fetched_again(states, seen, observed.messages[:position])
            if not after:
                return self._failed(states[0], observed.messages, position)
            states = after
        complete = next((state for state in states if _nullable(state.rest)), None)
        if complete is None:
            return self._failed(states[0], observed.messages, len(observed.messages))
        return LadderResult(complete.trail, dict(complete.names))

    def _advance(self, states: list[_State], seen: ObservedMessage) -> list[_State]:
        after: dict[tuple[Node, tuple[tuple[str, Url], ...]], _State] = {}
        for state in states:
            for arrow, rest in _derive(state.rest):
                names = self._fits(arrow, seen, state.names)
                if names is not None:
                    after.setdefault((rest, names), _State(rest, names, (*state.trail, arrow.index)))
        return list(after.values())

    def _fits(
        self, arrow: Arrow, seen: ObservedMessage, names: tuple[tuple[str, Url], ...]
    ) -> tuple[tuple[str, Url], ...] | None:
        """Return the names after `arrow` matched `seen`, or None if it does not match."""
        if (arrow.source, arrow.target, arrow.response) != (seen.source, seen.target, seen.response):
            return None
        if arrow.rtp is not None or seen.rtp is not None:
            fits = arrow.rtp is not None and seen.rtp is not None and self._rtp_fits(arrow.rtp, seen.rtp)
            return names if fits else None
        if len(arrow.words) != len(seen.words):
            return None
        bound = dict(names)
        for want, have in zip(arrow.words, seen.words, strict=True):
            if want.startswith("$"):
                url = have if isinstance(have, Url) else Url(have)
                if want in bound and not bound[want].agrees(url):
                    return None
                bound[want] = bound[want].merged(url) if want in bound else url
            elif not (isinstance(have, str) and _word_fits(want, have)):
                return None
        return tuple(bound.items())

    def _rtp_fits(self, want: RtpLabel, have: RtpSeen) -> bool:
        low, high = (bound.value(self.media_length) for bound in (want.low, want.high))
        return (
            want.codec.lower() == have.codec.lower()
            and low - _EPSILON <= have.seconds <= high + _EPSILON
            and want.continued == have.continued
            and not have.broken
        )

    def fits(self, arrow: Arrow, seen: ObservedMessage, names: Bindings) -> bool:
        """Tell whether an arrow matches a message if names (`$name`) already stand for URLs."""
        return self._fits(arrow, seen, tuple(names.items())) is not None

    def words(self, arrow: Arrow) -> str:
        """Return an arrow as written; for an arrow of RTP also its bounds in seconds."""
        if arrow.rtp is None:
            return str(arrow)
        low, high = (bound.value(self.media_length) for bound in (arrow.rtp.low, arrow.rtp.high))
        return f"{arrow} (from {low:.2f} s to {high:.2f} s)"

    def rtp_differs_in_length_alone(self, want: RtpLabel, have: RtpSeen) -> bool:
        """Tell whether a stream differs from a label in its length alone."""
        exact = RtpLabel(want.codec, Bound(have.seconds), Bound(have.seconds), want.continued)
        return not self._rtp_fits(want, have) and self._rtp_fits(exact, have)

    def _failed(self, state: _State, messages: tuple[ObservedMessage, ...], position: int) -> LadderResult:
        seen = messages[position] if position < len(messages) else None
        due = self._due(state.rest, seen, state.names)
        index = due.index if due is not None else len(self._arrows) + 1
        how, index = self._explain(state, messages, position, index)
        wanted = tuple(dict.fromkeys(str(arrow) for arrow, _ in _derive(state.rest)))
        if index <= len(self._arrows) and str(self._arrows[index - 1]) not in wanted:
            wanted = (str(self._arrows[index - 1]), *wanted)
        names = dict(state.names)
        arrows: tuple[int | None, ...] = (*state.trail, *([None] * (len(messages) - position)))
        around = tuple(self._lines_around(index, messages, position, names))
        text = seen.text(names) if seen is not None else "nothing more"
        return LadderResult(arrows, names, Mismatch(index, position, how, wanted, text, around))

    def _due(self, rest: Node, seen: ObservedMessage | None, names: tuple[tuple[str, Url], ...]) -> Arrow | None:
        """Return the arrow that was due: the first one that must come, in the block to which `seen` belongs."""
        match rest:
            case Arrow():
                return rest
            case Sequence(items):
                for item in items:
                    if not _nullable(item) or self._can_match(item, seen, names):
                        return self._due(item, seen, names)
                return None
            case Opt(body) | Loop(body):
                return self._due(body, seen, names)
            case Alt(branches) | Par(branches):
                meant = [branch for branch in branches if self._can_match(branch, seen, names)]
                open_ones = [branch for branch in branches if not _nullable(branch)]
                chosen = meant[:1] or open_ones[:1]
                return self._due(chosen[0], seen, names) if chosen else None

    def _can_match(self, node: Node, seen: ObservedMessage | None, names: tuple[tuple[str, Url], ...]) -> bool:
        return seen is not None and any(self._fits(arrow, seen, names) is not None for arrow in arrows_of(node))

    def _explain(
        self, state: _State, messages: tuple[ObservedMessage, ...], position: int, index: int
    ) -> tuple[How, int]:
        """Return what is wrong with the message at `position`, and the index of the arrow that was not satisfied."""
        if position >= len(messages):
            return "missing", index
        seen = messages[position]
        skipped = next(
            (
                arrow.index
                for arrow in self._arrows[: index - 1]
                if arrow.index not in state.trail and self._fits(arrow, seen, state.names) is not None
            ),
            None,
        )
        if skipped is not None and max(state.trail, default=0) > skipped:
            return "out-of-order", skipped  # an optional arrow, whose message came too late
        if index > len(self._arrows):
            return "extra", index
        due_comes = any(
            self._fits(self._arrows[index - 1], later, state.names) is not None for later in messages[position + 1 :]
        )
        due_later = any(self._fits(arrow, seen, state.names) is not None for arrow in self._arrows[index:])
        if due_comes:
            return ("out-of-order" if due_later else "extra"), index
        return ("missing" if due_later else "changed"), index

    def _lines_around(
        self, index: int, messages: tuple[ObservedMessage, ...], position: int, names: dict[str, Url]
    ) -> Iterator[str]:
        yield "expected:"
        for arrow in self._arrows[max(0, index - 1 - _AROUND) : index + _AROUND]:
            yield f"{'>' if arrow.index == index else ' '} {arrow.index:3} {arrow}"
        if index > len(self._arrows):
            yield ">     nothing more"
        yield "seen:"
        for place in range(max(0, position - _AROUND), min(len(messages), position + _AROUND + 1)):
            yield f"{'>' if place == position else ' '} {place + 1:3} {messages[place].text(names)}"
        if position >= len(messages):
            yield ">     nothing more"


def _fetched_again(states: list[_State], seen: ObservedMessage, before: tuple[ObservedMessage, ...]) -> list[_State]:
    """Return the states after a repeated URLFETCH of the media server, or after the answer to it; none for a first one.

    The arrow that matched the first one matches the repeated one too: a media server may fetch a URL as often as it
    likes.
    """
    label = (seen.source, seen.target, seen.response, seen.words)
    if "URLFETCH" not in seen.words or "client" in {seen.source, seen.target}:
        return []
    places = [place for place, one in enumerate(before) if (one.source, one.target, one.response, one.words) == label]
    return [replace(state, trail=(*state.trail, state.trail[places[-1]])) for state in states] if places else []


def match_ladder(ladder: Ladder, observed: Observed, media_length: float = 0.0) -> LadderResult:
    """Match an observed ladder with the expected one."""
    return Matcher(ladder, media_length).match(observed)


def _word_fits(want: str, have: str) -> bool:
    return want == have or (want.endswith("xx") and STATUS.fullmatch(want) is not None and have[:1] == want[0])


def _nullable(node: Node) -> bool:
    match node:
        case Arrow():
            return False
        case Sequence(items):
            return all(map(_nullable, items))
        case Opt():
            return True
        case Loop(body):
            return _nullable(body)
        case Alt(branches):
            return any(map(_nullable, branches))
        case Par(branches):
            return all(map(_nullable, branches))


def _derive(node: Node) -> Iterator[tuple[Arrow, Node]]:
    """Yield every arrow that may come next, in the order of the document, with what may follow it."""
    match node:
        case Arrow():
            yield node, Sequence()
        case Sequence(items):
            for place, item in enumerate(items):
                for arrow, rest in _derive(item):
                    yield arrow, _join(rest, items[place + 1 :])
                if not _nullable(item):
                    return
        case Opt(body):
            yield from _derive(body)
        case Alt(branches):
            for branch in branches:
                yield from _derive(branch)
        case Loop(body):
            for arrow, rest in _derive(body):
                yield arrow, _join(rest, (Opt(Sequence((node,))),))
        case Par(branches):
            yield from _derive_par(branches)


def _derive_par(branches: tuple[Sequence, ...]) -> Iterator[tuple[Arrow, Node]]:
    for place, branch in enumerate(branches):
        for arrow, rest in _derive(branch):
            others = (*branches[:place], _join(rest, ()), *branches[place + 1 :])
            yield arrow, Par(tuple(other for other in others if other.items))


def _join(first: Node, items: tuple[Node, ...]) -> Sequence:
    """Join two sequences without empty items between, so that equal rests compare equal."""
    head = first.items if isinstance(first, Sequence) else (first,)
    return Sequence(tuple(item for item in (*head, *items) if not (isinstance(item, Sequence | Par) and _empty(item))))


def _empty(node: Sequence | Par) -> bool:
    return not (node.items if isinstance(node, Sequence) else node.branches)
