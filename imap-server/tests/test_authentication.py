"""LOGIN and AUTHENTICATE as a client sees them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import pytest

from lemonade_imap.config import LoginPolicy, ServerConfig
from lemonade_imap.testing import LoopbackConnection, LoopbackServer
from lemonade_imap.testing.world import World
from lemonade_wire import sasl as wire_sasl
from lemonade_wire.redaction import Redactor
from lemonade_wire.trace import Trace

CONFIG = ServerConfig(passwords={"joe": "secret", "admin": "secret"}, admins=frozenset({"admin"}))


def connect(trace: Trace | None = None, log: Callable[[str], None] = lambda _text: None) -> LoopbackConnection:
    client = LoopbackServer(CONFIG, trace=trace, log=log).connect()
    client.receive_data(b"")
    return client


def b64(octets: bytes) -> bytes:
    return base64.b64encode(octets)


class Scram:
    """A client's side of SCRAM-SHA-256."""

    def __init__(self, name: str, password: str, gs2: str = "n,,") -> None:
        self._gs2, self._password = gs2, password
        self._bare = f"n={name},r=fyko+d2lbbFgONRv9qkxdawL"
        self.first = b64((gs2 + self._bare).encode())

    def final(self, challenge: bytes) -> bytes:
        server = base64.b64decode(challenge)
        fields = dict(part.split("=", 1) for part in server.decode().split(","))
        assert fields["r"].startswith("fyko+d2lbbFgONRv9qkxdawL")
        salt, iterations = base64.b64decode(fields["s"]), int(fields["i"])
        salted = hashlib.pbkdf2_hmac("sha256", self._password.encode(), salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        bare = b"c=" + b64(self._gs2.encode()) + b",r=" + fields["r"].encode()
        whole = b",".join((self._bare.encode(), server, bare))
        signature = hmac.digest(hashlib.sha256(client_key).digest(), whole, "sha256")
        self.expected = b"v=" + b64(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), whole, "sha256"))
        return b64(bare + b",p=" + b64(bytes(a ^ b for a, b in zip(client_key, signature, strict=True))))


def challenge(said: bytes) -> bytes:
    assert said.startswith(b"+ "), said
    assert said.endswith(b"\r\n")
    return said[2:-2]


@pytest.mark.parametrize("initial", [True, False])
def test_scram_proves_both_sides(initial: bool) -> None:
    client, scram = connect(), Scram("joe", "secret")
    if initial:
        said = client.receive_data(b"a AUTHENTICATE SCRAM-SHA-256 " + scram.first + b"\r\n")
    else:
        assert client.receive_data(b"a AUTHENTICATE SCRAM-SHA-256\r\n") == b"+ \r\n"
        said = client.receive_data(scram.first + b"\r\n")
    proof = client.receive_data(scram.final(challenge(said)) + b"\r\n")
    assert base64.b64decode(challenge(proof)) == scram.expected
    assert client.receive_data(b"\r\n").startswith(b"a OK [CAPABILITY IMAP4rev1 ")
    assert b"b OK" in client.receive_data(b"b SELECT INBOX\r\n")


def test_scram_lets_an_administrator_act_for_others() -> None:
    log: list[str] = []
    client, scram = connect(log=log.append), Scram("admin", "secret", "y,a=joe,")
    said = client.receive_data(b"a AUTHENTICATE SCRAM-SHA-256 " + scram.first + b"\r\n")
    client.receive_data(scram.final(challenge(said)) + b"\r\n")
    assert client.receive_data(b"\r\n").startswith(b"a OK ")
    assert log == ["'joe' logged in by AUTHENTICATE SCRAM-SHA-256"]


@pytest.mark.parametrize(
    ("name", "password", "gs2", "said"),
    [
        ("joe", "wrong", "n,,", b"a NO [AUTHENTICATIONFAILED]"),
        ("nobody", "secret", "n,,", b"a NO [AUTHENTICATIONFAILED]"),
        ("joe", "secret", "n,a=admin,", b"a NO [AUTHORIZATIONFAILED]"),
        ("admin", "secret", "n,a=nobody,", b"a NO [AUTHORIZATIONFAILED]"),
    ],
)
def test_scram_refuses_wrong_names_passwords_and_forbidden_accounts(
    name: str, password: str, gs2: str, said: bytes
) -> None:
    client, scram = connect(), Scram(name, password, gs2)
    asked = client.receive_data(b"a AUTHENTICATE SCRAM-SHA-256 " + scram.first + b"\r\n")
    assert client.receive_data(scram.final(challenge(asked)) + b"\r\n").startswith(said)
    # the next exchange starts from the beginning
    assert client.receive_data(b"b AUTHENTICATE SCRAM-SHA-256\r\n") == b"+ \r\n"


