"""Every test message of RFC 4475 and RFC 5118, given to the parser, to a user agent, and to another parser.

torture/README.md has the source of the messages, torture/outcomes.yaml the expected outcome of each.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import sipmessage
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.address import Address
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.event import CloseStream, InviteReceived, MessageDropped, SendDatagram, SendStream
from lemonade_wire.sip.message import SipMessage, SipRequest, SipResponse, parse_datagram, read_message, split_head
from lemonade_wire.sip.message.body import Entity
from lemonade_wire.sip.message.text import format_params
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent
from lemonade_wire.testing import accept_stream

TORTURE = Path(__file__).parent / "torture"
FILES = {path.stem: path for path in sorted(TORTURE.glob("rfc*/*.dat"))}
OUTCOMES: dict[str, dict[str, Any]] = yaml.safe_load((TORTURE / "outcomes.yaml").read_text())
UNDERSTOOD = sorted(name for name, row in OUTCOMES.items() if row["parser"] == "understood")
PEER = Address("192.0.2.200", 5070)
KEYS = {"section", "parser", "agent", "stream", "headers", "facts", "sipmessage"}

FACTS: Mapping[str, Callable[[Any], object]] = {
    "method": lambda m: m.method,
    "target": lambda m: m.target,
    "status": lambda m: m.status,
    "reason": lambda m: m.reason,
    "user": lambda m: m.uri.user,
    "password": lambda m: m.uri.password,
    "host": lambda m: m.uri.host,
    "port": lambda m: str(m.uri.port or ""),
    "uri-headers": lambda m: m.uri.headers,
    "to-uri": lambda m: m.to.uri,
    "to-tag": lambda m: m.to.tag,
    "to-display-length": lambda m: len(m.to.display),
    "from-uri": lambda m: m.from_.uri,
    "from-display": lambda m: m.from_.display,
    "from-tag": lambda m: m.from_.tag,
    "call-id": lambda m: m.call_id,
    "cseq": lambda m: str(m.cseq),
    "vias": lambda m: [f"{via.transport} {via.host}{f':{via.port}' if via.port else ''}" for via in m.vias],
    "via-count": lambda m: len(m.vias),
    "branches": lambda m: [via.branch for via in m.vias],
    "received": lambda m: m.vias[0].param("received"),
    "contacts": lambda m: [contact.uri for contact in m.contacts],
    "contact-params": lambda m: format_params(m.contact.params),
    "routes": lambda m: [route.uri for route in m.routes],
    "record-routes": lambda m: [route.uri for route in m.record_routes],
    "type": lambda m: m.content_type,
    "body": lambda m: len(m.body),
    "parts": lambda m: [f"{part.media.name} {len(part.content)}" for part in Entity.of(m).parts],
}


def read(name: str) -> SipRequest | SipResponse:
    return parse_datagram(FILES[name].read_bytes())


def fact(message: SipMessage, name: str) -> object:
    if name.startswith("header "):
        return message.headers.get(name.removeprefix("header "))
    return FACTS[name](message)


def outcome(ua: UserAgent) -> tuple[str, list[SipResponse]]:
    """Return the outcome of a message in the words of outcomes.yaml, and the final responses of the user agent."""
    words: list[str] = []
    answers: list[SipResponse] = []
    outputs = ua.outputs()
    for output in outputs:
        if isinstance(output, SendDatagram | SendStream):
            message, _ = read_message(*split_head(output.data)[::2])  # a malformed header is copied unchanged
            assert isinstance(message, SipResponse)
            if message.status > 100:
                answers.append(message)
                words.append(str(message.status))
        elif isinstance(output, CloseStream):
            words.append("closed")
    words += ["offered" for event in ua.events() if isinstance(event, InviteReceived)]
    if not words and any(isinstance(output, MessageDropped) for output in outputs):
        words = ["dropped"]
    return " ".join(words) or "waits", answers


def agent() -> UserAgent:
    return UserAgent(UaSettings(Address("127.0.0.2", 5060)), random.Random(4))


def test_every_message_has_its_row_and_every_row_its_message() -> None:
    assert list(OUTCOMES) == [*dict.fromkeys(OUTCOMES)]
    assert set(OUTCOMES) == set(FILES)
    assert len(FILES) == 49 + 13
    assert all({"section", "parser", "agent"} <= set(row) <= KEYS for row in OUTCOMES.values())


@pytest.mark.parametrize("name", FILES)
def test_the_parser_reads_or_refuses_each_message(name: str) -> None:
    row = OUTCOMES[name]
    if row["parser"] != "understood":
        status, _, words = row["parser"].partition(" ")
        with pytest.raises(SipParseError) as caught:
            read(name)
        assert (caught.value.status, caught.value.reason[: len(words)]) == (int(status), words)
        return
    message = read(name)
    facts = row.get("facts", {})
    assert {name: fact(message, name) for name in facts} == facts


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_written_and_read_again(name: str) -> None:
    message = read(name)
    again = parse_datagram(bytes(message))
    assert bytes(again) == bytes(message)
    assert again.headers.without("Content-Length") == message.headers.without("Content-Length")
    assert again.body == message.body
    for typed in ("vias", "from_", "to", "cseq", "call_id", "contacts", "routes", "record_routes"):
        assert getattr(again, typed) == getattr(message, typed)


@pytest.mark.parametrize("name", FILES)
def test_the_user_agent_answers_each_message_in_a_datagram(name: str) -> None:
    ua, row = agent(), OUTCOMES[name]
    ua.datagram_received(FILES[name].read_bytes(), PEER, 0.0)
    what, answers = outcome(ua)
    assert what == str(row["agent"])
    wanted = row.get("headers", {})
    assert [{header: answer.headers.get(header) for header in wanted} for answer in answers] == [wanted] * len(answers)
    assert all(answer.reason and answer.to.tag for answer in answers if "To" in answer.headers and answer.status != 400)


@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize("name", FILES)
def test_the_user_agent_answers_each_message_on_a_stream(name: str, step: int) -> None:
    ua, row = agent(), OUTCOMES[name]
    data = FILES[name].read_bytes()
    stream = accept_stream(ua, PEER, 0.0)
    for at in range(0, len(data), step):
        ua.stream_received(stream, data[at : at + step], 0.0)
    what, _ = outcome(ua)
    assert what == str(row.get("stream", row["agent"]))


@pytest.mark.parametrize("name", sorted(name for name, row in OUTCOMES.items() if "stream" not in row))
def test_a_stream_is_read_on_after_the_message(name: str) -> None:
    """An error in one message does not close the connection, if the length of the message is known."""
    ua = agent()
    stream = accept_stream(ua, PEER, 0.0)
    ua.stream_received(stream, FILES[name].read_bytes() + FILES["zeromf"].read_bytes(), 0.0)
    what, answers = outcome(ua)
    assert "closed" not in what
    assert answers[-1].status == 200
    assert answers[-1].call_id == "zeromf.jfasdlfnm2o2l43r5u0asdfas"


def compare_with_another(name: str) -> None:
    ours = read(name)
    theirs = sipmessage.Message.parse(bytes(ours))  # as written here, because the other parser requires Content-Length
    assert [(via.transport, via.host, via.port) for via in theirs.via] == [
        (via.transport, via.host, via.port) for via in ours.vias
    ]
    assert [via.parameters.get("branch") or "" for via in theirs.via] == [via.branch for via in ours.vias]
    assert (str(theirs.cseq), theirs.call_id, theirs.body) == (str(ours.cseq), ours.call_id, ours.body)
    assert theirs.from_address.parameters.get("tag") == ours.from_.tag
    assert theirs.to_address.parameters.get("tag") == ours.to.tag
    if isinstance(ours, SipRequest):
        assert isinstance(theirs, sipmessage.Request)
        assert (theirs.method, str(theirs.uri)) == (ours.method, ours.target)
    else:
        assert isinstance(ours, SipResponse)
        assert isinstance(theirs, sipmessage.Response)
        assert (theirs.code, theirs.phrase) == (ours.status, ours.reason)


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_another_reader_reads_the_same(name: str) -> None:
    trouble = OUTCOMES[name].get("sipmessage")
    if trouble is None:
        compare_with_another(name)
    else:
        with pytest.raises((ValueError, AssertionError), match=trouble):
            compare_with_another(name)


@settings(deadline=None)
@given(st.sampled_from(sorted(FILES)), st.lists(st.tuples(st.integers(0, 3600), st.integers(0, 255)), max_size=4))
def test_a_few_octets_changed_raise_nothing_unexpected(name: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(FILES[name].read_bytes())
    for at, octet in changes:
        data[at % len(data)] = octet
    ua = agent()
    ua.datagram_received(bytes(data), PEER, 0.0)
    ua.stream_received(accept_stream(ua, PEER, 0.0), bytes(data), 0.0)
    try:
        message = parse_datagram(bytes(data))
    except SipParseError:
        return
    assert message.from_.uri
    assert message.cseq.method
