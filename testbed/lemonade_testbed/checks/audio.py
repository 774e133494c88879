"""`audio heard is ...`: the ear of the testbed, told by the signalling which jumps to expect."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from lemonade_testbed.audio.heard import hear
from lemonade_testbed.audio.part import MediaPart, UnheardPartError, media_part, part_of
from lemonade_testbed.audio.played import Call, Jump, Played, listen
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.observe import offered_codecs
from lemonade_testbed.ladder.siptext import SipText, mscml_of, pressed_key, read_sip
from lemonade_testbed.ladder.streams import key_arrows, read_packets
from lemonade_testbed.verdict import CheckResult
from lemonade_wire.mscml.request import PlayCollect, Stop
from lemonade_wire.mscml.response import Response

SAME_PRESS = 1.0
"""Seconds within which a key that is told by INFO and in RTP is one press."""
EFFECT = 0.1
"""Seconds within which a key in RTP, which is not answered, has its effect."""
REQUIREMENT = "the client hears the part, whole and in order, with the jumps and pauses that it asks for"


@dataclass(frozen=True)
class Playing:
    """One playing by its signalling: what should be heard, when it ended (seconds since 1970), and its response."""

    call: Call
    until: float = math.inf
    response: Response | None = None


def heard_is_part(evidence: Evidence, reference: Path | None) -> CheckResult:
    """Compare what was heard with `reference` (a mail or a recording), or with the part of the mail of the run."""
    try:
        part = _recording(evidence, reference)
        expected = f"{part.length:.2f} s of {part.content_type}"
        told = hear_playings(evidence, part)
    except UnheardPartError as problem:
        return CheckResult(False, REQUIREMENT, "a part that can be heard", str(problem))
    heard = [played for _, played in told if played is not None]
    if not heard:
        return CheckResult(False, REQUIREMENT, expected, "no RTP packet with sound arrived")
    problems = [problem for played in heard for problem in played.problems]
    problems += ["of a playing nothing arrived"] * (len(told) - len(heard))
    return CheckResult(
        not problems, REQUIREMENT, expected, "; ".join(problems) or f"heard: {'; '.join(map(str, heard))}"
    )


def _recording(evidence: Evidence, reference: Path | None) -> MediaPart:
    if reference is None:
        return part_of(evidence.message or b"", "the mail of the run")
    if reference.suffix == ".eml":
        return media_part(reference)
    return MediaPart(f"audio/{reference.suffix[1:]}", reference.read_bytes())


def hear_playings(evidence: Evidence, part: MediaPart) -> list[tuple[Playing, Played | None]]:
    """Listen to every playing that was carried out; None beside one of which nothing arrived.

    Raises UnheardPartError.
    """
    told = []
    since = -math.inf
    for playing in playings(evidence):
        heard = hear(event for event in evidence.events if since < event.t <= playing.until)
        since = playing.until
        if playing.response is None or playing.response.code < 300:
            told.append((playing, None if heard is None else listen(part, heard, playing.call)))
    return told


def playings(evidence: Evidence) -> list[Playing]:
    """Return what the client's signalling asks for, one playing after the other.

    A playing ends with its response or with the call; a request that came meanwhile waits for that.
    """
    found: list[Playing] = []
    requests: list[PlayCollect] = []
    jumps: dict[str, Jump] = {}
    told: dict[str, tuple[float, str]] = {}
    cut_short, open_ = False, True  # an announcement has no request

    def close(*, cut: bool, until: float = math.inf, response: Response | None = None) -> None:
        prompt = requests.pop(0).prompt if requests else None
        offset = prompt.offset_ms / 1000 if prompt else 0.0
        found.append(Playing(Call(offset, tuple(jumps.values()), cut), until, response))
        jumps.clear()

    for t, message, sent in _moments(evidence):
        if not isinstance(message, SipText):
            if requests and _is_new(message, "RTP", t, told) and (by := _jump(message, requests[0])) is not None:
                jumps[f"RTP {t}"] = Jump(t, t + EFFECT, by)
            continue
        if message.is_response:
            _answered(message, jumps, t)
            continue
        key = pressed_key(message)
        match mscml_of(message):
            case PlayCollect() as content if sent:
                requests.append(content)
                open_ = True
            case Response(request="playcollect", reason=reason) as response if open_:
                close(cut=cut_short or reason != "timeout", until=t, response=response)
                cut_short, open_ = False, bool(requests)
            case Stop():
                cut_short = open_
            case _ if message.method == "BYE" and open_:
                close(cut=sent, until=t)
                cut_short = open_ = False
            case _ if message.method == "INVITE" and message.service() == "annc" and sent:
                open_ = True
            case _ if requests and key is not None and _is_new(key, "INFO", t, told):
                if (by := _jump(key, requests[0])) is not None:
                    jumps[message.cseq] = Jump(t, t, by)
    if open_:
        close(cut=cut_short)
    return found


def _moments(evidence: Evidence) -> list[tuple[float, SipText | str, bool]]:
    """Return the client's SIP messages and the keys that it pressed in RTP, by their times; True: it sent them."""
    moments: list[tuple[float, SipText | str, bool]] = [
        (event.t, read_sip(event.text("text")), event.text("way") == "sent")
        for event in evidence.of("sip", "client")
        if not event.fields.get("resend")
    ]
    keys = key_arrows(read_packets(evidence), offered_codecs(evidence))
    moments += [(seen.t, str(seen.words[2]), True) for seen in keys if seen.source == "client"]
    return sorted(moments, key=lambda moment: moment[0])


def _is_new(key: str, way: str, t: float, told: dict[str, tuple[float, str]]) -> bool:
    """Tell whether a key is a press of its own, and not one that was told the other way just before."""
    last = told.pop(key, None)
    if last is not None and last[1] != way and t - last[0] < SAME_PRESS:
        return False
    told[key] = (t, way)
    return True


def _answered(message: SipText, jumps: dict[str, Jump], time: float) -> None:
    """Note when a key's INFO was answered: it moved the content by then."""
    if message.cseq in jumps:
        jumps[message.cseq] = replace(jumps[message.cseq], answered=time)


def _jump(key: str, request: PlayCollect) -> float | None:
    """Return how far a key asks to go, in seconds; None for what is no such key."""
    if key not in {request.ff_key, request.rw_key}:
        return None
    by = request.skip_interval_ms / 1000
    return by if key == request.ff_key else -by