def test_an_exchange_that_is_cancelled_or_broken_leaves_nothing_behind() -> None:
    client, scram = connect(), Scram("joe", "secret")
    start = b"a AUTHENTICATE SCRAM-SHA-256 " + scram.first + b"\r\n"
    final = scram.final(challenge(client.receive_data(start)))
    assert client.receive_data(b"*\r\n") == b"a BAD authentication cancelled\r\n"
    for broken, said in ((b"{3}", b"a BAD a literal"), (b"x" * 70000, b"a BAD a line"), (b"!", b"a BAD base64")):
        challenge(client.receive_data(start))
        assert client.receive_data(broken + b"\r\n").startswith(said)
    # An old proof is refused as the answer to a new challenge, and without a challenge.
    challenge(client.receive_data(start))
    assert client.receive_data(final + b"\r\n").startswith(b"a NO [AUTHENTICATIONFAILED]")
    assert client.receive_data(b"b AUTHENTICATE SCRAM-SHA-256 " + final + b"\r\n").startswith(b"b BAD ")


def test_the_end_of_scram_is_an_empty_message() -> None:
    client, scram = connect(), Scram("joe", "secret")
    said = client.receive_data(b"a AUTHENTICATE SCRAM-SHA-256 " + scram.first + b"\r\n")
    client.receive_data(scram.final(challenge(said)) + b"\r\n")
    assert client.receive_data(b"AAAA\r\n") == b"a BAD an empty response is expected\r\n"
    assert client.receive_data(b"b SELECT INBOX\r\n").startswith(b"b BAD ")


def test_no_message_of_an_exchange_stands_in_the_trace() -> None:
    sink = StringIO()
    client, scram = connect(trace=Trace("imap", sink, Redactor("salt"))), Scram("joe", "secret")
    asked = client.receive_data(b"a AUTHENTICATE SCRAM-SHA-256\r\n" + scram.first + b"\r\n")
    first = challenge(asked.removeprefix(b"+ \r\n"))
    final = scram.final(first)
    proof = challenge(client.receive_data(final + b"\r\n"))
    client.receive_data(b"\r\nb NOOP\r\n")
    texts = [json.loads(line)["text"] for line in sink.getvalue().splitlines()]
    assert texts[1:5] == ["a AUTHENTICATE SCRAM-SHA-256", "+ ", "+ ***", "+ ***"]
    assert texts[5].startswith("a OK [CAPABILITY")
    for secret in (scram.first, first, final, proof):
        assert secret.decode() not in sink.getvalue()


def test_without_cleartext_login_plain_is_not_offered_and_login_disabled() -> None:
    client = LoopbackServer(replace(CONFIG, cleartext_login=False)).connect()
    assert client.receive_data(b"a LOGIN joe secret\r\nb AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ=\r\n") == (
        b"* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID AUTH=SCRAM-SHA-256 AUTH=ANONYMOUS LOGINDISABLED]"
        b" imap.example.com ready\r\n"
        b"a NO [PRIVACYREQUIRED] LOGIN is accepted only over TLS\r\n"
        b"b NO [PRIVACYREQUIRED] a password is accepted only over TLS\r\n"
    )
    assert client.receive_data(b"c LOGIN anonymous x\r\n").startswith(b"c NO [PRIVACYREQUIRED] ")
    assert client.receive_data(b"d AUTHENTICATE ANONYMOUS =\r\n").startswith(b"d OK ")


