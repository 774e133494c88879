"""The check of anonymous sessions: red for a server that gives anonymous tickets and does not serve them there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lemonade_testbed.testing.checking import run_check
from lemonade_testbed.testing.flow import Flow

WORDS = "anonymous sessions can fetch"
LISTED = "[CAPABILITY IMAP4rev1 URLAUTH URLAUTH=BINARY]"


def log_in(flow: Flow, login: str, answer: str) -> None:
    """Let the client see all capabilities, and the media server log in anonymously on a connection of its own."""
    flow["login-ok"].text = f"{flow['login-ok'].text.split()[0]} OK {LISTED} done"
    fetch = flow["urlfetch"]
    command = replace(fetch, name="enter", text=f"x1 {login}", connection=40777)
    reply = replace(fetch, name="entered", source=fetch.target, target=fetch.source, text=answer, connection=40777)
    place = flow.messages.index(fetch)
    flow.messages[place:place] = [command, reply]


@pytest.mark.parametrize(
    ("login", "answer", "is_red"),
    [
        ("AUTHENTICATE ANONYMOUS YQ==", f"x1 OK {LISTED} in", False),
        ("AUTHENTICATE ANONYMOUS YQ==", "x1 OK in", False),
        ("AUTHENTICATE ANONYMOUS YQ==", "x1 OK [CAPABILITY IMAP4rev1 URLAUTH] in", True),
        ("LOGIN anonymous a@example.net", f"x1 OK {LISTED} in", False),
        ("LOGIN anonymous a@example.net", "x1 NO refused", True),
        ("LOGIN joe ***", "x1 NO refused", False),
    ],
)
def test_a_server_with_anonymous_tickets_serves_anonymous_sessions(
    annc: Flow, login: str, answer: str, is_red: bool
) -> None:
    log_in(annc, login, answer)
    wrong = {("imap", ("LS-2.1-10",))} if is_red else set()
    assert {(one.node, one.clauses) for one in run_check(WORDS, annc).breaches} == wrong


def test_a_login_that_was_declared_impossible_may_be_refused(annc: Flow) -> None:
    log_in(annc, "LOGIN anonymous a@example.net", "x1 NO refused")
    annc["login-ok"].text = annc["login-ok"].text.replace("IMAP4rev1", "IMAP4rev1 LOGINDISABLED")
    assert not run_check(WORDS, annc).breaches


def test_a_server_without_anonymous_tickets_is_not_judged(annc: Flow) -> None:
    log_in(annc, "LOGIN anonymous a@example.net", "x1 NO refused")
    annc.drop("genurlauth-data")
    assert run_check(WORDS, annc).reached == ()
