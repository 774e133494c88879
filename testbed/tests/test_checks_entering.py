"""The checks of the media server's logins at the IMAP server, in the traces of both: one thing wrong is red."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from lemonade_testbed.checks.registry import find_check
from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.evidence import Event, Evidence, NodeAddress, RecordedWorld
from lemonade_testbed.scenario_loader import load_scenario

WORLD = RecordedWorld(
    {"imap": NodeAddress("10.0.0.1", 143), "media": NodeAddress("10.0.0.2"), "client": NodeAddress("10.0.0.3")}
)
TLS = ("C a1 STARTTLS", "S a1 OK begin")
LOGIN = ("C a2 AUTHENTICATE PLAIN ***", "S a2 OK in")
ANY: Any = None  # these checks read nothing of the scenario


def evidence(*connections: Sequence[str]) -> Evidence:
    events: list[Event] = []
    for number, lines in enumerate(connections):
        for line in lines:
            ours, text = line.startswith("C"), line[2:]
            for node in ("media", "imap"):
                local, remote = f"10.0.0.2:{4000 + number}", "10.0.0.1:143"
                way = "sent" if ours == (node == "media") else "received"
                if node == "imap":
                    local, remote = remote, local
                side = "client" if node == "media" else "server"
                fields = {"way": way, "side": side, "local": local, "remote": remote, "text": text}
                events.append(Event(float(len(events)), node, len(events), "imap", fields))
    return Evidence(WORLD, tuple(events))


def ok(words: str, *connections: Sequence[str]) -> bool:
    check, _ = find_check(words)
    return bool(check.run(ANY, evidence(*connections), "").ok)


@pytest.mark.parametrize(
    ("connections", "good"),
    [
        ([TLS + LOGIN], True),
        ([TLS + LOGIN, TLS + LOGIN], True),
        ([TLS + LOGIN, LOGIN], False),
        ([LOGIN + TLS], False),
        ([("C a1 STARTTLS", "S a1 NO not now", *LOGIN)], False),
        ([TLS], False),
        ([], False),
    ],
)
def test_a_login_over_tls_is_one_behind_starttls_on_every_connection(
    connections: list[tuple[str, ...]], good: bool
) -> None:
    assert ok("media server authenticates over tls", *connections) is good


@pytest.mark.parametrize(
    ("connections", "good"),
    [
        ([LOGIN], True),
        ([("C a2 LOGIN joe ***", "S a2 OK in")], False),
        ([TLS, ("C a2 LOGIN joe ***", "S a2 OK in")], False),
        ([(*TLS, "C a2 LOGIN joe ***", "S a2 OK in")], True),
        ([TLS], False),
    ],
)
def test_login_is_for_tls_of_its_own_connection(connections: list[tuple[str, ...]], good: bool) -> None:
    assert ok("no login in clear", *connections) is good


@pytest.mark.parametrize(
    ("connections", "good"),
    [([("S * OK hello",)], True), ([TLS], True), ([TLS + LOGIN], False), ([TLS, LOGIN], False), ([], False)],
)
def test_who_does_not_authenticate_has_still_connected(connections: list[tuple[str, ...]], good: bool) -> None:
    assert ok("media server does not authenticate", *connections) is good


OFFER = "S * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello"
STREAM = load_scenario(SCENARIOS / "stream-ticket.yaml")
WRONG_ACCOUNT = load_scenario(SCENARIOS / "negative" / "login-refused.yaml")


@pytest.mark.parametrize(
    ("scenario", "lines", "charged"),
    [
        (STREAM, (OFFER, *LOGIN), []),
        (STREAM, (OFFER, LOGIN[0], "S a2 NO wrong password"), ["imap"]),
        (STREAM, (OFFER, LOGIN[0], "S a2 NO [AUTHENTICATIONFAILED] wrong password"), ["imap"]),
        (STREAM, (OFFER, 'C a2 LOGIN "mediaserver" ***', "S a2 NO wrong password"), ["imap"]),
        (STREAM, (OFFER, LOGIN[0], "S a2 NO [PRIVACYREQUIRED] not in clear"), []),
        (STREAM, (OFFER, LOGIN[0], "S a2 NO [LIMIT] later"), []),
        (STREAM, (OFFER, "C a2 AUTHENTICATE SCRAM-SHA-256 ***", "S a2 NO no such mechanism"), []),
        (STREAM, (OFFER, "C a2 AUTHENTICATE ANONYMOUS ***", "S a2 NO none"), []),
        (STREAM, ("S * OK [CAPABILITY IMAP4rev1 LOGINDISABLED]", "C a2 LOGIN joe ***", "S a2 NO in clear"), []),
        (WRONG_ACCOUNT, (OFFER, LOGIN[0], "S a2 NO wrong password"), []),
    ],
)
def test_a_right_password_that_is_refused_is_charged_to_the_server(
    scenario: Any,  # noqa: ANN401
    lines: Sequence[str],
    charged: list[str],
) -> None:
    check, _ = find_check("right passwords are accepted")
    breaches = check.run(scenario, evidence(lines), "").breaches
    assert [(one.node, one.clauses) for one in breaches] == [(node, ("RFC3501-6.2",)) for node in charged]
