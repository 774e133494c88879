"""The checks of an IMAP server: red at the server for their own clause, green for harmless variations."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from lemonade_testbed.checks import imap_server, part, rights
from lemonade_testbed.checks.registry import find_check
from lemonade_testbed.checks.structures import SIZE
from lemonade_testbed.clauses import SCENARIOS, load_clauses
from lemonade_testbed.judge import judge
from lemonade_testbed.mailparts import parts_by_section
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.testing.flow import Flow, Message

ANNC = load_scenario(SCENARIOS / "announcement-service.yaml")
IVR = load_scenario(SCENARIOS / "ivr-service.yaml")
SERVERS = "<sip:annc@media.example.net>:authuser;<sip:ivr@media.example.net>"
LISTED = replace(ANNC, given=replace(ANNC.given, media_servers=SERVERS))
LEAF = '("AUDIO" "BASIC" NIL NIL NIL "BASE64" 133856 NIL ("ATTACHMENT" ("FILENAME" "voicemail.ul")) NIL NIL)'
Change = Callable[["Flow"], None]


def text(name: str, old: str, new: str) -> Change:
    return lambda flow: flow.change(name, old, new)


def red(scenario: Scenario, flow: Flow) -> set[tuple[str, str, tuple[str, ...]]]:
    """Return the breaches of the checks of the IMAP server: the words of the check, the node, and the first clause."""
    evidence = flow.evidence()
    checks = (*imap_server.CHECKS, *rights.CHECKS, *part.CHECKS)
    results = {check.words: check.run(scenario, evidence, "") for check in checks}
    return {(words, one.node, one.clauses[:1]) for words, result in results.items() for one in result.breaches}


def say(flow: Flow, after: str, *lines: tuple[str, str, str]) -> None:
    """Put IMAP lines of the client's connection after a message: name, sender, text."""
    place = flow.messages.index(flow[after]) + 1
    new = [
        replace(flow[after], name=name, source=source, target="client" if source == "imap" else "imap", text=line)
        for name, source, line in lines
    ]
    flow.messages[place:place] = new


BODYSTRUCTURE = "bodystructure is the mail"
STRUCTURES: dict[str, tuple[Change, str]] = {
    "subtype": (text("fetch-data", '"BASIC"', '"WAV"'), "RFC3501-7.4.2-1"),
    "a part left out": (text("fetch-data", LEAF, ""), "RFC3501-7.4.2-1"),
    "multipart's subtype": (text("fetch-data", '"MIXED"', '"RELATED"'), "RFC3501-7.4.2-1"),
    "parameter's value": (text("fetch-data", '"us-ascii"', '"utf-8"'), "RFC3501-7.4.2-2"),
    "no parameters": (text("fetch-data", '("CHARSET" "us-ascii")', "NIL"), "RFC3501-7.4.2-2"),
    "encoding": (text("fetch-data", '"BASE64"', '"8BIT"'), "RFC3501-7.4.2-3"),
    "decoded size": (text("fetch-data", "133856", "97818"), "RFC3501-7.4.2-4"),
    "lines": (text("fetch-data", "78 4)", "78 9)"), "RFC3501-7.4.2-5"),
}


@pytest.mark.parametrize(("change", "clause"), STRUCTURES.values(), ids=STRUCTURES)
def test_a_structure_that_differs_from_the_mail_is_charged_to_the_server(
    annc: Flow, change: Change, clause: str
) -> None:
    change(annc)
    assert red(ANNC, annc) == {(BODYSTRUCTURE, "imap", (clause,))}


def _write_literal(flow: Flow) -> None:
    flow.change("fetch-data", '"AUDIO"', "{5}")
    flow["fetch-data"].literals = [{"size": 5, "sha256": hashlib.sha256(b"AUDIO").hexdigest(), "text": "AUDIO"}]


HARMLESS: dict[str, Change] = {
    "no extension data": text("fetch-data", ' NIL ("ATTACHMENT" ("FILENAME" "voicemail.ul")) NIL NIL', ""),
    "extension data of the multipart": text("fetch-data", '"MIXED")', '"MIXED" ("BOUNDARY" "=_voicemail_1") NIL NIL)'),
    "lower case": text("fetch-data", '"AUDIO" "BASIC" NIL NIL NIL "BASE64"', '"audio" "basic" NIL NIL NIL "base64"'),
    "parameter names in lower case": text("fetch-data", '"CHARSET" "us-ascii"', '"charset" "US-ASCII"'),
    "a literal": _write_literal,
    "other news": lambda flow: say(flow, "fetch-data", ("news", "imap", "* 2 EXISTS"), ("flags", "imap", "* 1 RECENT")),
    "a structure of what is returned with parameters left empty": text("urlfetch-data", '"BASIC" NIL', '"BASIC" ()'),
    "description in lower case": text("urlfetch-data", '"AUDIO" "BASIC"', '"audio" "basic"'),
    "description with extension data": text("urlfetch-data", "97818)) (", "97818 NIL NIL NIL NIL)) ("),
}


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_an_allowed_variation_is_green(annc: Flow, change: Change) -> None:
    change(annc)
    assert red(ANNC, annc) == set()