def test_failures_are_answered_later_each_time_and_end_the_connection() -> None:
    waits: list[float] = []

    async def pause(seconds: float) -> None:
        waits.append(seconds)

    config = replace(CONFIG, logins=LoginPolicy(delay=0.5, failures=3))
    server = LoopbackServer(config, pause=pause)
    client = server.connect()
    client.receive_data(b"")
    assert client.receive_data(b"a LOGIN joe wrong\r\n") == (
        b"a NO [AUTHENTICATIONFAILED] user name or password is wrong\r\n"
    )
    assert client.receive_data(b"b AUTHENTICATE PLAIN AAAA\r\n").startswith(b"b BAD ")
    assert client.receive_data(b"c LOGIN nobody x\r\nd LOGIN joe secret\r\n") == (
        b"* BYE [LIMIT] too many logins failed on this connection\r\n"
        b"c NO [AUTHENTICATIONFAILED] user name or password is wrong\r\n"
    )
    assert client.ended
    assert waits == [0.5, 1.0, 2.0]


def test_an_address_with_too_many_failures_is_refused_for_a_time() -> None:
    config = replace(CONFIG, logins=LoginPolicy(address_failures=2, memory=60.0))
    server = LoopbackServer(config)
    for _ in range(2):
        server.connect("192.0.2.1:4000").receive_data(b"a LOGIN joe wrong\r\n")
    assert b"a NO [LIMIT] " in server.connect("192.0.2.1:4001").receive_data(b"a LOGIN joe secret\r\n")
    assert b"a OK " in server.connect("192.0.2.2:4000").receive_data(b"a LOGIN joe secret\r\n")
    server.now += 61
    assert b"a OK " in server.connect("192.0.2.1:4002").receive_data(b"a LOGIN joe secret\r\n")


def test_the_account_is_the_name_prepared_by_saslprep() -> None:
    client = connect()
    assert client.receive_data('a LOGIN "jo\N{SOFT HYPHEN}e" secret\r\n'.encode()).startswith(b"a OK ")
    other = connect()
    assert other.receive_data(b'a LOGIN "jo\x01e" secret\r\n').startswith(b"a NO [AUTHENTICATIONFAILED]")


MARKS = ("a" + "\N{COMBINING ACUTE ACCENT}" * 4000 + "\N{COMBINING TILDE OVERLAY}" * 4000).encode()


@pytest.mark.parametrize("line", [b"a LOGIN joe {%d+}\r\n%s\r\n", b"a LOGIN {%d+}\r\n%s secret\r\n"])
def test_a_long_name_or_password_is_wrong_and_nothing_prepares_it(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    worked: list[int] = []

    def normalised(_form: str, text: str) -> str:
        worked.append(len(text))
        return text

    monkeypatch.setattr(wire_sasl, "_normalised", normalised)
    said = connect().receive_data(line % (len(MARKS), MARKS))
    assert said == b"a NO [AUTHENTICATIONFAILED] user name or password is wrong\r\n"
    assert worked == []


@pytest.mark.parametrize(
    "line",
    [
        b"ID NIL",
        b"ID ()",
        b'ID ("name" "sodr" "version" "19.34" "vendor" NIL)',
        b'ID ("name" {4+}\r\nsodr)',
    ],
)
def test_id_is_answered_in_every_state(line: bytes) -> None:
    client = connect()
    for login in (b"", b"l LOGIN joe secret\r\n", b"s SELECT INBOX\r\n"):
        client.receive_data(login)
        said = client.receive_data(b"a " + line + b"\r\n")
        assert said.startswith(b'* ID ("name" "lemonade-imap" "version" "')
        assert said.endswith(b'")\r\na OK ID completed\r\n')


@pytest.mark.parametrize(
    "line",
    [
        b"ID",
        b"ID x",
        b'ID "name"',
        b'ID ("name")',
        b"ID (name sodr)",
        b'ID (NIL "x")',
        b'ID ("name" "a" "NAME" "b")',
        b'ID ("' + b"n" * 31 + b'" "a")',
        b'ID ("name" "' + b"v" * 1025 + b'")',
        b"ID (" + b" ".join(b'"f%d" NIL' % n for n in range(31)) + b")",
    ],
)
def test_id_above_its_limits_is_bad(line: bytes) -> None:
    assert connect().receive_data(b"a " + line + b"\r\n").startswith(b"a BAD ")


def test_starttls_needs_a_certificate(make_world: type[World]) -> None:
    assert connect().receive_data(b"a STARTTLS\r\n") == b"a BAD TLS is not available\r\n"
    assert make_world().joe.receive_data(b"a STARTTLS\r\n").startswith(b"a BAD STARTTLS is not possible ")
