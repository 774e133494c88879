"""The IMAP client engine at the start of a session: capabilities, logins, SASL exchanges and STARTTLS."""

from __future__ import annotations

import base64

import pytest

from lemonade_wire.imap import command
from lemonade_wire.imap.client import (
    ExchangeCancelled,
    GreetingReceived,
    ImapClient,
    ResponseUnreadable,
)
from lemonade_wire.sasl import ScramSha256
from lemonade_wire.testing.messages import GREETING, PLAIN_GREETING, done, greeted


def test_capabilities_are_forgotten_by_a_login_and_asked_again() -> None:
    client = greeted()
    client.send(command.login("joe", "secret"))
    assert client.data_to_send() == b'a1 LOGIN "joe" "secret"\r\n'
    assert done(client.receive_data(b"a1 OK in\r\n")).ok
    assert client.capabilities is None
    client.send(command.capability())
    assert client.data_to_send() == b"a2 CAPABILITY\r\n"
    client.receive_data(b"* CAPABILITY IMAP4rev1 URLAUTH URLAUTH=BINARY\r\na2 OK done\r\n")
    assert client.has("URLAUTH=BINARY")


def test_capabilities_of_the_logins_answer_count() -> None:
    client = greeted()
    client.send(command.login("joe", "secret"))
    client.receive_data(b"a1 OK [CAPABILITY IMAP4rev1 URLAUTH=BINARY] in\r\n")
    assert client.capabilities == frozenset({"IMAP4REV1", "URLAUTH=BINARY"})


def test_a_failed_login_changes_no_capability() -> None:
    client = greeted()
    client.send(command.login("joe", "secret"))
    assert not done(client.receive_data(b"a1 NO [AUTHENTICATIONFAILED] no\r\n")).ok
    assert client.has("SASL-IR")


def test_authenticate_plain_with_an_initial_response() -> None:
    client = greeted()
    client.send(command.authenticate_plain("test", "test", "test"))
    assert client.data_to_send() == b"a1 AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=\r\n"  # RFC 4959, section 5


def test_authenticate_anonymous_upon_the_servers_continuation() -> None:
    client = greeted(PLAIN_GREETING)
    client.send(command.authenticate_anonymous("sheridan@babylon5.example.org"))
    client.send(command.noop())
    assert client.data_to_send() == b"a1 AUTHENTICATE ANONYMOUS\r\n"
    assert client.receive_data(b"+ \r\n") == []
    assert client.data_to_send() == b"c2hlcmlkYW5AYmFieWxvbjUuZXhhbXBsZS5vcmc=\r\n"  # RFC 5092, section 8
    assert done(client.receive_data(b"a1 OK Welcome, trace information has been logged.\r\n")).ok
    assert client.data_to_send() == b"a2 NOOP\r\n"


def test_an_empty_trace_is_an_equals_sign_or_an_empty_line() -> None:
    client = greeted()
    client.send(command.authenticate_anonymous(""))
    assert client.data_to_send() == b"a1 AUTHENTICATE ANONYMOUS =\r\n"
    client = greeted(PLAIN_GREETING)
    client.send(command.authenticate_anonymous(""))
    client.receive_data(b"+\r\n")
    assert client.data_to_send() == b"a1 AUTHENTICATE ANONYMOUS\r\n\r\n"


def test_an_exchange_that_asks_for_more_is_cancelled() -> None:
    client = greeted()
    client.send(command.raw("AUTHENTICATE LOGIN"))
    client.receive_data(b"+ VXNlcm5hbWU6\r\n")
    assert client.data_to_send() == b"a1 AUTHENTICATE LOGIN\r\n*\r\n"


def scram_client(greeting: bytes) -> ImapClient:
    """Return a client that has sent AUTHENTICATE SCRAM-SHA-256, with the nonce of RFC 7677."""
    client = greeted(greeting)
    one = command.authenticate_scram("user", "pencil")
    exchange = ScramSha256("user", "pencil", "rOprNGfwEbeRWgbNEkqO")
    client.send(command.ImapCommand(one.name, one.line, exchange))
    return client


