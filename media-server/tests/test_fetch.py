"""The fetch against scripts of octets: every shape that servers were seen to answer in, and every refusal."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import pytest

from lemonade_media.config import AllowedHost, Identity, MediaConfig, PortRange
from lemonade_media.decode import MediaPart
from lemonade_media.failures import FailureKind
from lemonade_media.faults import LoginInClear, UrlNormalised
from lemonade_media.fetch import FetchError, FetchPlan, fetch_url, plan_fetch
from lemonade_wire.address import Address
from lemonade_wire.faults import Fault
from lemonade_wire.imap.client import CommandDone, ImapClient

TOKEN = "01" + "ab" * 32
URL = f"imap://joe@imap.example.com/INBOX;UIDVALIDITY=9/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:{TOKEN}"
PLAN = FetchPlan(URL, "imap.example.com", 143)
JOE = Identity("mediaserver", "secret")
GREETING = b"* OK [CAPABILITY IMAP4rev1 AUTH=ANONYMOUS AUTH=PLAIN SASL-IR] ready\r\n"
LOGGED_IN = b"a1 OK [CAPABILITY IMAP4rev1 URLAUTH URLAUTH=BINARY] in\r\n"
STRUCTURE = b'("AUDIO" "BASIC" ("Rate" "8000") NIL NIL "BINARY" 5)'
QUOTED = b'"' + URL.encode() + b'"'


def play(
    script: Sequence[bytes], identity: Identity | None = None, fault: Fault | None = None, max_literal: int = 1000
) -> tuple[MediaPart, list[bytes]]:
    """Run the procedure: each octets of the script answer one flight of ours, the first one is the greeting."""
    engine = ImapClient(max_literal=max_literal)
    engine.receive_data(script[0])
    replies = iter(script[1:])
    sent: list[bytes] = []
    procedure = fetch_url(PLAN, engine, identity, "lemonade", fault)
    command = next(procedure)
    while True:
        engine.send(command)
        done: list[CommandDone] = []
        while not done:
            sent.append(engine.data_to_send())
            done = [event for event in engine.receive_data(next(replies)) if isinstance(event, CommandDone)]
        try:
            command = procedure.send(done[0])
        except StopIteration as end:
            return end.value, sent


def answered(data: bytes) -> list[bytes]:
    return [GREETING, LOGGED_IN, data + b"a2 OK done\r\n"]


def failure(script: Sequence[bytes], identity: Identity | None = None) -> FailureKind:
    with pytest.raises(FetchError) as caught:
        play(script, identity)
    assert TOKEN not in caught.value.failure.why
    return caught.value.failure.kind


@pytest.mark.parametrize(
    "data",
    [
        b"* URLFETCH " + QUOTED + b" (BODYPARTSTRUCTURE " + STRUCTURE + b") (BINARY ~{5}\r\na\0b\r\n)\r\n",
        b"* URLFETCH " + QUOTED + b" (BINARY ~{5}\r\na\0b\r\n) (BODYPARTSTRUCTURE " + STRUCTURE + b")\r\n",
        b"* URLFETCH " + URL.encode() + b" (BODYPARTSTRUCTURE " + STRUCTURE + b" BINARY ~{5}\r\na\0b\r\n)\r\n",
        b"* urlfetch  " + QUOTED + b"  (BODYPARTSTRUCTURE " + STRUCTURE + b") (BINARY {5}\r\na\0b\r\n)\r\n",
        b"* OK still here\r\n* URLFETCH "
        + QUOTED
        + b" (BODYPARTSTRUCTURE "
        + STRUCTURE
        + b") (BINARY ~{5}\r\na\0b\r\n)\r\n",
    ],
    ids=["rfc5524", "other-order", "merged-list-and-atom", "plain-literal", "untagged-before"],
)
def test_part_comes_in_every_shape(data: bytes) -> None:
    part, sent = play(answered(data))
    assert part == MediaPart("audio/basic", {"rate": "8000"}, b"a\0b\r\n")
    assert sent[-1] == b'a2 URLFETCH ("' + URL.encode() + b'" BODYPARTSTRUCTURE BINARY)\r\n'


def test_quoted_content_without_a_structure_is_taken() -> None:
    part, _ = play(answered(b"* URLFETCH " + QUOTED + b' (BINARY "sound")\r\n'))
    assert part == MediaPart("application/octet-stream", {}, b"sound")


def test_anonymous_is_used_without_an_identity_and_never_login() -> None:
    _, sent = play(answered(b"* URLFETCH " + QUOTED + b' (BINARY "sound")\r\n'))
    assert sent[0] == b"a1 AUTHENTICATE ANONYMOUS " + base64.b64encode(b"lemonade") + b"\r\n"


def test_trace_waits_for_the_continuation_without_initial_responses() -> None:
    greeting = b"* OK [CAPABILITY IMAP4rev1 AUTH=ANONYMOUS] ready\r\n"
    script = [greeting, b"+ \r\n", LOGGED_IN, b"* URLFETCH " + QUOTED + b' (BINARY "sound")\r\na2 OK done\r\n']
    _, sent = play(script)
    assert sent[:2] == [b"a1 AUTHENTICATE ANONYMOUS\r\n", base64.b64encode(b"lemonade") + b"\r\n"]


def test_identity_authenticates_by_plain() -> None:
    _, sent = play(answered(b"* URLFETCH " + QUOTED + b' (BINARY "sound")\r\n'), JOE)
    assert sent[0] == b"a1 AUTHENTICATE PLAIN " + base64.b64encode(b"\0mediaserver\0secret") + b"\r\n"


def test_capabilities_are_read_before_and_again_after_login() -> None:
    script = [
        b"* OK ready\r\n",
        b"* CAPABILITY IMAP4rev1 AUTH=ANONYMOUS SASL-IR\r\na1 OK done\r\n",
        b"a2 OK in\r\n",
        b"* CAPABILITY IMAP4rev1 URLAUTH URLAUTH=BINARY\r\na3 OK done\r\n",
        b"* URLFETCH " + QUOTED + b' (BINARY "sound")\r\na4 OK done\r\n',
    ]
    _, sent = play(script)
    assert [line.split()[1] for line in sent] == [b"CAPABILITY", b"AUTHENTICATE", b"CAPABILITY", b"URLFETCH"]


def test_misprinted_capability_counts() -> None:
    login = b"a1 OK [CAPABILITY IMAP4rev1 URLAUTH URLFETCH=BINARY] in\r\n"
    part, _ = play([GREETING, login, b"* URLFETCH " + QUOTED + b' (BINARY "sound")\r\na2 OK done\r\n'])
    assert part.octets == b"sound"


def test_urlauth_without_binary_is_an_error() -> None:
    assert failure([GREETING, b"a1 OK [CAPABILITY IMAP4rev1 URLAUTH] in\r\n"]) is FailureKind.NO_BINARY


def test_binary_shown_before_login_alone_does_not_count() -> None:
    greeting = b"* OK [CAPABILITY IMAP4rev1 AUTH=ANONYMOUS SASL-IR URLAUTH=BINARY] ready\r\n"
    script = [greeting, b"a1 OK in\r\n", b"* CAPABILITY IMAP4rev1\r\na2 OK done\r\n"]
    assert failure(script) is FailureKind.NO_BINARY


@pytest.mark.parametrize("answer", [b"a1 NO [AUTHENTICATIONFAILED] no\r\n", b"a1 BAD what\r\n"])
def test_refused_login(answer: bytes) -> None:
    assert failure([GREETING, answer]) is FailureKind.LOGIN_REFUSED


@pytest.mark.parametrize("identity", [None, JOE])
def test_mechanism_that_is_not_offered_is_not_tried(identity: Identity | None) -> None:
    assert failure([b"* OK [CAPABILITY IMAP4rev1] ready\r\n"], identity=identity) is FailureKind.LOGIN_REFUSED


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"* URLFETCH " + QUOTED + b" NIL\r\na2 OK done\r\n", FailureKind.NOT_FOUND),
        (b"* URLFETCH " + URL.encode() + b" NIL\r\na2 OK done\r\n", FailureKind.NOT_FOUND),
        (b"a2 NO [UNAVAILABLE] " + URL.encode() + b"\r\n", FailureKind.REFUSED),
        (b"a2 BAD what\r\n", FailureKind.REFUSED),
        (b"a2 OK done\r\n", FailureKind.REFUSED),
        (b'* URLFETCH "imap://other/x/;UID=1" NIL\r\na2 OK done\r\n', FailureKind.REFUSED),
        (b"* URLFETCH " + QUOTED + b" (BODYPARTSTRUCTURE " + STRUCTURE + b")\r\na2 OK x\r\n", FailureKind.REFUSED),
        (b"* URLFETCH " + QUOTED + b" (BINARY NIL)\r\na2 OK done\r\n", FailureKind.UNDECODABLE_ENCODING),
        (
            b"* URLFETCH " + QUOTED + b" (BINARY ~{1001}\r\n" + b"x" * 1001 + b")\r\na2 OK done\r\n",
            FailureKind.TOO_LARGE,
        ),
    ],
    ids=["nil", "nil-atom", "no", "bad", "silent-ok", "other-url", "no-binary-item", "binary-nil", "too-large"],
)
def test_refused_fetch(data: bytes, kind: FailureKind) -> None:
    assert failure([GREETING, LOGGED_IN, data]) is kind


def test_fault_logs_in_in_the_clear() -> None:
    _, sent = play(answered(b"* URLFETCH " + QUOTED + b' (BINARY "sound")\r\n'), JOE, LoginInClear())
    assert sent[0] == b'a1 LOGIN "mediaserver" "secret"\r\n'


def test_fault_fetches_another_url() -> None:
    changed = URL.replace(";UID=", ";uid=").encode()
    part, sent = play(answered(b'* URLFETCH "' + changed + b'" (BINARY "sound")\r\n'), None, UrlNormalised())
    assert changed in sent[-1]
    assert part.octets == b"sound"


def config(*allowed: str) -> MediaConfig:
    hosts = tuple(AllowedHost.parse(text) for text in allowed)
    return MediaConfig(Address("127.0.0.1", 5060), PortRange(20000, 20100), hosts)


def test_plan_keeps_the_url_and_names_its_server() -> None:
    assert plan_fetch(URL, config("IMAP.example.com")) == PLAN
    with_port = URL.replace("example.com", "example.com:1143")
    assert plan_fetch(with_port, config("imap.example.com:1143")).port == 1143


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        (URL, FailureKind.HOST_REFUSED),
        (URL.replace("imap.example.com", "allowed.example:144"), FailureKind.HOST_REFUSED),
        ("http://allowed.example/x.wav", FailureKind.BAD_URL),
        ("file:///etc/passwd", FailureKind.BAD_URL),
        ("imap://allowed.example", FailureKind.BAD_URL),
        ("", FailureKind.BAD_URL),
        ("imap://allowed.example/INBOX/;UID=1\r\na1 LOGOUT", FailureKind.BAD_URL),
    ],
)
def test_plan_refuses(url: str, kind: FailureKind) -> None:
    with pytest.raises(FetchError) as caught:
        plan_fetch(url, config("allowed.example:143"))
    assert caught.value.failure.kind is kind
