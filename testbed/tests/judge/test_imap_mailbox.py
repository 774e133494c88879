"""The checks of what an IMAP server says about itself and its mailboxes: red for their clause, green for variations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lemonade_testbed.checks import entering, imap_grammar, imap_mailbox, imap_server, tickets
from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.testing.flow import Flow

ANNC = load_scenario(SCENARIOS / "announcement-service.yaml")
REFUSED = load_scenario(SCENARIOS / "negative" / "login-refused.yaml")
Line = tuple[str, str]
SELECT: tuple[Line, ...] = (
    ("client", "s1 SELECT INBOX"),
    ("imap", r"* FLAGS (\Seen)"),
    ("imap", "* 1 EXISTS"),
    ("imap", "* OK [UIDVALIDITY 7] valid"),
    ("imap", "* OK [UIDNEXT 21] next"),
    ("imap", "s1 OK [READ-WRITE] done"),
)
SEARCH: tuple[Line, ...] = (("client", "h1 UID SEARCH ALL"), ("imap", "* SEARCH 20"), ("imap", "h1 OK done"))
AGAIN = tuple((source, text.replace("s1", "s2")) for source, text in SELECT)
MADE: tuple[Line, ...] = (("client", "c1 CREATE Box"), ("imap", "c1 OK made"))
COPIED: tuple[Line, ...] = (*MADE, ("client", "c2 UID COPY 20 Box"), ("imap", "c2 OK copied"))
IN_BOX = tuple((source, text.replace("INBOX", "Box").replace("s1", "s3")) for source, text in SELECT)


def without(lines: tuple[Line, ...], word: str) -> tuple[Line, ...]:
    return tuple(line for line in lines if word not in line[1])


def other(lines: tuple[Line, ...], old: str, new: str) -> tuple[Line, ...]:
    return tuple((source, text.replace(old, new)) for source, text in lines)


def say(flow: Flow, lines: tuple[Line, ...]) -> None:
    """Put lines of the client's connection after its login."""
    login = flow["login-ok"]
    new = [
        replace(login, name=f"line-{at}", source=source, target="client" if source == "imap" else "imap", text=text)
        for at, (source, text) in enumerate(lines)
    ]
    place = flow.messages.index(login) + 1
    flow.messages[place:place] = new


def red(flow: Flow, scenario: Scenario = ANNC) -> set[tuple[str, str]]:
    """Return the node and the first clause of each breach."""
    evidence = flow.evidence()
    checks = (*imap_grammar.CHECKS, *imap_mailbox.CHECKS, *imap_server.CHECKS, *tickets.CHECKS, *entering.CHECKS)
    results = [check.run(scenario, evidence, "") for check in checks if check.general]
    return {(one.node, one.clauses[0]) for result in results for one in result.breaches}


