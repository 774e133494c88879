"""What several checks look for in the evidence: SIP messages, URLs, and what URLFETCH asked for and got."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lemonade_testbed.evidence import Event, Evidence
from lemonade_testbed.ladder.imaptext import (
    ImapCommand,
    UrlData,
    first_url,
    read_command,
    read_genurlauth,
    read_urlfetch,
    tokens,
)
from lemonade_testbed.ladder.model import ROLES, Url
from lemonade_testbed.ladder.observe import ends_of, literals_of, observe_sip
from lemonade_testbed.ladder.siptext import SipText, mscml_of, prompt_url, read_sip


@dataclass(frozen=True)
class Signal:
    """One SIP message between two roles: when it was sent, by whom, and what it says."""

    t: float
    source: str
    target: str
    message: SipText


def signals(evidence: Evidence) -> list[Signal]:
    """Return the SIP messages between roles, retransmissions folded, in order of sending."""
    return [
        Signal(seen.t, seen.source, seen.target, read_sip(evidence.events[seen.events[0]].text("text")))
        for seen in observe_sip(evidence)[0]
    ]


def answer_to(request: Signal, among: list[Signal], status: str = "2") -> Signal | None:
    """Return the first response to `request` whose status begins with `status`, or None."""
    wanted = (request.message.call_id, request.message.cseq)
    return next(
        (
            signal
            for signal in among
            if signal.message.is_response
            and signal.message.status.startswith(status)
            and signal.source == request.target
            and (signal.message.call_id, signal.message.cseq) == wanted
        ),
        None,
    )


def played_urls(evidence: Evidence) -> list[Url]:
    """Return the URLs that the client handed to the media server, in `play` or in `<audio>`."""
    found = []
    for signal in signals(evidence):
        message = signal.message
        if message.is_response or signal.source != "client":
            continue
        url = message.played_url() if message.method == "INVITE" else prompt_url(mscml_of(message))
        if url:
            found.append(Url.parse(url))
    return found


def imap_commands(evidence: Evidence, *sources: str) -> Iterator[tuple[Event, ImapCommand]]:
    """Yield the IMAP commands that the given roles sent to the IMAP server, once each."""
    told: set[tuple[str, str, str]] = set()
    for event in evidence.of("imap", *ROLES):
        source, target = ends_of(event, evidence.world)
        if source not in sources or target != "imap":
            continue
        command = read_command(event.text("text"))
        connection = " ".join(sorted((event.text("local"), event.text("remote"))))
        key = (connection, command.tag, command.name) if command else None
        if command and key and key not in told:
            told.add(key)
            yield event, command


def imap_data(evidence: Evidence, *targets: str) -> Iterator[Event]:
    """Yield what the IMAP server sent to the given roles: by the server's trace, or else by the receivers'."""
    events = [event for event in evidence.of("imap", *ROLES) if _from_server(event, evidence, targets)]
    by_server = [event for event in events if event.node == "imap"]
    yield from by_server or events


def _from_server(event: Event, evidence: Evidence, targets: tuple[str, ...]) -> bool:
    source, target = ends_of(event, evidence.world)
    return source == "imap" and target in targets


def asked_urls(evidence: Evidence) -> list[str]:
    """Return the URLs that the client asked GENURLAUTH for."""
    return [
        url
        for event, command in imap_commands(evidence, "client")
        if command.name == "GENURLAUTH" and (url := first_url(tokens(command.rest, literals_of(event))))
    ]


def authorised_urls(evidence: Evidence) -> list[Url]:
    """Return the URLs that GENURLAUTH gave to the client."""
    found = [read_genurlauth(event.text("text"), literals_of(event)) for event in imap_data(evidence, "client")]
    return [Url.parse(url) for url in found if url]


def fetched_urls(evidence: Evidence) -> list[Url]:
    """Return the URLs that the media server asked URLFETCH for."""
    return [
        Url.parse(url)
        for event, command in imap_commands(evidence, "media")
        if command.name == "URLFETCH" and (url := first_url(tokens(command.rest, literals_of(event))))
    ]


def fetched_data(evidence: Evidence) -> list[UrlData]:
    """Return what URLFETCH gave to the media server."""
    return [
        data for event in imap_data(evidence, "media") for data in read_urlfetch(event.text("text"), literals_of(event))
    ]
