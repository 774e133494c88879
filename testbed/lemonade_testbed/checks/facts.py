"""What several checks read from the evidence: messages, answers and tickets, and the steps of the client's script."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lemonade_testbed.evidence import Event, Evidence
from lemonade_testbed.ladder.imaptext import (
    CommandText,
    UrlData,
    first_url,
    read_command,
    read_genurlauth,
    read_urlfetch,
    tokens,
)
from lemonade_testbed.ladder.model import Url
from lemonade_testbed.ladder.observe import ends_of, literals_of, observe_sip
from lemonade_testbed.ladder.siptext import SipText, mscml_of, prompt_url, read_sip
from lemonade_testbed.scenario.model import Scenario

_RAW = frozenset({"imap", "sip", "mscml"})
"""The verbs that send a text of the script word for word."""


def step_at(scenario: Scenario, evidence: Evidence, t: float) -> tuple[str, Mapping[str, Any]]:
    """Return verb and arguments of the step that the client carries out at `t` (seconds since 1970).

    The verb is empty before the first step, and if the evidence has no steps of the client.
    """
    begun = [event for event in evidence.of("step") if event.text("state") == "started" and event.t <= t]
    if not begun:
        return "", {}
    verb, index = begun[-1].text("verb"), begun[-1].number("index")
    steps = [step for step in scenario.client if verb in step]
    if not 0 < index <= len(scenario.client) or verb not in scenario.client[index - 1]:
        return verb, steps[0][verb] if len(steps) == 1 else {}
    args = scenario.client[index - 1][verb]
    return verb, args if isinstance(args, Mapping) else {}


def is_raw(scenario: Scenario, evidence: Evidence, t: float) -> bool:
    """Tell whether the client sends a text of the script word for word at `t` (verbs `imap`, `sip`, `mscml`).

    If the evidence has no steps of the client, this is True if the script has such a verb anywhere.
    """
    verb, _ = step_at(scenario, evidence, t)
    return verb in _RAW if verb else any(_RAW & step.keys() for step in scenario.client)


def names_url(scenario: Scenario, evidence: Evidence, t: float) -> bool:
    """Tell whether the script itself says which URL the client hands over at `t`, or gives the whole message.

    If the evidence has no steps of the client, this is True if any step of the script has a URL other than `$url`.
    """
    verb, args = step_at(scenario, evidence, t)
    given = [args] if verb else [one for step in scenario.client for one in step.values() if isinstance(one, Mapping)]
    return is_raw(scenario, evidence, t) or any(one.get("url", "$url") != "$url" for one in given)


@dataclass(frozen=True)
class Signal:
    """One SIP message between two nodes: time of sending (seconds since 1970), sender, receiver, and content.

    `events` are the positions of all its copies (sent, received, retransmitted) in the events of the evidence.
    """

    t: float
    source: str
    target: str
    message: SipText
    events: tuple[int, ...] = ()


def is_relayed(evidence: Evidence) -> bool:
    """Tell whether a relay is between the nodes: each peer then has the relay's address, and packets may be lost."""
    return any(role.aliases for role in evidence.world.roles.values())


@lru_cache(maxsize=32)
def signals(evidence: Evidence) -> tuple[Signal, ...]:
    """Return the SIP messages between nodes in order of sending; retransmissions are folded into one message."""
    return tuple(
        Signal(seen.t, seen.source, seen.target, read_sip(evidence.events[seen.events[0]].text("text")), seen.events)
        for seen in observe_sip(evidence)[0]
    )


def copies_of(signal: Signal, evidence: Evidence) -> tuple[SipText, ...]:
    """Return the different texts that the sender of a message traced: copies should be equal, but may not be."""
    events = [evidence.events[place] for place in signal.events]
    sent = [event for event in events if event.text("way") == "sent"]
    return tuple(read_sip(text) for text in dict.fromkeys(event.text("text") for event in sent or events))


@dataclass(frozen=True)
class Sighting:
    """One URL in a message: the node that sent it, the time of sending (seconds since 1970), and the URL."""

    node: str
    t: float
    url: Url


def answer_to(request: Signal, among: Sequence[Signal], status: str = "2") -> Signal | None:
    """Return the first response to `request` whose status begins with `status`; None if there is none.

    A response that was sent before the request answers another one that has the same Call-ID and CSeq.
    """
    wanted = (request.message.call_id, request.message.cseq)
    return next(
        (
            signal
            for signal in among
            if signal.message.is_response
            and signal.message.status.startswith(status)
            and signal.source == request.target
            and signal.t >= request.t
            and (signal.message.call_id, signal.message.cseq) == wanted
        ),
        None,
    )


