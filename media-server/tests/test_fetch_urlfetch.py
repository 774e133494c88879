"""The fetch of a part, with scripts of a server's octets: every form of answer seen in servers, and every refusal."""

from __future__ import annotations

import pytest

from lemonade_media.decoding.decode import FetchedPart
from lemonade_media.faults.imap import DRAFT_FETCH, URL_NORMALISED
from lemonade_media.fetch.settings import AllowedHost, ImapAccount, ImapSettings
from lemonade_media.fetch.urlfetch import fetch_part, plan_fetch
from lemonade_media.model.failures import FailureKind, FetchError
from lemonade_media.model.plans import FetchPlan
from lemonade_wire.address import read_network
from lemonade_wire.faults import Fault
from lemonade_wire.imap.client import CommandDone, ImapClient

TOKEN = "01" + "ab" * 32
URL = f"imap://joe@imap.example.com/INBOX;UIDVALIDITY=9/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:{TOKEN}"
PLAN = FetchPlan(URL, "imap.example.com", 143)
STRUCTURE = b'("AUDIO" "BASIC" ("Rate" "8000") NIL NIL "BINARY" 5)'
QUOTED = b'"' + URL.encode() + b'"'
DONE = b"a1 OK done\r\n"
NEXT = b"-- the next command's answer --"


def play(
    data: bytes, fault: Fault | None = None, most: int = 1000, *, decodes_itself: bool = False
) -> tuple[FetchedPart, bytes]:
    """Run the procedure on a connection that is entered: `data` answers it. Returns the part and what was sent.

    NEXT divides the answers where there is more than one command.
    """
    engine = ImapClient(max_literal=most)
    engine.receive_data(b"* PREAUTH [CAPABILITY IMAP4rev1 URLAUTH=BINARY] ready\r\n")
    procedure = fetch_part(URL, ImapSettings(max_part_octets=most, decodes_itself=decodes_itself), fault)
    sent = b""
    answers = iter(data.split(NEXT))
    try:
        command = next(procedure)
        while True:
            engine.send(command)
            sent += engine.data_to_send()
            [done] = [event for event in engine.receive_data(next(answers)) if isinstance(event, CommandDone)]
            command = procedure.send(done)
    except StopIteration as end:
        assert next(answers, None) is None
        return end.value, sent


def failure(data: bytes, *, decodes_itself: bool = False) -> FailureKind:
    with pytest.raises(FetchError) as caught:
        play(data, decodes_itself=decodes_itself)
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
def test_every_form_of_the_answer_gives_the_part(data: bytes) -> None:
    part, sent = play(data + DONE)
    assert part == FetchedPart("audio/basic", {"rate": "8000"}, b"a\0b\r\n")
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
def test_other_responses_and_sizes_do_not_change_the_part(data: bytes) -> None:
    part, _ = play(data + DONE)
    assert part == FetchedPart("audio/basic", {"rate": "8000"}, b"a\0b\r\n")


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
def test_every_form_of_an_empty_part_is_read(data: bytes) -> None:
    part, _ = play(b"* URLFETCH " + URL.encode() + b" " + data + DONE)
    assert part.octets == b""


def test_content_that_looks_like_responses_is_not_parsed() -> None:
    tricky = b"a1 OK done\r\n* BYE {3}\r\n)\0"
    part, _ = play(b"* URLFETCH " + QUOTED + b" (BINARY ~{%d}\r\n%s)\r\n" % (len(tricky), tricky) + DONE)
    assert part.octets == tricky


def test_quoted_content_without_a_structure_is_accepted() -> None:
    part, _ = play(b"* URLFETCH " + QUOTED + b' (BINARY "sound")\r\n' + DONE)
    assert part == FetchedPart("application/octet-stream", {}, b"sound")


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
        (
            b"* URLFETCH " + QUOTED + b" (BINARY NIL) (BODYPARTSTRUCTURE " + STRUCTURE + b")\r\na1 OK done\r\n",
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
        (b"* URLFETCH " + QUOTED + b' (BINARY "' + b"x" * 1001 + b'")\r\na1 OK done\r\n', FailureKind.TOO_LARGE),
        (b"* URLFETCH " + QUOTED + b" NIL\r\na1 BAD what\r\n", FailureKind.REFUSED),
        (b"* NO Failed to fetch: no access\r\n* URLFETCH " + QUOTED + b" NIL\r\n" + DONE, FailureKind.NOT_FOUND),
        (b"* URLFETCH " + QUOTED + b" NIL\r\n* NO Access denied.\r\n" + DONE, FailureKind.NOT_FOUND),
        (b"a1 NO [SERVERBUG] Internal error occurred\r\n", FailureKind.REFUSED),
    ],
    ids=[
        *("nil", "nil-atom", "no", "bad", "silent-ok", "other-url", "no-binary-item", "binary-nil"),
        *(
            "plain-answer",
            "untagged-no",
            "untagged-bad",
            "no-and-nil",
            "too-large",
            "quoted-and-too-large",
            "cyrus-nil-and-bad",
            "dovecot-says-why-before",
            "dovecot-says-why-behind",
            "dovecot-2.3-panics",
        ),
    ],
)
def test_each_refusal_has_its_failure_kind(data: bytes, kind: FailureKind) -> None:
    assert failure(data) is kind