SCRAM = (  # RFC 7677, 3
    base64.b64encode(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"),
    base64.b64encode(b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
    base64.b64encode(
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    ),
    base64.b64encode(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="),
)


@pytest.mark.parametrize("initial", [True, False])
def test_scram_with_an_initial_response_and_without(initial: bool) -> None:
    client = scram_client(GREETING if initial else PLAIN_GREETING)
    if initial:
        assert client.data_to_send() == b"a1 AUTHENTICATE SCRAM-SHA-256 " + SCRAM[0] + b"\r\n"
    else:
        assert client.data_to_send() == b"a1 AUTHENTICATE SCRAM-SHA-256\r\n"
        client.receive_data(b"+ \r\n")
        assert client.data_to_send() == SCRAM[0] + b"\r\n"
    assert client.receive_data(b"+ " + SCRAM[1] + b"\r\n") == []
    assert client.data_to_send() == SCRAM[2] + b"\r\n"
    assert client.receive_data(b"+ " + SCRAM[3] + b"\r\n") == []
    assert client.data_to_send() == b"\r\n"
    assert done(client.receive_data(b"a1 OK in\r\n")).ok


def test_an_ok_before_the_servers_proof_is_an_error() -> None:
    client = scram_client(GREETING)
    client.receive_data(b"+ " + SCRAM[1] + b"\r\n")
    [event] = client.receive_data(b"a1 OK [CAPABILITY IMAP4rev1] in\r\n")
    assert isinstance(event, ResponseUnreadable)


@pytest.mark.parametrize("challenge", [b"e=other", b"=", b"cj0x", b"\xff"])
def test_an_exchange_that_goes_wrong_is_cancelled(challenge: bytes) -> None:
    client = scram_client(GREETING)
    client.data_to_send()
    [event] = client.receive_data(b"+ " + challenge + b"\r\n")
    assert isinstance(event, ExchangeCancelled)
    assert client.data_to_send() == b"*\r\n"
    assert not done(client.receive_data(b"a1 BAD cancelled\r\n")).ok


def test_starttls_discards_everything_received_in_the_clear() -> None:
    client = greeted(b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] ready\r\n")
    client.send(command.starttls())
    client.send(command.capability())
    assert client.data_to_send() == b"a1 STARTTLS\r\n"
    events = client.receive_data(b"* CAPABILITY IMAP4rev1 AUTH=EVIL\r\na1 OK [CAPABILITY IMAP4rev1 AUTH=EVIL] go\r\n")
    assert done(events).ok
    assert client.tls_awaited
    assert not client.encrypted
    assert client.data_to_send() == b""
    client.tls_begun()
    assert client.encrypted
    assert client.capabilities is None
    assert client.data_to_send() == b"a2 CAPABILITY\r\n"
    client.receive_data(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\na2 OK done\r\n")
    assert client.has("AUTH=PLAIN")


@pytest.mark.parametrize("pieces", [1, 2])
def test_octets_in_the_clear_behind_starttls_are_an_error(pieces: int) -> None:
    client = greeted()
    client.send(command.starttls())
    answer, injected = b"a1 OK go\r\n", b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"
    events = client.receive_data(answer + injected) if pieces == 1 else client.receive_data(answer)
    if pieces == 2:
        events = client.receive_data(injected)
    assert [type(event) for event in events] == [ResponseUnreadable]


def test_starttls_that_is_refused_changes_nothing() -> None:
    client = greeted()
    client.send(command.starttls())
    assert not done(client.receive_data(b"a1 NO not now\r\n")).ok
    assert not client.tls_awaited
    assert client.has("SASL-IR")


def test_a_client_that_awaits_tls_from_the_start_reads_nothing_before() -> None:
    client = ImapClient(tls_awaited=True)
    assert [type(event) for event in client.receive_data(GREETING)] == [ResponseUnreadable]
    client = ImapClient(tls_awaited=True)
    client.tls_begun()
    assert [type(event) for event in client.receive_data(GREETING)] == [GreetingReceived]
    assert client.has("SASL-IR")


def test_a_preauth_greeting_is_accepted() -> None:
    assert greeted(b"* PREAUTH hello joe\r\n").preauthenticated
    assert not greeted().preauthenticated
