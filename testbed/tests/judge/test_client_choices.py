"""The checks of what a client chooses: green on the diagrams and for harmless variations, red for a wrong choice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lemonade_testbed.checks.client_choices import walk
from lemonade_testbed.checks.medialist import ListedServer, read_list
from lemonade_testbed.checks.registry import find_check
from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.ladder.imaptext import tokens
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.testing.flow import Flow, Message
from lemonade_testbed.verdict import CheckResult

ANNC = load_scenario(SCENARIOS / "announcement-service.yaml")
OURS = (
    "access is as obliged",
    "mechanism is internal",
    "expire comes before urlauth",
    "ticket lives as asked",
    "ticket names the message",
    "section is chosen by structure",
    "call goes to a known server",
    "discovery where it is wanted",
)
LISTED = "<sip:annc@media.example.net>"
Change = Callable[["Flow"], None]


def scripted(*steps: dict[str, Any]) -> Scenario:
    """Return the scenario of the announcement with another script."""
    return replace(ANNC, client=steps)


STREAM = scripted({"stream": {}})
OPEN = scripted({"stream": {"access": "anonymous"}})
DISCOVER = scripted(
    {"find-part": {"type": "audio/*"}}, {"discover": {}}, {"authorise": {"access": "anonymous"}}, {"announce": {}}
)


def run(words: str, flow: Flow, scenario: Scenario) -> CheckResult:
    check, file = find_check(words)
    return check.run(scenario, flow.evidence(), file)


def change(name: str, old: str, new: str) -> Change:
    return lambda flow: flow.change(name, old, new)


def both(*changes: Change) -> Change:
    def change_all(flow: Flow) -> None:
        for one in changes:
            one(flow)

    return change_all


def lists(value: str, entry: str = "/public/mediaServers") -> Change:
    """Let the client ask for the media servers before its ticket, and let the server list them."""

    def insert(flow: Flow) -> None:
        make = type(flow.messages[0])
        at = flow.messages.index(flow["genurlauth"])
        flow.messages[at:at] = [
            make("getmetadata", "imap", "client", "imap", f'm1 GETMETADATA "" {entry}'),
            make("metadata", "imap", "imap", "client", f'* METADATA "" ({entry} "{value}")'),
            make("getmetadata-ok", "imap", "imap", "client", "m1 OK done"),
        ]

    return insert


def to_host(host: str, user: str = "annc") -> Change:
    return change("invite", "INVITE sip:annc@media.example.net", f"INVITE sip:{user}@{host}")


def refused(flow: Flow) -> None:
    """Let the server refuse the ticket, and let the client hand over the URL without one."""
    flow.drop("genurlauth-data")
    flow.change("genurlauth-ok", "a3 OK done", "a3 NO not that long")
    flow.change("invite", ":INTERNAL:fp-0123456789abcdef", "")


def not_fetched(flow: Flow) -> None:
    for name in ("fetch", "fetch-data", "fetch-ok"):
        flow.drop(name)


RED: dict[str, tuple[str, Scenario, Change, tuple[str, ...]]] = {
    "anonymous though listed": ("access is as obliged", OPEN, lists(f"{LISTED}:authuser"), ("LS-2.2-8", "LS-2.3-7")),
    "token in capitals": ("access is as obliged", OPEN, lists(f"{LISTED}:STREAM"), ("LS-2.2-8", "LS-7-1")),
    "token of one port": (
        "access is as obliged",
        OPEN,
        lists("<sip:annc@media.example.net:5070>;<sip:annc@media.example.net:5060>:authuser"),
        ("LS-2.2-8",),
    ),
    "anonymous by default": ("access is as obliged", STREAM, lists(LISTED), ("LS-2.3-8",)),
    "anonymous for submit+": (
        "access is as obliged",
        scripted({"authorise": {"access": "submit+"}}),
        both(),
        ("LS-2.3-8", "LS-3-3"),
    ),
    "authuser for anonymous": (
        "access is as obliged",
        ANNC,
        change("genurlauth", "=anonymous", "=authuser"),
        ("LS-2.3-9",),
    ),
    "mechanism": ("mechanism is internal", ANNC, change("genurlauth", '" INTERNAL', '" X-OTHER'), ("LS-2.3-10",)),
    "no mechanism": ("mechanism is internal", ANNC, change("genurlauth", '" INTERNAL', '"'), ("LS-2.3-10",)),
    "urlauth first": (
        "expire comes before urlauth",
        ANNC,
        change(
            "genurlauth",
            ";EXPIRE=2026-11-22T10:00:00Z;URLAUTH=anonymous",
            ";URLAUTH=anonymous;EXPIRE=2026-11-22T10:00:00Z",
        ),
        ("LS-2.3-3",),
    ),
    "no date": ("expire comes before urlauth", ANNC, change("genurlauth", "2026-11-22T", "2026-13-22T"), ("LS-2.3-3",)),
    "two hours": ("ticket lives as asked", ANNC, change("genurlauth", "T10:00", "T11:50"), ("LS-2.3-4",)),
    "zone ignored": ("ticket lives as asked", ANNC, change("genurlauth", "10:00:00Z", "10:00:00+01:00"), ("LS-2.3-4",)),
    "user": ("ticket names the message", ANNC, change("genurlauth", "joe@", "jim@"), ("LS-2.3-2",)),
    "mailbox": ("ticket names the message", ANNC, change("genurlauth", "/INBOX", "/Inbox%2520a"), ("LS-2.3-2",)),
    "uid": ("ticket names the message", ANNC, change("genurlauth", "UID=20", "UID=21"), ("LS-2.3-2",)),
    "section": ("section is chosen by structure", ANNC, change("genurlauth", "=2;", "=1;"), ("LS-2.3-1",)),
    "structure elsewhere": (
        "section is chosen by structure",
        ANNC,
        change("fetch-data", "((", '(("IMAGE" "PNG" NIL NIL NIL "BASE64" 4)('),
        ("LS-2.3-1",),
    ),
    "no structure": ("section is chosen by structure", ANNC, not_fetched, ("LS-2.1-1",)),
    "no ticket": ("no call without a ticket", ANNC, refused, ("LS-2.3-12",)),
    "unknown host": ("call goes to a known server", ANNC, to_host("media.elsewhere.example"), ("LS-2.2-2",)),
    "unknown port": ("call goes to a known server", ANNC, to_host("media.example.net:5070"), ("LS-2.2-2",)),
    "other scheme": (
        "call goes to a known server",
        DISCOVER,
        both(lists(f"<rtsp://rtsp.example.net/voice>;{LISTED}"), to_host("rtsp.example.net")),
        ("LS-2.2-9",),
    ),
    "list ignored": ("call goes to a known server", DISCOVER, lists("<sip:annc@ms2.example.net>"), ("LS-2.2-12",)),
    "service ignored": (
        "call goes to a known server",
        STREAM,
        both(lists(LISTED), to_host("media.example.net", "ivr")),
        ("LS-2.2-10", "LS-2.4-2"),
    ),
    "discovery unasked": ("discovery where it is wanted", ANNC, lists(LISTED), ("LS-2.2-1",)),
    "no discovery": ("discovery where it is wanted", STREAM, both(), ("LS-2.2-2",)),
    "entry of the other profile": (
        "discovery where it is wanted",
        STREAM,
        lists("", "/shared/mediaServers"),
        ("LS-2.2-2",),
    ),
}


@pytest.mark.parametrize(("words", "scenario", "wrong", "clauses"), RED.values(), ids=RED)
def test_a_wrong_choice_is_charged_to_the_client(
    annc: Flow, words: str, scenario: Scenario, wrong: Change, clauses: tuple[str, ...]
) -> None:
    wrong(annc)
    result = run(words, annc, scenario)
    assert [one.node for one in result.breaches] == ["client"], result
    assert set(clauses) <= set(result.breaches[0].clauses)
    assert set(result.breaches[0].clauses) <= set(find_check(words)[0].clauses)


GREEN: dict[str, tuple[Scenario, Change]] = {
    "as it must be": (ANNC, both()),
    "listed without a token": (OPEN, lists(LISTED)),
    "token of another server": (OPEN, lists(f"<sip:annc@ms2.example.net>:authuser;{LISTED}")),
    "both tokens of one server": (OPEN, lists(f"<sip:ivr@media.example.net>:authuser;{LISTED}")),
    "unknown token": (OPEN, lists(f"{LISTED}:x-fast")),
    "list in another order": (OPEN, lists(f"<sip:annc@ms2.example.net>;{LISTED}")),
    "blanks in the list": (OPEN, lists("<sip:annc@ media.example.net:5060> ; <rtsp:media.example.net>")),
    "nothing listed": (OPEN, lists("")),
    "mechanism in lower case": (ANNC, change("genurlauth", '" INTERNAL', '" internal')),
    "access in capitals": (ANNC, change("genurlauth", "=anonymous", "=ANONYMOUS")),
    "another zone": (ANNC, change("genurlauth", "T10:00:00Z", "T11:00:00.5+01:00")),
    "host in capitals": (ANNC, change("genurlauth", "imap.example.com", "IMAP.example.com")),
    "no UIDVALIDITY": (ANNC, change("genurlauth", ";UIDVALIDITY=385759045", "")),
    "nested": (
        ANNC,
        both(
            change("genurlauth", "=2;", "=1.2;"),
            change("fetch-data", "BODYSTRUCTURE (", "BODYSTRUCTURE (("),
            change("fetch-data", '"MIXED")', '"MIXED") "MIXED")'),
        ),
    ),
}


@pytest.mark.parametrize("words", OURS)
@pytest.mark.parametrize(("scenario", "variation"), GREEN.values(), ids=GREEN)
def test_a_harmless_variation_is_green(annc: Flow, words: str, scenario: Scenario, variation: Change) -> None:
    variation(annc)
    result = run(words, annc, scenario)
    assert not result.breaches, result


@pytest.mark.parametrize("words", OURS)
def test_the_calls_of_both_diagrams_are_green(annc: Flow, ivr: Flow, words: str) -> None:
    for flow, name in ((annc, "announcement-service"), (ivr, "ivr-service")):
        assert run(words, flow, load_scenario(SCENARIOS / f"{name}.yaml")).ok


def test_a_ticket_for_the_application_is_wanted_in_the_other_profile(annc: Flow) -> None:
    lists(f"{LISTED}:stream", "/shared/mediaServers")(annc)
    annc.change("genurlauth", "=anonymous", "=submit+joe")
    annc.world["profile"] = "rfc5616"
    (breach,) = run("access is as obliged", annc, STREAM).breaches
    assert (breach.expected, breach.seen) == ("stream", "submit+joe")
    annc.change("genurlauth", "=submit+joe", "=stream")
    for words in OURS:
        assert not run(words, annc, STREAM).breaches


def test_a_refused_ticket_without_a_call_is_green(annc: Flow) -> None:
    refused(annc)
    annc.messages = [message for message in annc.messages if message.kind == "imap"]
    assert run("no call without a ticket", annc, ANNC).ok


def test_a_command_that_the_script_gives_word_for_word_is_not_charged(annc: Flow) -> None:
    annc.change("genurlauth", '" INTERNAL', '" X-OTHER')
    raw = scripted({"imap": {"command": 'GENURLAUTH "$url" X-OTHER'}})
    for words in OURS[:6]:
        assert run(words, annc, raw).reached == ()


def test_without_any_message_nothing_is_reached(annc: Flow) -> None:
    annc.messages = [Message("noop", "imap", "client", "imap", "a1 NOOP")]
    for words in (*OURS, "no call without a ticket"):
        assert run(words, annc, ANNC).reached == ()


def test_a_list_is_read_whatever_its_blanks_and_case() -> None:
    text = "<sips:ivr@MS2.example.net:5061>;\r\n <sip:annc@ ms3.example.net;play=x>:AuthUser; <rtsp://r.example.net/a>"
    assert read_list(text) == (
        ListedServer("sips", "ivr", "ms2.example.net", 5061),
        ListedServer("sip", "annc", "ms3.example.net", 5060, "AuthUser"),
        ListedServer("rtsp", "", "r.example.net", 5060),
    )
    assert read_list("sip:annc@ms1.example.net") == (ListedServer("sip", "annc", "ms1.example.net", 5060, bare=True),)
    assert read_list("no list") == ()


@pytest.mark.parametrize(
    ("text", "sections"),
    [
        ('("AUDIO" "BASIC" NIL)', {"1": "audio/basic"}),
        ('(("TEXT" "PLAIN")("AUDIO" "WAV") "MIXED")', {"1": "text/plain", "2": "audio/wav"}),
        ('(("TEXT" "PLAIN")("AUDIO" "WAV"))', {"1": "text/plain", "2": "audio/wav"}),
        ('((("A" "B")("C" "D") "X")("E" "F") "Y")', {"1.1": "a/b", "1.2": "c/d", "2": "e/f"}),
        (
            '(("TEXT" "PLAIN")("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 9 (NIL) (("A" "B")("C" "D") "X") 3) "MIXED")',
            {"1": "text/plain", "2": "message/rfc822", "2.1": "a/b", "2.2": "c/d"},
        ),
        (
            '("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 9 (NIL) ("A" "B") 3)',
            {"1": "message/rfc822", "1.1": "a/b"},
        ),
    ],
)
def test_sections_are_counted_as_imap_counts_them(text: str, sections: dict[str, str]) -> None:
    (structure,) = tokens(text)
    assert dict(walk(structure)) == sections
