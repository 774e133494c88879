"""Reads the observed ladder out of the evidence: one message for all copies of it, between two of the three roles.

A message's place is its sending; where the sender has no trace, its arrival. What the nodes tell differently about
one message becomes a remark.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lemonade_testbed.evidence import Event, Evidence, World
from lemonade_testbed.ladder.imaptext import (
    ImapCommand,
    ImapTagged,
    fetch_items,
    first_url,
    read_command,
    read_tagged,
    read_urlfetch,
    tokens,
)
from lemonade_testbed.ladder.model import ROLES, Observed, Seen, Url
from lemonade_testbed.ladder.siptext import SipText, holds, label_words, mscml_of, pressed_key, read_sip
from lemonade_testbed.ladder.streams import dividing_requests, key_arrows, read_packets, rtp_arrows
from lemonade_testbed.ladder.vocabulary import IGNORED_COMMANDS
from lemonade_testbed.relay.rules import leg_of
from lemonade_testbed.relay.told import told
from lemonade_wire.mscml.request import PlayCollect
from lemonade_wire.sdp.codec import Codec, SdpError

_Words = tuple[str | Url, ...]
_RTPMAP = re.compile(r"^a=rtpmap:([0-9]+) +(\S+)", re.MULTILINE)


@dataclass
class _Copies:
    """All sightings of one message: the places of its events by (node, way)."""

    source: str
    target: str
    places: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def add(self, node: str, way: str, place: int) -> None:
        self.places.setdefault((node, way), []).append(place)

    def first(self) -> int:
        """Return the place of the sending, or else of the first arrival."""
        sent = [places[0] for (_, way), places in self.places.items() if way == "sent"]
        return min(sent) if sent else min(places[0] for places in self.places.values())

    @property
    def count(self) -> int:
        return max(map(len, self.places.values()))

    def all(self) -> tuple[int, ...]:
        return tuple(sorted(place for places in self.places.values() for place in places))


def ends_of(event: Event, world: World) -> tuple[str | None, str | None]:
    """Return the roles that sent and received an event's message; None for an unknown address."""
    local, remote = world.role_of(event.text("local")), world.role_of(event.text("remote"))
    return (local, remote) if event.text("way") == "sent" else (remote, local)


def observe(evidence: Evidence, named: Collection[tuple[str, str]] = ()) -> Observed:
    """Return the observed ladder with what was ignored, folded, and told differently by the nodes.

    `named`: IMAP commands, each with the role that sends it, that are not left out though others would be.
    """
    remarks = list(dict.fromkeys(_strangers(evidence)))
    sip, sip_remarks, resent = observe_sip(evidence)
    imap, imap_remarks, ignored = _observe_imap(evidence, named)
    requests = dividing_requests(sip, evidence.world, _stops(evidence, sip))
    packets, codecs = read_packets(evidence), offered_codecs(evidence)
    rtp = [*rtp_arrows(packets, requests, codecs), *key_arrows(packets, codecs)]
    messages = sorted([*sip, *imap, *rtp], key=lambda seen: (seen.t, seen.events[:1]))
    return Observed(tuple(messages), ignored, (*remarks, *sip_remarks, *imap_remarks), resent)


def offered_codecs(evidence: Evidence) -> dict[int, Codec]:
    """Return the codecs that the session descriptions of the run give to payload types."""
    codecs: dict[int, Codec] = {}
    for event in evidence.of("sip"):
        for number, text in _RTPMAP.findall(event.text("text").replace("\r", "")):
            try:
                codecs[int(number)] = Codec.parse(text)
            except SdpError:
                continue
    return codecs


def _strangers(evidence: Evidence) -> Iterator[str]:
    for event in evidence.events:
        if event.kind in {"sip", "imap", "rtp"} and event.node in ROLES and None in ends_of(event, evidence.world):
            yield (
                f"{event.node}: {event.kind.upper()} between {event.text('local')} and {event.text('remote')}, "
                "which is no role's address: not in the ladder"
            )


def _counted(event: Event, world: World) -> tuple[str, str] | None:
    """Return sender and receiver of a message that belongs in the ladder, or None."""
    source, target = ends_of(event, world)
    return (source, target) if source in ROLES and target in ROLES and source and target else None