def test_urlfetch_returns_the_part_of_the_section(annc: Flow) -> None:
    mail = parts_by_section(annc.mail)
    assert [part.content_type for part in mail.values()] == ["text/plain", "audio/basic"]
    other = mail["1"].stored
    annc.change("urlfetch-data", "~{97818}", f"{{{len(other)}}}")
    annc["urlfetch-data"].literals = [{"size": len(other), "sha256": hashlib.sha256(other).hexdigest()}]
    assert ("part is decoded", "imap", ("RFC5092-6-1",)) in red(ANNC, annc)


def test_a_decoded_part_has_any_identity_encoding_that_its_octets_allow(annc: Flow) -> None:
    annc.change("urlfetch-data", '"BINARY" 9', '"8BIT" 9')
    assert red(ANNC, annc) == set()
    annc.change("urlfetch-data", '"8BIT" 9', '"7BIT" 9')
    assert red(ANNC, annc) == {("part is described", "imap", ("RFC5524-3.2-1",))}


def test_urlfetch_describes_the_part_that_it_returns(annc: Flow) -> None:
    annc.change("urlfetch-data", '"BINARY" 97818', '"BINARY" 133856')
    assert red(ANNC, annc) == {("part is described", "imap", ("RFC5524-3.2-1",))}


def _in_range(flow: Flow, octets: bytes, url: str = "/;PARTIAL=1000.2000") -> None:
    """Let the ticket have a range of the part, and the answer some octets."""
    for message in flow.messages:
        message.text = message.text.replace(";SECTION=2", f";SECTION=2{url}")
        message.text = message.text.replace(
            "%3BSECTION%3D2", f"%3BSECTION%3D2{url.replace(';', '%3B').replace('=', '%3D')}"
        )
    flow.change("urlfetch-data", "(BINARY ~{97818})", f"(BINARY ~{{{len(octets)}}})")
    flow["urlfetch-data"].literals = [{"size": len(octets), "sha256": hashlib.sha256(octets).hexdigest()}]


def test_partial_is_a_range_of_the_decoded_octets(annc: Flow) -> None:
    octets = annc.octets
    _in_range(annc, octets[1000:3000])
    assert "part is decoded" not in {place for place, *_ in red(ANNC, annc)}
    annc["urlfetch-data"].literals = [{"size": 2000, "sha256": hashlib.sha256(octets[1001:3001]).hexdigest()}]
    assert ("part is decoded", "imap", ("RFC5092-6-2",)) in red(ANNC, annc)


@pytest.mark.parametrize(("mark", "clauses"), [("~", set()), ("", {("RFC5524-3.1",)})])
def test_nul_requires_literal8(annc: Flow, mark: str, clauses: set[tuple[str, ...]]) -> None:
    annc.mail = (
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\nhi\n--x\nContent-Type: audio/basic\n"
        b"Content-Transfer-Encoding: base64\n\nAAECAw==\n--x--\n"
    )
    annc.change("urlfetch-data", "~{97818}", f"{mark}{{4}}")
    annc["urlfetch-data"].literals = [{"size": 4, "sha256": hashlib.sha256(b"\0\1\2\3").hexdigest()}]
    found = red(ANNC, annc)
    assert {clause for place, _, clause in found if place == "part is decoded"} == clauses


METADATA = "metadata is what was provisioned"
ANSWERS: dict[str, tuple[str, str | None]] = {
    "right": (f'(/public/mediaServers "{SERVERS}")', None),
    "in another case": (f'(/PUBLIC/MEDIASERVERS "{SERVERS}")', None),
    "another host": ('(/public/mediaServers "<sip:annc@other.example.net>:authuser")', "LS-2.2-6"),
    "withheld": ("(/public/mediaServers NIL)", "LS-2.2-6"),
    "no brackets": ('(/public/mediaServers "sip:annc@media.example.net:authuser")', "LS-2.2-7"),
    "no UTF-8": ('(/public/mediaServers "\\\\xff<sip:annc@media.example.net>")', "LS-7-2"),
    "another name": (f'(/public/servers "{SERVERS}")', "RFC5464-4.4.1"),
}


