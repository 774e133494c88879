"""The check `audio heard is the part`: compares what the client received with the part that the ticket names.

The signalling of the run says which part should be heard, from where on, and with which jumps.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from functools import lru_cache

from lemonade_testbed.audio.heard import Heard, hear
from lemonade_testbed.audio.part import MediaPart, UnheardPartError, part_of, part_of_url
from lemonade_testbed.audio.played import ExpectedSound, Played, listen
from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import Fetched, fetched_data, fetched_urls, is_relayed, signals
from lemonade_testbed.checks.playing import Playing, held_times, playings
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.imaptext import LiteralText
from lemonade_testbed.ladder.model import Url
from lemonade_testbed.ladder.streams import read_packets
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

CLAUSES = ("LS-2.1-6", "LS-1-1", "LS-2.8-11")
REQUIREMENT = "the client hears the part, whole and in order, with the jumps and pauses that it asks for"
_REFERENCE_GAIN, _OTHER_GAIN = 1.0, 3.0
"""The gain in dB that is allowed between the part and the sound that was heard.

A reference node only decodes and encodes. The media server of another maker may adjust the level of what it plays.
"""
_SHORT = 1.0
"""Seconds: a playing that is stopped within this time may have no sound at all."""


@dataclass(frozen=True)
class HeardPlaying:
    """A playing, the part that should be heard, and the sound that was heard (None if no packet arrived)."""

    playing: Playing
    part: MediaPart
    played: Played | None


def _heard_is_part(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    """Compare the sound that was heard with the parts that the URLs of the run name."""
    compared, missing = hear_playings(evidence)
    if not any(one.played for one in compared):
        why = missing[0] if missing else "no RTP packet with sound arrived"
        return CheckResult.without_material(REQUIREMENT, "a part that can be heard", why)
    expected = "; ".join(dict.fromkeys(f"{one.part.length:.2f} s of {one.part.content_type}" for one in compared))
    heard = "; ".join(str(one.played) for one in compared if one.played is not None)
    breaches = []
    for one in compared:
        problems = "; ".join(one.played.problems) if one.played is not None else "no packet of a playing arrived"
        if problems:
            node, t = _charged(evidence, one.playing)
            breaches.append(Breach(node, CLAUSES, expected, problems, t))
    seen = "; ".join([f"heard: {heard}", *(breach.seen for breach in breaches)])
    return CheckResult(REQUIREMENT, expected, seen, tuple(breaches))


def _charged(evidence: Evidence, playing: Playing) -> tuple[str, float]:
    """Return the name of the media server that played, and when the playing was over (seconds since 1970).

    The breach has the time of the end because the sound is judged as a whole. A wrong key or a wrong hold of the client
    during the playing then has an earlier time.
    """
    sent = [one for one in read_packets(evidence) if evidence.world.kind_of(one.stream[0]) == "media"]
    last = next((one for one in reversed(sent) if playing.since <= one.t <= playing.until), None)
    if last is not None:
        return last.stream[0], playing.until if math.isfinite(playing.until) else last.t
    t = playing.until if math.isfinite(playing.until) else max(playing.since, evidence.world.started)
    return (sent[0].stream[0] if sent else "media"), t


@lru_cache(maxsize=32)
def hear_playings(evidence: Evidence) -> tuple[tuple[HeardPlaying, ...], tuple[str, ...]]:
    """Compare every playing that was carried out with its part; the second list says why others cannot be judged."""
    compared: list[HeardPlaying] = []
    missing: list[str] = []
    if _is_moved(evidence):
        return (), ("a call that moves to another service is judged by its RTP arrows",)
    holds = held_times(evidence)
    for playing in playings(evidence):
        if playing.response is not None and playing.response.code >= 300:
            continue
        heard = hear((event for event in evidence.events if playing.since < event.t <= playing.until), holds)
        short = playing.call.cut_short and playing.until - playing.since < _SHORT
        if heard is None and (short or math.isinf(playing.since)):
            continue
        try:
            part = _expected_part(evidence, playing, heard)
            played = None if heard is None else listen(part, heard, _call(evidence, playing))
        except UnheardPartError as problem:
            missing.append(str(problem))
            continue
        compared.append(HeardPlaying(playing, part, played))
    return tuple(compared), tuple(missing)


def _is_moved(evidence: Evidence) -> bool:
    """Tell whether a call moves from one service to another: a packet in flight may then belong to either playing."""
    services: dict[str, set[str]] = {}
    for one in signals(evidence):
        if one.message.method == "INVITE" and not one.message.is_response and one.message.service():
            services.setdefault(one.message.call_id, set()).add(one.message.service())
    return any(len(names) > 1 for names in services.values())


def _call(evidence: Evidence, playing: Playing) -> ExpectedSound:
    reference = any(evidence.world.kind_of(event.node) == "media" for event in evidence.of("node"))
    tolerance = _REFERENCE_GAIN if reference else _OTHER_GAIN
    return replace(playing.call, gain_tolerance=max(tolerance, playing.call.gain_tolerance), lossy=is_relayed(evidence))


def _expected_part(evidence: Evidence, playing: Playing, heard: Heard | None) -> MediaPart:
    """Return the sound of a playing from its beginning to its end; raises UnheardPartError if it cannot be known."""
    if playing.request is not None and playing.request.name == "playrecord":
        raise UnheardPartError("a prompt with a beep after it is not compared")
    part = _named_part(evidence, playing)
    times = playing.repeat
    if (times != 1 or math.isfinite(playing.limit)) and playing.call.jumps:
        raise UnheardPartError("jumps within repetitions are not compared")
    if times != 1:
        long_enough = math.ceil((heard.length if heard else 0.0) / max(part.length, 0.1)) + 1
        part = part.repeated(max(1, min(times, long_enough)), playing.delay)
    return part.cut(playing.call.offset + playing.limit) if math.isfinite(playing.limit) else part


def _named_part(evidence: Evidence, playing: Playing) -> MediaPart:
    """Return the part that the URL of a playing names, if the media server got that part by URLFETCH.

    Raises UnheardPartError if there is no such part, or if URLFETCH returned other octets.
    """
    fetched = [one for one in fetched_data(evidence) if one.t <= playing.until]
    url = playing.url or next((str(one.url) for one in reversed(fetched_urls(evidence)) if one.t <= playing.until), "")
    if not url:
        return part_of(evidence.message or b"", "the mail of the run")
    part = part_of_url(evidence.message or b"", url)
    given = [one for one in fetched if Url.parse(one.data.url).agrees(Url.parse(url))]
    if given and not any(_holds(one, part) for one in given):
        raise UnheardPartError("URLFETCH returned other octets than the part's")
    return part


def _holds(fetched: Fetched, part: MediaPart) -> bool:
    content = fetched.data.content
    if isinstance(content, LiteralText):
        return content.size == len(part.octets) and content.sha256 in {"", hashlib.sha256(part.octets).hexdigest()}
    return content is not None and content.encode("utf-8", "surrogateescape") == part.octets


CHECKS = (
    Check(
        "audio heard is the part",
        CLAUSES,
        "what the client received is the part that the ticket names, after the jumps that the keys asked for",
        _heard_is_part,
    ),
)