def declared_services(evidence: Evidence) -> dict[tuple[str, str], str]:
    """Return the status that each media server gave to the testbed's OPTIONS for a service, by node and service.

    The status of OPTIONS is the one that an INVITE would get (RFC 3261, section 11.2).
    """
    found: dict[tuple[str, str], str] = {}
    for event in evidence.of("sip"):
        source, target = ends_of(event, evidence.world)
        if source is None or target != "testbed":
            continue
        message = read_sip(event.text("text"))
        user = re.search(r"sips?:([^@;>]+)@", message.header("to"), re.IGNORECASE)
        if message.is_response and message.method == "OPTIONS" and user:
            found[source, user[1].lower()] = message.status
    return found


def played_urls(evidence: Evidence) -> list[Sighting]:
    """Return the URLs that clients handed to media servers, in the parameter `play` or in `<audio>`."""
    found = []
    for signal in signals(evidence):
        message = signal.message
        if message.is_response or evidence.world.kind_of(signal.source) != "client":
            continue
        url = message.played_url() if message.method == "INVITE" else prompt_url(mscml_of(message))
        if url:
            found.append(Sighting(signal.source, signal.t, Url.parse(url)))
    return found


def imap_commands(evidence: Evidence, *kinds: str) -> Iterator[tuple[Event, CommandText]]:
    """Yield the IMAP commands that nodes of the given roles sent to an IMAP server, each once."""
    yielded: set[tuple[str, str, str]] = set()
    for event in evidence.of("imap"):
        source, target = ends_of(event, evidence.world)
        if evidence.world.kind_of(source) not in kinds or evidence.world.kind_of(target) != "imap":
            continue
        command = read_command(event.text("text"))
        connection = " ".join(sorted((event.text("local"), event.text("remote"))))
        key = (connection, command.tag, command.name) if command else None
        if command and key and key not in yielded:
            yielded.add(key)
            yield event, command


def imap_data(evidence: Evidence, *kinds: str) -> Iterator[Event]:
    """Yield the lines that IMAP servers sent to nodes of the given roles: from the server's trace or the receiver's."""
    events = [event for event in evidence.of("imap") if _from_server(event, evidence, kinds)]
    by_server = [event for event in events if evidence.world.kind_of(event.node) == "imap"]
    yield from by_server or events


def sender_of(event: Event, evidence: Evidence) -> str:
    """Return the name of the node that sent the message of an event."""
    return ends_of(event, evidence.world)[0] or event.node


def _from_server(event: Event, evidence: Evidence, targets: tuple[str, ...]) -> bool:
    source, target = ends_of(event, evidence.world)
    return evidence.world.kind_of(source) == "imap" and evidence.world.kind_of(target) in targets


def asked_urls(evidence: Evidence) -> list[Sighting]:
    """Return the URLs in GENURLAUTH commands of clients."""
    return list(_commanded(evidence, "client", "GENURLAUTH"))


def authorised_urls(evidence: Evidence) -> list[Sighting]:
    """Return the URLs that GENURLAUTH returned to clients."""
    return [
        Sighting(sender_of(event, evidence), event.t, Url.parse(url))
        for event in imap_data(evidence, "client")
        if (url := read_genurlauth(event.text("text"), literals_of(event)))
    ]


def fetched_urls(evidence: Evidence) -> list[Sighting]:
    """Return the URLs in URLFETCH commands of media servers."""
    return list(_commanded(evidence, "media", "URLFETCH"))


def _commanded(evidence: Evidence, kind: str, name: str) -> Iterator[Sighting]:
    for event, command in imap_commands(evidence, kind):
        url = first_url(tokens(command.rest, literals_of(event))) if command.name == name else None
        if url:
            yield Sighting(sender_of(event, evidence), event.t, Url.parse(url))


@dataclass(frozen=True)
class Fetched:
    """What URLFETCH returned for one URL, with the server and the time of sending (seconds since 1970)."""

    node: str
    t: float
    data: UrlData


def fetched_data(evidence: Evidence) -> list[Fetched]:
    """Return the answers of URLFETCH to media servers."""
    return [
        Fetched(sender_of(event, evidence), event.t, data)
        for event in imap_data(evidence, "media")
        for data in read_urlfetch(event.text("text"), literals_of(event))
    ]