@pytest.mark.parametrize(("answer", "clause"), ANSWERS.values(), ids=ANSWERS)
def test_metadata_is_what_was_provisioned(annc: Flow, answer: str, clause: str | None) -> None:
    answer = answer.replace("\\\\", "\\")
    _ask_metadata(annc, ("metadata-data", "imap", f'* METADATA "" {answer}'))
    found = {one for one in red(LISTED, annc) if one[0] == METADATA}
    assert found == ({(METADATA, "imap", (clause,))} if clause else set())


@pytest.mark.parametrize(
    ("value", "is_red"), [("NIL", False), ("nil", False), ('""', True), ('"<sip:annc@media.example.net>"', True)]
)
def test_an_entry_without_a_value_is_nil(annc: Flow, value: str, is_red: bool) -> None:
    _ask_metadata(annc, ("metadata-data", "imap", f'* METADATA "" (/public/mediaServers {value})'))
    found = {one for one in red(ANNC, annc) if one[0] == METADATA}
    assert found == ({(METADATA, "imap", ("RFC5464-4.4.1",))} if is_red else set())


@pytest.mark.parametrize(("scenario", "reached"), [(LISTED, None), (ANNC, ("RFC5464-4.4.1",))])
def test_an_answer_reaches_the_clauses_that_its_value_shows(
    annc: Flow, scenario: Scenario, reached: tuple[str, ...] | None
) -> None:
    value = f'"{SERVERS}"' if scenario is LISTED else "NIL"
    _ask_metadata(annc, ("metadata-data", "imap", f'* METADATA "" (/public/mediaServers {value})'))
    check, file = find_check(METADATA)
    result = check.run(scenario, annc.evidence(), file)
    assert (result.breaches, result.reached) == ((), reached)


def _ask_metadata(flow: Flow, *lines: tuple[str, str, str]) -> None:
    asked = ("metadata", "client", 'm1 GETMETADATA "" /public/mediaServers')
    say(flow, "login-ok", asked, *lines, ("metadata-ok", "imap", "m1 OK done"))


def test_an_entry_without_an_answer_is_withheld(annc: Flow) -> None:
    _ask_metadata(annc)
    assert (METADATA, "imap", ("LS-2.2-6",)) in red(LISTED, annc)


def test_a_value_may_be_a_literal(annc: Flow) -> None:
    _ask_metadata(annc, ("metadata-data", "imap", f'* METADATA "" (/public/mediaServers {{{len(SERVERS)}}})'))
    annc["metadata-data"].literals = [{"size": len(SERVERS), "text": SERVERS}]
    assert METADATA not in {place for place, *_ in red(LISTED, annc)}
    annc["metadata-data"].literals = [{"size": len(SERVERS)}]
    assert (METADATA, "imap", ("LS-7-2",)) in red(LISTED, annc)


@pytest.mark.parametrize(
    ("lines", "is_red"),
    [
        ((("n", "client", "n1 NOOP"), ("n-ok", "imap", "n1 OK done")), False),
        ((("n", "client", "n1 NOOP"), ("n-ok", "imap", "n1 OK done"), ("again", "imap", "n1 OK done")), True),
        ((("n", "client", "n1 NOOP"),), True),
        (
            (("n", "client", "n1 NOOP"), ("o", "client", "n2 NOOP"), ("b", "imap", "n2 OK"), ("a", "imap", "n1 OK")),
            False,
        ),
    ],
)
def test_every_command_gets_one_tagged_response(
    annc: Flow, lines: tuple[tuple[str, str, str], ...], is_red: bool
) -> None:
    say(annc, "login-ok", *lines)
    assert (("every command is answered", "imap", ("RFC3501-2.2.2",)) in red(ANNC, annc)) == is_red


@pytest.mark.parametrize(("line", "is_red"), [
    ("* BYE so long", False), ("* bye", False), ("* OK so long", True), ("* BYEBYE", True),
])  # fmt: skip
def test_logout_gets_bye(annc: Flow, line: str, is_red: bool) -> None:
    say(annc, "fetch-ok", ("x", "client", "x1 LOGOUT"), ("x-bye", "imap", line), ("x-ok", "imap", "x1 OK done"))
    assert (("logout is answered with bye", "imap", ("RFC3501-6.1.3",)) in red(ANNC, annc)) == is_red