# SIP


def _sip_key(message: SipText, source: str) -> tuple[str, ...]:
    """Return what all copies of a message share: an ACK sent again for a repeated 200 may have a new branch."""
    if message.method == "ACK" and not message.is_response:
        return ("ACK", message.call_id, message.cseq, source)
    return (message.branch, message.cseq, message.status, source)


def observe_sip(evidence: Evidence) -> tuple[list[Seen], list[str], int]:
    """Return the SIP messages between roles in order of sending, the remarks on them, and the copies folded."""
    found: dict[tuple[str, ...], _Copies] = {}
    for place, event in enumerate(evidence.events):
        ends = _counted(event, evidence.world) if event.kind == "sip" else None
        if ends is not None:
            key = _sip_key(read_sip(event.text("text")), ends[0])
            found.setdefault(key, _Copies(*ends)).add(event.node, event.text("way"), place)
    seen: list[Seen] = []
    remarks: list[str] = []
    for copies in found.values():
        event = evidence.events[copies.first()]
        message = read_sip(event.text("text"))
        number, _, method = message.cseq.partition(" ")
        seen.append(
            Seen(
                event.t,
                copies.source,
                copies.target,
                message.is_response,
                label_words(message),
                copies=copies.count,
                events=copies.all(),
                answers=f"{message.call_id} {message.branch} {number} {method}",
            )
        )
        remarks += _disagreements(copies, evidence, str(seen[-1]), _sip_sense)
    seen.sort(key=lambda message: (message.t, message.events[:1]))
    return seen, remarks, sum(message.copies - 1 for message in seen)


def _sip_sense(text: str) -> object:
    """Return what both ends must tell alike: everything but Via, to which a receiver may add."""
    message = read_sip(text)
    headers = {name: values for name, values in message.headers.items() if name != "via"}
    return message.start, headers, message.body.rstrip()


def _disagreements(copies: _Copies, evidence: Evidence, name: str, sense: Callable[[str], object]) -> Iterator[str]:
    first = evidence.events[copies.first()]
    told = {
        (node, way): evidence.events[places[0]].text("text") for (node, way), places in sorted(copies.places.items())
    }
    if len({repr(sense(text)) for text in told.values()}) > 1:
        yield f"{name}: the nodes tell it differently ({', '.join(f'{node} {way}' for node, way in told)})"
    ways = {way for _, way in told}
    if ways == {"sent"} and evidence.of(first.kind, copies.target):
        yield f"{name}: sent, and by its receiver's trace never received"
    if ways == {"received"} and evidence.of(first.kind, copies.source):
        yield f"{name}: received, and by its sender's trace never sent"


def _stops(evidence: Evidence, sip: Iterable[Seen]) -> frozenset[float]:
    """Return the times of the requests whose bodies end a playing: escape keys of the request that runs, and holds."""
    escape = "*"
    found: set[float] = set()
    for seen in sip:
        if seen.response or seen.words[1] not in ("INFO", "INVITE"):
            continue
        message = read_sip(evidence.events[seen.events[0]].text("text"))
        request = mscml_of(message)
        if isinstance(request, PlayCollect):
            escape = request.escape_key
        if pressed_key(message) == escape or holds(message):
            found.add(seen.t)
    return frozenset(found)


# IMAP


@dataclass
class _Command:
    """A command as one node tells it, until its tagged response comes."""

    command: ImapCommand
    words: _Words
    data: bool | None = None