WRONG: dict[str, tuple[tuple[Line, ...], str]] = {
    "no FLAGS": (without(SELECT, "FLAGS"), "RFC3501-6.3.1"),
    "no EXISTS": (without(SELECT, "EXISTS"), "RFC3501-6.3.1"),
    "no UIDVALIDITY": (without(SELECT, "UIDVALIDITY"), "RFC3501-6.3.1"),
    "another UIDVALIDITY": ((*SELECT, *other(AGAIN, "UIDVALIDITY 7", "UIDVALIDITY 8")), "RFC3501-2.3.1.1"),
    "UIDNEXT too low": ((*other(SELECT, "UIDNEXT 21", "UIDNEXT 20"), *SEARCH), "RFC3501-2.3.1.1"),
    "FETCH of flags sets Seen": (
        (
            *SELECT[:-1],
            ("imap", "* OK [UNSEEN 1] first"),
            SELECT[-1],
            ("client", "f1 FETCH 1 (FLAGS)"),
            ("imap", r"* 1 FETCH (FLAGS (\Seen))"),
            ("imap", "f1 OK done"),
        ),
        "RFC3501-6.4.5-2",
    ),
    "SEARCH without the message": ((*SELECT, *other(SEARCH, "* SEARCH 20", "* SEARCH")), "RFC3501-6.4.4"),
    "EXISTS above SEARCH": ((*other(SELECT, "1 EXISTS", "2 EXISTS"), *SEARCH), "RFC3501-6.3.1"),
    "SEARCH with fewer than EXISTS": (
        (*other(SELECT, "1 EXISTS", "3 EXISTS"), *other(SEARCH, "SEARCH 20", "SEARCH 19 20")),
        "RFC3501-6.4.4",
    ),
    "EXISTS below SEARCH": ((*other(SELECT, "1 EXISTS", "0 EXISTS"), *SEARCH), "RFC3501-6.3.1"),
    "FETCH above EXISTS": (
        (
            *SELECT,
            *SEARCH,
            ("client", "f1 UID FETCH 20 (FLAGS)"),
            ("imap", "* 2 FETCH (UID 20 FLAGS ())"),
            ("imap", "f1 OK done"),
        ),
        "RFC3501-6.4.5",
    ),
    "no SEARCH": ((*SELECT, *without(SEARCH, "* SEARCH")), "RFC3501-6.4.4"),
    "no FETCH": (
        (*SELECT, *SEARCH, ("client", "f1 UID FETCH 20 (BODYSTRUCTURE)"), ("imap", "f1 OK done")),
        "RFC3501-6.4.5",
    ),
    "another item": (
        (("client", "f1 UID FETCH 20 (ENVELOPE)"), ("imap", "* 1 FETCH (UID 20 FLAGS ())"), ("imap", "f1 OK done")),
        "RFC3501-6.4.5",
    ),
    "another UID": (
        (("client", "f1 UID FETCH 20 (FLAGS)"), ("imap", "* 1 FETCH (UID 9 FLAGS ())"), ("imap", "f1 OK done")),
        "RFC3501-6.4.8",
    ),
    "no list": ((("client", "c9 CAPABILITY"), ("imap", "c9 OK done")), "RFC3501-6.1.1-2"),
    "no IMAP4rev1": ((("imap", "* CAPABILITY URLAUTH"),), "RFC3501-7.2.1"),
    "no mailbox": ((*MADE, ("client", "s3 SELECT Box"), ("imap", "s3 NO none")), "RFC3501-6.3.3"),
    "no copy": ((*SELECT, *SEARCH, *COPIED, *other(IN_BOX, "1 EXISTS", "0 EXISTS")), "RFC3501-6.4.7"),
    "another tag": ((("client", "n1 NOOP"), ("imap", "N1 OK done"), ("imap", "n1 OK done")), "RFC3501-2.2.2"),
    "message 0": ((("imap", "* 0 FETCH (FLAGS ())"),), "RFC3501-7"),
    "UID 0": (other(SEARCH, "* SEARCH 20", "* SEARCH 20 0"), "RFC3501-7"),
    "no OK to LOGOUT": ((("client", "l1 LOGOUT"), ("imap", "* BYE")), "RFC3501-2.2.2"),
}


@pytest.mark.parametrize(("lines", "clause"), WRONG.values(), ids=WRONG)
def test_a_breach_is_charged_to_the_server(annc: Flow, lines: tuple[Line, ...], clause: str) -> None:
    say(annc, lines)
    assert ("imap", clause) in red(annc)


