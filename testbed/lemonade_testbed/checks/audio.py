"""`audio heard is ...`: the ear of the testbed, told by the signalling which jumps to expect."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
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

    A playing ends with its response or with the call, an announcement also where a re-INVITE that is accepted asks for
    another, or by the first request behind one that moves the call to ivr; a request that came meanwhile waits.
    """
    script = _Script()
    for t, message, sent in _moments(evidence):
        if not isinstance(message, SipText):
            script.press(message, "RTP", t, f"RTP {t}", EFFECT)
        elif message.is_response:
            script.answered(message, t)
        elif (key := pressed_key(message)) is not None:
            script.press(key, "INFO", t, message.cseq)
        else:
            script.told(message, t, sent=sent)
    return script.ended()


@dataclass
class _Script:
    """What was asked for until now; `asked` are the playings that are not over, None an announcement."""

    found: list[Playing] = field(default_factory=list)
    asked: list[PlayCollect | None] = field(default_factory=list)
    inviting: str = ""
    """The INVITE that asks for an announcement and has no final response yet, by call and CSeq."""
    cut_short: bool = False
    jumps: dict[str, Jump] = field(default_factory=dict)
    keys: dict[str, tuple[float, str]] = field(default_factory=dict)
    """When and how each key was told last."""

    def press(self, key: str, way: str, t: float, name: str, effect: float = 0.0) -> None:
        """Note a key: it may move the content, at once or within so many seconds."""
        request = self.asked[0] if self.asked else None
        if request is None or not self._is_new(key, way, t) or key not in {request.ff_key, request.rw_key}:
            return
        by = request.skip_interval_ms / 1000
        self.jumps[name] = Jump(t, t + effect, by if key == request.ff_key else -by)

    def _is_new(self, key: str, way: str, t: float) -> bool:
        """Tell whether a key is a press of its own, and not one that was told the other way just before."""
        last = self.keys.pop(key, None)
        if last is not None and last[1] != way and t - last[0] < SAME_PRESS:
            return False
        self.keys[key] = (t, way)
        return True

    def answered(self, message: SipText, t: float) -> None:
        """Note what an answer says: a key has moved the content by then, an announcement begins or is refused."""
        if message.cseq in self.jumps:
            self.jumps[message.cseq] = replace(self.jumps[message.cseq], answered=t)
        if _name(message) != self.inviting or message.status < "2":
            return
        self.inviting = ""
        if message.status < "3":
            if self.asked[:1] == [None]:
                self._close(t, cut=True)
            self.asked.append(None)

    def told(self, message: SipText, t: float, *, sent: bool) -> None:
        """Take a request that is no key."""
        match mscml_of(message):
            case PlayCollect() as request if sent:
                if self.asked[:1] == [None]:
                    self._close(t, cut=True)
                self.asked.append(request)
            case Response(request="playcollect", reason=reason) as response if self.asked and self.asked[0]:
                self._close(t, cut=self.cut_short or reason != "timeout", response=response)
            case Stop():
                self.cut_short = bool(self.asked)
            case _ if message.method == "INVITE" and sent and message.played_url() is not None:
                self.inviting = _name(message)
            case _ if message.method == "BYE":
                self._assume()
                if self.asked:
                    self._close(t, cut=sent)
                self.asked.clear()

    def ended(self) -> list[Playing]:
        """Return the playings; one may go on until the end of the run."""
        self._assume()
        if self.asked:
            self._close(math.inf, cut=self.cut_short)
        return self.found

    def _assume(self) -> None:
        """Take it that there is an announcement where nothing else was asked for."""
        if not self.found and not self.asked:
            self.asked.append(None)

    def _close(self, until: float, *, cut: bool, response: Response | None = None) -> None:
        request = self.asked.pop(0)
        offset = request.prompt.offset_ms / 1000 if request and request.prompt else 0.0
        self.found.append(Playing(Call(offset, tuple(self.jumps.values()), cut), until, response))
        self.jumps.clear()
        self.cut_short = False


def _name(message: SipText) -> str:
    return f"{message.call_id} {message.cseq}"


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
