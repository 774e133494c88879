"""The checks of tickets at an IMAP server: which it must give, serve, and refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lemonade_testbed.checks.imap_exchanges import TicketUrl, mailbox_name
from lemonade_testbed.checks.registry import find_check
from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.ladder.observe import observe
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.testing.flow import TICKET, Flow

ANNC = load_scenario(SCENARIOS / "announcement-service.yaml")
ANN = replace(ANNC, given=replace(ANNC.given, users={**ANNC.given.users, "ann": "secret"}))
SERVED = "only valid tickets are served"
ANSWERED = "every url is answered"
OWN = "tickets are of own mailboxes"
Change = Callable[["Flow"], None]


def red(scenario: Scenario, flow: Flow, words: str) -> set[tuple[str, tuple[str, ...]]]:
    """Return the node and the clauses of each breach that a check finds."""
    check, file = find_check(words)
    return {(one.node, one.clauses) for one in check.run(scenario, flow.evidence(), file).breaches}


def everywhere(old: str, new: str) -> Change:
    """Change the URL in every message; in the INVITE it is escaped."""

    def change(flow: Flow) -> None:
        for message in flow.messages:
            message.text = message.text.replace(old, new)
            message.text = message.text.replace(_escaped(old), _escaped(new))

    return change


def _escaped(text: str) -> str:
    return text.replace("@", "%40").replace(";", "%3B").replace("=", "%3D")


def fetch_another(old: str, new: str) -> Change:
    """Let the media server fetch another URL than the authorised one, and get the part."""

    def change(flow: Flow) -> None:
        for name in ("urlfetch", "urlfetch-data"):
            flow.change(name, old, new)

    return change


def reset(argument: str) -> Change:
    def change(flow: Flow) -> None:
        place = flow.messages.index(flow["genurlauth-ok"]) + 1
        flow.messages.insert(place, replace(flow["genurlauth"], name="reset", text=f"r1 RESETKEY{argument}"))
        flow.messages.insert(place + 1, replace(flow["genurlauth-ok"], name="reset-ok", text="r1 OK done"))

    return change


def other_uidvalidity(flow: Flow) -> None:
    place = flow.messages.index(flow["login-ok"]) + 1
    for name, text in (("select", "s1 SELECT INBOX"), ("s-data", "* OK [UIDVALIDITY 7] new"), ("s-ok", "s1 OK done")):
        model = "login" if name == "select" else "login-ok"
        flow.messages.insert(place, replace(flow[model], name=name, text=text))
        place += 1


BAD: dict[str, tuple[Change, str]] = {
    "another EXPIRE": (fetch_another("T10:00", "T11:00"), "RFC4467-6"),
    "another access": (fetch_another("URLAUTH=anonymous", "URLAUTH=authuser"), "RFC4467-6"),
    "another section": (fetch_another(";SECTION=2", ";SECTION=1"), "RFC4467-6"),
    "another owner": (fetch_another("joe@", "ann@"), "RFC4467-6"),
    "another token": (fetch_another("fp-0123", "fp-9123"), "RFC4467-6"),
    "expired": (everywhere("2026-11-22T10:00:00Z", "1969-11-22T10:00:00+01:00"), "RFC4467-3-1"),
    "authuser of an anonymous session": (everywhere("URLAUTH=anonymous", "URLAUTH=authuser"), "RFC4467-3-2"),
    "user+ of another": (everywhere("URLAUTH=anonymous", "URLAUTH=user+ann"), "RFC4467-3-2"),
    "submit+ of no submission server": (everywhere("URLAUTH=anonymous", "URLAUTH=submit+joe"), "RFC4467-3-2"),
    "revoked": (reset(" INBOX"), "RFC4467-7-3"),
    "revoked with all": (reset(""), "RFC4467-7-4"),
    "stale": (other_uidvalidity, "RFC5092-6-3"),
}


@pytest.mark.parametrize(("change", "clause"), BAD.values(), ids=BAD)
def test_serving_an_invalid_ticket_is_charged_to_the_server(annc: Flow, change: Change, clause: str) -> None:
    change(annc)
    assert red(ANNC, annc, SERVED) == {("imap", (clause,))}


@pytest.mark.parametrize("change", [change for change, _ in BAD.values()], ids=BAD)
def test_refusing_an_invalid_ticket_is_green(annc: Flow, change: Change) -> None:
    change(annc)
    _refuse(annc)
    assert red(ANNC, annc, SERVED) == set()
    assert red(ANNC, annc, ANSWERED) == set()


def _refuse(flow: Flow) -> None:
    url = flow["urlfetch-data"].text.split('"')[1]
    flow["urlfetch-data"].text, flow["urlfetch-data"].literals = f'* URLFETCH "{url}" NIL', []


OTHERS: dict[str, Change] = {
    "another mailbox's key": reset(" Other"),
    "the same mailbox in another zone": everywhere("2026-11-22T10:00:00Z", "2026-11-22T12:00:00+02:00"),
    "no EXPIRE": everywhere(";EXPIRE=2026-11-22T10:00:00Z", ""),
}


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_serving_a_valid_ticket_is_green(annc: Flow, change: Change) -> None:
    change(annc)
    assert red(ANNC, annc, SERVED) == set()


def test_refusing_a_valid_ticket_is_charged_to_the_server(annc: Flow) -> None:
    place = annc.messages.index(annc["login-ok"]) + 1
    for name, text in (("search", "s1 UID SEARCH ALL"), ("found", "* SEARCH 20"), ("s-ok", "s1 OK done")):
        model = "login" if name == "search" else "login-ok"
        annc.messages.insert(place, replace(annc[model], name=name, text=text))
        place += 1
    assert red(ANNC, annc, SERVED) == set()
    _refuse(annc)
    assert red(ANNC, annc, SERVED) == {("imap", ("LS-2.8-11",))}


def test_a_url_without_a_line_is_charged_to_the_server_and_differs_from_nil(annc: Flow) -> None:
    annc.drop("urlfetch-data")
    assert red(ANNC, annc, ANSWERED) == {("imap", ("RFC4467-7-1",))}
    assert "IMAP OK URLFETCH nothing" in [seen.label() for seen in observe(annc.evidence()).messages]


def test_an_ok_to_genurlauth_without_a_url_is_charged_to_the_server(annc: Flow) -> None:
    given = "every genurlauth gives a url"
    assert red(ANNC, annc, given) == set()
    annc.drop("genurlauth-data")
    assert red(ANNC, annc, given) == {("imap", ("RFC4467-7-6",))}
    annc.change("genurlauth-ok", "OK", "NO")
    assert red(ANNC, annc, given) == set()


def test_more_urls_than_genurlauth_was_asked_for_are_charged_to_the_server(annc: Flow) -> None:
    data = annc["genurlauth-data"]
    data.text = f'{data.text} "{TICKET}"'
    assert red(ANNC, annc, "every genurlauth gives a url") == {("imap", ("RFC4467-7-6",))}


@pytest.mark.parametrize(
    ("asked", "is_red"),
    [("BODYPARTSTRUCTURE BINARY", False), ("BINARY BODYPARTSTRUCTURE", False), ("BINARY", True), ("BODY", True)],
)
def test_a_media_server_asks_for_content_and_description(annc: Flow, asked: str, is_red: bool) -> None:
    annc.change("urlfetch", "BODYPARTSTRUCTURE BINARY", asked)
    wrong = {("media", ("LS-2.8-10", "LS-2.1-11"))} if is_red else set()
    assert red(ANNC, annc, "urlfetch asks by the profile") == wrong
    _refuse(annc)
    assert red(ANNC, annc, "urlfetch asks by the profile") == set()


@pytest.mark.parametrize(("spoilt", "clause"), [(False, "RFC4467-7-5"), (True, "RFC4467-7-1")])
def test_a_tagged_no_to_urlfetch_is_charged_to_the_server(annc: Flow, spoilt: bool, clause: str) -> None:
    annc.drop("urlfetch-data")
    annc.change("urlfetch-ok", "OK", "NO")
    if spoilt:
        annc.change("urlfetch", "fp-0123", "fp-9123")
    assert red(ANNC, annc, ANSWERED) == {("imap", (clause,))}


FOREIGN: dict[str, tuple[Change, bool]] = {
    "own": (lambda _flow: None, False),
    "another user's": (everywhere("joe@", "ann@"), True),
    "of no account, with a token that never fits": (everywhere("joe@", "eve@"), False),
    "no owner": (everywhere("joe@", ""), True),
    "no access identifier": (everywhere(";URLAUTH=anonymous", ""), True),
    "no such mailbox": (everywhere("/INBOX;", "/Nowhere;"), True),
    "inbox in lower case": (everywhere("/INBOX;", "/inbox;"), False),
    "another mechanism": (lambda flow: flow.change("genurlauth", " INTERNAL", " XSAMPLE"), True),
}


@pytest.mark.parametrize(("change", "is_red"), FOREIGN.values(), ids=FOREIGN)
def test_tickets_are_given_for_own_mailboxes_alone(annc: Flow, change: Change, is_red: bool) -> None:
    change(annc)
    assert red(ANN, annc, OWN) == ({("imap", ("RFC4467-7-2",))} if is_red else set())


def test_a_refused_authorisation_is_green(annc: Flow) -> None:
    everywhere("joe@", "ann@")(annc)
    annc.drop("genurlauth-data")
    annc.change("genurlauth-ok", "OK", "BAD")
    assert red(ANN, annc, OWN) == set()


def test_components_of_a_url_are_decoded_once() -> None:
    url = TicketUrl.parse(
        "imap://j%40e@h/Box%2541%20%C3%BC;UIDVALIDITY=3/;UID=9/;SECTION=1.2/;PARTIAL=5.7;URLAUTH=user+j"
    )
    assert url == TicketUrl("j@e", "Box%41 ü", 9, "1.2", 3, 5, 7, None, "user+j")
    assert TicketUrl.parse("imap://h/INBOX") is None


def test_mailbox_names_are_read_from_modified_utf7() -> None:
    assert mailbox_name("B&APw-ro &- more") == "Büro & more"
    assert mailbox_name("inbox") == "INBOX"
