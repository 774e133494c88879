"""The playings that the client's signalling asks for, in order, each with its keys, its end and its response."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache

from lemonade_testbed.audio.played import ExpectedSound, Jump
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.mscmltext import PlayCollectText, PromptText, RequestText, ResponseText
from lemonade_testbed.ladder.observe import offered_codecs
from lemonade_testbed.ladder.siptext import SipText, holds, mscml_of, pressed_key, prompt_url, read_sip
from lemonade_testbed.ladder.streams import key_arrows, read_packets

SAME_PRESS = 1.0
"""Seconds within which a key by INFO and a key in RTP are the same press."""
EFFECT = 0.1
"""Seconds within which a key in RTP takes effect; no message answers such a key."""
_RESUMES = 1.0
"""Seconds after the offer that ends a hold within which the sound continues."""
_FOREVER = 1000
_WHOLE = frozenset({"timeout", "EOF"})
"""The reasons in a response to a prompt that was played to its end."""
_PLAYS = frozenset({"play", "playcollect", "playrecord"})
_GAIN = re.compile(r"\bgain(?:delta)?\s*=\s*[\"']\s*[+-]?0*[1-9]")


@dataclass(frozen=True)
class Playing:
    """One playing as the signalling shows it: expected sound, start and end (seconds since 1970), and response.

    `url` is the content, empty if it cannot be read. It is played `repeat` times with `delay` seconds of silence
    between, for `limit` seconds at most. `request` is the request for it, None for an announcement. `keys` are those
    that were pressed while it ran.
    """

    call: ExpectedSound
    until: float = math.inf
    response: ResponseText | None = None
    since: float = -math.inf
    url: str = ""
    repeat: int = 1
    delay: float = 0.0
    limit: float = math.inf
    request: RequestText | None = None
    keys: tuple[str, ...] = ()


@dataclass
class _Open:
    """A playing that is running, or that waits for the one before it."""

    since: float
    request: RequestText | None = None
    url: str = ""
    parameters: str = ""
    jumps: dict[str, Jump] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    cut_short: bool = False
    levelled: bool = False
    """Whether the request asks for a gain other than 0 dB."""

    def close(self, since: float, until: float, response: ResponseText | None, *, cut: bool) -> Playing:
        """Return the playing with what is known of it at its end."""
        prompt = (self.request.prompt if self.request else None) or PromptText(())
        tolerance = math.inf if self.levelled else ExpectedSound().gain_tolerance
        call = ExpectedSound(
            _seconds(prompt.offset_ms, 0), tuple(self.jumps.values()), cut or self.cut_short, tolerance
        )
        playing = Playing(
            call, until, response, max(since, self.since), self.url, request=self.request, keys=tuple(self.keys)
        )
        if self.request is not None:
            repeat = _FOREVER if prompt.repeat == "infinite" else int(_number(prompt.repeat, 1)) or 1
            delay, limit = _seconds(prompt.delay_ms, 0), _seconds(prompt.duration_ms, math.inf)
            return replace(playing, repeat=repeat, delay=delay, limit=limit)
        found = dict(re.findall(r";(repeat|delay|duration)=([^;?]*)", self.parameters.lower()))
        repeat = _FOREVER if found.get("repeat") == "forever" else int(_number(found.get("repeat"), 1))
        delay, limit = _number(found.get("delay"), 0) / 1000, _number(found.get("duration"), math.inf) / 1000
        return replace(playing, repeat=repeat, delay=delay, limit=limit)


def _seconds(milliseconds: float, default: float) -> float:
    return default if math.isnan(milliseconds) else milliseconds / 1000


def _number(text: str | None, default: float) -> float:
    return float(text) if text and text.isascii() and text.isdigit() else default


class _Reader:
    """Follows the SIP messages and the keys of the client."""

    def __init__(self) -> None:
        self.found: list[Playing] = []
        # Until a message starts a playing, one may be running already: encrypted requests cannot be read.
        self._current: _Open | None = _Open(-math.inf)
        self._waiting: list[_Open] = []
        self._offers: dict[tuple[str, str], _Open | None] = {}
        self._end = -math.inf
        self._reported: dict[str, tuple[float, str]] = {}

    def sip(self, message: SipText, t: float, *, sent: bool) -> None:
        """Take a SIP message that the client sent or received."""
        content = mscml_of(message)
        current = self._current
        if message.is_response:
            self._answered(message, t, sent=sent)
        elif message.method == "BYE":
            self._waiting = []
            self._close(t, cut=sent)
        elif message.method == "INVITE" and sent:
            self._invited(message, t)
        elif isinstance(content, RequestText) and content.name == "stop" and current is not None:
            current.cut_short = True
        elif isinstance(content, RequestText) and content.name in _PLAYS and sent:
            self._forget_unknown()
            self._waiting.append(
                _Open(t, content, prompt_url(content) or "", levelled=bool(_GAIN.search(message.body)))
            )
            self._next()
        elif isinstance(content, ResponseText) and current is not None and _answers(content, current):
            self._close(t, content, cut=content.reason not in _WHOLE)
        elif (key := pressed_key(message)) is not None and sent:
            self.key(key, "INFO", t, message.cseq)

    def key(self, key: str, way: str, t: float, name: str) -> None:
        """Take a key that the client pressed.

        `way` is INFO or RTP. `name` is the CSeq of the INFO, by which the answer to it is found.
        """
        current = self._current
        if not _is_new(key, way, t, self._reported) or current is None or current.request is None:
            return
        current.keys.append(key)
        if (by := _jump(key, current.request)) is not None:
            current.jumps[name] = Jump(t, t + (EFFECT if way == "RTP" else 0), by)

    def finish(self) -> list[Playing]:
        """Return all playings; one that is still running has no end."""
        self._close(math.inf, cut=False)
        return self.found

    def _invited(self, message: SipText, t: float) -> None:
        url = message.played_url()
        if url is not None:
            self._forget_unknown()
            self._offers[message.call_id, message.cseq] = _Open(t, url=url, parameters=message.uri)
        elif message.service() == "ivr":
            self._offers[message.call_id, message.cseq] = None

    def _answered(self, message: SipText, t: float, *, sent: bool) -> None:
        current, key = self._current, (message.call_id, message.cseq)
        if message.method == "INVITE" and key in self._offers and not sent and message.status[:1] != "1":
            offered = self._offers.pop(key)
            if message.status[:1] != "2":
                return
            if offered is not None:
                self._waiting.append(offered)
            if current is not None and current.url and current.request is None:
                self._close(t + EFFECT / 2, cut=True)  # the call moved to another service, or to other content
            self._next()
        elif current is not None and message.cseq in current.jumps:
            current.jumps[message.cseq] = replace(current.jumps[message.cseq], answered=t)

    def _forget_unknown(self) -> None:
        """Note that the signalling can be read, so that only what it asks for is played."""
        if self._current is not None and self._current.since == -math.inf:
            self._current = None

    def _close(self, until: float, response: ResponseText | None = None, *, cut: bool) -> None:
        if self._current is not None:
            self.found.append(self._current.close(self._end, until, response, cut=cut))
            self._end, self._current = until, None
        self._next()

    def _next(self) -> None:
        if self._current is None and self._waiting:
            self._current = self._waiting.pop(0)


@lru_cache(maxsize=32)
def playings(evidence: Evidence) -> tuple[Playing, ...]:
    """Return the playings that the client's signalling asks for, in order.

    A playing ends with its response or with the call; a request that comes before that waits.
    """
    reader = _Reader()
    for t, message, sent in _moments(evidence):
        if isinstance(message, SipText):
            reader.sip(message, t, sent=sent)
        else:
            reader.key(message, "RTP", t, f"RTP {t}")
    return tuple(reader.finish())


def pressed_keys(evidence: Evidence) -> list[tuple[float, str]]:
    """Return the keys that the client pressed, with their times (seconds since 1970); each press counts once."""
    reported: dict[str, tuple[float, str]] = {}
    found = []
    for t, message, sent in _moments(evidence):
        is_sip = isinstance(message, SipText)
        key = message if not isinstance(message, SipText) else pressed_key(message) if sent else None
        if key is not None and _is_new(key, "INFO" if is_sip else "RTP", t, reported):
            found.append((t, key))
    return found


@lru_cache(maxsize=32)
def held_times(evidence: Evidence) -> tuple[tuple[float, float], ...]:
    """Return the periods (from, to, in seconds since 1970) in which the client's description accepts no media."""
    times: list[tuple[float, float]] = []
    since: float | None = None
    for t, message, sent in _moments(evidence):
        if not isinstance(message, SipText) or message.is_response or message.method != "INVITE" or not sent:
            continue
        if since is not None:
            times.append((since, t + _RESUMES))
        since = t if holds(message) else None
    return tuple(times) if since is None else (*times, (since, math.inf))


