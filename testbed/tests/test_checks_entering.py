"""How the media server enters the IMAP server, as told by both ends: one thing wrong is red."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from lemonade_testbed.checks.registry import find_check
from lemonade_testbed.evidence import Event, Evidence, Role, World

WORLD = World({"imap": Role("10.0.0.1", 143), "media": Role("10.0.0.2"), "client": Role("10.0.0.3")})
TLS = ("C a1 STARTTLS", "S a1 OK begin")
LOGIN = ("C a2 AUTHENTICATE PLAIN ***", "S a2 OK in")
LISTED = ("C a3 CAPABILITY", "S * CAPABILITY IMAP4rev1 URLAUTH=BINARY", "S a3 OK done")
FETCH = ("C a4 URLFETCH imap://x", "S a4 OK done")
ANY: Any = None


def evidence(*connections: Sequence[str]) -> Evidence:
    events = []
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
def test_a_login_over_tls_is_one_behind_starttls_on_every_connection(connections: Any, good: bool) -> None:  # noqa: ANN401
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
def test_login_is_for_tls_of_its_own_connection(connections: Any, good: bool) -> None:  # noqa: ANN401
    assert ok("no login in clear", *connections) is good


@pytest.mark.parametrize(
    ("connections", "good"),
    [([("S * OK hello",)], True), ([TLS], True), ([TLS + LOGIN], False), ([TLS, LOGIN], False), ([], False)],
)
def test_who_does_not_authenticate_has_still_connected(connections: Any, good: bool) -> None:  # noqa: ANN401
    assert ok("media server does not authenticate", *connections) is good


@pytest.mark.parametrize(
    ("connections", "good"),
    [
        ([LOGIN + LISTED + FETCH], True),
        ([("C a2 AUTHENTICATE PLAIN ***", "S a2 OK [CAPABILITY URLAUTH=BINARY] in", *FETCH)], True),
        ([LISTED + LOGIN + FETCH], False),
        ([LOGIN + FETCH + LISTED], False),
        ([LOGIN + LISTED + FETCH, LOGIN + FETCH], False),
        ([LOGIN + LISTED], False),
    ],
)
def test_capabilities_count_between_login_and_content(connections: Any, good: bool) -> None:  # noqa: ANN401
    assert ok("capabilities are those after login", *connections) is good