SPOILT = [
    b"* URLFETCH " + URL.encode() + b" (BODYPARTSTRUCTURE NIL BINARY NIL)\r\n" + DONE,
    b"* URLFETCH " + URL.encode() + b" (BINARY NIL)\r\n" + DONE,
    b"* URLFETCH " + URL.encode() + b' NIL\r\n* NO Failed to read URLAUTH "' + URL.encode() + b'": Invalid.\r\n' + DONE,
]
SPOILT_IDS = ["both-nil", "content-nil", "dovecot-says-why"]
ALONE = b"* URLFETCH " + URL.encode() + b" (" + CONTENT + b")\r\na2 OK done\r\n"


@pytest.mark.parametrize("spoilt", SPOILT, ids=SPOILT_IDS)
def test_a_part_beside_an_undecodable_one_is_fetched_by_separate_commands(spoilt: bytes) -> None:
    described = b"* URLFETCH " + URL.encode() + b" (BODYPARTSTRUCTURE " + STRUCTURE + b")\r\na3 OK done\r\n"
    part, sent = play(spoilt + NEXT + ALONE + NEXT + described)
    assert part == FetchedPart("audio/basic", {"rate": "8000"}, b"a\0b\r\n")
    assert [line.rpartition(b'" ')[2] for line in sent.splitlines()] == [
        b"BODYPARTSTRUCTURE BINARY)",
        b"BINARY)",
        b"BODYPARTSTRUCTURE)",
    ]


def test_a_part_without_any_structure_is_an_octet_stream() -> None:
    part, _ = play(SPOILT[0] + NEXT + ALONE + NEXT + b"* URLFETCH " + QUOTED + b" NIL\r\na3 OK done\r\n")
    assert part == FetchedPart("application/octet-stream", {}, b"a\0b\r\n")


@pytest.mark.parametrize("spoilt", SPOILT, ids=SPOILT_IDS)
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"* URLFETCH " + QUOTED + b" (BINARY NIL)\r\na2 OK done\r\n", FailureKind.UNDECODABLE_ENCODING),
        (b"* URLFETCH " + QUOTED + b" NIL\r\na2 OK done\r\n", FailureKind.NOT_FOUND),
        (b"a2 NO [UNKNOWN-CTE] no\r\n", FailureKind.REFUSED),
    ],
)
def test_an_undecodable_part_is_an_error(spoilt: bytes, answer: bytes, kind: FailureKind) -> None:
    assert failure(spoilt + NEXT + answer) is kind


STORED = b'("AUDIO" "BASIC" ("Rate" "8000") NIL NIL "BASE64" 9)'
UNDECODABLE = b"* URLFETCH " + QUOTED + b" (BINARY NIL) (BODYPARTSTRUCTURE " + STORED + b")\r\n" + DONE


def encoded(tag: bytes, content: bytes = b'"c29!1bmQ="', structure: bytes = STORED) -> bytes:
    described = b" (BODYPARTSTRUCTURE " + structure + b")"
    return b"* URLFETCH " + QUOTED + b" (BODY " + content + b")" + described + b"\r\n" + tag + b" OK done\r\n"


def test_with_decodes_itself_an_undecodable_part_is_decoded_here() -> None:
    part, sent = play(UNDECODABLE + NEXT + encoded(b"a2"), decodes_itself=True)
    assert part == FetchedPart("audio/basic", {"rate": "8000"}, b"sound")
    assert sent.splitlines()[1] == b"a2 URLFETCH (" + QUOTED + b" BODYPARTSTRUCTURE BODY)"
    part, _ = play(SPOILT[2] + NEXT + SPOILT[2].replace(b"a1", b"a2") + NEXT + encoded(b"a3"), decodes_itself=True)
    assert part.octets == b"sound"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (encoded(b"a2", structure=STORED.replace(b"BASE64", b"X-UUENCODE")), FailureKind.UNDECODABLE_ENCODING),
        (encoded(b"a2", structure=b"NIL"), FailureKind.UNDECODABLE_ENCODING),
        (encoded(b"a2", content=b"NIL"), FailureKind.UNDECODABLE_ENCODING),
        (encoded(b"a2", content=b"{1001}\r\n" + b"A" * 1001), FailureKind.TOO_LARGE),
        (b"* URLFETCH " + QUOTED + b" NIL\r\na2 OK done\r\n", FailureKind.NOT_FOUND),
    ],
)
def test_with_decodes_itself_an_undecodable_answer_is_an_error(answer: bytes, kind: FailureKind) -> None:
    assert failure(UNDECODABLE + NEXT + answer, decodes_itself=True) is kind


