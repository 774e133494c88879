"""The fetch against scripts of octets: every shape that servers were seen to answer in, and every refusal."""

from __future__ import annotations

import pytest

from lemonade_media.addresses import read_network
from lemonade_media.decode import MediaPart
from lemonade_media.failures import FailureKind, FetchError
from lemonade_media.faults import UrlNormalised
from lemonade_media.fetch import FetchPlan, fetch_part, plan_fetch
from lemonade_media.imap_settings import AllowedHost, Identity, ImapSettings
from lemonade_wire.faults import Fault
from lemonade_wire.imap.client import CommandDone, ImapClient

TOKEN = "01" + "ab" * 32
URL = f"imap://joe@imap.example.com/INBOX;UIDVALIDITY=9/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:{TOKEN}"
PLAN = FetchPlan(URL, "imap.example.com", 143)
STRUCTURE = b'("AUDIO" "BASIC" ("Rate" "8000") NIL NIL "BINARY" 5)'
QUOTED = b'"' + URL.encode() + b'"'
DONE = b"a1 OK done\r\n"


def play(data: bytes, fault: Fault | None = None, max_literal: int = 1000) -> tuple[MediaPart, bytes]:
    """Run the procedure on a connection that is entered: `data` answers it. Returns the part and what was sent."""
    engine = ImapClient(max_literal=max_literal)
    engine.receive_data(b"* PREAUTH [CAPABILITY IMAP4rev1 URLAUTH=BINARY] ready\r\n")
    procedure = fetch_part(URL, fault)
    engine.send(next(procedure))
    sent = engine.data_to_send()
    [done] = [event for event in engine.receive_data(data) if isinstance(event, CommandDone)]
    with pytest.raises(StopIteration) as end:
        procedure.send(done)
    return end.value.value, sent


def failure(data: bytes) -> FailureKind:
    with pytest.raises(FetchError) as caught:
        play(data)
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
    part, sent = play(data + DONE)
    assert part == MediaPart("audio/basic", {"rate": "8000"}, b"a\0b\r\n")
    assert sent == b'a1 URLFETCH ("' + URL.encode() + b'" BODYPARTSTRUCTURE BINARY)\r\n'


DOVECOT = b'("audio" "basic" ("rate" "8000") NIL NIL "base64" 5)'
CYRUS = b'("AUDIO" "BASIC" ("RATE" "8000") NIL NIL "BINARY" 0 NIL ("INLINE" ("FILENAME" "a.au")) NIL NIL)'
CONTENT = b"BINARY ~{5}\r\na\0b\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"* URLFETCH " + URL.encode() + b" (BODYPARTSTRUCTURE " + DOVECOT + b" " + CONTENT + b")\r\n",
        b"* URLFETCH " + QUOTED + b" (BODYPARTSTRUCTURE " + CYRUS + b") (" + CONTENT + b")\r\n",
        b"* URLFETCH {%d}\r\n%s (%s) (BODYPARTSTRUCTURE %s)\r\n" % (len(URL), URL.encode(), CONTENT, STRUCTURE),
        b"* NO [ALERT] over quota\r\n* BAD what\r\n* 3 EXISTS\r\n* CAPABILITY IMAP4rev1\r\n* URLFETCH "
        + QUOTED
        + b" (bodypartstructure "
        + STRUCTURE
        + b") (binary ~{5}\r\na\0b\r\n)\r\n* 4 EXISTS\r\n",
        b'* URLFETCH "imap://joe@h/x/;UID=1" NIL "imap://joe@h/x/;UID=2" (BINARY "other") '
        + QUOTED
        + b" ("
        + CONTENT
        + b") (BODYPARTSTRUCTURE "
        + STRUCTURE
        + b")\r\n",
        b'* URLFETCH "imap://joe@h/x/;UID=1" (BINARY "other")\r\n* URLFETCH '
        + QUOTED
        + b" ("
        + CONTENT
        + b") (BODYPARTSTRUCTURE "
        + STRUCTURE
        + b")\r\n",
        b"* URLFETCH " + QUOTED + b"(" + CONTENT + b")(BODYPARTSTRUCTURE " + STRUCTURE + b") \r\n",
    ],
    ids=[
        "dovecot-2.3-says-base64",
        "cyrus-says-0-and-more",
        "url-as-literal",
        "among-other-responses",
        "one-of-several-urls",
        "one-of-several-lines",
        "no-blanks",
    ],
)
def test_what_servers_say_besides_the_content_changes_nothing(data: bytes) -> None:
    part, _ = play(data + DONE)
    assert part == MediaPart("audio/basic", {"rate": "8000"}, b"a\0b\r\n")


