"""MSCML requests with their responses, and their attributes as the messages have them (RFC 5022, sections 5 and 10)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import unescape

from lemonade_testbed.checks.facts import Signal, signals
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.siptext import SipText

_STOPPING = frozenset({"INFO", "INVITE", "BYE"})
"""The methods of requests that may stop the playing of an earlier request."""
MSCML = "application/mediaservercontrol+xml"
_ATTRIBUTES = r"((?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*)"
_REQUEST = re.compile(rf"<(?:\w+:)?request\s*>\s*<(?:\w+:)?(\w+){_ATTRIBUTES}")
_RESPONSE = re.compile(rf"<(?:\w+:)?(response){_ATTRIBUTES}")
_KEYPRESS = re.compile(rf"<(?:\w+:)?notification\s*>\s*<(?:\w+:)?(keypress){_ATTRIBUTES}")
_ERROR_INFO = re.compile(rf"<(?:\w+:)?(error_info){_ATTRIBUTES}")
_ATTRIBUTE = re.compile(r"([\w:.-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s)?")


@dataclass(frozen=True)
class MscmlElement:
    """A request, response or notification: its message, the element's name and attributes, and the text of the
    document.
    """

    signal: Signal
    name: str
    attributes: Mapping[str, str]
    body: str

    @property
    def error_info(self) -> Mapping[str, str] | None:
        """The attributes of `<error_info>` in a response; None without that element."""
        found = _ERROR_INFO.search(self.body)
        return _attributes(found[2]) if found else None

    def seconds(self, name: str) -> float | None:
        """Return a time value in seconds (RFC 5022, section 4.2.1); None if it is absent or not valid."""
        found = _TIME.fullmatch(self.attributes.get(name, ""))
        if found is None:
            return None
        return float(found[1]) / (1 if found[2] == "s" else 1000)


@dataclass(frozen=True)
class SipExchange:
    """A response and the request that it answers; the request is None if no request fits."""

    response: MscmlElement
    request: MscmlElement | None


def mscml_requests(evidence: Evidence) -> list[MscmlElement]:
    """Return the MSCML requests that clients sent in INFO, in order of sending; encrypted ones are left out."""
    return [
        found
        for one in signals(evidence)
        if evidence.world.kind_of(one.source) == "client" and (found := _element(one, _REQUEST)) is not None
    ]


def mscml_notifications(evidence: Evidence) -> list[MscmlElement]:
    """Return the notifications of keys that media servers sent, in order of sending."""
    return [
        found
        for one in signals(evidence)
        if evidence.world.kind_of(one.source) == "media" and (found := _element(one, _KEYPRESS)) is not None
    ]


def exchanges(evidence: Evidence) -> list[SipExchange]:
    """Return the responses of media servers in order, each with the request that it answers.

    A response answers the earliest request before it that is not answered yet: one with the same id and name, else one
    with the same name, else any. If more responses than requests have one id, the id is wrong in one of them, and
    responses follow the order of requests. They do so too if a response says that its request was stopped, and nothing
    stopped the request with its id.
    """
    waiting = mscml_requests(evidence)
    responses = [
        said
        for one in signals(evidence)
        if evidence.world.kind_of(one.source) == "media" and (said := _element(one, _RESPONSE)) is not None
    ]
    stops = [
        one.t
        for one in signals(evidence)
        if evidence.world.kind_of(one.source) == "client"
        and one.message.method in _STOPPING
        and not one.message.is_response
    ]
    answers = Counter(map(_identity, responses))
    answers.subtract(_identity(asked) for asked in waiting)
    found: list[SipExchange] = []
    for response in responses:
        request = None
        if not _repeats(response, found, waiting):
            earlier = [asked for asked in waiting if asked.signal.t < response.signal.t]
            request = _answered(response, earlier, by_id=answers[_identity(response)] <= 0, stops=stops)
        if request is not None:
            waiting.remove(request)
        found.append(SipExchange(response, request))
    return found


def _repeats(response: MscmlElement, found: Sequence[SipExchange], waiting: Sequence[MscmlElement]) -> bool:
    """Tell whether a response names a request that is answered already, and no request that is still waiting."""
    said, call = response.attributes, response.signal.message.call_id
    if any(asked.name == said.get("request") and asked.signal.t < response.signal.t for asked in waiting):
        return False
    return any(
        one.request is not None
        and one.request.signal.message.call_id == call
        and (one.request.name, one.request.attributes.get("id")) == (said.get("request"), said.get("id"))
        for one in found
    )


def _identity(element: MscmlElement) -> tuple[str, str | None, str | None]:
    """Return call, name and id of a request, or those that a response names."""
    said = element.attributes
    name = said.get("request") if element.name == "response" else element.name
    return element.signal.message.call_id, name, said.get("id")


def _answered(
    response: MscmlElement, waiting: Sequence[MscmlElement], *, by_id: bool, stops: Sequence[float]
) -> MscmlElement | None:
    said = response.attributes
    named = [asked for asked in waiting if asked.name == said.get("request")]
    same = [asked for asked in named if by_id and asked.attributes.get("id") == said.get("id")]
    if same and said.get("reason") == "stopped":
        same = same if any(same[0].signal.t < t <= response.signal.t for t in stops) else []
    return next(iter(same or named or waiting), None)


def _element(signal: Signal, kind: re.Pattern[str]) -> MscmlElement | None:
    message: SipText = signal.message
    if message.is_response or message.method != "INFO" or message.content_type != MSCML:
        return None
    found = kind.search(message.body)
    return None if found is None else MscmlElement(signal, found[1], _attributes(found[2]), message.body)


def _attributes(text: str) -> dict[str, str]:
    return {name: unescape(double or single) for name, double, single in _ATTRIBUTE.findall(text)}