@pytest.mark.parametrize("data", [b"* URLFETCH " + QUOTED + b" NIL\r\n" + DONE, encoded(b"a1", b'"x"')])
def test_a_refused_or_wrong_answer_is_not_asked_for_again(data: bytes) -> None:
    assert failure(data, decodes_itself=True) in {FailureKind.NOT_FOUND, FailureKind.REFUSED}


def test_fault_fetches_another_url() -> None:
    changed = URL.replace(";UID=", ";uid=").encode()
    part, sent = play(b'* URLFETCH "' + changed + b'" (BINARY "sound")\r\n' + DONE, URL_NORMALISED)
    assert changed in sent
    assert part.octets == b"sound"


def test_fault_fetches_as_the_draft() -> None:
    """The command has erratum E-31, the answer E-32 and E-33; the length of the literal is the valid one."""
    structure = b'("AUDIO" "BASIC" () NIL NIL "BINARY" 655350 )'
    answer = b"* URLFETCH " + QUOTED + b" (BODYPARTSTRUCTURE " + structure + b") (BINARY ~{5}\r\na\0b\r\n)\r\n"
    part, sent = play(answer + DONE, DRAFT_FETCH)
    assert sent == b"a1 URLFETCH ( " + QUOTED + b" BODYPARTSTRUCTURE BINARY )\r\n"
    assert part == FetchedPart("audio/basic", {}, b"a\0b\r\n")


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
def test_plan_refuses_bad_urls_and_hosts_that_are_not_allowed(url: str, kind: FailureKind) -> None:
    with pytest.raises(FetchError) as caught:
        plan_fetch(url, settings("allowed.example:143"), "192.0.2.3")
    assert caught.value.failure.kind is kind


@pytest.mark.parametrize(
    "server",
    [
        "joe@allowed.example.evil.example",
        "joe@evil.example",
        "allowed.example@evil.example",
        "joe@allowed.example@evil.example",
        "allowed.example:143@evil.example",
        "joe@evil.example#allowed.example",
        "joe@evil.example\\@allowed.example",
        "joe@allowed.example\\.evil.example",
        "joe@evil.example%40allowed.example",
        "joe@evil.example%2F@allowed.example",
        "joe@allowed.example%2Eevil.example",
        "joe@allowed.example%00.evil.example",
        "joe@\N{FULLWIDTH LATIN SMALL LETTER A}llowed.example",
        "joe@xn--allowed.example",
        "joe@allowed.example:25",
        "joe@allowed.example:143:25",
        "joe@allowed.example:65679",
        "joe@0x7f000001",
        "joe@2130706433",
        "joe@0177.0.0.1",
        "joe@127.1",
        "joe@127.0.0.1",
        "joe@0.0.0.0",
        "joe@[::1]",
        "joe@[::ffff:7f00:1]",
        "joe@[::1%25lo]",
        "joe@localhost",
        "joe@",
        "",
    ],
)
def test_no_spelling_of_a_host_bypasses_the_list(server: str) -> None:
    url = URL.replace("joe@imap.example.com", server)
    with pytest.raises(FetchError) as caught:
        plan_fetch(url, settings("allowed.example:143"), "192.0.2.3")
    assert caught.value.failure.kind in {FailureKind.HOST_REFUSED, FailureKind.BAD_URL}


@pytest.mark.parametrize("server", ["allowed.example", "ALLOWED.example:143", "allowed.example.", "allowed%2Eexample"])
def test_every_spelling_of_an_allowed_host_is_allowed(server: str) -> None:
    plan = plan_fetch(URL.replace("imap.example.com", server), settings("allowed.example:143"), "192.0.2.3")
    assert (plan.host, plan.port) == ("allowed.example", 143)


@pytest.mark.parametrize(
    ("caller", "identity", "privileged"),
    [("192.0.2.3", True, True), ("192.0.2.4", True, False), ("192.0.2.3", False, False), ("", True, False)],
)
def test_identity_is_for_trusted_callers(caller: str, identity: bool, privileged: bool) -> None:
    trusting = ImapSettings(
        allow=(AllowedHost("imap.example.com"),),
        identity=ImapAccount("mediaserver", "secret") if identity else None,
        trusted_callers=(read_network("192.0.2.3"),),
    )
    assert plan_fetch(URL, trusting, caller).privileged is privileged
