"""Checks of session descriptions, and of answers against their offers (RFC 3264, RFC 4566, RFC 3550)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import Signal, answer_to, is_relayed, signals
from lemonade_testbed.checks.sip import Findings, arrived_body, number_of, orders_sdp
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult

_ORIGIN = re.compile(r"(\S+ [0-9]+) ([0-9]+) (IN IP[46] \S+)")
_MEDIA = re.compile(r"(\w+) ([0-9]+)(?:/[0-9]+)? (\S+) (\S.*)")
_TIMES = re.compile(r"t=[0-9]+ [0-9]+")
_ORDER = "vosiuepcbtrzka"
"""The type letters of the lines of a session, in the required order (RFC 4566, section 5)."""
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_FITTING = {
    "sendrecv": _DIRECTIONS,
    "sendonly": ("recvonly", "inactive"),
    "recvonly": ("sendonly", "inactive"),
    "inactive": ("inactive",),
}
"""The directions that an answer may have, for each direction of the offer (RFC 3264, section 6.1)."""
_NOWHERE = "0.0.0.0"  # noqa: S104  the hold of RFC 2543: nothing listens there
_LONGEST_PACKET = 200
"""Milliseconds: the longest packet that a receiver should accept (RFC 3551, section 4.2); a longer ptime is an error.
"""

_DYNAMIC = range(96, 128)
"""The payload types that have no meaning of their own (RFC 3551, section 6)."""

WHOLE = ("RFC4566-5", "RFC4566-5.3", "RFC4566-5.7", "RFC4566-5.7-2", "RFC4566-6", "RFC3550-11", "RFC3264-5")
FITTING = (
    "RFC3264-6", "RFC3264-6-2", "RFC3264-6-3", "RFC3264-6.1", "RFC3264-8", "RFC3264-8.3.2", "RFC4566-5.14",
)  # fmt: skip


@dataclass(frozen=True)
class _Line:
    """One m-line with the lines below it; `direction` is that of the session if the m-line has none."""

    media: str
    port: int
    transport: str
    formats: tuple[str, ...]
    direction: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class _Sdp:
    """A session description in a message; `origin` is the o-line without its version, and `version` is -1 if
    unreadable.
    """

    signal: Signal
    lines: tuple[str, ...]
    origin: str
    version: int
    media: tuple[_Line, ...]


def _described(signal: Signal) -> _Sdp | None:
    if signal.message.content_type != "application/sdp" or not signal.message.body.strip():
        return None
    lines = tuple(line for line in arrived_body(signal.message).split("\n") if line)
    starts = [place for place, line in enumerate(lines) if line.startswith("m=")]
    session = lines[: starts[0]] if starts else lines
    origin = next((line[2:] for line in session if line.startswith("o=")), "")
    found = _ORIGIN.fullmatch(origin)
    media = tuple(_line(lines[start:end], session) for start, end in zip(starts, [*starts[1:], None], strict=False))
    return _Sdp(signal, session, f"{found[1]} {found[3]}" if found else "", int(found[2]) if found else -1, media)


def _line(lines: Sequence[str], session: Sequence[str]) -> _Line:
    found = _MEDIA.fullmatch(lines[0][2:].strip())
    named = [line[2:] for line in (*lines, *session) if line[2:] in _DIRECTIONS]
    direction = named[0] if named else "sendrecv"
    if not found:
        return _Line("", -1, "", (), direction, tuple(lines))
    return _Line(found[1], int(found[2]), found[3], tuple(found[4].split()), direction, tuple(lines))


def _check_descriptions(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    found = Findings()
    all_signals = signals(evidence)
    offers = {id(answer.signal): offer for offer, answer in _exchanges(all_signals)}
    for signal in all_signals:
        described = _described(signal)
        if described is None:
            continue
        if evidence.world.kind_of(signal.source) == "client" and orders_sdp(scenario):
            continue  # the script gives the client its description word for word
        _judge_form(found, described)
        _judge_address(found, described, offers.get(id(signal)), evidence)
        for line in described.media:
            _judge_line(found, described, line)
    return found.result("session descriptions are whole", "whole descriptions", "session description")


def _judge_form(found: Findings, described: _Sdp) -> None:
    kinds = [line[:2] for line in described.lines]
    missing = [kind for kind in ("v=", "o=", "s=", "t=") if kind not in kinds]
    wrong = missing or ([] if described.version >= 0 else ["o="])
    wrong += [] if "v=0" in described.lines or "v=" in missing else ["v="]
    places = [_ORDER.find(kind[:1]) for kind in kinds]
    wrong += ["the order of its lines"] if -1 not in places and places != sorted(places) else []
    wrong += [line for line in described.lines if line.startswith("t=") and not _TIMES.fullmatch(line.rstrip())]
    wrong += [line.lines[0] for line in described.media if line.port < 0]
    wrong += ["CRLF at the end of its lines"] if "\n" in described.signal.message.raw_body.replace("\r\n", "") else []
    expected = "v=, o=, s=, t= and m= lines by the grammar"
    found.expect(not wrong, "RFC4566-5", described.signal, expected, f"missing or not readable: {', '.join(wrong)}")
    named = not any(line.rstrip("\r") == "s=" for line in described.lines)
    found.expect(named, "RFC4566-5.3", described.signal, "s= with a character at least", "s=")
    bare = [one.media for one in described.media if not any(line.startswith("c=") for line in one.lines)]
    own = (*described.lines, *(line for one in described.media for line in one.lines))
    wrong = [line for line in own if line.startswith("c=") and not _fits_family(line)]
    found.expect(not wrong, "RFC4566-5.7", described.signal, "an address of its type", ", ".join(wrong))
    known = "c=" in kinds or not bare
    found.expect(known, "RFC4566-5.7", described.signal, "c= for the session or each m-line", f"none for {bare}")


def _fits_family(line: str) -> bool:
    """Tell whether a c-line names an address of its own type; a host name fits both."""
    words = line.rstrip()[2:].split()
    if len(words) != len(("IN", "IP4", "address")):
        return False
    address = words[2].partition("/")[0]
    is_four, is_six = re.fullmatch(r"[0-9.]+", address) is not None, ":" in address
    return words[0] == "IN" and ((words[1] == "IP4" and not is_six) or (words[1] == "IP6" and not is_four))


def _judge_address(found: Findings, described: _Sdp, offer: _Sdp | None, evidence: Evidence) -> None:
    """Judge that the addresses of accepted m-lines are the sender's own, or the relay's if there is a relay.

    0.0.0.0 is allowed in an offer (RFC 3264, section 8.4), and in the answer to a hold: the offer has it too, or the
    m-line is inactive. `offer` is None if `described` is not an answer.
    """
    if is_relayed(evidence):
        return
    own = evidence.world.roles[described.signal.source].address
    holds = offer is None or any(name == _NOWHERE for name, _ in _addresses(offer))
    literal = [
        name
        for name, direction in _addresses(described)
        if re.fullmatch(r"[0-9.]+", name) and not (name == _NOWHERE and (holds or direction == "inactive"))
    ]
    for name in literal[:1]:
        found.expect(name == own, "RFC4566-5.7-2", described.signal, f"c=IN IP4 {own}", f"c=IN IP4 {name}")


def _addresses(described: _Sdp) -> Iterator[tuple[str, str]]:
    """Yield the addresses of the m-lines that are not rejected, with the direction of the m-line."""
    session = [line for line in described.lines if line.startswith("c=")]
    for medium in described.media:
        for line in ([one for one in medium.lines if one.startswith("c=")] or session) if medium.port > 0 else ():
            yield line.split()[-1].partition("/")[0], medium.direction


def _judge_line(found: Findings, described: _Sdp, line: _Line) -> None:
    if line.port > 0 and line.transport.startswith("RTP/") and not any(one.startswith("a=rtcp:") for one in line.lines):
        seen = f"port {line.port}"
        found.expect(line.port % 2 == 0, "RFC3550-11", described.signal, "an even RTP port", seen)
    directions = [one[2:] for one in line.lines if one[2:] in _DIRECTIONS]
    if directions:
        fits = len(directions) == 1
        found.expect(fits, "RFC3264-5", described.signal, "one direction", " and ".join(directions))
    for one in line.lines:
        if one.startswith("a=ptime:"):
            value = one.partition(":")[2].strip()
            sane = re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", value) is not None and 0 < float(value) <= _LONGEST_PACKET
            expected = f"a ptime of 1 to {_LONGEST_PACKET} ms"
            found.expect(sane, "RFC4566-6", described.signal, expected, one)


def _mappings(line: _Line) -> Iterator[tuple[str, str]]:
    """Yield each dynamic payload type of an accepted m-line, with its `a=rtpmap`; an empty text without one."""
    for number in line.formats if line.port > 0 and line.transport.startswith("RTP/") else ():
        if number.isdecimal() and int(number) in _DYNAMIC:
            found = (re.match(rf"a=rtpmap:{number}\s+(\S+)", one) for one in line.lines)
            yield number, next((one[1].lower().removesuffix("/1") for one in found if one), "")


def _judge_mappings(found: Findings, all_signals: Sequence[Signal]) -> None:
    """Judge that a dynamic payload type has a mapping, and means the same codec in all descriptions of a call.

    The mapping belongs to one m-line of both sides (RFC 3264, section 8.3.2).
    """
    meant: dict[tuple[str, int, str], str] = {}
    for signal in all_signals:
        described = _described(signal)
        for place, line in enumerate(described.media if described else ()):
            for number, codec in _mappings(line):
                seen = f"a=rtpmap:{number} {codec}"
                found.expect(bool(codec), "RFC4566-5.14", signal, f"a=rtpmap:{number}", f"none for {number}")
                first = meant.setdefault((signal.message.call_id, place, number), codec) if codec else ""
                if codec:
                    found.expect(first == codec, "RFC3264-8.3.2", signal, f"a=rtpmap:{number} {first}", seen)


def _check_answers(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    found = Findings()
    all_signals = signals(evidence)
    if not orders_sdp(scenario):
        _judge_mappings(found, all_signals)
    for offer, answer in _exchanges(all_signals):
        wanted, times = _times(offer), _times(answer)
        if wanted and times:
            found.expect(times == wanted, "RFC3264-6-3", answer.signal, wanted, times)
        for offered, answered in zip(offer.media, answer.media, strict=False):
            _judge_answer(found, answer, offered, answered)
    own = orders_sdp(scenario)
    for node in dict.fromkeys(signal.source for signal in all_signals):
        if not (own and evidence.world.kind_of(node) == "client"):
            _judge_versions(found, [one for one in all_signals if one.source == node])
    return found.result("an answer fits its offer, and o= shows each change", "answers by RFC 3264", "answer")


def _exchanges(all_signals: Sequence[Signal]) -> Iterator[tuple[_Sdp, _Sdp]]:
    """Yield each offer with its answer: in INVITE and 2xx, or in 2xx and ACK if the INVITE has no offer."""
    for invite in all_signals:
        accepted = answer_to(invite, all_signals) if invite.message.method == "INVITE" else None
        if invite.message.is_response or accepted is None:
            continue
        offer, answer = _described(invite), _described(accepted)
        if offer is None:
            acks = (one for one in all_signals if one.source == invite.source and one.message.method == "ACK")
            same = (one for one in acks if one.message.call_id == invite.message.call_id)
            ack = next((one for one in same if number_of(one.message) == number_of(invite.message)), None)
            offer, answer = answer, _described(ack) if ack else None
        if offer is not None and answer is not None:
            yield offer, answer


def _times(described: _Sdp) -> str:
    return " ".join(line.rstrip() for line in described.lines if line.startswith("t="))


def _judge_answer(found: Findings, answer: _Sdp, offered: _Line, answered: _Line) -> None:
    signal = answer.signal
    same = (offered.media, offered.transport) == (answered.media, answered.transport)
    seen = f"{answered.media} {answered.transport}"
    found.expect(same, "RFC3264-6", signal, f"{offered.media} {offered.transport}", seen)
    if offered.port == 0:
        found.expect(answered.port == 0, "RFC3264-6", signal, "port 0 for a line offered with 0", str(answered.port))
    if answered.port <= 0 or offered.port <= 0:
        return
    common = {one for one in set(offered.formats) & set(answered.formats) if _is_same(one, offered, answered)}
    expected = f"one of the formats {' '.join(offered.formats)}"
    found.expect(bool(common), "RFC3264-6-2", signal, expected, " ".join(answered.formats))
    fitting = _FITTING[offered.direction]
    fits = answered.direction in fitting
    expected = f"{' or '.join(fitting)} for {offered.direction}"
    found.expect(fits, "RFC3264-6.1", signal, expected, answered.direction)


def _is_same(number: str, offered: _Line, answered: _Line) -> bool:
    """Tell whether a payload type means the same codec in offer and answer, if both say what it means."""
    meant = [
        (found[1].lower(), found[2])
        for line in (offered, answered)
        for one in line.lines
        if (found := re.match(rf"a=rtpmap:{number} ([^/\s]+)/([0-9]+)", one))
    ]
    return len(set(meant)) < 2


def _judge_versions(found: Findings, sent: Sequence[Signal]) -> None:
    """Judge the o-lines of a node in each call: the session is the same, and each change raises its version by one."""
    last: dict[str, _Sdp] = {}
    for signal in sent:
        described = _described(signal)
        if described is None:
            continue
        before = last.get(signal.message.call_id)
        last[signal.message.call_id] = described
        if before is None or not before.origin or signal.message.status.startswith("1"):
            continue
        changed = _content(before) != _content(described)
        wanted = before.version + changed
        fits = (described.origin, described.version) == (before.origin, wanted)
        expected = f"session {before.origin}, version {wanted}"
        found.expect(fits, "RFC3264-8", signal, expected, f"session {described.origin}, version {described.version}")


def _content(described: _Sdp) -> tuple[object, ...]:
    """Return all of a description but its o-line."""
    return tuple(line for line in described.lines if not line.startswith("o=")), described.media


CHECKS = (
    Check(
        "session descriptions are whole",
        WHOLE,
        "each has its v=, o=, s=, c=, t= and m= lines, even RTP ports, one direction and a possible ptime",
        _check_descriptions,
    ),
    Check(
        "answers fit their offers",
        FITTING,
        "media, transport, format, direction, port and t= of an answer, and the version in o=, are as in RFC 3264",
        _check_answers,
    ),
)