def _observe_imap(
    evidence: Evidence, named: Collection[tuple[str, str]]
) -> tuple[list[Seen], list[str], dict[str, int]]:
    open_commands: dict[tuple[str, str, str], _Command] = {}
    times: Counter[tuple[str, ...]] = Counter()
    found: dict[tuple[str, ...], _Copies] = {}
    labels: dict[tuple[str, ...], _Words] = {}
    for place, event in enumerate(evidence.events):
        ends = _counted(event, evidence.world) if event.kind == "imap" else None
        if ends is None:
            continue
        connection = " ".join(sorted((event.text("local"), event.text("remote"))))
        line = _imap_line(event)
        if isinstance(line, ImapCommand):
            words = _command_words(line, event)
            open_commands[event.node, connection, line.tag] = _Command(line, words)
            key: tuple[str, ...] = (connection, line.tag, "command")
        elif isinstance(line, ImapTagged):
            asked = open_commands.pop((event.node, connection, line.tag), None)
            words = _answer_words(line, asked)
            key = (connection, line.tag, "answer")
        else:
            _note_data(event, connection, open_commands)
            continue
        times[(event.node, *key)] += 1
        key = (*key, str(times[(event.node, *key)]))
        found.setdefault(key, _Copies(*ends)).add(event.node, event.text("way"), place)
        if key not in labels or event.text("way") == "sent":
            labels[key] = words
    return _imap_messages(evidence, found, labels, named)


def _imap_messages(
    evidence: Evidence,
    found: Mapping[tuple[str, ...], _Copies],
    labels: Mapping[tuple[str, ...], _Words],
    named: Collection[tuple[str, str]],
) -> tuple[list[Seen], list[str], dict[str, int]]:
    seen: list[Seen] = []
    remarks: list[str] = []
    ignored: Counter[str] = Counter()
    begun: dict[str, float] = {}
    for key, copies in found.items():
        words = labels[key]
        response = key[2] == "answer"
        since = begun.setdefault(key[0], evidence.events[copies.first()].t)
        command = str(words[2 if response else 1])
        asker = copies.target if response else copies.source
        if command in IGNORED_COMMANDS and (asker, command) not in named:
            ignored[command] += 0 if response else 1
            continue
        t = evidence.events[copies.first()].t
        answers = f"{key[0]} {key[1]} {key[3]}"
        message = Seen(t, copies.source, copies.target, response, words, events=copies.all(), answers=answers)
        if _cut_off(copies, since, evidence):
            remarks.append(f"{message}: by its sender's trace sent; the relay cut its connection, and it never arrived")
        else:
            seen.append(message)
            remarks += _disagreements(copies, evidence, str(message), str.strip)
    return seen, remarks, dict(sorted(ignored.items()))


def _cut_off(copies: _Copies, since: float, evidence: Evidence) -> bool:
    """Tell whether a message on a connection in use `since` ended in a cut of the relay.

    Whether its sender's system still took it is chance, so that it is none of the ladder's.
    """
    leg = leg_of(copies.source, copies.target)
    if any(way == "received" for _, way in copies.places) or not evidence.of("imap", copies.target):
        return False
    return any(cut.text("leg") == leg and cut.t > since for cut in told(evidence, "cut"))


def _imap_line(event: Event) -> ImapCommand | ImapTagged | None:
    from_client = (event.text("way") == "sent") == (event.text("side") == "client")
    return read_command(event.text("text")) if from_client else read_tagged(event.text("text"))


def literals_of(event: Event) -> list[Mapping[str, object]]:
    """Return the literals of an IMAP event."""
    literals = event.fields.get("literals")
    return [literal for literal in literals if isinstance(literal, Mapping)] if isinstance(literals, list) else []


def _command_words(command: ImapCommand, event: Event) -> _Words:
    words: _Words = ("IMAP", command.name)
    if command.name in {"GENURLAUTH", "URLFETCH"}:
        url = first_url(tokens(command.rest, literals_of(event)))
        return words + ((Url.parse(url),) if url else ())
    if command.name == "FETCH":
        items = fetch_items(command.rest)
        return (*words, "BODYSTRUCTURE" if "BODYSTRUCTURE" in items else ",".join(items))
    return words


def _answer_words(answer: ImapTagged, asked: _Command | None) -> _Words:
    name = asked.command.name if asked else "?"
    words: _Words = ("IMAP", answer.result, name)
    if name == "URLFETCH" and answer.result == "OK":
        words += ("data" if asked and asked.data else "NIL",)
    return words


def _note_data(event: Event, connection: str, open_commands: Mapping[tuple[str, str, str], _Command]) -> None:
    data = read_urlfetch(event.text("text"), literals_of(event))
    for (node, where, _), asked in open_commands.items():
        if data and node == event.node and where == connection and asked.command.name == "URLFETCH":
            asked.data = any(one.content is not None for one in data)
