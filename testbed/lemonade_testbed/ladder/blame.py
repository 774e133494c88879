"""Charges a mismatch of the ladder to the node that sent the wrong message or left out the right one.

The arrow that was due is not always the one that was broken. A message before its time, an error in place of a success,
and a call that ends too early are charged to their sender.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.matcher import Matcher
from lemonade_testbed.ladder.model import Arrow, LadderResult, Mismatch, Observed, ObservedMessage
from lemonade_testbed.ladder.mscmltext import ResponseText
from lemonade_testbed.ladder.siptext import mscml_of, read_sip

_PATIENCE = 2.0
"""Seconds without the message that was due, after which a client without a trace counts as having given up waiting."""
_CLOSE = 0.25
"""Seconds before a request up to which packets of a stream come, if the request is what ends the stream."""


_ENDS = ("timeout", "EOF")
"""The reasons in a response to a prompt that was played to its end."""


@dataclass(frozen=True)
class Charge:
    """The charge of a mismatch to a node.

    `arrow` is the arrow that the node broke, None for a message that no arrow expects. `expected` and `seen` are in
    words, `t` is in seconds since 1970.
    """

    node: str
    arrow: Arrow | None
    expected: str
    seen: str
    t: float


@dataclass(frozen=True)
class _Case:
    """A mismatch, with all that is needed to charge it."""

    matcher: Matcher
    observed: Observed
    result: LadderResult
    mismatch: Mismatch
    evidence: Evidence

    @property
    def messages(self) -> tuple[ObservedMessage, ...]:
        return self.observed.messages

    @property
    def seen(self) -> ObservedMessage | None:
        return self.messages[self.mismatch.position] if self.mismatch.position < len(self.messages) else None

    @property
    def due(self) -> Arrow | None:
        arrows = self.matcher.ladder.arrows
        return arrows[self.mismatch.index - 1] if self.mismatch.index <= len(arrows) else None

    @property
    def since(self) -> float:
        """The time of the message before the mismatch, or of the last packet of a stream, in seconds since 1970."""
        before = self.messages[: self.mismatch.position]
        if not before:
            return self.evidence.world.started
        packets = before[-1].rtp.packets if before[-1].rtp else ()
        return self.evidence.events[packets[-1]].t if packets else before[-1].t

    def fits(self, arrow: Arrow, seen: ObservedMessage) -> bool:
        return self.matcher.fits(arrow, seen, self.result.bindings)

    def open_arrows(self) -> Iterable[Arrow]:
        """Return the arrows from the due one on that matched no message, in the order of the document."""
        taken = {index for index in self.result.arrows if index is not None}
        return (
            one for one in self.matcher.ladder.arrows if one.index not in taken and one.index >= self.mismatch.index
        )

    def comes_later(self, arrow: Arrow) -> bool:
        return any(self.fits(arrow, later) for later in self.messages[self.mismatch.position + 1 :])

    def text(self, seen: ObservedMessage) -> str:
        return seen.text(self.result.bindings)


def charge_mismatch(matcher: Matcher, observed: Observed, result: LadderResult, evidence: Evidence) -> Charge | None:
    """Return the node and the arrow that the mismatch of `result` is charged to; None if the ladder matches."""
    if result.mismatch is None:
        return None
    case = _Case(matcher, observed, result, result.mismatch, evidence)
    seen, due = case.seen, case.due
    if seen is None:
        return _charge_missing(case, due, "nothing more") if due is not None else None
    if due is None:
        return Charge(seen.source, None, "nothing more", f"one message too many: {case.text(seen)}", seen.t)
    if case.mismatch.how == "out-of-order" and not case.comes_later(due):
        return Charge(seen.source, due, "no such message here", f"after its time: {case.text(seen)}", seen.t)
    early = next((one for one in case.open_arrows() if one is not due and case.fits(one, seen)), None)
    return _charge_unexpected(case, due, seen) if early is None else _charge_early(case, due, seen, early)


def _charge_missing(case: _Case, due: Arrow, instead: str) -> Charge:
    t = case.seen.t if case.seen is not None else max(case.since, case.evidence.world.ended)
    return Charge(due.source, due, case.matcher.words(due), f"missing; seen instead: {instead}", t)


def _charge_awaited(case: _Case, due: Arrow, instead: str) -> Charge:
    """Charge a message for which the client waited until it gave up: it was due right after the message before it."""
    return Charge(due.source, due, case.matcher.words(due), f"missing; seen instead: {instead}", case.since)


def _charge_early(case: _Case, due: Arrow, seen: ObservedMessage, early: Arrow) -> Charge:
    """Charge a message that a later arrow expects: it is too early, or the message that was due is late or missing."""
    text = case.text(seen)
    if case.comes_later(due):
        if seen.source in {due.source, due.target} and not _is_at_its_end(case, due, seen):
            return Charge(seen.source, early, f"{early} after {due}", f"before its time: {text}", seen.t)
        return Charge(due.source, due, case.matcher.words(due), f"late; seen before it: {text}", seen.t)
    by_client = case.evidence.world.kind_of(seen.source) == "client" and seen.source != due.source
    if by_client and not seen.response and _has_given_up(case, seen):
        return _charge_awaited(case, due, text)
    if not by_client or seen.response:
        return _charge_missing(case, due, text)
    return Charge(seen.source, early, f"{early} after {due}", f"before its time: {text}", seen.t)


def _is_at_its_end(case: _Case, due: Arrow, seen: ObservedMessage) -> bool:
    """Tell whether a media server's response comes at the end of its content, before the client begins the step that
    is due: then the client is too late.
    """
    content = mscml_of(read_sip(case.evidence.events[seen.events[0]].text("text"))) if seen.words[0] == "SIP" else None
    if not isinstance(content, ResponseText) or case.evidence.world.kind_of(due.source) != "client":
        return False
    sent = next(later.t for later in case.messages[case.mismatch.position + 1 :] if case.fits(due, later))
    began = [one.t for one in case.evidence.of("step", due.source) if one.text("state") == "started" and one.t <= sent]
    to_the_end = (content.play_offset_ms or 0) / 1000 >= case.evidence.world.media_length - _CLOSE
    return to_the_end and content.reason in _ENDS and bool(began) and max(began) > seen.t


def _has_given_up(case: _Case, seen: ObservedMessage) -> bool:
    """Tell whether the client waited in vain before it went on: its step failed, or it waited for a long time."""
    steps = case.evidence.of("step", seen.source)
    if steps:
        return any(step.text("state") == "failed" and step.t <= seen.t + _CLOSE for step in steps)
    return seen.t - case.since >= _PATIENCE


def _charge_unexpected(case: _Case, due: Arrow, seen: ObservedMessage) -> Charge:
    """Charge a message that fits no arrow: it replaces an expected one, or it is one message too many."""
    meant = next((one for one in case.open_arrows() if _same_kind(one, seen)), None)
    meant = meant or next((one for one in case.open_arrows() if _sent_elsewhere(case, one, seen)), None)
    by_client = case.evidence.world.kind_of(seen.source) == "client"
    if meant is None and by_client and seen.source != due.source and _has_given_up(case, seen):
        return _charge_awaited(case, due, case.text(seen))
    if meant is None and seen.source == due.source and not case.comes_later(due):
        return _charge_missing(case, due, case.text(seen))
    if meant is None:
        seen_text = f"one message too many: {case.text(seen)}"
        return Charge(seen.source, None, case.matcher.words(due), seen_text, seen.t)
    if meant.rtp is not None:
        return _charge_stream(case, meant, seen)
    return Charge(seen.source, meant, case.matcher.words(meant), f"another message: {case.text(seen)}", seen.t)


def _same_kind(arrow: Arrow, seen: ObservedMessage) -> bool:
    """Tell whether a message could replace the one of an arrow: both have the same ends, protocol and method."""
    if (arrow.source, arrow.target, arrow.response) != (seen.source, seen.target, seen.response):
        return False
    if (arrow.rtp is None) != (seen.rtp is None) or arrow.words[0] != seen.words[0]:
        return False
    place = 2 if arrow.response else 1  # the status or result of a response may differ
    return arrow.rtp is not None or arrow.words[place : place + 1] == seen.words[place : place + 1]


def _sent_elsewhere(case: _Case, arrow: Arrow, seen: ObservedMessage) -> bool:
    """Tell whether a message was sent to another node of the role to which the arrow's target belongs."""
    kind_of = case.evidence.world.kind_of
    return kind_of(arrow.target) == kind_of(seen.target) and _same_kind(arrow, replace(seen, target=arrow.target))


