"""Reads the observed ladder from the evidence: all copies of a message become one message between two nodes.

The place of a message is the time of its sending, or of its arrival if the sender has no trace. If the traces of two
nodes differ about a message, this becomes a remark.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from lemonade_testbed.evidence import Event, Evidence, RecordedWorld
from lemonade_testbed.ladder.imaptext import (
    CommandText,
    TaggedText,
    as_text,
    fetch_items,
    first_url,
    read_command,
    read_tagged,
    read_urlfetch,
    tokens,
)
from lemonade_testbed.ladder.model import ROLES, Observed, ObservedMessage, Url
from lemonade_testbed.ladder.mscmltext import PlayCollectText
from lemonade_testbed.ladder.parser import IGNORED_COMMANDS, IGNORED_ITEMS
from lemonade_testbed.ladder.sdptext import CodecText
from lemonade_testbed.ladder.siptext import SipText, holds, label_words, mscml_of, pressed_key, read_sip, sdp_of
from lemonade_testbed.ladder.streams import dividing_requests, key_arrows, read_packets, rtp_arrows
from lemonade_testbed.relay.evidence import relay_events
from lemonade_testbed.relay.rules import leg_of

_Words = tuple[str | Url, ...]
_DESCRIBED = "BODYPARTSTRUCTURE"
"""The item of URLFETCH that a media server may fetch by a command of its own, which the ladder leaves out."""


@dataclass
class _Copies:
    """All sightings of one message: the positions of its events by (node, way)."""

    source: str
    target: str
    places: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def add(self, node: str, way: str, place: int) -> None:
        self.places.setdefault((node, way), []).append(place)

    def first(self) -> int:
        """Return the position of the event of its sending, or else of its first arrival."""
        sent = [places[0] for (_, way), places in self.places.items() if way == "sent"]
        return min(sent) if sent else min(places[0] for places in self.places.values())

    @property
    def count(self) -> int:
        return max(map(len, self.places.values()))

    def all(self) -> tuple[int, ...]:
        return tuple(sorted(place for places in self.places.values() for place in places))


def ends_of(event: Event, world: RecordedWorld) -> tuple[str | None, str | None]:
    """Return the nodes that sent and received the message of an event; None for an unknown address."""
    local, remote = world.role_of(event.text("local")), world.role_of(event.text("remote"))
    return (local, remote) if event.text("way") == "sent" else (remote, local)


def observe(evidence: Evidence, named: Collection[tuple[str, str]] = ()) -> Observed:
    """Return the observed ladder, with what it leaves out, the retransmissions, and the remarks.

    `named` are messages that would be left out otherwise, each with the node that sends it (`Ladder.named`).
    """
    remarks = list(dict.fromkeys(_unknown_addresses(evidence)))
    found, sip_remarks, resent = observe_sip(evidence)
    sip = [seen for seen in found if not _left_out(seen, named)]
    folded = Counter(" ".join(map(str, seen.words[1:])) for seen in found if _left_out(seen, named))
    imap, imap_remarks, ignored = _observe_imap(evidence, named)
    ignored = dict(sorted({**ignored, **folded}.items()))
    requests = dividing_requests(sip, evidence.world, _times_of_stops(evidence, sip))
    packets, codecs = read_packets(evidence), offered_codecs(evidence)
    rtp = [*rtp_arrows(packets, requests, codecs), *key_arrows(packets, codecs)]
    messages = sorted([*sip, *imap, *rtp], key=lambda seen: (seen.t, seen.events[:1]))
    return Observed(tuple(messages), ignored, (*remarks, *sip_remarks, *imap_remarks), resent)


@lru_cache(maxsize=32)
def offered_codecs(evidence: Evidence) -> Mapping[int, CodecText]:
    """Return the codecs of payload types by the session descriptions of the run."""
    codecs: dict[int, CodecText] = {}
    for event in evidence.of("sip"):
        description = sdp_of(read_sip(event.text("text")))
        for line in description.media if description else ():
            codecs |= line.codecs()
    return codecs


def _unknown_addresses(evidence: Evidence) -> Iterator[str]:
    world = evidence.world
    for event in evidence.events:
        known = world.kind_of(event.node) in ROLES
        if event.kind in {"sip", "imap", "rtp"} and known and None in ends_of(event, world):
            yield (
                f"{event.node}: {event.kind.upper()} between {event.text('local')} and {event.text('remote')}, "
                "which is no node's address: not in the ladder"
            )


def _ends_in_ladder(event: Event, world: RecordedWorld) -> tuple[str, str] | None:
    """Return sender and receiver of a message that belongs in the ladder, or None."""
    source, target = ends_of(event, world)
    kinds = world.kind_of(source), world.kind_of(target)
    return (source, target) if source and target and set(kinds) <= set(ROLES) else None


# SIP


def _left_out(seen: ObservedMessage, named: Collection[tuple[str, str]]) -> bool:
    """Tell whether the ladder leaves out a message that it does not name: a response 101 to 199, or OPTIONS."""
    if seen.words[-1 if seen.response else 1] == "OPTIONS":
        return (seen.target if seen.response else seen.source, "OPTIONS") not in named
    status = str(seen.words[1])
    return seen.response and "100" < status < "200" and not {(seen.source, status), (seen.source, "1xx")} & set(named)


def _sip_key(message: SipText, source: str) -> tuple[str, ...]:
    """Return what all copies of a message share; an ACK that answers a repeated 200 may have a new branch."""
    if message.method == "ACK" and not message.is_response:
        return ("ACK", message.call_id, message.cseq, source)
    return (message.branch, message.call_id, message.cseq, message.status, source)


def observe_sip(evidence: Evidence) -> tuple[list[ObservedMessage], list[str], int]:
    """Return the SIP messages between nodes in order of sending, remarks on them, and the number of folded copies."""
    found: dict[tuple[str, ...], _Copies] = {}
    for place, event in enumerate(evidence.events):
        ends = _ends_in_ladder(event, evidence.world) if event.kind == "sip" else None
        if ends is not None:
            key = _sip_key(read_sip(event.text("text")), ends[0])
            found.setdefault(key, _Copies(*ends)).add(event.node, event.text("way"), place)
    seen: list[ObservedMessage] = []
    remarks: list[str] = []
    for copies in found.values():
        event = evidence.events[copies.first()]
        message = read_sip(event.text("text"))
        number, _, method = message.cseq.partition(" ")
        seen.append(
            ObservedMessage(
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
        remarks += _disagreements(copies, evidence, str(seen[-1]), _compared_content)
    seen.sort(key=lambda message: (message.t, message.events[:1]))
    return seen, remarks, sum(message.copies - 1 for message in seen)


def _compared_content(text: str) -> object:
    """Return what the traces of both ends must agree on: everything but Via, to which a receiver may add parameters."""
    message = read_sip(text)
    headers = {name: values for name, values in message.headers.items() if name != "via"}
    return message.start, headers, message.body.rstrip()


def _disagreements(copies: _Copies, evidence: Evidence, name: str, sense: Callable[[str], object]) -> Iterator[str]:
    first = evidence.events[copies.first()]
    texts = {
        (node, way): evidence.events[places[0]].text("text") for (node, way), places in sorted(copies.places.items())
    }
    if len({repr(sense(text)) for text in texts.values()}) > 1:
        yield f"{name}: the traces of the nodes differ ({', '.join(f'{node} {way}' for node, way in texts)})"
    ways = {way for _, way in texts}
    if ways == {"sent"} and evidence.of(first.kind, copies.target):
        yield f"{name}: sent, but not in the trace of its receiver"
    if ways == {"received"} and evidence.of(first.kind, copies.source):
        yield f"{name}: received, but not in the trace of its sender"


def _times_of_stops(evidence: Evidence, sip: Iterable[ObservedMessage]) -> frozenset[float]:
    """Return the times of requests whose bodies end a playing: escape keys of the running request, and holds."""
    escape = "*"
    found: set[float] = set()
    for seen in sip:
        if seen.response or seen.words[1] not in ("INFO", "INVITE"):
            continue
        message = read_sip(evidence.events[seen.events[0]].text("text"))
        request = mscml_of(message)
        if isinstance(request, PlayCollectText):
            escape = request.escape_key
        if pressed_key(message) == escape or holds(message):
            found.add(seen.t)
    return frozenset(found)


# IMAP


@dataclass
class _Command:
    """A command in the trace of one node, until its tagged response comes."""

    command: CommandText
    words: _Words
    data: bool | None = None


def _observe_imap(
    evidence: Evidence, named: Collection[tuple[str, str]]
) -> tuple[list[ObservedMessage], list[str], dict[str, int]]:
    open_commands: dict[tuple[str, str, str], _Command] = {}
    times: Counter[tuple[str, ...]] = Counter()
    found: dict[tuple[str, ...], _Copies] = {}
    labels: dict[tuple[str, ...], _Words] = {}
    for place, event in enumerate(evidence.events):
        ends = _ends_in_ladder(event, evidence.world) if event.kind == "imap" else None
        if ends is None:
            continue
        connection = " ".join(sorted((event.text("local"), event.text("remote"))))
        line = _imap_line(event)
        if isinstance(line, CommandText):
            words = _command_words(line, event)
            open_commands[event.node, connection, line.tag] = _Command(line, words)
            key: tuple[str, ...] = (connection, line.tag, "command")
        elif isinstance(line, TaggedText):
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
) -> tuple[list[ObservedMessage], list[str], dict[str, int]]:
    seen: list[ObservedMessage] = []
    remarks: list[str] = []
    ignored: Counter[str] = Counter()
    begun: dict[str, float] = {}
    left_out: set[tuple[str, ...]] = set()
    fetching = {key[0] for key, words in labels.items() if words[1] == "URLFETCH" and words[-1] != _DESCRIBED}
    for key, copies in found.items():
        words = labels[key]
        response = key[2] == "answer"
        since = begun.setdefault(key[0], evidence.events[copies.first()].t)
        command = str(words[2 if response else 1])
        asker = copies.target if response else copies.source
        items = str(words[2]) if command == "FETCH" and not response else ""
        harmless = bool(items) and IGNORED_ITEMS.issuperset(items.split(",")) and (asker, f"FETCH {items}") not in named
        described = not response and words[-1] == _DESCRIBED
        harmless = harmless or (described and key[0] in fetching)  # the content is fetched by a command of its own
        words = words[:-1] if described else words
        if harmless:
            left_out.add((*key[:2], key[3]))
        if harmless or (response and (*key[:2], key[3]) in left_out):
            ignored[command] += 0 if response else 1
            continue
        if command in IGNORED_COMMANDS and (asker, command) not in named:
            ignored[command] += 0 if response else 1
            continue
        t = evidence.events[copies.first()].t
        answers = f"{key[0]} {key[1]} {key[3]}"
        message = ObservedMessage(
            t, copies.source, copies.target, response, words, events=copies.all(), answers=answers
        )
        if _is_cut_off(copies, since, evidence):
            remarks.append(
                f"{message}: sent, by the trace of its sender, and never received: the relay cut its connection"
            )
        else:
            seen.append(message)
            remarks += _disagreements(copies, evidence, str(message), str.strip)
    return seen, remarks, dict(sorted(ignored.items()))


def _is_cut_off(copies: _Copies, since: float, evidence: Evidence) -> bool:
    """Tell whether the relay cut the connection on which a message was sent; `since` is when the exchange began.

    It is chance whether the operating system of the sender still accepted the message, so the ladder leaves it out.
    """
    leg = leg_of(*map(evidence.world.kind_of, (copies.source, copies.target)))
    if any(way == "received" for _, way in copies.places) or not evidence.of("imap", copies.target):
        return False
    return any(cut.text("leg") == leg and cut.t > since for cut in relay_events(evidence, "cut"))


def _imap_line(event: Event) -> CommandText | TaggedText | None:
    from_client = (event.text("way") == "sent") == (event.text("side") == "client")
    return read_command(event.text("text")) if from_client else read_tagged(event.text("text"))


def literals_of(event: Event) -> list[Mapping[str, object]]:
    """Return the literals of an IMAP event."""
    literals = event.fields.get("literals")
    return [literal for literal in literals if isinstance(literal, Mapping)] if isinstance(literals, list) else []


def _command_words(command: CommandText, event: Event) -> _Words:
    words: _Words = ("IMAP", command.name)
    if command.name in {"GENURLAUTH", "URLFETCH"}:
        arguments = tokens(command.rest, literals_of(event))
        url = first_url(arguments)
        asked = [as_text(word).upper() for one in arguments if isinstance(one, list) for word in one[1:]]
        words += (Url.parse(url),) if url else ()
        return (*words, _DESCRIBED) if asked and set(asked) == {_DESCRIBED} else words
    if command.name == "FETCH":
        items = fetch_items(command.rest)
        return (*words, "BODYSTRUCTURE" if "BODYSTRUCTURE" in items else ",".join(items))
    return words


def _answer_words(answer: TaggedText, asked: _Command | None) -> _Words:
    name = asked.command.name if asked else "?"
    words: _Words = ("IMAP", answer.result, name)
    if name == "URLFETCH" and answer.result == "OK":
        has_content = asked.data if asked else None
        words += ("nothing" if has_content is None else "data" if has_content else "NIL",)
    return words


def _note_data(event: Event, connection: str, open_commands: Mapping[tuple[str, str, str], _Command]) -> None:
    data = read_urlfetch(event.text("text"), literals_of(event))
    for (node, where, _), asked in open_commands.items():
        if data and node == event.node and where == connection and asked.command.name == "URLFETCH":
            asked.data = any(one.content is not None for one in data)