@pytest.mark.parametrize(
    "data",
    [
        b"(BINARY {0}\r\n)\r\n",
        b"(BINARY {0}\r\n\r\n",
        b"(BINARY {0}\r\n",
        b"(BINARY ~{0}\r\n) (BODYPARTSTRUCTURE NIL)\r\n",
        b'(BINARY "")\r\n',
        b'(BODYPARTSTRUCTURE NIL BINARY "")\r\n',
    ],
    ids=["right", "no-parenthesis", "nothing-at-all", "literal8", "quoted", "merged"],
)
def test_empty_part_in_every_shape(data: bytes) -> None:
    part, _ = play(b"* URLFETCH " + URL.encode() + b" " + data + DONE)
    assert part.octets == b""


def test_content_that_looks_like_answers_is_content() -> None:
    tricky = b"a1 OK done\r\n* BYE {3}\r\n)\0"
    part, _ = play(b"* URLFETCH " + QUOTED + b" (BINARY ~{%d}\r\n%s)\r\n" % (len(tricky), tricky) + DONE)
    assert part.octets == tricky


def test_quoted_content_without_a_structure_is_taken() -> None:
    part, _ = play(b"* URLFETCH " + QUOTED + b' (BINARY "sound")\r\n' + DONE)
    assert part == MediaPart("application/octet-stream", {}, b"sound")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"* URLFETCH " + QUOTED + b" NIL\r\na1 OK done\r\n", FailureKind.NOT_FOUND),
        (b"* URLFETCH " + URL.encode() + b" NIL\r\na1 OK done\r\n", FailureKind.NOT_FOUND),
        (b"a1 NO [UNAVAILABLE] " + URL.encode() + b"\r\n", FailureKind.REFUSED),
        (b"a1 BAD what\r\n", FailureKind.REFUSED),
        (b"a1 OK done\r\n", FailureKind.REFUSED),
        (b'* URLFETCH "imap://other/x/;UID=1" NIL\r\na1 OK done\r\n', FailureKind.REFUSED),
        (b"* URLFETCH " + QUOTED + b" (BODYPARTSTRUCTURE " + STRUCTURE + b")\r\na1 OK x\r\n", FailureKind.REFUSED),
        (b"* URLFETCH " + QUOTED + b" (BINARY NIL)\r\na1 OK done\r\n", FailureKind.UNDECODABLE_ENCODING),
        (
            b"* URLFETCH " + URL.encode() + b" (BODYPARTSTRUCTURE NIL BINARY NIL)\r\na1 OK done\r\n",
            FailureKind.UNDECODABLE_ENCODING,
        ),
        (b"* URLFETCH " + QUOTED + b" {5}\r\nsound\r\na1 OK done\r\n", FailureKind.REFUSED),
        (b"* NO [UNAVAILABLE] " + QUOTED + b"\r\na1 OK done\r\n", FailureKind.REFUSED),
        (b"* BAD what\r\na1 BAD what\r\n", FailureKind.REFUSED),
        (b"* NO too bad\r\n* URLFETCH " + QUOTED + b" NIL\r\na1 OK done\r\n", FailureKind.NOT_FOUND),
        (
            b"* URLFETCH " + QUOTED + b" (BINARY ~{1001}\r\n" + b"x" * 1001 + b")\r\na1 OK done\r\n",
            FailureKind.TOO_LARGE,
        ),
    ],
    ids=[
        *("nil", "nil-atom", "no", "bad", "silent-ok", "other-url", "no-binary-item", "binary-nil"),
        *(
            "dovecot-with-an-undecodable-sibling",
            "plain-answer",
            "untagged-no",
            "untagged-bad",
            "no-and-nil",
            "too-large",
        ),
    ],
)
def test_refused_fetch(data: bytes, kind: FailureKind) -> None:
    assert failure(data) is kind


def test_fault_fetches_another_url() -> None:
    changed = URL.replace(";UID=", ";uid=").encode()
    part, sent = play(b'* URLFETCH "' + changed + b'" (BINARY "sound")\r\n' + DONE, UrlNormalised())
    assert changed in sent
    assert part.octets == b"sound"


def settings(*allowed: str) -> ImapSettings:
    return ImapSettings(tuple(AllowedHost.parse(text) for text in allowed))


def test_plan_keeps_the_url_and_names_its_server() -> None:
    assert plan_fetch(URL, settings("IMAP.example.com"), "192.0.2.3") == PLAN
    with_port = URL.replace("example.com", "example.com:1143")
    assert plan_fetch(with_port, settings("imap.example.com:1143"), "192.0.2.3").port == 1143


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
        plan_fetch(url, settings("allowed.example:143"), "192.0.2.3")
    assert caught.value.failure.kind is kind


@pytest.mark.parametrize(
    ("caller", "identity", "privileged"),
    [("192.0.2.3", True, True), ("192.0.2.4", True, False), ("192.0.2.3", False, False), ("", True, False)],
)
def test_identity_is_for_trusted_callers(caller: str, identity: bool, privileged: bool) -> None:
    trusting = ImapSettings(
        allow=(AllowedHost("imap.example.com"),),
        identity=Identity("mediaserver", "secret") if identity else None,
        trusted_callers=(read_network("192.0.2.3"),),
    )
    assert plan_fetch(URL, trusting, caller).privileged is privileged