def _charge_stream(case: _Case, meant: Arrow, seen: ObservedMessage) -> Charge:
    """Charge a stream that differs from its arrow.

    It is charged to its sender, unless it is too long or too short because the other side ended it at the wrong time.
    """
    charge = Charge(seen.source, meant, case.matcher.words(meant), f"another stream: {case.text(seen)}", seen.t)
    if meant.rtp is None or seen.rtp is None or not case.matcher.rtp_differs_in_length_alone(meant.rtp, seen.rtp):
        return charge
    after = case.messages[case.mismatch.position + 1 :]
    if (key := _wrong_key(case, seen, after)) is not None:
        arrow = next((one for one in case.open_arrows() if _same_kind(one, key)), None)
        seen_text = f"{case.text(key)} in {case.text(seen)}"
        return Charge(key.source, arrow, case.matcher.words(arrow or meant), seen_text, key.t)
    ending = next(
        (one for one in after if one.words[0] == "SIP" and not one.response and _has_same_ends(one, seen)), None
    )
    if ending is None or ending.source == seen.source:
        return charge
    last = case.evidence.events[seen.rtp.packets[-1]].t if seen.rtp.packets else seen.t
    if ending.t - last > _CLOSE:
        return charge
    answer = next((one for one in after if one.response and one.answers == ending.answers), None)
    if answer is None or answer.t - ending.t > _PATIENCE:
        arrows = [one for one in case.open_arrows() if one.response and one.words[-1] == ending.words[1]]
        arrow = next((one for one in arrows if one.source == ending.target), None)
        return Charge(ending.target, arrow, f"an answer to {case.text(ending)}", "none", ending.t)
    arrow = next((one for one in case.open_arrows() if case.fits(one, ending)), None)
    seen_text = f"{case.text(ending)} after {case.text(seen)}"
    return Charge(ending.source, arrow, case.matcher.words(meant), seen_text, ending.t)


def _wrong_key(case: _Case, stream: ObservedMessage, after: Iterable[ObservedMessage]) -> ObservedMessage | None:
    """Return the first key that the receiver of a stream pressed in RTP while it ran, and that no arrow expects.

    RTP of a payload type that no session description has may be a key too.
    """
    packets = stream.rtp.packets if stream.rtp else ()
    until = case.evidence.events[packets[-1]].t + _CLOSE if packets else stream.t
    keys = (one for one in after if _may_be_key(one) and one.source == stream.target and one.t <= until)
    return next((one for one in keys if not any(case.fits(arrow, one) for arrow in case.open_arrows())), None)


def _may_be_key(seen: ObservedMessage) -> bool:
    return seen.words[0] == "RTP" and (seen.words[1] == "telephone-event" or str(seen.words[1]).startswith("PT"))


def _has_same_ends(one: ObservedMessage, other: ObservedMessage) -> bool:
    return {one.source, one.target} == {other.source, other.target}