def _moments(evidence: Evidence) -> list[tuple[float, SipText | str, bool]]:
    """Return the SIP messages of the client and its keys in RTP in order of time; True if the client sent it.

    A message counts once, whether or not the trace says which of its copies are retransmissions.
    """
    first = {
        (event.text("way"), event.text("text")): event
        for event in reversed(evidence.of("sip"))
        if evidence.world.kind_of(event.node) == "client" and not event.fields.get("resend")
    }
    moments: list[tuple[float, SipText | str, bool]] = [
        (event.t, read_sip(text), way == "sent") for (way, text), event in first.items()
    ]
    keys = key_arrows(read_packets(evidence), offered_codecs(evidence))
    moments += [(one.t, str(one.words[2]), True) for one in keys if evidence.world.kind_of(one.source) == "client"]
    return sorted(moments, key=lambda moment: moment[0])


def _is_new(key: str, way: str, t: float, reported: dict[str, tuple[float, str]]) -> bool:
    """Tell whether a key is a new press, and not the one that was just reported the other way."""
    last = reported.pop(key, None)
    if last is not None and last[1] != way and t - last[0] < SAME_PRESS:
        return False
    reported[key] = (t, way)
    return True


def _answers(response: ResponseText, playing: _Open) -> bool:
    return playing.request is not None and response.request == playing.request.name


def _jump(key: str, request: RequestText) -> float | None:
    """Return by how many seconds a key moves the position; None if the key does not."""
    if not isinstance(request, PlayCollectText) or key not in {request.ff_key, request.rw_key}:
        return None
    by = request.skip_interval_ms / 1000
    return by if key == request.ff_key else -by