RIGHT: dict[str, tuple[Line, ...]] = {
    "twice the same": (*SELECT, *AGAIN),
    "other order": (SELECT[0], *SELECT[-2:0:-1], SELECT[-1]),
    "SEARCH within EXISTS, and another message": (
        *SELECT,
        *SEARCH,
        ("client", "n1 NOOP"),
        ("imap", "* 2 EXISTS"),
        ("imap", "n1 OK done"),
        ("client", "f1 FETCH 2 (FLAGS)"),
        ("imap", "* 2 FETCH (FLAGS ())"),
        ("imap", "f1 OK done"),
    ),
    "renamed in between": (
        *SELECT,
        ("client", "r1 RENAME INBOX Old"),
        ("imap", "r1 OK done"),
        *other(AGAIN, "UIDVALIDITY 7", "UIDVALIDITY 8"),
    ),
    "a message came": (
        *other(SELECT, "UIDNEXT 21", "UIDNEXT 20"),
        ("client", "p1 APPEND INBOX {3}"),
        ("imap", "p1 OK done"),
        *SEARCH,
    ),
    "ESEARCH": (*SELECT, *other(SEARCH, "* SEARCH 20", '* ESEARCH (TAG "h1") UID ALL 20')),
    "two commands at a time": (
        ("client", "h1 UID SEARCH ALL"),
        ("client", "n1 NOOP"),
        ("imap", "* SEARCH 20"),
        ("imap", "h1 OK done"),
        ("imap", "n1 OK done"),
    ),
    "a message that is not there": (
        *SELECT,
        *SEARCH,
        ("client", "f1 UID FETCH 77 (BODYSTRUCTURE)"),
        ("imap", "f1 OK done"),
    ),
    "flags of others": (
        ("client", "f1 UID FETCH 20 (ENVELOPE)"),
        ("imap", "* 2 FETCH (FLAGS ())"),
        ("imap", "* 1 FETCH (UID 20 ENVELOPE NIL)"),
        ("imap", "f1 OK done"),
    ),
    "IMAP4rev2": (("imap", "* CAPABILITY IMAP4rev2 URLAUTH"),),
    "made and filled": (*SELECT, *SEARCH, *COPIED, *IN_BOX),
    "FETCH of the body sets Seen": (
        *SELECT[:-1],
        ("imap", "* OK [UNSEEN 1] first"),
        SELECT[-1],
        ("client", "f1 FETCH 1 (FLAGS BODY[1])"),
        ("imap", r"* 1 FETCH (FLAGS (\Seen) BODY[1] NIL)"),
        ("imap", "f1 OK done"),
    ),
    "SEARCH for some messages": (*other(SELECT, "1 EXISTS", "2 EXISTS"), *other(SEARCH, "ALL", "UNSEEN")),
    "a message was copied before": (*SELECT, *COPIED, *other(AGAIN, "1 EXISTS", "2 EXISTS"), *SEARCH),
    "no message": (*other(SELECT, "1 EXISTS", "0 EXISTS"), *other(SEARCH, "* SEARCH 20", "* SEARCH"), *AGAIN),
    "LOGOUT": (("client", "l1 LOGOUT"), ("imap", "* BYE"), ("imap", "l1 OK done")),
}


@pytest.mark.parametrize("lines", RIGHT.values(), ids=RIGHT)
def test_an_allowed_variation_is_green(annc: Flow, lines: tuple[Line, ...]) -> None:
    say(annc, lines)
    assert red(annc) == set()


def test_a_token_of_another_form_is_charged_to_the_server(annc: Flow) -> None:
    assert red(annc) == set()
    token = annc["genurlauth-data"].text.rpartition(":")[2].strip('"')
    for name in ("genurlauth-data", "urlfetch", "urlfetch-data", "invite"):
        annc.change(name, token, f"{token}-malformed")
    assert ("imap", "RFC4467-9") in red(annc)


@pytest.mark.parametrize("result", ["OK", "NO"])
def test_a_login_by_a_wrong_password_is_charged_to_the_server(annc: Flow, result: str) -> None:
    annc.change("authenticate", "ANONYMOUS", "PLAIN")
    annc.change("authenticate-ok", "b1 OK", f"b1 {result}")
    assert (("imap", "RFC3501-6.2") in red(annc, REFUSED)) == (result == "OK")


def test_a_missing_answer_is_charged_to_the_imap_server_if_the_media_server_gives_up(annc: Flow) -> None:
    annc.messages = [one for one in annc.messages if one.name not in {"urlfetch-data", "urlfetch-ok", "logout"}]
    annc.change("invite-ok", "SIP/2.0 200 OK", "SIP/2.0 400 Bad Request")
    assert ("imap", "RFC3501-2.2.2") in red(annc)
