"""The login at an IMAP server, with scripts of its octets: TLS by the policy, the login by the capabilities."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import pytest

from lemonade_media.faults.imap import BINARY_NOT_CHECKED, DRAFT_FETCH, LOGIN_IN_CLEAR
from lemonade_media.fetch.login import enter
from lemonade_media.fetch.settings import ImapAccount, ImapSettings
from lemonade_media.model.failures import FailureKind, FetchError
from lemonade_wire.faults import Fault
from lemonade_wire.imap.client import CommandDone, ImapClient
from lemonade_wire.tls import TlsPolicy

JOE = ImapAccount("mediaserver", "secret")
IN = b"OK [CAPABILITY IMAP4rev1 URLAUTH URLAUTH=BINARY] in\r\n"
OPEN = ImapSettings(cleartext_login=True, contact="admin@example.net")
CLOSED = ImapSettings(contact="admin@example.net")
ANONYMOUS = base64.b64encode(b"admin@example.net")
PLAIN = base64.b64encode(b"\0mediaserver\0secret")


def greeting(capabilities: str) -> bytes:
    return f"* OK [CAPABILITY IMAP4rev1 {capabilities}] ready\r\n".encode()


def play(
    script: Sequence[bytes],
    settings: ImapSettings = CLOSED,
    identity: ImapAccount | None = None,
    fault: Fault | None = None,
) -> list[bytes]:
    """Enter: each octets of the script answer one flight of ours, the first is the greeting. Returns what was sent."""
    engine = ImapClient()
    engine.receive_data(script[0])
    replies = iter(script[1:])
    sent: list[bytes] = []
    procedure = enter(engine, settings, identity, fault)
    try:
        command = next(procedure)
        while True:
            engine.send(command)
            done: list[CommandDone] = []
            while not done:
                sent.append(engine.data_to_send())
                done = [event for event in engine.receive_data(next(replies)) if isinstance(event, CommandDone)]
            if engine.tls_awaited:
                engine.tls_begun()
            command = procedure.send(done[0])
    except StopIteration:
        assert next(replies, None) is None
        return sent


def refused(
    script: Sequence[bytes],
    settings: ImapSettings = CLOSED,
    identity: ImapAccount | None = None,
) -> tuple[FailureKind, str]:
    with pytest.raises(FetchError) as caught:
        play(script, settings, identity)
    assert "secret" not in caught.value.failure.why
    return caught.value.failure.kind, caught.value.failure.why


# -- the login ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "settings", "identity", "login"),
    [
        ("AUTH=ANONYMOUS AUTH=PLAIN SASL-IR", CLOSED, None, b"AUTHENTICATE ANONYMOUS " + ANONYMOUS),
        ("AUTH=ANONYMOUS SASL-IR LOGINDISABLED", CLOSED, None, b"AUTHENTICATE ANONYMOUS " + ANONYMOUS),
        (
            "AUTH=ANONYMOUS SASL-IR",
            ImapSettings(),
            None,
            b"AUTHENTICATE ANONYMOUS " + base64.b64encode(b"lemonade-media"),
        ),
        ("AUTH=PLAIN SASL-IR", OPEN, None, b'LOGIN "anonymous" "admin@example.net"'),
        ("AUTH=PLAIN SASL-IR AUTH=ANONYMOUS", OPEN, JOE, b"AUTHENTICATE PLAIN " + PLAIN),
        ("AUTH=PLAIN SASL-IR LOGINDISABLED", OPEN, JOE, b"AUTHENTICATE PLAIN " + PLAIN),
        ("AUTH=ANONYMOUS SASL-IR", OPEN, JOE, b'LOGIN "mediaserver" "secret"'),
    ],
)
def test_the_login_command_depends_on_the_capabilities(
    offered: str, settings: ImapSettings, identity: ImapAccount | None, login: bytes
) -> None:
    assert play([greeting(offered), b"a1 " + IN], settings, identity) == [b"a1 " + login + b"\r\n"]


@pytest.mark.parametrize("settings", [OPEN, CLOSED])
def test_scram_is_preferred_since_it_shows_no_password(settings: ImapSettings) -> None:
    script = [greeting("AUTH=PLAIN AUTH=SCRAM-SHA-256 SASL-IR"), b"a1 NO [AUTHENTICATIONFAILED] no\r\n"]
    assert refused(script, settings, JOE) == (
        FailureKind.LOGIN_REFUSED,
        "the IMAP server answered the login with NO [AUTHENTICATIONFAILED]",
    )


@pytest.mark.parametrize(
    ("offered", "settings", "identity", "why"),
    [
        ("AUTH=PLAIN", CLOSED, JOE, "in the clear"),
        ("", CLOSED, JOE, "in the clear"),
        ("", CLOSED, None, "in the clear"),
        ("LOGINDISABLED", OPEN, JOE, "no login that is known here"),
        ("LOGINDISABLED AUTH=PLAIN", OPEN, None, "no anonymous login"),
        ("", ImapSettings(cleartext_login=True), None, "needs a contact"),
    ],
)
def test_no_login_is_sent_if_none_is_allowed(
    offered: str, settings: ImapSettings, identity: ImapAccount | None, why: str
) -> None:
    kind, said = refused([greeting(offered)], settings, identity)
    assert kind is FailureKind.LOGIN_REFUSED
    assert why in said


@pytest.mark.parametrize("answer", [b"a1 NO [AUTHENTICATIONFAILED] no\r\n", b"a1 BAD what\r\n"])
def test_a_refused_login_is_an_error(answer: bytes) -> None:
    assert refused([greeting("AUTH=ANONYMOUS SASL-IR"), answer])[0] is FailureKind.LOGIN_REFUSED


def test_an_account_name_that_saslprep_prohibits_is_refused() -> None:
    kind, _ = refused([greeting("AUTH=SCRAM-SHA-256")], CLOSED, ImapAccount("me\x07dia", "secret"))
    assert kind is FailureKind.LOGIN_REFUSED


def test_trace_waits_for_the_continuation_without_initial_responses() -> None:
    sent = play([greeting("AUTH=ANONYMOUS"), b"+ \r\n", b"a1 " + IN])
    assert sent == [b"a1 AUTHENTICATE ANONYMOUS\r\n", ANONYMOUS + b"\r\n"]


def test_fault_logs_in_in_the_clear() -> None:
    sent = play([greeting("AUTH=PLAIN STARTTLS"), b"a1 " + IN], CLOSED, JOE, LOGIN_IN_CLEAR)
    assert sent == [b'a1 LOGIN "mediaserver" "secret"\r\n']


def test_fault_logs_in_as_the_draft() -> None:
    sent = play([greeting("AUTH=ANONYMOUS SASL-IR"), b"a1 " + IN], CLOSED, None, DRAFT_FETCH)
    assert sent == [b'a1 LOGIN "anonymous" "null"\r\n']


def test_fault_does_not_look_at_what_is_offered() -> None:
    script = [greeting("AUTH=ANONYMOUS SASL-IR"), b"a1 OK [CAPABILITY IMAP4rev1 URLAUTH] in\r\n"]
    assert refused(script)[0] is FailureKind.NO_BINARY
    assert len(play(script, CLOSED, None, BINARY_NOT_CHECKED)) == 1


# -- capabilities after the login --------------------------------------------------------------------------------------


def test_capabilities_are_read_before_and_again_after_login() -> None:
    script = [
        b"* OK ready\r\n",
        b"* CAPABILITY IMAP4rev1 AUTH=ANONYMOUS SASL-IR\r\na1 OK done\r\n",
        b"a2 OK in\r\n",
        b"* CAPABILITY IMAP4rev1 URLAUTH URLAUTH=BINARY\r\na3 OK done\r\n",
    ]
    assert [line.split()[1] for line in play(script)] == [b"CAPABILITY", b"AUTHENTICATE", b"CAPABILITY"]


def test_misprinted_capability_counts() -> None:
    play([greeting("AUTH=ANONYMOUS SASL-IR"), b"a1 OK [CAPABILITY IMAP4rev1 URLFETCH=BINARY] in\r\n"])


def test_urlauth_without_binary_is_an_error() -> None:
    script = [greeting("AUTH=ANONYMOUS SASL-IR"), b"a1 OK [CAPABILITY IMAP4rev1 URLAUTH] in\r\n"]
    assert refused(script)[0] is FailureKind.NO_BINARY


def test_binary_shown_before_login_alone_does_not_count() -> None:
    script = [
        greeting("AUTH=ANONYMOUS SASL-IR URLAUTH=BINARY"),
        b"a1 OK in\r\n",
        b"* CAPABILITY IMAP4rev1\r\na2 OK done\r\n",
    ]
    assert refused(script)[0] is FailureKind.NO_BINARY


# -- TLS ---------------------------------------------------------------------------------------------------------------

SECURE = b"* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=ANONYMOUS SASL-IR\r\na2 OK done\r\n"


@pytest.mark.parametrize("policy", [TlsPolicy.REQUIRED, TlsPolicy.PREFERRED])
def test_starttls_comes_first_and_earlier_capabilities_are_forgotten(policy: TlsPolicy) -> None:
    script = [greeting("STARTTLS LOGINDISABLED AUTH=EVIL"), b"a1 OK go\r\n", SECURE, b"a3 " + IN]
    assert play(script, ImapSettings(tls=policy), JOE) == [
        b"a1 STARTTLS\r\n",
        b"a2 CAPABILITY\r\n",
        b"a3 AUTHENTICATE PLAIN " + PLAIN + b"\r\n",
    ]


def test_login_is_sent_over_tls() -> None:
    script = [greeting("STARTTLS"), b"a1 OK go\r\n", b"* CAPABILITY IMAP4rev1\r\na2 OK done\r\n", b"a3 " + IN]
    assert play(script, CLOSED)[-1] == b'a3 LOGIN "anonymous" "admin@example.net"\r\n'


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ([greeting("AUTH=ANONYMOUS")], "offers no STARTTLS"),
        ([b"* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS URLAUTH=BINARY] in\r\n"], "offers no STARTTLS"),
        ([greeting("STARTTLS AUTH=ANONYMOUS"), b"a1 NO later\r\n"], "STARTTLS with NO"),
        ([greeting("STARTTLS AUTH=ANONYMOUS"), b"a1 BAD what\r\n"], "STARTTLS with BAD"),
    ],
)
def test_no_login_is_sent_in_the_clear_if_tls_is_required(script: list[bytes], why: str) -> None:
    kind, said = refused(script, ImapSettings(tls=TlsPolicy.REQUIRED))
    assert kind is FailureKind.TLS_FAILED
    assert why in said


def test_a_server_without_tls_is_used_if_tls_is_only_preferred() -> None:
    script = [greeting("STARTTLS AUTH=ANONYMOUS SASL-IR"), b"a1 NO later\r\n", b"a2 " + IN]
    assert [line.split()[1] for line in play(script)] == [b"STARTTLS", b"AUTHENTICATE"]


def test_starttls_is_not_used_if_the_policy_is_never() -> None:
    script = [greeting("STARTTLS AUTH=ANONYMOUS SASL-IR"), b"a1 " + IN]
    assert [line.split()[1] for line in play(script, ImapSettings(tls=TlsPolicy.NEVER))] == [b"AUTHENTICATE"]


def test_no_login_is_sent_after_preauth() -> None:
    assert play([b"* PREAUTH [CAPABILITY IMAP4rev1 URLAUTH=BINARY STARTTLS] in\r\n"], CLOSED, JOE) == []
