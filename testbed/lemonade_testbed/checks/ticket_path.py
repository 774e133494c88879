"""Follows an authorised URL through a run: lists every message and log line that has it, and where it changed.

If the URL differs from where it was seen before, the first octet that differs is reported. A URL's token is never
shown, only its fingerprint.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from lemonade_testbed.checks.facts import imap_commands, imap_data
from lemonade_testbed.evidence import Event, Evidence
from lemonade_testbed.ladder.imaptext import first_url, read_genurlauth, read_urlfetch, tokens
from lemonade_testbed.ladder.model import Url
from lemonade_testbed.ladder.observe import literals_of, observe_sip
from lemonade_testbed.ladder.siptext import mscml_of, prompt_url, read_sip

_IN_LOG = re.compile(r"(play=)?(imap(?::|%3A)//[^\s\"'<>]+)", re.IGNORECASE)
_AROUND = 12


@dataclass(frozen=True)
class TicketSighting:
    """One message or log line that has a URL.

    `t` is its time in seconds since 1970, None if a log line has none; `what` says what it is; `source` is the packet,
    or the trace or log and its line.
    """

    t: float | None
    what: str
    source: str
    url: Url


def ticket_way(evidence: Evidence) -> list[TicketSighting]:
    """Return all sightings of the run's URLs: in GENURLAUTH's answers, in SIP requests, in URLFETCH, and in logs."""
    return [*_authorised(evidence), *_played(evidence), *_fetched(evidence), *_logged(evidence)]


def _source(event: Event) -> str:
    return f"packet {event.number('packet')}" if event.number("packet") else f"trace of {event.node}, {event.n}"


def _authorised(evidence: Evidence) -> Iterator[TicketSighting]:
    for event in imap_data(evidence, "client"):
        if url := read_genurlauth(event.text("text"), literals_of(event)):
            yield TicketSighting(
                event.t, "authorised: GENURLAUTH's answer to the client", _source(event), Url.parse(url)
            )


def _played(evidence: Evidence) -> Iterator[TicketSighting]:
    for seen in observe_sip(evidence)[0]:
        event = evidence.events[seen.events[0]]
        message = read_sip(event.text("text"))
        if message.is_response or seen.source != "client":
            continue
        if message.method == "INVITE" and (url := message.played_url()):
            yield TicketSighting(seen.t, "played: play= of the client's INVITE", _source(event), Url.parse(url))
        elif url := prompt_url(mscml_of(message)):
            yield TicketSighting(seen.t, "played: <audio url> of the client's INFO", _source(event), Url.parse(url))


def _fetched(evidence: Evidence) -> Iterator[TicketSighting]:
    for event, command in imap_commands(evidence, "media"):
        url = first_url(tokens(command.rest, literals_of(event))) if command.name == "URLFETCH" else None
        if url:
            yield TicketSighting(event.t, "fetched: the media server's URLFETCH", _source(event), Url.parse(url))
    for event in imap_data(evidence, "media"):
        for data in read_urlfetch(event.text("text"), literals_of(event)):
            if data.url:
                yield TicketSighting(event.t, "answered: URLFETCH's answer", _source(event), Url.parse(data.url))


def _logged(evidence: Evidence) -> Iterator[TicketSighting]:
    times = {event.text("text"): event.t for event in evidence.of("log")}
    listed: set[tuple[str, Url]] = set()
    for name, text in sorted(evidence.files.items()):
        for number, line in enumerate(text.splitlines() if name.endswith(".log") else (), 1):
            for parameter, found in _IN_LOG.findall(line):
                url = Url.parse(unquote(found.partition(";")[0]) if parameter else found.rstrip(".,;:)]"))
                if (name, url) not in listed:
                    listed.add((name, url))
                    yield TicketSighting(times.get(line), f"logged by the {name.removesuffix('.log')} node",
                                f"{name}, line {number}", url)  # fmt: skip


def nearest(url: Url, among: Sequence[Url]) -> Url | None:
    """Return the URL of `among` that equals `url`, or else shares its longest beginning; None if `among` is empty."""
    agreeing = next((one for one in among if url.agrees(one)), None)
    return agreeing or max(among, key=lambda one: _common(_octets(url), _octets(one)), default=None)


def difference(url: Url, before: Url) -> str:
    """Return a sentence on where `url` first differs from what it was before, or an empty text if it does not.

    Octets are counted from 1. Of tokens only the fingerprints are known; if these differ, the first octet of the token
    is named.
    """
    here, there = _octets(url), _octets(before)
    if url.text != before.text:
        at = _common(here, there)
        return f"the first octet that differs is {at + 1}: {_shown(here, at)} here, {_shown(there, at)} before"
    if url.agrees(before) and url.token == before.token:
        return ""
    if url.token is None or before.token is None:
        which = "has no token" if url.token is None else "had no token before"
        return f"the same up to octet {len(here)}, and {which}"
    if url.mark != before.mark:
        at = len(here) + _common(url.mark.encode(), before.mark.encode())
        return f"the first octet that differs is {at + 1}: {url.mark} here, {before.mark} before"
    after = len(here) + len(url.mark)
    return (
        f"the first octet that differs is {after + 1} or later, in the token ({url.token} here, {before.token} before)"
    )


def _octets(url: Url) -> bytes:
    return url.text.encode("utf-8", "surrogateescape")


def _common(one: bytes, other: bytes) -> int:
    return next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
                min(len(one), len(other)))  # fmt: skip


def _shown(octets: bytes, at: int) -> str:
    if at >= len(octets):
        return "its end"
    return repr(octets[at : at + _AROUND].decode("utf-8", "backslashreplace"))


def ticket_lines(evidence: Evidence) -> tuple[str, ...]:
    """Return the sightings of the run's URLs as lines of a report: what, source, time, URL, the first difference."""
    lines = []
    passed: list[Url] = []
    for place in ticket_way(evidence):
        clock = "" if place.t is None else f", {_clock(place.t)}"
        before = nearest(place.url, passed)
        same = before == place.url
        lines.append(f"{place.what} ({place.source}{clock}){': the same' if same else ''}")
        lines += [] if same else [f"  {place.url}"]
        # a log may leave the token out: that is no change of the URL
        if before is not None and not (place.what.startswith("logged") and place.url.agrees(before)):
            lines += [f"  {differs}"] if (differs := difference(place.url, before)) else []
        if not place.what.startswith("logged"):
            passed.append(place.url)
    return tuple(lines)


def _clock(t: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(t)) + f"{t % 1:.6f}"[1:]