@pytest.mark.parametrize(("flags", "between", "is_red"), [
    (r"\Seen", "", True), ("", "", False), (r"\Flagged", "", False), (r"\Seen", "s9 STORE 1 +FLAGS (\\Seen)", False),
])  # fmt: skip
def test_urlfetch_leaves_the_message_unseen(annc: Flow, flags: str, between: str, is_red: bool) -> None:
    told = ("flags", "imap", "* 1 FETCH (FLAGS () UID 20)")
    say(annc, "fetch-ok", ("f", "client", "f1 FETCH 1 (FLAGS)"), told, ("f-ok", "imap", "f1 OK done"))
    last: Message = annc["f-ok"]
    stored = [("s", "client", between), ("s-ok", "imap", "s9 OK done")] if between else []
    for name, source, line in (
        *stored,
        ("g", "client", "f2 FETCH 1 (FLAGS)"),
        ("g-flags", "imap", f"* 1 FETCH (UID 20 FLAGS ({flags}))"),
        ("g-ok", "imap", "f2 OK done"),
    ):
        target = "client" if source == "imap" else "imap"
        annc.messages.append(replace(last, name=name, source=source, target=target, text=line))
    found = {place for place, *_ in red(ANNC, annc)}
    assert ("seen is untouched" in found) == is_red


def test_content_that_was_asked_for_as_binary_is_returned_as_binary(annc: Flow) -> None:
    annc.change("urlfetch-data", "(BINARY ", "(BODY ")
    assert ("part is decoded", "imap", ("RFC5524-3.2-2",)) in red(ANNC, annc)


def test_a_message_that_the_client_appends_is_not_the_mail(annc: Flow) -> None:
    annc.change("fetch-data", '"BASIC"', '"WAV"')
    say(annc, "login-ok", ("append", "client", "p1 APPEND INBOX {10}"), ("append-ok", "imap", "p1 OK done"))
    assert BODYSTRUCTURE not in {place for place, *_ in red(ANNC, annc)}


def test_without_imap_the_checks_have_no_material(annc: Flow) -> None:
    annc.messages = [message for message in annc.messages if message.kind != "imap"]
    evidence = annc.evidence()
    results = {check.words: check.run(ANNC, evidence, "") for check in (*imap_server.CHECKS, *part.CHECKS)}
    for words in ("bodystructure is the mail", "every command is answered", "seen is untouched", "part is described"):
        assert results[words].reached == ()


def test_the_judge_charges_the_server_with_one_reason(annc: Flow) -> None:
    annc.change("fetch-data", "133856", "97818")
    reasons = [one for one in judge(ANNC, annc.evidence(), load_clauses()).reasons if one.node == "imap"]
    assert [(str(one.place), one.clauses) for one in reasons] == [("check bodystructure is the mail", (SIZE,))]


UID_FETCH = "f9 UID FETCH 1 (BODY.PEEK[HEADER])"


@pytest.mark.parametrize(
    ("command", "line", "missing"),
    [
        (UID_FETCH, "* 1 FETCH (UID 1 BODY[HEADER] {0})", False),
        (UID_FETCH, "* 1 FETCH (BODY[HEADER] {0})", True),
        (UID_FETCH.replace("UID ", ""), "* 1 FETCH (BODY[HEADER] {0})", False),
        (UID_FETCH, "* 3 FETCH (FLAGS (\\Seen))", False),  # after a change by another session
    ],
)
def test_a_response_to_uid_fetch_holds_the_uid(annc: Flow, command: str, line: str, missing: bool) -> None:
    say(annc, "fetch-ok", ("asked", "client", command), ("told", "imap", line), ("done", "imap", "f9 OK done"))
    assert red(ANNC, annc) == ({("uid is told", "imap", ("RFC3501-6.4.8",))} if missing else set())


@pytest.mark.parametrize("offered", [True, False])
@pytest.mark.parametrize("result", ["OK", "NO"])
def test_an_anonymous_login_that_is_offered_is_taken(annc: Flow, offered: bool, result: str) -> None:
    if not offered:
        annc.change("greeting", " AUTH=ANONYMOUS", "")
    say(
        annc,
        "fetch-ok",
        ("asked", "client", "f9 AUTHENTICATE ANONYMOUS bQ=="),
        ("done", "imap", f"f9 {result} so it is"),
    )
    refused = {("anonymous login is taken", "imap", ("RFC3501-6.1.1",))}
    assert red(ANNC, annc) == (refused if offered and result == "NO" else set())
